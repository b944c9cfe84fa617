//! The browser that somebody signs in with, known by a cookie.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};

use crate::app::App;
use crate::services::sessions::random_token;
use crate::storage::tokens::TokenHash;

const PLAIN: &str = "landbridge_sso";
/// Browsers take this name from this very host on HTTPS only.
const SECURE: &str = "__Host-landbridge_sso";
/// For how long the browser keeps it, in seconds.
const LIFETIME: u32 = 3_600;
/// The characters of a token.
const LENGTH: usize = 43;

/// A browser.
#[derive(Clone)]
pub(in crate::client) struct Browser(String);

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .filter(|(name, _)| matches!(*name, PLAIN | SECURE))
        .map(|(_, value)| value)
        .find(|value| {
            let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            value.len() == LENGTH && value.bytes().all(fine)
        })
}

impl Browser {
    /// The mark on what belongs to this browser.
    pub(super) fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }

    /// The answer with the cookie by which the browser will be known.
    pub(super) fn remembered(&self, app: &App, mut response: Response) -> Response {
        let (name, secure) = if app.sso.is_secure() { (SECURE, "; Secure") } else { (PLAIN, "") };
        // Providers lead back by a link, with which browsers send cookies that are lax, and no others.
        let cookie = format!(
            "{name}={}; Path=/; Max-Age={LIFETIME}; HttpOnly; SameSite=Lax{secure}",
            self.0
        );
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
        response
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Browser {
    type Rejection = Infallible;

    /// The browser, or a new one.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(cookie(&parts.headers).map_or_else(random_token, ToOwned::to_owned)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_known_by_a_whole_token_only() {
        let token = random_token();
        let headers = |text: String| {
            HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(&text).unwrap())])
        };
        assert_eq!(cookie(&headers(format!("a=b; {PLAIN}={token}; c=d"))), Some(&*token));
        assert_eq!(cookie(&headers(format!("{SECURE}={token}"))), Some(&*token));
        for bad in [format!("other={token}"), format!("{PLAIN}="), format!("{PLAIN}={token}x")] {
            assert_eq!(cookie(&headers(bad)), None);
        }
    }
}
