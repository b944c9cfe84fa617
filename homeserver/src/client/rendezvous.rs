//! Where two devices meet when one signs the other in by a QR code: as Element X knows it today (MSC4108 of 2024), and as it comes
//! (MSC4388, in [`channel`]). Whoever knows a session may use it: one of the two devices has no account yet.

pub mod channel;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPIRES,
    IF_MATCH, IF_NONE_MATCH, LAST_MODIFIED, PRAGMA,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use crate::app::App;
use crate::http::auth::Address;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{Reply, read_body};
use crate::http::limit::Limit;
use crate::http::router::{Route, delete, get, post, put};
use crate::services::rendezvous::{Found, MAX_BYTES, NotWritten};

const MAKE: &str = "/_matrix/client/unstable/org.matrix.msc4108/rendezvous";
const PLACE: &str = "/_matrix/client/unstable/org.matrix.msc4108/rendezvous/{id}";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    let mut routes =
        vec![post(MAKE, make), get(PLACE, read), put(PLACE, write), delete(PLACE, end)];
    routes.extend(channel::routes());
    routes
}

fn from(address: Address) -> String {
    address.key()
}

/// Counts a request against the limit of its address.
fn limit(app: &App, address: Address, limit: Limit) -> ApiResult<()> {
    app.limits.check(limit, &format!("rendezvous/{}", from(address)))
}

fn gone() -> ApiError {
    ApiError::not_found("There is no such rendezvous session, or no longer")
}

fn too_large() -> ApiError {
    ApiError::too_large(format!("The payload has more than {MAX_BYTES} bytes"))
}

fn full() -> ApiError {
    ApiError::limit_exceeded(Duration::from_mins(1))
}

/// The header's value, if it is text.
fn text(headers: &HeaderMap, name: &HeaderName) -> ApiResult<String> {
    let value = headers.get(name).ok_or_else(|| ApiError::missing(name.as_str()))?;
    let text = value.to_str().map(ToOwned::to_owned);
    text.map_err(|_| ApiError::invalid_param(format!("{name} is not text")))
}

/// The payload of a request whose headers are as they should be.
async fn payload(request: Request) -> ApiResult<String> {
    let headers = request.headers();
    let length = text(headers, &CONTENT_LENGTH)?.parse::<u64>();
    let length = length.map_err(|_| ApiError::invalid_param("Content-Length is not a number"))?;
    let kind = text(headers, &CONTENT_TYPE)?;
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/plain")) {
        return Err(ApiError::invalid_param("Content-Type must be text/plain"));
    }
    if length > MAX_BYTES as u64 {
        return Err(too_large());
    }
    let bytes = read_body(request.into_body(), MAX_BYTES).await?;
    let text = String::from_utf8(bytes.to_vec());
    text.map_err(|_| ApiError::invalid_param("The payload is not UTF-8"))
}

/// The entity tag of a version: unlike any other of its session, whatever the payload is.
fn tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// The version that an entity tag names. Only a strong and single one is taken.
fn version(tag: &str) -> ApiResult<Option<u64>> {
    let inner = tag.trim().strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let inner = inner.filter(|inner| !inner.contains(['"', ',']));
    let inner =
        inner.ok_or_else(|| ApiError::invalid_param("An ETag must be strong and single"))?;
    Ok(inner.parse().ok())
}

fn time(ms: i64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(ms.max(0).unsigned_abs()))
}

/// What every answer about a payload says.
fn described(found: &Found, mut response: Response) -> Response {
    let headers = response.headers_mut();
    let said = [
        (ETAG, tag(found.version)),
        (EXPIRES, time(found.until_ms)),
        (LAST_MODIFIED, time(found.written_ms)),
    ];
    for (name, value) in said {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("ETag"));
    response
}

fn plain() -> [(HeaderName, HeaderValue); 2] {
    [
        (CONTENT_TYPE, HeaderValue::from_static("text/plain")),
        // Nobody may have a browser show as a page what strangers wrote here.
        (http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ]
}

async fn make(
    State(app): State<Arc<App>>,
    address: Address,
    request: Request,
) -> ApiResult<Response> {
    limit(&app, address, Limit::Login)?;
    let host = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
    let base = match (&app.config.public_base_url, host) {
        (Some(base), _) => base.trim_end_matches('/').to_owned(),
        (None, Some(host)) => format!("http://{host}"),
        (None, None) => format!("https://{}", app.config.server_name),
    };
    let (id, found) = app.rendezvous.make(&payload(request).await?);
    let url = format!("{base}{MAKE}/{id}");
    let answer = (StatusCode::CREATED, Reply(json!({ "url": url }))).into_response();
    Ok(described(&found, answer))
}

async fn read(
    State(app): State<Arc<App>>,
    address: Address,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    limit(&app, address, Limit::Other)?;
    let found = app.rendezvous.read(&id).ok_or_else(gone)?;
    if headers.contains_key(IF_NONE_MATCH)
        && version(&text(&headers, &IF_NONE_MATCH)?)? == Some(found.version)
    {
        return Ok(described(&found, StatusCode::NOT_MODIFIED.into_response()));
    }
    let answer = (plain(), found.text.to_string()).into_response();
    Ok(described(&found, answer))
}

async fn write(
    State(app): State<Arc<App>>,
    address: Address,
    Path(id): Path<String>,
    request: Request,
) -> ApiResult<Response> {
    limit(&app, address, Limit::Other)?;
    let seen = version(&text(request.headers(), &IF_MATCH)?)?.unwrap_or(0);
    let payload = payload(request).await?;
    match app.rendezvous.write(&id, seen, &payload) {
        // Some proxies drop the ETag of answers that have no type.
        Ok(found) => Ok(described(&found, (StatusCode::ACCEPTED, plain()).into_response())),
        Err(NotWritten::NoPlace) => Err(gone()),
        Err(NotWritten::Full) => Err(full()),
        Err(NotWritten::Outdated(found)) => {
            let text = "Somebody else wrote since the payload that you have seen";
            let error = ApiError::new(StatusCode::PRECONDITION_FAILED, "M_UNKNOWN", text)
                .with("org.matrix.msc4108.errcode", "M_CONCURRENT_WRITE");
            Ok(described(&found, error.into_response()))
        }
    }
}

async fn end(
    State(app): State<Arc<App>>,
    address: Address,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    limit(&app, address, Limit::Other)?;
    if app.rendezvous.end(&id) { Ok(StatusCode::NO_CONTENT) } else { Err(gone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_strong_and_single() {
        assert_eq!(version(&tag(7)).unwrap(), Some(7));
        assert_eq!(version("\"of another server\"").unwrap(), None);
        for bad in ["7", "*", "W/\"7\"", "\"7\", \"8\"", "\"", ""] {
            assert_eq!(version(bad).unwrap_err().errcode, "M_INVALID_PARAM", "{bad}");
        }
    }
}
