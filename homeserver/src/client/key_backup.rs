//! Backups of room keys (Client-Server API, "Server-side key backups").

mod dump;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use ruma::OwnedRoomId;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, delete, get, post, put};
use crate::services::key_backup::{Backup, Contents, RoomKeys, SessionKey};

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        post("/_matrix/client/v3/room_keys/version", create),
        get("/_matrix/client/v3/room_keys/version", newest),
        get("/_matrix/client/v3/room_keys/version/{version}", one),
        put("/_matrix/client/v3/room_keys/version/{version}", update),
        delete("/_matrix/client/v3/room_keys/version/{version}", remove),
        put("/_matrix/client/v3/room_keys/keys", put_all),
        get("/_matrix/client/v3/room_keys/keys", get_all),
        delete("/_matrix/client/v3/room_keys/keys", delete_all),
        put("/_matrix/client/v3/room_keys/keys/{roomId}", put_room),
        get("/_matrix/client/v3/room_keys/keys/{roomId}", get_room),
        delete("/_matrix/client/v3/room_keys/keys/{roomId}", delete_room),
        put("/_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}", put_session),
        get("/_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}", get_session),
        delete("/_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}", delete_session),
    ]
}

#[derive(Deserialize)]
struct NewBackup {
    algorithm: String,
    auth_data: Box<RawValue>,
}

async fn create(
    State(app): State<Arc<App>>,
    requester: Requester,
    Json(body): Json<NewBackup>,
) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Other)?;
    let version = app.key_backups.create(&requester.user, body.algorithm, body.auth_data).await?;
    Ok(Reply(json!({ "version": version })))
}

async fn newest(State(app): State<Arc<App>>, requester: Requester) -> ApiResult<Reply<Backup>> {
    app.key_backups.get(&requester.user, None).await.map(Reply)
}

async fn one(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(version): Path<String>,
) -> ApiResult<Reply<Backup>> {
    app.key_backups.get(&requester.user, Some(&version)).await.map(Reply)
}

#[derive(Deserialize)]
struct ChangedBackup {
    algorithm: String,
    auth_data: Box<RawValue>,
    version: Option<String>,
}

async fn update(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(version): Path<String>,
    Json(body): Json<ChangedBackup>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    if body.version.is_some_and(|in_body| in_body != version) {
        return Err(ApiError::invalid_param("The versions in path and body are not the same"));
    }
    app.key_backups.update(&requester.user, &version, body.algorithm, body.auth_data).await?;
    Ok(EMPTY)
}

async fn remove(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(version): Path<String>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    app.key_backups.delete(&requester.user, &version).await?;
    Ok(EMPTY)
}

#[derive(Deserialize)]
struct Of {
    version: String,
}

#[derive(Deserialize)]
struct Sessions {
    sessions: BTreeMap<String, SessionKey>,
}

#[derive(Deserialize)]
struct Rooms {
    rooms: BTreeMap<OwnedRoomId, Sessions>,
}

async fn store(
    app: &App,
    requester: &Requester,
    of: &Of,
    keys: RoomKeys,
) -> ApiResult<Reply<Contents>> {
    requester.limit(app, Limit::Other)?;
    app.key_backups.put(&requester.user, &of.version, keys).await.map(Reply)
}

async fn put_all(
    State(app): State<Arc<App>>,
    requester: Requester,
    Query(of): Query<Of>,
    Json(body): Json<Rooms>,
) -> ApiResult<Reply<Contents>> {
    let keys = body.rooms.into_iter().map(|(room, keys)| (room, keys.sessions)).collect();
    store(&app, &requester, &of, keys).await
}

async fn put_room(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(room): Path<OwnedRoomId>,
    Query(of): Query<Of>,
    Json(body): Json<Sessions>,
) -> ApiResult<Reply<Contents>> {
    store(&app, &requester, &of, BTreeMap::from([(room, body.sessions)])).await
}

async fn put_session(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((room, session)): Path<(OwnedRoomId, String)>,
    Query(of): Query<Of>,
    Json(key): Json<SessionKey>,
) -> ApiResult<Reply<Contents>> {
    let keys = BTreeMap::from([(room, BTreeMap::from([(session, key)]))]);
    store(&app, &requester, &of, keys).await
}

async fn get_all(
    State(app): State<Arc<App>>,
    requester: Requester,
    Query(of): Query<Of>,
) -> ApiResult<Response> {
    let version = app.key_backups.existing(&requester.user, &of.version).await?;
    dump::answer(app, requester.user, version, None).await
}

async fn get_room(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(room): Path<OwnedRoomId>,
    Query(of): Query<Of>,
) -> ApiResult<Response> {
    let version = app.key_backups.existing(&requester.user, &of.version).await?;
    dump::answer(app, requester.user, version, Some(room)).await
}

async fn get_session(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((room, session)): Path<(OwnedRoomId, String)>,
    Query(of): Query<Of>,
) -> ApiResult<Reply<SessionKey>> {
    app.key_backups.key(&requester.user, &of.version, &room, &session).await.map(Reply)
}

async fn erase(
    app: &App,
    requester: &Requester,
    of: &Of,
    room: Option<OwnedRoomId>,
    session: Option<String>,
) -> ApiResult<Reply<Contents>> {
    requester.limit(app, Limit::Other)?;
    app.key_backups.delete_keys(&requester.user, &of.version, room, session).await.map(Reply)
}

async fn delete_all(
    State(app): State<Arc<App>>,
    requester: Requester,
    Query(of): Query<Of>,
) -> ApiResult<Reply<Contents>> {
    erase(&app, &requester, &of, None, None).await
}

async fn delete_room(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(room): Path<OwnedRoomId>,
    Query(of): Query<Of>,
) -> ApiResult<Reply<Contents>> {
    erase(&app, &requester, &of, Some(room), None).await
}

async fn delete_session(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((room, session)): Path<(OwnedRoomId, String)>,
    Query(of): Query<Of>,
) -> ApiResult<Reply<Contents>> {
    erase(&app, &requester, &of, Some(room), Some(session)).await
}
