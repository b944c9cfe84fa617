//! Rendezvous sessions as MSC4388 has them: JSON, with a sequence token in place of the entity tag. Writes are taken in the proposal's
//! form, with a transaction ID, and in the form without one, which clients began with.

use std::sync::Arc;

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{full, gone, limit, too_large};
use crate::app::App;
use crate::http::auth::{Address, MaybeRequester};
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, delete, get, post, put};
use crate::services::rendezvous::{MAX_BYTES, NotWritten};

const MAKE: &str = "/_matrix/client/unstable/io.element.msc4388/rendezvous";
const PLACE: &str = "/_matrix/client/unstable/io.element.msc4388/rendezvous/{id}";
const WRITE: &str = "/_matrix/client/unstable/io.element.msc4388/rendezvous/{id}/{txnId}";
/// The longest transaction ID (Appendices, "Opaque Identifiers").
const MAX_TRANSACTION: usize = 255;

pub(super) fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get(MAKE, discover),
        post(MAKE, make),
        get(PLACE, read),
        put(PLACE, write),
        put(WRITE, write_once),
        delete(PLACE, end),
    ]
}

fn may_make(app: &App, requester: &MaybeRequester) -> bool {
    requester.0.is_some() || app.config.accounts.rendezvous_without_account
}

/// Tells whether one may make a session; a token that is no good is refused.
async fn discover(
    State(app): State<Arc<App>>,
    address: Address,
    requester: MaybeRequester,
) -> ApiResult<Reply<Value>> {
    limit(&app, address, Limit::Other)?;
    Ok(Reply(json!({ "create_available": may_make(&app, &requester) })))
}

#[derive(Deserialize)]
struct Make {
    data: String,
}

#[derive(Deserialize)]
struct Write {
    sequence_token: String,
    data: String,
}

fn fits(data: &str) -> ApiResult<()> {
    if data.len() > MAX_BYTES { Err(too_large()) } else { Ok(()) }
}

impl Write {
    /// The version that was seen; a token that isn't one of ours names none.
    fn seen(&self) -> u64 {
        self.sequence_token.parse().unwrap_or(0)
    }
}

async fn make(
    State(app): State<Arc<App>>,
    address: Address,
    requester: MaybeRequester,
    Json(body): Json<Make>,
) -> ApiResult<Reply<Value>> {
    limit(&app, address, Limit::Login)?;
    if !may_make(&app, &requester) {
        return Err(ApiError::forbidden("Only those who have an account here may do that"));
    }
    fits(&body.data)?;
    let (id, found) = app.rendezvous.make(&body.data);
    let expires = app.rendezvous.remaining_ms(&found);
    let token = found.version.to_string();
    Ok(Reply(json!({ "id": id, "sequence_token": token, "expires_in_ms": expires })))
}

/// Whether a browser asks in order to show what it gets, which it shall not: strangers wrote it (the proposal's "Unsafe content", Fetch
/// Metadata Request Headers).
fn would_show(headers: &HeaderMap) -> bool {
    let is = |name: &str, test: fn(&str) -> bool| {
        headers.get(name).is_some_and(|value| value.to_str().is_ok_and(test))
    };
    is("sec-fetch-dest", |dest| dest != "empty")
        || is("sec-fetch-mode", |mode| mode == "navigate")
        || is("sec-fetch-user", |user| user == "?1")
        || is("sec-fetch-site", |site| site == "none")
}

async fn read(
    State(app): State<Arc<App>>,
    address: Address,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> ApiResult<Reply<Value>> {
    limit(&app, address, Limit::Other)?;
    if would_show(&headers) {
        return Err(ApiError::forbidden("What is written here is not for browsers to show"));
    }
    let found = app.rendezvous.read(&id).ok_or_else(gone)?;
    let expires = app.rendezvous.remaining_ms(&found);
    let token = found.version.to_string();
    Ok(Reply(json!({ "data": *found.text, "sequence_token": token, "expires_in_ms": expires })))
}

fn written(result: &Result<u64, NotWritten>) -> ApiResult<Reply<Value>> {
    match result {
        Ok(version) => Ok(Reply(json!({ "sequence_token": version.to_string() }))),
        Err(NotWritten::NoPlace) => Err(gone()),
        Err(NotWritten::Full) => Err(full()),
        Err(NotWritten::Outdated(_)) => {
            let text = "Somebody else wrote since the payload that you have seen";
            let code = "IO_ELEMENT_MSC4388_CONCURRENT_WRITE";
            Err(ApiError::new(StatusCode::CONFLICT, code, text))
        }
    }
}

async fn write(
    State(app): State<Arc<App>>,
    address: Address,
    Path(id): Path<String>,
    Json(body): Json<Write>,
) -> ApiResult<Reply<Value>> {
    limit(&app, address, Limit::Other)?;
    fits(&body.data)?;
    written(&app.rendezvous.write_again(&id, body.seen(), &body.data))
}

async fn write_once(
    State(app): State<Arc<App>>,
    address: Address,
    Path((id, transaction)): Path<(String, String)>,
    Json(body): Json<Write>,
) -> ApiResult<Reply<Value>> {
    limit(&app, address, Limit::Other)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    if transaction.len() > MAX_TRANSACTION || !transaction.chars().all(allowed) {
        return Err(ApiError::invalid_param("txnId must be of letters, digits and -._~"));
    }
    fits(&body.data)?;
    written(&app.rendezvous.write_once(&id, &transaction, body.seen(), &body.data))
}

async fn end(
    State(app): State<Arc<App>>,
    address: Address,
    Path(id): Path<String>,
) -> ApiResult<Reply<Empty>> {
    limit(&app, address, Limit::Other)?;
    if app.rendezvous.end(&id) { Ok(EMPTY) } else { Err(gone()) }
}
