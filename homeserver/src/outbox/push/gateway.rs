//! The requests to push gateways ([Push Gateway API](https://spec.matrix.org/v1.19/push-gateway-api/)).

use ruma::events::TimelineEventType;
use serde_json::{Map, Value, json};

use super::badge::Badge;
use super::news::News;
use crate::app::App;
use crate::room::{MEMBER, RoomError, RoomSnapshot};
use crate::storage::pushers::Pusher;

/// The body that tells of an event.
pub(super) async fn event(
    app: &App,
    user: &ruma::UserId,
    pusher: &Pusher,
    data: &Map<String, Value>,
    news: &News,
    badge: Badge,
    only_id: bool,
) -> Result<Value, RoomError> {
    let mut device = device(pusher, data);
    let mut told = describe(app, user, news, only_id).await?;
    if !only_id {
        device["tweaks"] = Value::Object(news.tweaks.clone());
    }
    told.insert("counts".to_owned(), counts(badge, false));
    told.insert("devices".to_owned(), json!([device]));
    Ok(json!({ "notification": told }))
}

/// The body that tells nothing but the counts.
pub(super) fn counts_alone(pusher: &Pusher, data: &Map<String, Value>, badge: Badge) -> Value {
    json!({ "notification": { "counts": counts(badge, true), "devices": [device(pusher, data)] } })
}

async fn describe(
    app: &App,
    user: &ruma::UserId,
    news: &News,
    only_id: bool,
) -> Result<Map<String, Value>, RoomError> {
    let pdu = &news.event.pdu;
    let mut told = Map::new();
    told.insert("event_id".to_owned(), pdu.event_id.as_str().into());
    told.insert("room_id".to_owned(), pdu.room_id.as_str().into());
    told.insert("prio".to_owned(), if news.is_urgent() { "high" } else { "low" }.into());
    if only_id {
        return Ok(told);
    }
    told.insert("type".to_owned(), pdu.kind.to_string().into());
    told.insert("sender".to_owned(), pdu.sender.as_str().into());
    if pdu.kind == TimelineEventType::RoomMember {
        let target = pdu.state_key() == Some(user.as_str());
        told.insert("user_is_target".to_owned(), target.into());
    }
    let content = serde_json::from_str(pdu.content().get()).unwrap_or_default();
    told.insert("content".to_owned(), content);
    let state = [
        ("sender_display_name", MEMBER, pdu.sender.as_str(), "displayname"),
        ("room_name", "m.room.name", "", "name"),
        ("room_alias", "m.room.canonical_alias", "", "alias"),
    ];
    for (name, kind, key, field) in state {
        let value = current(app, &news.snapshot, kind, key, field).await?;
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            told.insert(name.to_owned(), value.into());
        }
    }
    Ok(told)
}

pub(super) async fn current(
    app: &App,
    snapshot: &RoomSnapshot,
    kind: &str,
    key: &str,
    field: &str,
) -> Result<Option<String>, RoomError> {
    let Some(nid) = snapshot.state_nid(kind, key) else { return Ok(None) };
    Ok(app.rooms.events(&[nid]).await?.pop().and_then(|event| event.pdu.content_str(field)))
}

/// Zeros are left out, as the specification wishes, but not where they are the news: a gateway would keep the number that it has.
fn counts(badge: Badge, alone: bool) -> Value {
    let mut counts = Map::new();
    if badge.unread > 0 || alone {
        counts.insert("unread".to_owned(), badge.unread.into());
    }
    if badge.missed_calls > 0 {
        counts.insert("missed_calls".to_owned(), badge.missed_calls.into());
    }
    Value::Object(counts)
}

fn device(pusher: &Pusher, data: &Map<String, Value>) -> Value {
    json!({
        "app_id": pusher.key.app_id,
        "pushkey": pusher.key.pushkey,
        "pushkey_ts": pusher.set_ms / 1000,
        "data": data,
    })
}
