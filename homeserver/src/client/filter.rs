//! Filters (Client-Server API, "Filtering").

use std::sync::Arc;

use axum::extract::State;
use ruma::{OwnedUserId, RoomId, UserId};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{JsonObject, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, get, post};
use crate::sync::filter::Filter;

/// The largest filter that is stored.
const MAX_BYTES: usize = 65_536;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        post("/_matrix/client/v3/user/{userId}/filter", create),
        get("/_matrix/client/v3/user/{userId}/filter/{filterId}", read),
    ]
}

async fn create(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(user): Path<OwnedUserId>,
    JsonObject(definition): JsonObject,
) -> ApiResult<Reply<Value>> {
    requester.must_be(&user)?;
    requester.limit(&app, Limit::Other)?;
    if definition.get().len() > MAX_BYTES {
        return Err(ApiError::too_large(format!("A filter may have {MAX_BYTES} bytes")));
    }
    Filter::parse(definition.get()).map_err(|error| ApiError::bad_json(error.to_string()))?;
    check_ids(&crate::http::json::parse(definition.get().as_bytes())?)?;
    let id = app.filters.create(&user, definition.get().to_owned()).await?;
    Ok(Reply(json!({ "filter_id": id.to_string() })))
}

/// Refuses filters that name rooms or users which can't exist: the client would wait in vain for them.
fn check_ids(filter: &Value) -> ApiResult<()> {
    let Some(filter) = filter.as_object() else { return Ok(()) };
    for (key, value) in filter {
        let ids = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        let bad = match key.as_str() {
            "rooms" | "not_rooms" => ids.into_iter().find(|id| RoomId::parse(id).is_err()),
            "senders" | "not_senders" => ids.into_iter().find(|id| UserId::parse(id).is_err()),
            _ => {
                check_ids(value)?;
                None
            }
        };
        if let Some(bad) = bad {
            return Err(ApiError::invalid_param(format!("{bad:?} in {key} is not an ID")));
        }
    }
    Ok(())
}

async fn read(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((user, id)): Path<(OwnedUserId, String)>,
) -> ApiResult<Reply<Box<RawValue>>> {
    requester.must_be(&user)?;
    let unknown = || ApiError::not_found("There is no such filter");
    let id = id.parse().map_err(|_| unknown())?;
    let definition = app.filters.get(&user, id).await?.ok_or_else(unknown)?;
    RawValue::from_string(definition.to_string()).map(Reply).map_err(ApiError::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_looked_at_wherever_they_stand() {
        check_ids(&json!({ "room": { "rooms": ["!a:x"], "timeline": { "senders": ["@a:x"] } } }))
            .unwrap();
        assert!(check_ids(&json!({ "room": { "timeline": { "senders": ["nobody"] } } })).is_err());
        assert!(check_ids(&json!({ "room": { "not_rooms": ["nowhere"] } })).is_err());
    }
}
