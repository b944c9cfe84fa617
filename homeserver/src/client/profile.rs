//! Profiles (Client-Server API, "Profiles"). They are public: no access token is asked for to read one.

use std::sync::Arc;

use axum::extract::State;
use ruma::{OwnedUserId, UserId};
use serde_json::{Map, Value};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, delete, get, patch, put};
use crate::services::profiles::Profile;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/profile/{userId}", whole),
        get("/_matrix/client/v3/profile/{userId}/{keyName}", field),
        put("/_matrix/client/v3/profile/{userId}/{keyName}", set),
        delete("/_matrix/client/v3/profile/{userId}/{keyName}", remove),
        patch("/_matrix/client/v3/profile/{userId}", merge),
        put("/_matrix/client/unstable/com.beeper.msc4437/profile/{userId}", replace),
    ]
}

async fn find(app: &App, user: &UserId) -> ApiResult<Arc<Profile>> {
    if !app.accounts.active(user).await? {
        return Err(ApiError::not_found("There is no such user"));
    }
    app.profiles.get(user).await
}

async fn whole(
    State(app): State<Arc<App>>,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Arc<Profile>>> {
    find(&app, &user).await.map(Reply)
}

async fn field(
    State(app): State<Arc<App>>,
    Path((user, key)): Path<(OwnedUserId, String)>,
) -> ApiResult<Reply<Map<String, Value>>> {
    let profile = find(&app, &user).await?;
    let value =
        profile.get(&key).ok_or_else(|| ApiError::not_found("The profile has no such field"))?;
    Ok(Reply(Map::from_iter([(key, value.clone())])))
}

async fn set(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((user, key)): Path<(OwnedUserId, String)>,
    Json(mut body): Json<Map<String, Value>>,
) -> ApiResult<Reply<Empty>> {
    requester.must_be(&user)?;
    requester.limit(&app, Limit::Other)?;
    let value = body
        .remove(&key)
        .ok_or_else(|| ApiError::missing_param(format!("The body lacks {key:?}")))?;
    app.profiles.set(&user, &key, value).await?;
    Ok(EMPTY)
}

async fn remove(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((user, key)): Path<(OwnedUserId, String)>,
) -> ApiResult<Reply<Empty>> {
    requester.must_be(&user)?;
    requester.limit(&app, Limit::Other)?;
    app.profiles.remove(&user, &key).await?;
    Ok(EMPTY)
}

/// Sets several fields at once (`com.beeper.arbitrary_profile_meta`).
async fn merge(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(user): Path<OwnedUserId>,
    Json(body): Json<Map<String, Value>>,
) -> ApiResult<Reply<Empty>> {
    requester.must_be(&user)?;
    requester.limit(&app, Limit::Other)?;
    app.profiles.merge(&user, body, false).await?;
    Ok(EMPTY)
}

/// Sets the whole profile (MSC4437).
async fn replace(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(user): Path<OwnedUserId>,
    Json(body): Json<Map<String, Value>>,
) -> ApiResult<Reply<Empty>> {
    requester.must_be(&user)?;
    requester.limit(&app, Limit::Other)?;
    app.profiles.merge(&user, body, true).await?;
    Ok(EMPTY)
}
