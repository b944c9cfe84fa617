//! What a pusher has to tell of one notification.

use std::sync::Arc;

use ruma::UserId;
use ruma::events::TimelineEventType;
use serde_json::{Map, Value};

use crate::app::App;
use crate::event::Event;
use crate::http::error::ApiResult;
use crate::room::{Membership, RoomError, RoomSnapshot};
use crate::services::notifications::Ask;
use crate::storage::notifications::Notification;

/// What nobody could be told for so long is told no more.
const STALE_MS: i64 = 24 * 60 * 60 * 1000;

/// An event that somebody is to be told of.
pub(super) struct News {
    pub(super) event: Arc<Event>,
    pub(super) snapshot: Arc<RoomSnapshot>,
    /// What the push rule sets: `sound`, `highlight` and whatever else.
    pub(super) tweaks: Map<String, Value>,
}

impl News {
    /// What a notification has to tell; none if it is too old, read by now, redacted, or if the rules or the room have changed so that it
    /// concerns the user no more.
    pub(super) async fn of(
        app: &App,
        user: &UserId,
        row: &Notification,
    ) -> ApiResult<Option<Self>> {
        if app.clock.now_ms() - row.ts > STALE_MS {
            return Ok(None);
        }
        let event = app.rooms.events(&[row.event]).await?.pop();
        let Some(event) = event.filter(|event| event.redacted_because.is_none()) else {
            return Ok(None);
        };
        let room = match app.rooms.handle(row.room).await {
            Err(RoomError::NotFound) => return Ok(None),
            room => room?,
        };
        let snapshot = room.snapshot();
        let concerned = match snapshot.member(user) {
            Some((Membership::Join, _)) => {
                let ignored = app.sync.ignored(&app.db, user).await?;
                let ask = Ask {
                    user,
                    rules: app.push_rules.of(user).await?,
                    ignored: &ignored,
                    upto: app.feed.head(),
                };
                app.notifications.is_unread(&room, &ask, row.event).await?
            }
            Some((Membership::Invite, nid)) => nid == row.event,
            _ => false,
        };
        Ok(concerned.then(|| Self { event, snapshot, tweaks: tweaks(&row.actions) }))
    }

    /// Whether it can't wait. Nobody but the client knows what is in an encrypted event.
    pub(super) fn is_urgent(&self) -> bool {
        *self.event.kind() == TimelineEventType::RoomEncrypted
            || self.tweaks.get("highlight") == Some(&Value::Bool(true))
            || self.tweaks.contains_key("sound")
    }
}

fn tweaks(actions: &str) -> Map<String, Value> {
    let actions: Vec<Value> = serde_json::from_str(actions).unwrap_or_default();
    let mut tweaks = Map::new();
    for action in &actions {
        let Some(name) = action["set_tweak"].as_str() else { continue };
        let value = match action.get("value") {
            Some(value) => value.clone(),
            // "If a highlight tweak is given with no value, its value is defined to be true."
            None if name == "highlight" => Value::Bool(true),
            None => Value::Null,
        };
        tweaks.insert(name.to_owned(), value);
    }
    tweaks
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tweaks_are_what_the_actions_set() {
        let actions = r#"["notify", {"set_tweak": "sound", "value": "bing"}, {"set_tweak": "highlight"}, {"set_tweak": "x", "value": [1]}]"#;
        let expected = json!({"sound": "bing", "highlight": true, "x": [1]});
        assert_eq!(Value::Object(tweaks(actions)), expected);
        assert!(tweaks("[]").is_empty());
    }
}
