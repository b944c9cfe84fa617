//! Proving that an address is one's own: an e-mail with a link (Client-Server API, "Adding Account Administrative Contact
//! Information", "Account registration", "Password management"). There is no way to send text messages to telephones.
//!
//! Nobody learns here which addresses have accounts: every request is answered alike, and only the e-mail tells.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::client::oauth::must_be_legacy;
use crate::client::register;
use crate::http::auth::Address;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::{Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, post};
use crate::services::threepids::{Asked, EMAIL, Purpose, canonical_domain, letters, parse_email};

/// Where the page is that the link in an e-mail leads to.
pub(super) const CONFIRM: &str = "/_landbridge/email/confirm";
/// The longest address that a client may ask to be led to afterwards.
const MAX_LINK: usize = 2_048;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        post("/_matrix/client/v3/register/email/requestToken", to_register),
        post("/_matrix/client/v3/account/password/email/requestToken", to_reset),
        post("/_matrix/client/v3/account/3pid/email/requestToken", to_add),
        post("/_matrix/client/v3/register/msisdn/requestToken", telephone),
        post("/_matrix/client/v3/account/password/msisdn/requestToken", telephone),
        post("/_matrix/client/v3/account/3pid/msisdn/requestToken", telephone),
    ]
}

#[derive(Deserialize)]
struct Body {
    client_secret: Option<String>,
    email: Option<String>,
    send_attempt: Option<i64>,
    next_link: Option<String>,
}

fn unsupported(text: &'static str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "M_THREEPID_MEDIUM_NOT_SUPPORTED", text)
}

impl Body {
    fn read(self, domains: &[String]) -> ApiResult<Asked> {
        let client_secret = self.client_secret.ok_or_else(|| ApiError::missing("client_secret"))?;
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b".=_-".contains(&c);
        if !(1..=255).contains(&client_secret.len()) || !client_secret.bytes().all(allowed) {
            let text = "client_secret must be 1 to 255 of 0-9, a-z, A-Z and . = _ -";
            return Err(ApiError::invalid_param(text));
        }
        let email = self.email.ok_or_else(|| ApiError::missing("email"))?;
        let address = parse_email(&email)
            .ok_or_else(|| ApiError::invalid_param("email is not an e-mail address"))?;
        let send_attempt = self.send_attempt.ok_or_else(|| ApiError::missing("send_attempt"))?;
        let next_link = self.next_link.map(|link| next_link(&link, domains)).transpose()?;
        Ok(Asked { address, client_secret, send_attempt, next_link })
    }
}

/// Checks where a client wants people to be led. It comes out as it was understood here, without what parsers overlook.
fn next_link(link: &str, domains: &[String]) -> ApiResult<String> {
    let url = url::Url::parse(link).ok().filter(|_| link.len() <= MAX_LINK);
    let url = url.filter(|url| matches!(url.scheme(), "https" | "http"));
    let url = url.ok_or_else(|| ApiError::invalid_param("next_link must be an http(s) address"))?;
    let host = url.host_str().unwrap_or_default();
    // It stands in a policy for browsers, where other signs mean something.
    if !host.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._:[]".contains(&c)) {
        return Err(ApiError::invalid_param("next_link must have a plain host name"));
    }
    if !domains.is_empty() && !domains.iter().any(|known| known.eq_ignore_ascii_case(host)) {
        return Err(ApiError::invalid_param("next_link leads where this server sends nobody"));
    }
    Ok(url.into())
}

async fn to_register(
    State(app): State<Arc<App>>,
    Address(from): Address,
    Json(body): Json<Body>,
) -> ApiResult<Reply<Value>> {
    // Whoever can't register needn't prove anything.
    register::flows(&app).await?;
    begin(&app, Address(from), Purpose::Register, body).await
}

async fn to_reset(
    State(app): State<Arc<App>>,
    from: Address,
    Json(body): Json<Body>,
) -> ApiResult<Reply<Value>> {
    begin(&app, from, Purpose::Password, body).await
}

