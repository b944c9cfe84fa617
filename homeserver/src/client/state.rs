//! Room state (Client-Server API, "Getting events for a room", "Sending events to a room").

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use ruma::events::TimelineEventType;
use ruma::{OwnedRoomId, RoomAliasId, RoomId};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::client::delayed_events::{Later, delay, later};
use crate::client::member_rollback;
use crate::client::membership::authoriser;
use crate::client::room_access::{raw, readable_state, state_event};
use crate::client::send::{sticky, timestamp};
use crate::client::suspension;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::{JsonObject, RawReply, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, get, put};
use crate::nid::EventNid;
use crate::room::{Draft, Room};
use crate::services::invitations::may_set_member;
use crate::services::relations::Bundles;
use crate::services::{guests, server_notices};
use crate::sync::json::Writer;
use crate::sync::viewer::{Form, Surroundings, Viewer};

const FORM: Form<'static> = Form { room_id: true, federation: false, fields: None };

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/rooms/{roomId}/state", all),
        get("/_matrix/client/v3/rooms/{roomId}/state/{eventType}", one_without_key),
        get("/_matrix/client/v3/rooms/{roomId}/state/{eventType}/", one_without_key),
        get("/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}", one),
        put("/_matrix/client/v3/rooms/{roomId}/state/{eventType}", set_without_key),
        put("/_matrix/client/v3/rooms/{roomId}/state/{eventType}/", set_without_key),
        put("/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}", set),
    ]
}

async fn all(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<OwnedRoomId>,
) -> ApiResult<Response> {
    let room = app.rooms.get(&id).await?;
    let state = readable_state(&app, &room, &requester).await?;
    let nids: Vec<EventNid> = state.iter().map(|(_, entry)| entry.nid).collect();
    let viewer = Viewer::of(&app, &requester).await?;
    let mut out = Writer::with_capacity(nids.len() * 500 + 2);
    out.open_list();
    for event in app.rooms.events(&nids).await? {
        viewer.write(&mut out, &event, None, FORM, &Surroundings::default());
    }
    out.close_list();
    Ok(RawReply(out.into_string().into()).into_response())
}

#[derive(Deserialize)]
struct Format {
    format: Option<String>,
}

async fn one_without_key(
    state: State<Arc<App>>,
    requester: Requester,
    Path((room, kind)): Path<(OwnedRoomId, String)>,
    query: Query<Format>,
) -> ApiResult<Reply<Box<RawValue>>> {
    one(state, requester, Path((room, kind, String::new())), query).await
}

async fn one(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((id, kind, key)): Path<(OwnedRoomId, String, String)>,
    Query(query): Query<Format>,
) -> ApiResult<Reply<Box<RawValue>>> {
    let room = app.rooms.get(&id).await?;
    let state = readable_state(&app, &room, &requester).await?;
    let event = state_event(&app, &state, &kind, &key)
        .await?
        .ok_or_else(|| ApiError::not_found("The room has no such state event"))?;
    match query.format.as_deref() {
        None | Some("content") => Ok(Reply(event.pdu.content().to_owned())),
        Some("event") => {
            let viewer = Viewer::of(&app, &requester).await?;
            let around = Surroundings::of(&app.rooms, [&event], Bundles::default()).await?;
            let mut out = Writer::with_capacity(1024);
            viewer.write(&mut out, &event, None, FORM, &around);
            RawValue::from_string(out.into_string()).map(Reply).map_err(ApiError::internal)
        }
        Some(other) => Err(ApiError::invalid_param(format!("{other:?} is no format"))),
    }
}

async fn set_without_key(
    state: State<Arc<App>>,
    requester: Requester,
    uri: OriginalUri,
    Path((room, kind)): Path<(OwnedRoomId, String)>,
    body: JsonObject,
) -> ApiResult<Reply<Value>> {
    set(state, requester, uri, Path((room, kind, String::new())), body).await
}

