//! Parameters in a query or a form, where each may be there once (RFC 6749, 3.1 and 3.2).

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Request};
use http::Uri;
use http::header::CONTENT_TYPE;

use crate::http::error::{ApiError, ApiResult};
use crate::http::json::read_body;

/// Longer forms than this are refused.
const MAX_FORM: usize = 64 << 10;
const FORM: &str = "application/x-www-form-urlencoded";

/// Parameters by name.
#[derive(Debug, Clone, Default)]
pub struct Params {
    values: BTreeMap<String, String>,
    repeated: Option<String>,
}

/// The parameters of a form that was posted.
#[derive(Debug)]
pub struct FormParams(pub Params);

impl Params {
    /// Reads `a=b&c=d`.
    pub fn parse(text: &str) -> Self {
        let mut params = Self::default();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            // What has no value counts as left out.
            if value.is_empty() {
                continue;
            }
            if params.values.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                params.repeated = Some(name.into_owned());
            }
        }
        params
    }

    /// Those of a URI's query.
    pub fn of(uri: &Uri) -> Self {
        Self::parse(uri.query().unwrap_or_default())
    }

    /// The value of a parameter that is there and isn't empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A parameter that is there more than once.
    pub fn repeated(&self) -> Option<&str> {
        self.repeated.as_deref()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Reads the form in a request.
    pub async fn read(request: Request) -> ApiResult<Self> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
        if !kind.trim().eq_ignore_ascii_case(FORM) {
            return Err(ApiError::invalid_param(format!("The body must be {FORM}")));
        }
        let bytes = read_body(request.into_body(), MAX_FORM).await?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| ApiError::invalid_param("The form is not UTF-8"))?;
        Ok(Self::parse(text))
    }
}

impl<S: Send + Sync> FromRequest<S> for FormParams {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        Params::read(request).await.map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_there_once_or_that_is_told() {
        let params = Params::parse("a=1&b=&c=x+y%26");
        assert_eq!(
            (params.get("a"), params.get("b"), params.get("c")),
            (Some("1"), None, Some("x y&"))
        );
        assert_eq!(params.repeated(), None);
        assert_eq!(Params::parse("a=1&a=1").repeated(), Some("a"));
        assert_eq!(
            Params::of(&Uri::from_static("/x?a=b")).iter().collect::<Vec<_>>(),
            [("a", "b")]
        );
    }
}