async fn to_add(
    State(app): State<Arc<App>>,
    from: Address,
    Json(body): Json<Body>,
) -> ApiResult<Reply<Value>> {
    begin(&app, from, Purpose::Add, body).await
}

async fn telephone() -> ApiError {
    unsupported("This server sends nothing to telephones")
}

async fn begin(
    app: &App,
    Address(from): Address,
    purpose: Purpose,
    body: Body,
) -> ApiResult<Reply<Value>> {
    must_be_legacy(app)?;
    if !app.mailer.is_on() {
        return Err(unsupported("This server sends no e-mail"));
    }
    let asked = body.read(&app.config.email.next_link_domains)?;
    let sid = prove(app, Address(from), purpose, asked).await?;
    Ok(Reply(json!({ "sid": sid })))
}

/// Begins a proof and sends its e-mail; the proof's ID. Pages of this server share it with clients.
pub(crate) async fn prove(
    app: &App,
    Address(from): Address,
    purpose: Purpose,
    asked: Asked,
) -> ApiResult<String> {
    let domains = &app.config.email.allowed_domains;
    let is_of = |known: &String| canonical_domain(known).as_deref() == Some(asked.address.domain());
    if !domains.is_empty() && !domains.iter().any(is_of) {
        let text = "This server takes no addresses of that domain";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "M_THREEPID_DENIED", text));
    }
    app.limits.check(Limit::Email, &Address(from).key())?;
    let address = asked.address.clone();
    app.limits.check(Limit::Email, address.as_ref())?;
    let owner = app.threepids.owner(EMAIL, address.as_ref()).await?;
    let real = owner.is_some() == (purpose == Purpose::Password);
    let attempt = asked.send_attempt;
    let begun = app.threepids.begin(purpose, asked, real).await?;
    if let Some(token) = &begun.token {
        let server = &app.config.server_name;
        let letter = match owner {
            Some(user) if !real => letters::in_use(address, server, &user, purpose),
            None if !real => letters::no_account(address, server),
            _ => letters::confirm(address, server, purpose, &link(app, &begun.sid, token)),
        };
        if let Err(error) = app.mailer.send(letter, app.clock.now_ms()).await {
            tracing::warn!(%error, "an e-mail was not sent");
            let text = "The e-mail could not be sent; try again later";
            return Err(ApiError::new(StatusCode::BAD_GATEWAY, "M_UNKNOWN", text));
        }
        // Only now: an attempt that failed may be made again.
        app.threepids.sent(&begun, attempt).await?;
    }
    Ok(begun.sid)
}

/// The link that completes a proof. The address's owner needs nothing but this; the client's secret stays with the client.
fn link(app: &App, sid: &str, token: &str) -> String {
    let base = app.config.public_base_url.as_deref().unwrap_or_default().trim_end_matches('/');
    format!("{base}{CONFIRM}?sid={sid}&token={token}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_led_only_where_the_settings_let_them() {
        let next = |link: &str, domains: &[&str]| {
            let domains: Vec<_> = domains.iter().map(|domain| (*domain).to_owned()).collect();
            next_link(link, &domains).ok()
        };
        assert_eq!(next("https://app.test/#/in", &[]).as_deref(), Some("https://app.test/#/in"));
        // What a header can't hold is gone.
        assert_eq!(
            next("https://app.test/a\r\nb\u{e9}", &[]).as_deref(),
            Some("https://app.test/ab%C3%A9")
        );
        for bad in ["javascript:alert(1)", "data:text/html,x", "app.test", "", "https://"] {
            assert_eq!(next(bad, &[]), None, "{bad}");
        }
        for bad in ["https://x;sandbox/", "https://a,b/", "https://*/"] {
            assert_eq!(next(bad, &[]), None, "{bad}");
        }
        assert_eq!(next(&format!("https://app.test/{}", "x".repeat(MAX_LINK)), &[]), None);
        assert!(next("https://APP.test/", &["app.test"]).is_some());
        for bad in [
            "https://elsewhere.test/",
            "https://app.test@elsewhere.test/",
            "https://app.test.elsewhere.test/",
        ] {
            assert_eq!(next(bad, &["app.test"]), None, "{bad}");
        }
    }
}
