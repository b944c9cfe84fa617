//! Taking one's settings along into the room that replaces another (Client-Server API, "Room Upgrades").

use ruma::push::{NewPushRule, NewSimplePushRule, RuleKind};
use ruma::{OwnedRoomId, RoomId, UserId};
use serde_json::{Map, Value};

use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::room::Room;
use crate::services::account_data::RoomKey;

const DIRECT: &str = "m.direct";

/// Copies a user's push rule and tags of the room that this one replaces, and its place among the direct chats.
pub(in crate::client) async fn carry_over(app: &App, room: &Room, user: &UserId) -> ApiResult<()> {
    let Some(old) = predecessor(room) else { return Ok(()) };
    // Only rooms that the user really was in: anyone can name any room as the one before.
    let Ok(before) = app.rooms.get(&old).await else { return Ok(()) };
    if before.snapshot().membership(user).is_none() {
        return Ok(());
    }
    push_rule(app, user, &old, room.id()).await?;
    let tags = app.account_data.tags(user, old.as_str()).await?;
    for (tag, value) in tags {
        let Value::Object(value) = value else { continue };
        let key = RoomKey { id: room.id().to_owned(), nid: room.nid() };
        app.account_data.tag(user, key, &tag, Some(value)).await?;
    }
    direct_chats(app, user, &old, room.id()).await
}

fn predecessor(room: &Room) -> Option<OwnedRoomId> {
    let snapshot = room.snapshot();
    let content = snapshot.create_event()?.pdu.content().get();
    if !content.contains("predecessor") {
        return None;
    }
    let content: Value = serde_json::from_str(content).ok()?;
    RoomId::parse(content["predecessor"]["room_id"].as_str()?).ok()
}

async fn push_rule(app: &App, user: &UserId, old: &RoomId, new: &RoomId) -> ApiResult<()> {
    let rules = app.push_rules.of(user).await?;
    let Some(rule) = rules.get(RuleKind::Room, old.as_str()) else { return Ok(()) };
    if rules.get(RuleKind::Room, new.as_str()).is_some() {
        return Ok(());
    }
    let copy = NewPushRule::Room(NewSimplePushRule::new(new.to_owned(), rule.actions().to_vec()));
    app.push_rules
        .change(user, move |rules| {
            rules
                .insert(copy.clone(), None, None)
                .map_err(|error| ApiError::invalid_param(error.to_string()))
        })
        .await
}

async fn direct_chats(app: &App, user: &UserId, old: &RoomId, new: &RoomId) -> ApiResult<()> {
    let Some(content) = app.account_data.get(user, None, DIRECT).await? else { return Ok(()) };
    let mut chats: Map<String, Value> = serde_json::from_str(&content).unwrap_or_default();
    let mut changed = false;
    for rooms in chats.values_mut().filter_map(Value::as_array_mut) {
        let has = |rooms: &[Value], id: &RoomId| {
            rooms.iter().any(|room| room.as_str() == Some(id.as_str()))
        };
        if has(rooms, old) && !has(rooms, new) {
            rooms.push(Value::from(new.as_str()));
            changed = true;
        }
    }
    if changed {
        app.account_data.set(user, None, DIRECT, Value::Object(chats).to_string()).await?;
    }
    Ok(())
}
