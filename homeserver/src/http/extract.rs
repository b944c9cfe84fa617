//! Paths, queries and whole ruma requests, with the spec's errors when they don't fit.

use axum::extract::{FromRequest, FromRequestParts, Query as AxumQuery, RawPathParams, Request};
use http::Uri;
use http::request::Parts;
use ruma::api::IncomingRequest;
use ruma::api::error::{DeserializationError, FromHttpRequestError};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::http::error::{ApiError, ApiResult};
use crate::http::json::{BODY_LIMIT, read_body};

/// The parameters of the path, percent-decoded. An identifier that isn't one is `M_INVALID_PARAM`.
#[derive(Debug)]
pub struct Path<T>(pub T);

/// The query. A missing parameter is `M_MISSING_PARAM`, a malformed one `M_INVALID_PARAM`.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// A form of ours in the body, as pages send it. One that can't be read is `M_INVALID_PARAM`.
#[derive(Debug)]
pub struct Form<T>(pub T);

/// A whole request as ruma types it. Not for the hot paths, nor for event contents or media, which it would copy.
#[derive(Debug)]
pub struct Ruma<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::invalid_param(rejection.body_text())),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        AxumQuery::try_from_uri(&parts.uri).map(|AxumQuery(value)| Self(value)).map_err(
            |rejection| {
                let text = rejection.body_text();
                if text.contains("missing field") {
                    ApiError::missing_param(text)
                } else {
                    ApiError::invalid_param(text)
                }
            },
        )
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match axum::Form::from_request(request, state).await {
            Ok(axum::Form(value)) => Ok(Self(value)),
            Err(rejection) => {
                let error = ApiError::invalid_param(rejection.body_text());
                Err(ApiError { status: rejection.status(), ..error })
            }
        }
    }
}

impl<S: Send + Sync, T: IncomingRequest> FromRequest<S> for Ruma<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let params = RawPathParams::from_request_parts(&mut parts, state)
            .await
            .map_err(|rejection| ApiError::invalid_param(rejection.body_text()))?;
        let arguments: Vec<String> = params.iter().map(|(_, value)| value.to_owned()).collect();
        let bytes = read_body(body, BODY_LIMIT).await?;
        T::try_from_http_request(http::Request::from_parts(parts, bytes), &arguments)
            .map(Self)
            .map_err(refuse)
    }
}

fn refuse(error: FromHttpRequestError) -> ApiError {
    match error {
        FromHttpRequestError::Deserialization(DeserializationError::Json(error)) => {
            match error.classify() {
                Category::Data => ApiError::bad_json(error.to_string()),
                _ => ApiError::not_json(error.to_string()),
            }
        }
        other => ApiError::invalid_param(other.to_string()),
    }
}

/// All values of a query parameter that may be repeated (`via`, `server_name`, `action`).
pub fn query_all(uri: &Uri, name: &str) -> Vec<String> {
    pairs(uri).filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
}

/// The first value of a query parameter.
pub fn query_one(uri: &Uri, name: &str) -> Option<String> {
    pairs(uri).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn pairs(uri: &Uri) -> url::form_urlencoded::Parse<'_> {
    url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
}

/// Reads an identifier out of a request, naming it when it isn't one.
pub fn identifier<'a, T>(name: &str, value: &'a str) -> ApiResult<T>
where
    T: TryFrom<&'a str>,
    T::Error: std::fmt::Display,
{
    T::try_from(value)
        .map_err(|error| ApiError::invalid_param(format!("{name} is not valid: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_repeated_and_escaped_parameters() {
        let uri: Uri = "/join?via=a.org&x=1&via=b%3A8448".parse().unwrap();
        assert_eq!(query_all(&uri, "via"), ["a.org", "b:8448"]);
        assert_eq!(query_one(&uri, "x").as_deref(), Some("1"));
        assert_eq!(query_one(&uri, "y"), None);
    }
}
