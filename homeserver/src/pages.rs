//! The pages on which people sign in, let clients in, and manage their account: the browser's side of the OAuth 2.0 API (Client-Server
//! API, "OAuth 2.0 API"). They need no JavaScript.
//!
//! Every form carries a token that only this browser's cookie fits, so that no other site can send it.

pub mod account;
pub mod authorize;
pub mod consent;
pub mod forgotten;
pub mod link;
pub mod sign_in;
pub mod sign_up;
pub mod visitor;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use maud::html;

use crate::app::App;
use crate::commit::CommitError;
use crate::http::error::ApiError;
use crate::http::page::{Page, alert};
use crate::http::router::{Route, get, post};
use crate::storage::StorageError;

/// Where forms for signing out lead.
pub const SIGN_OUT: &str = "/_landbridge/sign-out";
/// What all paths of pages begin with.
const BELOW: &str = "/_landbridge/";
/// Longer addresses than this are not come back to.
const MAX_ONWARD: usize = 16 << 10;

/// The pages.
pub fn routes() -> Vec<Route<Arc<App>>> {
    let mut routes = vec![
        get(authorize::PATH, authorize::show),
        post(authorize::PATH, authorize::decide),
        get(link::PATH, link::show),
        post(link::PATH, link::decide),
        get(sign_in::PATH, sign_in::show),
        post(sign_in::PATH, sign_in::sign_in),
        get(sign_up::PATH, sign_up::show),
        post(sign_up::PATH, sign_up::sign_up),
        post(SIGN_OUT, sign_in::sign_out),
        get(forgotten::PATH, forgotten::show),
        post(forgotten::PATH, forgotten::answer),
    ];
    routes.extend(account::routes());
    routes
}

/// Why a page is not shown.
#[derive(Debug)]
pub enum Failure {
    /// It is refused, which is shown as a page.
    Refused(ApiError),
    /// Somebody has to sign in first, at this address.
    SignIn(String),
}

/// What pages' handlers return.
pub type PageResult = Result<Response, Failure>;

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        Self::Refused(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let error = match self {
            Self::Refused(error) => error,
            Self::SignIn(to) => return see_other(&to),
        };
        let title = match error.status {
            StatusCode::NOT_FOUND => "There is no such page",
            StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
            status if status.is_server_error() => "Something went wrong",
            _ => "That did not work",
        };
        let body = html! {
            (alert(&error.error))
            @if error.status == StatusCode::TOO_MANY_REQUESTS { p { "Wait a minute and try again." } }
        };
        let mut response = Page::new(title).status(error.status).body(body).into_response();
        // Says when to come back, as everywhere.
        if let Some(retry) = error.into_response().headers().get(http::header::RETRY_AFTER) {
            response.headers_mut().insert(http::header::RETRY_AFTER, retry.clone());
        }
        response
    }
}

/// Where to go after signing in: a page of ours, and the account's where what was given is none.
pub fn onward(given: Option<&str>) -> &str {
    let ours = |path: &&str| {
        path.starts_with(BELOW)
            && path.len() <= MAX_ONWARD
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    given.filter(ours).unwrap_or(account::PATH)
}

/// A path with parameters.
fn with_query(path: &str, params: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    format!("{path}?{query}")
}

/// Sends the browser elsewhere, with `GET`.
fn see_other(to: &str) -> Response {
    Redirect::to(to).into_response()
}

/// A point in time as people read it.
fn time(ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_nowhere_else() {
        assert_eq!(onward(Some("/_landbridge/link?user_code=A")), "/_landbridge/link?user_code=A");
        for bad in [
            "https://evil.org/",
            "//evil.org/",
            "/\\evil.org",
            "/_landbridge/\n",
            "",
            "/_landbridge/\\x",
        ] {
            assert_eq!(onward(Some(bad)), account::PATH, "{bad:?}");
        }
        assert_eq!(onward(None), account::PATH);
    }

    #[test]
    fn a_time_is_readable() {
        assert_eq!(time(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