async fn set(
    State(app): State<Arc<App>>,
    requester: Requester,
    OriginalUri(uri): OriginalUri,
    Path((id, kind, key)): Path<(OwnedRoomId, String, String)>,
    JsonObject(mut content): JsonObject,
) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Message)?;
    let room = app.rooms.get(&id).await?;
    let sticky = sticky(&app, &requester, &room, &uri)?;
    let typed = TimelineEventType::from(kind.as_str());
    suspension::may_set(&app, &requester, &id, &typed, &key, &content).await?;
    if let Some(delay) = delay(&uri)? {
        if kind == "m.room.canonical_alias" {
            check_aliases(&app, &room, &content).await?;
        }
        let ts = timestamp(&requester, &uri)?;
        let new = Later { kind, state_key: Some(key), content, request: None, ts, delay, sticky };
        return later(&app, &requester, &room, new).await;
    }
    match typed {
        TimelineEventType::RoomCanonicalAlias => check_aliases(&app, &room, &content).await?,
        TimelineEventType::RoomMember if key == requester.user => {
            server_notices::may_leave_by(&app, &requester.user, &room, &content).await?;
            if let Some(authorised) = authorised_join(&app, &room, &requester, &content).await? {
                content = authorised;
            }
        }
        TimelineEventType::RoomMember => {
            let ts = timestamp(&requester, &uri)?;
            if let Some(sent) =
                member_rollback::apply(&app, &room, &requester, &key, &content, ts).await?
            {
                return Ok(Reply(json!({ "event_id": sent.event_id })));
            }
            may_set_member(&app, &requester.user, &key, content.get()).await?;
        }
        _ => {}
    }
    let draft = Draft {
        ts: timestamp(&requester, &uri)?,
        sticky,
        ..Draft::state(requester.user.clone(), typed, key, content)
    };
    let sent = room.send(draft).await?;
    Ok(Reply(json!({ "event_id": sent.event_id })))
}

/// A join by way of `/state` needs the same authorisation as one by `/join`.
async fn authorised_join(
    app: &App,
    room: &Room,
    requester: &Requester,
    content: &RawValue,
) -> ApiResult<Option<Box<RawValue>>> {
    let mut content: Map<String, Value> = crate::http::json::parse(content.get().as_bytes())?;
    if content.get("membership").and_then(Value::as_str) != Some("join") {
        return Ok(None);
    }
    if requester.guest && !room.snapshot().is_joined(&requester.user) {
        guests::must_let_in(room).await?;
    }
    let Some(user) = authoriser(app, room, &requester.user).await? else { return Ok(None) };
    content.insert("join_authorised_via_users_server".to_owned(), json!(user));
    raw(&content).map(Some)
}

#[derive(Deserialize)]
struct Aliases {
    alias: Option<String>,
    #[serde(default)]
    alt_aliases: Vec<String>,
}

/// Aliases that are added must lead to this very room (Client-Server API, `m.room.canonical_alias`).
async fn check_aliases(app: &App, room: &Room, content: &RawValue) -> ApiResult<()> {
    let parse = |text: &str| crate::http::json::parse::<Aliases>(text.as_bytes());
    let new = parse(content.get())?;
    let known = match room.state_event("m.room.canonical_alias", "").await? {
        Some(event) => parse(event.pdu.content().get()).ok(),
        None => None,
    };
    let known: Vec<String> = known
        .into_iter()
        .flat_map(|known| known.alias.into_iter().chain(known.alt_aliases))
        .collect();
    for alias in new.alias.iter().filter(|alias| !alias.is_empty()).chain(&new.alt_aliases) {
        if !known.contains(alias) {
            leads_here(app, room.id(), alias).await?;
        }
    }
    Ok(())
}

async fn leads_here(app: &App, room: &RoomId, alias: &str) -> ApiResult<()> {
    let parsed = RoomAliasId::parse(alias)
        .map_err(|error| ApiError::invalid_param(format!("{alias:?} is not an alias: {error}")))?;
    match app.directory.resolve(&parsed).await? {
        Some(target) if target.room == room => Ok(()),
        _ => {
            let text = format!("{alias} does not lead to this room");
            Err(ApiError::new(StatusCode::BAD_REQUEST, "M_BAD_ALIAS", text))
        }
    }
}
