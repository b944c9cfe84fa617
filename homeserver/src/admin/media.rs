//! Files, in the form of Synapse's admin API.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use ruma::{OwnedRoomId, OwnedUserId, UserId};
use serde_json::{Value, json};

use super::request::{Admin, Params, account, listed};
use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Reply};
use crate::http::router::{Route, delete, get, post};
use crate::nid::TimelineOrd;
use crate::storage::media_admin::{File, ORDERS};
use crate::storage::timeline_read::forwards;

/// Events of a room that are looked at in one query.
const PIECE: usize = 500;
/// Changes of what is out of sight that are told at once.
const CHANGES: i64 = 100;
const OF_USER: &str = "/_synapse/admin/v1/users/{userId}/media";
const ONE: &str = "/_synapse/admin/v1/media/{serverName}/{mediaId}";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_synapse/admin/v1/room/{roomId}/media", of_room),
        post("/_synapse/admin/v1/room/{roomId}/media/quarantine", quarantine_room),
        post("/_synapse/admin/v1/quarantine_media/{roomId}", quarantine_room),
        post("/_synapse/admin/v1/user/{userId}/media/quarantine", quarantine_user),
        post("/_synapse/admin/v1/media/quarantine/{serverName}/{mediaId}", quarantine),
        post("/_synapse/admin/v1/media/unquarantine/{serverName}/{mediaId}", release),
        get("/_synapse/admin/v1/media/quarantine_changes", quarantine_changes),
        post("/_synapse/admin/v1/media/protect/{mediaId}", protect),
        post("/_synapse/admin/v1/media/unprotect/{mediaId}", unprotect),
        get(ONE, show),
        delete(ONE, remove),
        post("/_synapse/admin/v1/media/delete", remove_unused),
        post("/_synapse/admin/v1/media/{serverName}/delete", remove_unused),
        post("/_synapse/admin/v1/purge_media_cache", purge_cache),
        get(OF_USER, of_user),
        delete(OF_USER, remove_of_user),
    ]
}

fn unknown() -> ApiError {
    ApiError::not_found("There is no such media")
}

fn must_be_ours(app: &App, server: &str) -> ApiResult<()> {
    if app.media.is_ours(server) { Ok(()) } else { Err(unknown()) }
}

/// Collects what stands under the keys that name files, however deep.
fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.values().for_each(|value| collect(value, found)),
        Value::Array(list) => list.iter().for_each(|value| collect(value, found)),
        Value::String(text) if text.starts_with("mxc://") => drop(found.insert(text.clone())),
        _ => {}
    }
}

/// The `mxc:` addresses in a room's events. What is encrypted can't be looked into.
async fn uris(app: &App, room: &OwnedRoomId) -> ApiResult<BTreeSet<String>> {
    let nid = app.rooms.get(room).await?.nid();
    let (mut at, mut found) = (TimelineOrd::MIN, BTreeSet::new());
    loop {
        let placed = forwards(&app.db, nid, at, TimelineOrd::MAX, PIECE).await?;
        let Some(last) = placed.last() else { return Ok(found) };
        at = last.ord + 1;
        let nids: Vec<_> = placed.iter().map(|placed| placed.nid).collect();
        for event in app.rooms.events(&nids).await? {
            // Most events name no file, which a search tells much sooner than a parser.
            let content = event.pdu.content().get();
            if content.contains("mxc:")
                && let Ok(content) = serde_json::from_str(content)
            {
                collect(&content, &mut found);
            }
        }
    }
}

async fn of_room(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(room): Path<OwnedRoomId>,
) -> ApiResult<Reply<Value>> {
    let ours = format!("mxc://{}/", app.config.server_name);
    let (local, remote): (Vec<String>, Vec<String>) =
        uris(&app, &room).await?.into_iter().partition(|uri| uri.starts_with(&ours));
    Ok(Reply(json!({ "local": local, "remote": remote })))
}

async fn quarantine_room(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path(room): Path<OwnedRoomId>,
) -> ApiResult<Reply<Value>> {
    let uris = uris(&app, &room).await?;
    let ids = app.media.ours(uris.iter().map(String::as_str)).into_iter().collect();
    let count = app.media.quarantine(ids, &requester.user).await?;
    Ok(Reply(json!({ "num_quarantined": count })))
}

async fn quarantine_user(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    account(&app, &user).await?;
    let count = app.media.quarantine_of(&user, &requester.user).await?;
    Ok(Reply(json!({ "num_quarantined": count })))
}

async fn quarantine(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path((server, id)): Path<(String, String)>,
) -> ApiResult<Reply<Empty>> {
    must_be_ours(&app, &server)?;
    app.media.file(&id).await?.ok_or_else(unknown)?;
    app.media.quarantine(vec![id], &requester.user).await?;
    Ok(EMPTY)
}

async fn release(
    State(app): State<Arc<App>>,
    _: Admin,
    Path((server, id)): Path<(String, String)>,
) -> ApiResult<Reply<Empty>> {
    must_be_ours(&app, &server)?;
    if app.media.release(&id).await? { Ok(EMPTY) } else { Err(unknown()) }
}

