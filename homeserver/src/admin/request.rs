//! What all requests of administrators have in common: who asks, and how lists are asked for.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use ruma::UserId;
use serde_json::{Map, Value};

use super::local::is_owner;
use crate::app::App;
use crate::http::auth::{Requester, access_token};
use crate::http::error::{ApiError, ApiResult};
use crate::storage::accounts::Account;

/// Rows of a page when the request names no number (Synapse's default), and at most.
const PAGE: i64 = 100;
const MAX_PAGE: i64 = 1_000;
/// No account has this name, as none may begin with an underscore but those of application services.
const OWNER: &str = "_landbridge_owner";

/// An administrator who makes a request; `M_FORBIDDEN` for everybody else.
#[derive(Debug)]
pub(super) struct Admin(pub(super) Requester);

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> ApiResult<Self> {
        match Requester::from_request_parts(parts, app).await {
            Ok(requester) => {
                requester.must_be_admin(app).await?;
                Ok(Self(requester))
            }
            Err(error) => {
                let Some(token) = access_token(&parts.headers, &parts.uri) else {
                    return Err(error);
                };
                if is_owner(app, &token).await? { Ok(Self(owner(app)?)) } else { Err(error) }
            }
        }
    }
}

/// Who asks with the token in the data folder: nobody who could be in a room.
fn owner(app: &App) -> ApiResult<Requester> {
    let user = UserId::parse(format!("@{OWNER}:{}", app.config.server_name));
    let user = user.map_err(ApiError::internal)?;
    Ok(Requester {
        user,
        device: None,
        guest: false,
        oauth: false,
        admin: true,
        suspended: false,
        address: None,
        appservice: None,
    })
}

/// The query of a request, read key by key: tools leave out what they don't mean, or send it empty.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

/// Which rows of a list are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// How many come before them.
    pub(super) from: i64,
    /// How many they are at most.
    pub(super) limit: i64,
}

impl Page {
    /// Where the next page begins; none after the last.
    pub(super) fn next(self, total: i64) -> Option<i64> {
        let next = self.from.saturating_add(self.limit);
        (next < total).then_some(next)
    }

    /// The rows of this page among all.
    pub(super) fn of<T>(self, all: Vec<T>) -> Vec<T> {
        let skip = usize::try_from(self.from).unwrap_or(usize::MAX);
        let take = usize::try_from(self.limit).unwrap_or(0);
        all.into_iter().skip(skip).take(take).collect()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        Ok(Self(url::form_urlencoded::parse(query).into_owned().collect()))
    }
}

impl Params {
    /// A text that isn't empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of a parameter that may be repeated; empty ones as well.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> ApiResult<Option<bool>> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(ApiError::invalid_param(format!("{name} must be true or false"))),
        }
    }

    /// A number that isn't negative.
    pub(super) fn number(&self, name: &str) -> ApiResult<Option<i64>> {
        let wrong = || ApiError::invalid_param(format!("{name} must be a number, and not below 0"));
        self.text(name)
            .map(|text| text.parse::<i64>().ok().filter(|number| *number >= 0).ok_or_else(wrong))
            .transpose()
    }

    /// A number that must be there.
    pub(super) fn required(&self, name: &str) -> ApiResult<i64> {
        self.number(name)?.ok_or_else(|| ApiError::missing(name))
    }

    /// `from` and `limit`.
    pub(super) fn page(&self) -> ApiResult<Page> {
        let limit = self.number("limit")?.unwrap_or(PAGE).min(MAX_PAGE);
        Ok(Page { from: self.number("from")?.unwrap_or(0), limit })
    }

    /// Whether `dir` says backwards; `None` without it.
    pub(super) fn backwards(&self) -> ApiResult<Option<bool>> {
        match self.text("dir") {
            None => Ok(None),
            Some("f") => Ok(Some(false)),
            Some("b") => Ok(Some(true)),
            Some(_) => Err(ApiError::invalid_param("dir must be f or b")),
        }
    }

    /// `order_by`, which must be one of `known`.
    pub(super) fn order<'a>(&self, known: &[&'a str]) -> ApiResult<Option<&'a str>> {
        let Some(name) = self.text("order_by") else { return Ok(None) };
        let found = known.iter().find(|order| **order == name).copied();
        found.map(Some).ok_or_else(|| {
            ApiError::invalid_param(format!("order_by must be one of {}", known.join(", ")))
        })
    }
}

/// The account that a request is about: one of this server.
pub(super) async fn account(app: &App, user: &UserId) -> ApiResult<Arc<Account>> {
    local(app, user)?;
    app.accounts.get(user).await?.ok_or_else(|| ApiError::not_found("There is no such user"))
}

/// Refuses users of other servers.
pub(super) fn local(app: &App, user: &UserId) -> ApiResult<()> {
    if user.server_name() == app.config.server_name {
        Ok(())
    } else {
        let text = format!("{user} is not a user of this server");
        Err(ApiError::invalid_param(text))
    }
}

/// A list in an answer, with `total` and, if there is more, `next_token`.
pub(super) fn listed(name: &str, rows: Vec<Value>, total: i64, next: Option<Value>) -> Value {
    let mut answer = Map::new();
    answer.insert(name.to_owned(), Value::Array(rows));
    answer.insert("total".to_owned(), Value::from(total));
    if let Some(next) = next {
        answer.insert("next_token".to_owned(), next);
    }
    Value::Object(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    #[test]
    fn parameters_are_read_or_refused() {
        let given = params("limit=5000&from=3&guests=false&name=&t=a&t=");
        assert_eq!(given.page().unwrap(), Page { from: 3, limit: 1_000 });
        assert_eq!(given.flag("guests").unwrap(), Some(false));
        assert_eq!((given.text("name"), given.all("t")), (None, vec!["a".into(), String::new()]));
        for (query, name) in [("n=-1", "n"), ("n=x", "n"), ("n=1.5", "n")] {
            assert_eq!(params(query).number(name).unwrap_err().errcode, "M_INVALID_PARAM");
        }
        assert!(params("x=1").flag("x").is_err());
        assert!(params("dir=up").backwards().is_err());
        assert!(params("order_by=size").order(&["name"]).is_err());
        assert_eq!(params("").required("ts").unwrap_err().errcode, "M_MISSING_PARAM");
    }

    #[test]
    fn the_last_page_has_no_next_one() {
        let page = Page { from: 10, limit: 5 };
        assert_eq!((page.next(15), page.next(16)), (None, Some(15)));
        assert_eq!(page.of((0..12).collect()), [10, 11]);
    }
}
