//! Looking up networks, places and people that application services know (Client-Server API, "Third-party networks").

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use http::Uri;
use ruma::{OwnedRoomAliasId, OwnedUserId};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::Reply;
use crate::http::router::{Route, get};
use crate::services::appservices::Fields;

/// The most fields of one lookup, and the longest value.
const MAX_FIELDS: usize = 50;
const MAX_VALUE: usize = 1024;

/// Of the query these are about the request, not about what is looked for; the token above all stays here.
const OURS: [&str; 4] = ["access_token", "user_id", "device_id", "org.matrix.msc3202.device_id"];

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/thirdparty/protocols", protocols),
        get("/_matrix/client/v3/thirdparty/protocol/{protocol}", protocol),
        get("/_matrix/client/v3/thirdparty/location/{protocol}", locations),
        get("/_matrix/client/v3/thirdparty/user/{protocol}", users),
        get("/_matrix/client/v3/thirdparty/location", locations_of_alias),
        get("/_matrix/client/v3/thirdparty/user", users_of_id),
    ]
}

async fn protocols(State(app): State<Arc<App>>, _: Requester) -> Reply<Map<String, Value>> {
    Reply(app.appservices.protocols().await.into_iter().collect())
}

async fn protocol(
    State(app): State<Arc<App>>,
    _: Requester,
    Path(name): Path<String>,
) -> ApiResult<Reply<Value>> {
    app.appservices.protocol(&name).await.map(Reply).ok_or_else(unknown)
}

async fn locations(
    State(app): State<Arc<App>>,
    _: Requester,
    Path(name): Path<String>,
    OriginalUri(uri): OriginalUri,
) -> ApiResult<Reply<Vec<Value>>> {
    app.appservices.locations(&name, &fields(&uri)?).await.map(Reply).ok_or_else(unknown)
}

async fn users(
    State(app): State<Arc<App>>,
    _: Requester,
    Path(name): Path<String>,
    OriginalUri(uri): OriginalUri,
) -> ApiResult<Reply<Vec<Value>>> {
    app.appservices.users(&name, &fields(&uri)?).await.map(Reply).ok_or_else(unknown)
}

#[derive(Deserialize)]
struct OfAlias {
    alias: OwnedRoomAliasId,
}

async fn locations_of_alias(
    State(app): State<Arc<App>>,
    _: Requester,
    Query(query): Query<OfAlias>,
) -> ApiResult<Reply<Vec<Value>>> {
    found(app.appservices.locations_of_alias(query.alias.as_str()).await)
}

#[derive(Deserialize)]
struct OfUser {
    userid: OwnedUserId,
}

async fn users_of_id(
    State(app): State<Arc<App>>,
    _: Requester,
    Query(query): Query<OfUser>,
) -> ApiResult<Reply<Vec<Value>>> {
    found(app.appservices.users_of_id(query.userid.as_str()).await)
}

/// The reverse look-ups answer 404 where nothing is behind an id.
fn found(list: Vec<Value>) -> ApiResult<Reply<Vec<Value>>> {
    if list.is_empty() {
        Err(ApiError::not_found("Nothing is known of it"))
    } else {
        Ok(Reply(list))
    }
}

fn unknown() -> ApiError {
    ApiError::not_found("No application service provides this protocol")
}

/// What is looked for: the query without what is about the request itself.
fn fields(uri: &Uri) -> ApiResult<Fields> {
    let query = uri.query().unwrap_or_default();
    let fields: Fields = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| !OURS.contains(&name.as_ref()))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    if fields.len() > MAX_FIELDS
        || fields.iter().any(|(name, value)| name.len() + value.len() > MAX_VALUE)
    {
        return Err(ApiError::invalid_param("Too many or too long search fields"));
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_masquerading_stay_here() {
        let uri: Uri =
            "/x?access_token=secret&nick=a%20b&user_id=@x:y&channel=%23c".parse().unwrap();
        let expected =
            [("nick", "a b"), ("channel", "#c")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(fields(&uri).unwrap(), expected);
        let long: Uri = format!("/x?a={}", "b".repeat(MAX_VALUE)).parse().unwrap();
        assert!(fields(&long).is_err());
    }
}