/// For other tools that hide the same files.
async fn quarantine_changes(
    State(app): State<Arc<App>>,
    _: Admin,
    params: Params,
) -> ApiResult<Reply<Value>> {
    let after = params.number("from")?.unwrap_or(0);
    let found = app.media.quarantine_changes(after, CHANGES).await?;
    let next = found.last().map_or(after, |change| change.number);
    let changes: Vec<Value> = found
        .iter()
        .map(|change| {
            let origin = &app.config.server_name;
            json!({ "origin": origin, "media_id": change.id, "quarantined": change.quarantined })
        })
        .collect();
    Ok(Reply(json!({ "next_batch": next, "changes": changes })))
}

async fn protect(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<String>,
) -> ApiResult<Reply<Empty>> {
    if app.media.protect(&id, true).await? { Ok(EMPTY) } else { Err(unknown()) }
}

async fn unprotect(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<String>,
) -> ApiResult<Reply<Empty>> {
    if app.media.protect(&id, false).await? { Ok(EMPTY) } else { Err(unknown()) }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn shown(file: &File) -> Value {
    json!({
        "media_id": file.id,
        "media_type": file.content_type,
        "media_length": file.bytes,
        "upload_name": file.filename,
        "created_ts": file.created,
        "last_access_ts": file.accessed,
        "quarantined_by": file.quarantined_by,
        "safe_from_quarantine": file.protected,
    })
}

async fn show(
    State(app): State<Arc<App>>,
    _: Admin,
    Path((server, id)): Path<(String, String)>,
) -> ApiResult<Reply<Value>> {
    must_be_ours(&app, &server)?;
    let file = app.media.file(&id).await?.ok_or_else(unknown)?;
    let mut info = shown(&file);
    info["media_origin"] = json!(server);
    info["user_id"] = json!(Some(&file.uploader).filter(|uploader| !uploader.is_empty()));
    info["sha256"] = json!(hex(&file.sha256));
    info["authenticated"] = json!(file.frozen);
    info["filesystem_id"] = Value::Null;
    info["url_cache"] = Value::Null;
    Ok(Reply(json!({ "media_info": info })))
}

fn deleted(ids: &[String]) -> Reply<Value> {
    Reply(json!({ "deleted_media": ids, "total": ids.len() }))
}

async fn remove(
    State(app): State<Arc<App>>,
    _: Admin,
    Path((server, id)): Path<(String, String)>,
) -> ApiResult<Reply<Value>> {
    must_be_ours(&app, &server)?;
    let gone = app.media.delete(vec![id]).await?;
    if gone.is_empty() { Err(unknown()) } else { Ok(deleted(&gone)) }
}

async fn remove_unused(
    State(app): State<Arc<App>>,
    _: Admin,
    params: Params,
) -> ApiResult<Reply<Value>> {
    let before = params.required("before_ts")?;
    let bytes = params.number("size_gt")?.unwrap_or(0);
    let kept = if params.flag("keep_profiles")?.unwrap_or(true) {
        let mut kept = app.media.profile_pictures().await?;
        let rooms = app.room_facts.all(&app).await?;
        kept.extend(app.media.ours(rooms.iter().filter_map(|facts| facts.avatar.as_deref())));
        kept
    } else {
        BTreeSet::new()
    };
    Ok(deleted(&app.media.delete_unused(before, bytes, &kept).await?))
}

/// No media of other servers is kept here.
async fn purge_cache(_: Admin, params: Params) -> ApiResult<Reply<Value>> {
    params.required("before_ts")?;
    Ok(Reply(json!({ "deleted": 0 })))
}

/// The page of a user's files that is asked for, how many there are, and where the next page begins. The newest come first
/// unless something is said.
async fn files(
    app: &App,
    user: &UserId,
    params: &Params,
) -> ApiResult<(Vec<File>, i64, Option<i64>)> {
    account(app, user).await?;
    let page = params.page()?;
    let order = match (params.order(&ORDERS)?, params.backwards()?) {
        (None, None) => ("created_ts", true),
        (order, backwards) => (order.unwrap_or("created_ts"), backwards.unwrap_or(false)),
    };
    let (files, total) = app.media.files_of(user, order, (page.from, page.limit)).await?;
    Ok((files, total, page.next(total)))
}

async fn of_user(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
    params: Params,
) -> ApiResult<Reply<Value>> {
    let (files, total, next) = files(&app, &user, &params).await?;
    let rows = files.iter().map(shown).collect();
    Ok(Reply(listed("media", rows, total, next.map(Value::from))))
}

async fn remove_of_user(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
    params: Params,
) -> ApiResult<Reply<Value>> {
    let (files, ..) = files(&app, &user, &params).await?;
    let gone = app.media.delete(files.into_iter().map(|file| file.id).collect()).await?;
    Ok(deleted(&gone))
}
