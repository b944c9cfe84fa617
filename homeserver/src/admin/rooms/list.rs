//! Rooms listed, and one of them shown.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State;
use ruma::{OwnedRoomId, OwnedRoomOrAliasId, OwnedUserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::request::{Admin, Params};
use crate::app::App;
use crate::client::room_access::find;
use crate::client::space_hierarchy::{HierarchyParams, Page, tree};
use crate::event::Unsigned;
use crate::http::error::ApiResult;
use crate::http::extract::{Path, Query};
use crate::http::json::{Json, RawReply, Reply};
use crate::http::router::{Route, delete, get, put};
use crate::nid::EventNid;
use crate::room::Membership;
use crate::services::room_facts::Facts;
use crate::storage::memberships;

const EXTREMITIES: &str = "/_synapse/admin/v1/rooms/{roomIdOrAlias}/forward_extremities";
const BLOCK: &str = "/_synapse/admin/v1/rooms/{roomId}/block";

/// What rooms can be listed by. Numbers count down, texts up.
const ORDERS: [&str; 17] = [
    "name",
    "alphabetical",
    "size",
    "canonical_alias",
    "joined_members",
    "joined_local_members",
    "version",
    "creator",
    "encryption",
    "federatable",
    "public",
    "join_rules",
    "guest_access",
    "history_visibility",
    "state_events",
    "room_type",
    "room_id",
];

/// The endpoints of this module.
pub(super) fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_synapse/admin/v1/rooms", list),
        get("/_synapse/admin/v1/rooms/{roomId}", show),
        get("/_synapse/admin/v1/rooms/{roomId}/members", members),
        get("/_synapse/admin/v1/rooms/{roomId}/state", state),
        get("/_synapse/admin/v1/rooms/{roomId}/hierarchy", hierarchy),
        get(EXTREMITIES, extremities),
        delete(EXTREMITIES, drop_extremities),
        get(BLOCK, blocked),
        put(BLOCK, block),
    ]
}

fn compare(order: &str, a: &Facts, b: &Facts, listed: impl Fn(&Facts) -> bool) -> Ordering {
    let by = match order {
        "canonical_alias" => a.canonical_alias.cmp(&b.canonical_alias),
        "joined_members" | "size" => b.joined_members.cmp(&a.joined_members),
        "joined_local_members" => b.joined_local_members.cmp(&a.joined_local_members),
        "version" => {
            let number = |facts: &Facts| facts.version.parse::<u32>().unwrap_or(0);
            number(b).cmp(&number(a))
        }
        "creator" => a.creator.cmp(&b.creator),
        "encryption" => a.encryption.cmp(&b.encryption),
        "federatable" => a.federatable.cmp(&b.federatable),
        "public" => listed(a).cmp(&listed(b)),
        "join_rules" => a.join_rules.cmp(&b.join_rules),
        "guest_access" => a.guest_access.cmp(&b.guest_access),
        "history_visibility" => a.history_visibility.cmp(&b.history_visibility),
        "state_events" => b.state_events.cmp(&a.state_events),
        "room_type" => a.room_type.cmp(&b.room_type),
        "room_id" => Ordering::Equal,
        _ => lower(a.name.as_ref()).cmp(&lower(b.name.as_ref())),
    };
    by.then_with(|| a.room_id.cmp(&b.room_id))
}

fn lower(text: Option<&String>) -> Option<String> {
    text.map(|text| text.to_lowercase())
}

/// Whether a room's name or the local part of its alias contains the term, or its ID, letter by letter.
fn fits(facts: &Facts, term: &str) -> bool {
    let small = term.to_lowercase();
    let alias = facts.canonical_alias.as_deref().unwrap_or_default();
    let local = alias.split_once(':').map_or(alias, |(local, _)| local);
    lower(facts.name.as_ref()).is_some_and(|name| name.contains(&small))
        || local.to_lowercase().contains(&small)
        || facts.room_id.contains(term)
}

fn shown(facts: &Facts, public: bool) -> Value {
    json!({
        "room_id": facts.room_id,
        "name": facts.name,
        "canonical_alias": facts.canonical_alias,
        "joined_members": facts.joined_members,
        "joined_local_members": facts.joined_local_members,
        "version": facts.version,
        "creator": facts.creator,
        "encryption": facts.encryption,
        "federatable": facts.federatable,
        "public": public,
        "join_rules": facts.join_rules,
        "guest_access": facts.guest_access,
        "history_visibility": facts.history_visibility,
        "state_events": facts.state_events,
        "room_type": facts.room_type,
    })
}

async fn list(State(app): State<Arc<App>>, _: Admin, params: Params) -> ApiResult<Reply<Value>> {
    let order = params.order(&ORDERS)?.unwrap_or("name");
    let (backwards, page) = (params.backwards()?.unwrap_or(false), params.page()?);
    let (only_public, only_empty) = (params.flag("public_rooms")?, params.flag("empty_rooms")?);
    let public: HashSet<OwnedRoomId> = app.directory.public().await?.into_iter().collect();
    let is_public = |facts: &Facts| {
        <&ruma::RoomId>::try_from(facts.room_id.as_str()).is_ok_and(|id| public.contains(id))
    };
    let mut rooms = app.room_facts.all(&app).await?;
    rooms.retain(|facts| {
        params.text("search_term").is_none_or(|term| fits(facts, term))
            && only_public.is_none_or(|wanted| wanted == is_public(facts))
            && only_empty.is_none_or(|wanted| wanted == (facts.joined_members == 0))
    });
    rooms.sort_by(|a, b| compare(order, a, b, is_public));
    if backwards {
        rooms.reverse();
    }
    let total = rooms.len() as i64;
    let rooms: Vec<Value> =
        page.of(rooms).iter().map(|facts| shown(facts, is_public(facts))).collect();
    let mut answer = json!({ "rooms": rooms, "offset": page.from, "total_rooms": total });
    if let Some(next) = page.next(total) {
        answer["next_batch"] = json!(next);
    }
    if page.from > 0 {
        answer["prev_batch"] = json!((page.from - page.limit).max(0));
    }
    Ok(Reply(answer))
}

