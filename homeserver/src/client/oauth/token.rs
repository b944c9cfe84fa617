//! Access tokens for codes and refresh tokens (RFC 6749, 4.1.3 and 6; RFC 7636; RFC 8628, 3.4).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::error::{OAuthError, OAuthResult, unstored};
use super::{base, client, limit, needed, once};
use crate::app::App;
use crate::http::auth::Address;
use crate::http::json::Reply;
use crate::http::limit::Limit;
use crate::http::params::Params;
use crate::services::oauth::client::{AUTHORIZATION_CODE, DEVICE_CODE, REFRESH_TOKEN};
use crate::services::oauth::scope::Scope;
use crate::services::oauth::{Poll, challenge};
use crate::services::sessions::granted::{CodeProof, Redeemed};

pub(super) async fn token(
    State(app): State<Arc<App>>,
    Address(address): Address,
    request: Request,
) -> OAuthResult<Response> {
    base(&app)?;
    let params = Params::read(request).await?;
    once(&params)?;
    let grant = needed(&params, "grant_type")?;
    // Clients with device codes ask every few seconds, so this is not the limit of signing in, and they use up nobody's refreshes;
    // what they show can't be guessed.
    let what = match grant {
        REFRESH_TOKEN => "oauth refresh",
        DEVICE_CODE => "oauth device code",
        _ => "oauth token",
    };
    limit(&app, what, address, Limit::Other).map_err(OAuthError::later)?;
    let redeemed = match grant {
        AUTHORIZATION_CODE => by_code(&app, &params).await?,
        REFRESH_TOKEN => by_refresh_token(&app, &params).await?,
        DEVICE_CODE => by_device_code(&app, &params).await?,
        _ => {
            return Err(OAuthError::new("unsupported_grant_type", "the server has no such grant"));
        }
    };
    let (session, scope) = match redeemed {
        Redeemed::Session(session, scope) => (session, scope),
        Redeemed::Refused => return Err(OAuthError::invalid_grant()),
        Redeemed::Replayed(user, device) => {
            tracing::warn!(%user, %device, "what was used up came again, the session was ended");
            app.devices.forget(&user, &[device]);
            return Err(OAuthError::invalid_grant());
        }
    };
    let answer = json!({
        "access_token": session.access_token,
        "token_type": "Bearer",
        "expires_in": session.expires_in.map(|lifetime| lifetime.as_secs()),
        "refresh_token": session.refresh_token,
        "scope": scope,
    });
    Ok(unstored(Reply(answer).into_response()))
}

async fn by_code(app: &App, params: &Params) -> OAuthResult<Redeemed> {
    let client = client(app, params, AUTHORIZATION_CODE).await?;
    let code = needed(params, "code")?;
    let redirect_uri = needed(params, "redirect_uri")?;
    let verifier = needed(params, "code_verifier")?;
    if !is_verifier(verifier) {
        let text = "code_verifier must have 43 to 128 letters, digits and - . _ ~";
        return Err(OAuthError::invalid_request(text));
    }
    let proof = CodeProof {
        code: code.to_owned(),
        display_name: Some(client.name("")),
        client_id: client.id,
        redirect_uri: redirect_uri.to_owned(),
        challenge: challenge(verifier),
    };
    Ok(app.sessions.redeem_code(proof).await?)
}

/// Whether this is a secret as RFC 7636, 4.1, has it.
fn is_verifier(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    (43..=128).contains(&text.len()) && text.bytes().all(allowed)
}

async fn by_refresh_token(app: &App, params: &Params) -> OAuthResult<Redeemed> {
    let client = client(app, params, REFRESH_TOKEN).await?;
    let token = needed(params, "refresh_token")?;
    // A scope may be named, but not one beyond what was granted (RFC 6749, 6).
    if let Some(asked) = params.get("scope")
        && let Some(granted) = app.sessions.granted_scope(token).await?
        && !Scope::covers(&granted, asked)
    {
        return Err(OAuthError::new("invalid_scope", "the scope goes beyond what was granted"));
    }
    Ok(app.sessions.refresh_granted(token, &client.id).await?)
}

async fn by_device_code(app: &App, params: &Params) -> OAuthResult<Redeemed> {
    let client = client(app, params, DEVICE_CODE).await?;
    let code = needed(params, "device_code")?;
    let (error, text) = match app.oauth.poll(code, &client.id).await? {
        Poll::Granted => {
            let name = client.name("");
            return Ok(app.sessions.redeem_device_code(code, &client.id, Some(name)).await?);
        }
        Poll::Unknown => return Ok(Redeemed::Refused),
        Poll::Pending => ("authorization_pending", "nobody has decided yet"),
        Poll::SlowDown => ("slow_down", "ask less often"),
        Poll::Denied => ("access_denied", "it was denied"),
        Poll::Expired => ("expired_token", "it took too long"),
    };
    Err(OAuthError::new(error, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_is_long_and_of_few_signs() {
        assert!(is_verifier(&"aZ9-._~".repeat(7)));
        assert!(!is_verifier(&"a".repeat(42)) && !is_verifier(&"a".repeat(129)));
        assert!(!is_verifier(&"a b".repeat(20)));
    }
}
