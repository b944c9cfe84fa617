//! JSON bodies in and out.
//!
//! A request body is read up to a limit; what isn't JSON is `M_NOT_JSON`, what has another shape is `M_BAD_JSON`. The
//! content type isn't looked at: the spec lets servers ignore it, and many clients send none.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::http::error::{ApiError, ApiResult};

/// Bytes that a request body may have unless its route says otherwise. Far above an event's 65,536: `keys/upload`,
/// `createRoom` and `sendToDevice` carry many objects at once.
pub const BODY_LIMIT: usize = 4 << 20;

/// Bytes that a batch of imported history may have.
pub const BATCH_LIMIT: usize = 64 << 20;

/// A request body of type `T`. An empty body is refused; see [`JsonOrEmpty`].
#[derive(Debug)]
pub struct Json<T>(pub T);

/// A request body of type `T` that may be large: a batch of imported history, of up to [`BATCH_LIMIT`] bytes.
#[derive(Debug)]
pub struct BatchBody<T>(pub T);

/// A request body of type `T` where an empty body means `{}` (`/logout`, `/join`, `/leave`...).
#[derive(Debug)]
pub struct JsonOrEmpty<T>(pub T);

/// A request body that is any JSON object, kept as it came.
#[derive(Debug)]
pub struct JsonObject(pub Box<RawValue>);

/// A JSON answer.
#[derive(Debug, Clone, Copy)]
pub struct Reply<T>(pub T);

/// The answer `{}`.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Empty {}

/// A handler's answer that is JSON already.
#[derive(Debug, Clone)]
pub struct RawReply(pub Bytes);

/// The answer `{}`, ready to return.
pub const EMPTY: Reply<Empty> = Reply(Empty {});

/// A field of a body that may be left out, which is something else than `null`.
#[derive(Clone, Copy, Debug, Default)]
pub enum Field<T> {
    /// Left out.
    #[default]
    Absent,
    /// Named, with `None` for `null`.
    Given(Option<T>),
}

impl<T> Field<T> {
    /// What it is to be where it was `old`.
    pub fn or(self, old: Option<T>) -> Option<T> {
        match self {
            Self::Absent => old,
            Self::Given(new) => new,
        }
    }

    /// Checks what is given.
    pub fn checked(self, check: impl FnOnce(Option<T>) -> ApiResult<Option<T>>) -> ApiResult<Self> {
        match self {
            Self::Absent => Ok(Self::Absent),
            Self::Given(new) => check(new).map(Self::Given),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Option::<T>::deserialize(from).map(Self::Given)
    }
}

/// Reads a body of at most `limit` bytes.
pub async fn read_body(body: Body, limit: usize) -> ApiResult<Bytes> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(ApiError::too_large(format!("The request body has more than {limit} bytes")))
        }
        Err(_) => Err(ApiError::not_json("The request body could not be read")),
    }
}

/// Parses JSON, telling apart what is no JSON and what is JSON of another shape.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> ApiResult<T> {
    // Checked as a whole: the parser doesn't look inside strings that nobody asks for.
    let text = std::str::from_utf8(bytes)
        .map_err(|_| ApiError::not_json("The request body is not UTF-8"))?;
    serde_json::from_str(text).map_err(|error| match error.classify() {
        // A type that stops reading early says "data" of what isn't even JSON, so look at the whole.
        Category::Data if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => {
            ApiError::bad_json(error.to_string())
        }
        _ => ApiError::not_json(format!("The request body is not valid JSON: {error}")),
    })
}

/// Parses an object and keeps it as it came, without the white space around it.
pub fn parse_object(bytes: &[u8]) -> ApiResult<Box<RawValue>> {
    let raw: Box<RawValue> = parse(bytes)?;
    if raw.get().starts_with('{') {
        Ok(raw)
    } else {
        Err(ApiError::bad_json("The request body must be a JSON object"))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        parse(&read_body(request.into_body(), BODY_LIMIT).await?).map(Json)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for BatchBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        parse(&read_body(request.into_body(), BATCH_LIMIT).await?).map(BatchBody)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonOrEmpty<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = read_body(request.into_body(), BODY_LIMIT).await?;
        parse(if bytes.is_empty() { b"{}" } else { &bytes }).map(JsonOrEmpty)
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        parse_object(&read_body(request.into_body(), BODY_LIMIT).await?).map(JsonObject)
    }
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => RawReply(bytes.into()).into_response(),
            Err(error) => {
                tracing::error!(%error, "an answer could not be serialised");
                let body = Bytes::from_static(
                    br#"{"errcode":"M_UNKNOWN","error":"Internal server error"}"#,
                );
                (StatusCode::INTERNAL_SERVER_ERROR, RawReply(body)).into_response()
            }
        }
    }
}

impl IntoResponse for RawReply {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.0));
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn tells_no_json_from_wrong_json() {
        assert_eq!(parse::<BTreeMap<String, u8>>(b"{\"a\": ").unwrap_err().errcode, "M_NOT_JSON");
        assert_eq!(
            parse::<BTreeMap<String, u8>>(b"{\"a\": \"x\", }").unwrap_err().errcode,
            "M_NOT_JSON"
        );
        assert_eq!(
            parse::<BTreeMap<String, u8>>(b"{\"a\": 1, \"b\x81\": 2}").unwrap_err().errcode,
            "M_NOT_JSON"
        );
        assert_eq!(parse::<BTreeMap<String, u8>>(b"").unwrap_err().errcode, "M_NOT_JSON");
        assert_eq!(
            parse::<BTreeMap<String, u8>>(b"{\"a\": \"x\"}").unwrap_err().errcode,
            "M_BAD_JSON"
        );
        assert_eq!(parse::<BTreeMap<String, u8>>(b"{\"a\": 1}").unwrap()["a"], 1);
    }

    #[test]
    fn keeps_an_object_as_it_came() {
        assert_eq!(parse_object(b" {\"b\":1.50,\"a\":2} ").unwrap().get(), "{\"b\":1.50,\"a\":2}");
        assert_eq!(parse_object(b"[1]").unwrap_err().errcode, "M_BAD_JSON");
        assert_eq!(parse_object(b"\"\xff\"").unwrap_err().errcode, "M_NOT_JSON");
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_too_large() {
        let error = read_body(Body::from(vec![b' '; 100]), 99).await.unwrap_err();
        assert_eq!(error.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