async fn show(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<OwnedRoomId>,
) -> ApiResult<Reply<Value>> {
    let room = app.rooms.get(&id).await?;
    let facts = app.room_facts.one(&app, &room).await?;
    let mut answer = shown(&facts, app.directory.is_public(&id).await?);
    let local = memberships::local_of_room(&app.db, room.nid(), &local_users(&app, &room)).await?;
    answer["topic"] = json!(facts.topic);
    answer["avatar"] = json!(facts.avatar);
    answer["joined_local_devices"] = json!(local.devices);
    answer["forgotten"] = json!(local.all_forgot);
    answer["tombstoned"] = json!(facts.tombstoned);
    answer["replacement_room"] = json!(facts.replacement_room);
    Ok(Reply(answer))
}

/// This server's users who have ever been anything to a room.
fn local_users(app: &App, room: &crate::room::Room) -> Vec<String> {
    let ours = format!(":{}", app.config.server_name);
    let snapshot = room.snapshot();
    let users = snapshot.state.members().map(|(user, _)| user);
    users.filter(|user| user.ends_with(&ours)).map(ToOwned::to_owned).collect()
}

async fn members(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<OwnedRoomId>,
) -> ApiResult<Reply<Value>> {
    let snapshot = app.rooms.get(&id).await?.snapshot();
    let mut members: Vec<&str> = snapshot
        .state
        .members()
        .filter(|(_, entry)| entry.membership == Some(Membership::Join))
        .map(|(user, _)| user)
        .collect();
    members.sort_unstable();
    Ok(Reply(json!({ "total": members.len(), "members": members })))
}

async fn state(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<OwnedRoomId>,
    params: Params,
) -> ApiResult<RawReply> {
    let snapshot = app.rooms.get(&id).await?.snapshot();
    let kind = params.text("type");
    let nids: Vec<EventNid> = snapshot
        .state
        .iter()
        .filter(|(key, _)| kind.is_none_or(|kind| key.kind() == kind))
        .map(|(_, entry)| entry.nid)
        .collect();
    let now = app.clock.now_ms();
    let mut out = String::from("{\"state\":[");
    for (index, event) in app.rooms.events(&nids).await?.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let age = Some(now - event.pdu.origin_server_ts);
        event.write_client(&mut out, true, &Unsigned { age, ..Unsigned::default() });
    }
    out.push_str("]}");
    Ok(RawReply(out.into()))
}

/// The rooms of a space and below, whoever may see them.
async fn hierarchy(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path(id): Path<OwnedRoomId>,
    Query(params): Query<HierarchyParams>,
) -> ApiResult<Reply<Page>> {
    tree(&app, &requester.user, true, &id, &params).await.map(Reply)
}

/// There are none too many that could be dropped: the next event refers to all of them, and where other servers make many, the
/// room merges them by itself.
async fn drop_extremities(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(name): Path<OwnedRoomOrAliasId>,
) -> ApiResult<Reply<Value>> {
    find(&app, &name).await?;
    Ok(Reply(json!({ "deleted": 0 })))
}

async fn extremities(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(name): Path<OwnedRoomOrAliasId>,
) -> ApiResult<Reply<Value>> {
    let snapshot = find(&app, &name).await?.snapshot();
    let ends: Vec<_> = snapshot.forward_extremities().collect();
    let nids: Vec<EventNid> = ends.iter().map(|(nid, ..)| *nid).collect();
    let mut results = Vec::with_capacity(ends.len());
    for event in app.rooms.events(&nids).await? {
        let end = ends.iter().find(|(nid, ..)| *nid == event.nid);
        results.push(json!({
            "event_id": event.pdu.event_id,
            "depth": event.pdu.depth,
            "state_group": end.and_then(|(_, _, group)| group.map(|group| group.0)),
            "received_ts": event.pdu.origin_server_ts,
        }));
    }
    Ok(Reply(json!({ "count": results.len(), "results": results })))
}

async fn blocked(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<OwnedRoomId>,
) -> Reply<Value> {
    Reply(app.blocked_rooms.by(&id).map_or_else(
        || json!({ "block": false }),
        |user: OwnedUserId| json!({ "block": true, "user_id": user }),
    ))
}

#[derive(Deserialize)]
struct Block {
    block: bool,
}

async fn block(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path(id): Path<OwnedRoomId>,
    Json(body): Json<Block>,
) -> ApiResult<Reply<Value>> {
    if body.block {
        app.blocked_rooms.block(&id, &requester.user).await?;
    } else {
        app.blocked_rooms.unblock(&id).await?;
    }
    Ok(Reply(json!({ "block": body.block })))
}
