//! Who is asking: a token in `Authorization` for programs, in a cookie for the page.

use std::net::IpAddr;

use axum::{
    Json,
    extract::{FromRequestParts, Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{AUTHORIZATION, COOKIE, HOST, ORIGIN, SET_COOKIE},
        request::Parts,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use url::Url;

use super::{
    super::{error::NetworkError, service::Caller},
    App,
};

const COOKIE_NAME: &str = "landbridge_playground";
/// No token of ours is longer; a longer one isn't looked at.
const MAX_TOKEN: usize = 256;

impl FromRequestParts<App> for Caller {
    type Rejection = NetworkError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, NetworkError> {
        app.service.authenticate(token(&parts.headers)).await
    }
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|v| v.strip_prefix("Bearer "));
    let cookie = || {
        let all = headers.get(COOKIE)?.to_str().ok()?;
        all.split(';')
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == COOKIE_NAME)
            .map(|(_, v)| v)
    };
    bearer.or_else(cookie).filter(|token| token.len() <= MAX_TOKEN)
}

/// A token for the page's cookie.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSession {
    token: String,
}

/// Puts a valid token into a cookie that scripts can't read: the page's event stream can't send headers.
pub(super) async fn begin_session(
    State(app): State<App>,
    Json(new): Json<NewSession>,
) -> Result<Response, NetworkError> {
    if new.token.len() > MAX_TOKEN {
        return Err(NetworkError::Unauthorized);
    }
    app.service.authenticate(Some(&new.token)).await?;
    cookie(&new.token, "")
}

/// Takes the cookie away.
pub(super) async fn end_session() -> Result<Response, NetworkError> {
    cookie("", "; Max-Age=0")
}

fn cookie(value: &str, more: &str) -> Result<Response, NetworkError> {
    let cookie = format!("{COOKIE_NAME}={value}; Path=/; HttpOnly; SameSite=Strict{more}");
    let mut cookie = HeaderValue::try_from(cookie).map_err(|_| NetworkError::Unauthorized)?;
    cookie.set_sensitive(true);
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response())
}

/// Keeps other sites' pages out. A network without a token trusts whoever reaches its address, and every page in the user's browser
/// does: so a request from another origin is refused, and, where there is no token, one to a name that somebody else's DNS may have
/// pointed here.
pub(super) async fn same_site(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, NetworkError> {
    check_site(request.headers(), app.service.guarded())?;
    Ok(next.run(request).await)
}

fn check_site(headers: &HeaderMap, guarded: bool) -> Result<(), NetworkError> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let host = text(HOST).unwrap_or_default();
    if let Some(origin) = text(ORIGIN) {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        if authority != Some(host) {
            return Err(NetworkError::Forbidden("requests from other sites are refused"));
        }
    }
    if !guarded && !host.is_empty() && !is_literal(host) {
        return Err(NetworkError::Forbidden(
            "without a token, the Playground answers only to localhost or an IP address",
        ));
    }
    Ok(())
}

/// Whether a Host header names an address itself, or this machine.
fn is_literal(host: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}/")) else { return false };
    let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    name == "localhost" || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in ["localhost", "localhost:8009", "127.0.0.1:8009", "[::1]:8009", "10.0.0.7"] {
            assert!(is_literal(good), "{good}");
        }
        for bad in ["rebound.example:8009", "localhost.example", ""] {
            assert!(!is_literal(bad), "{bad}");
        }
    }

    #[test]
    fn tokens_come_from_header_or_cookie() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static("a=b; landbridge_playground=secret"));
        assert_eq!(token(&headers), Some("secret"));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer other"));
        assert_eq!(token(&headers), Some("other"));
    }
}
