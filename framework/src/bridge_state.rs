//! What a portal's room says about itself: the bridge (`m.bridge`, MSC2346) and what can be done
//! (`com.beeper.room_features`).

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    disappearing,
    engine::Engine,
    event::{ChatInfo, ChatKind, DisappearFrom},
    handlers::RoomCaps,
    keys::base32,
    plain::Plain,
    store::PortalRow,
};

/// Levels of `com.beeper.room_features`: what isn't there is refused, what is there works.
fn level(can: bool) -> i64 {
    if can { 2 } else { -2 }
}

impl Engine {
    /// The state key of both: unique per bridge and chat.
    fn bridge_state_key(&self, row: &PortalRow) -> String {
        format!("landbridge://{}/{}", self.connector.id(), row.key.id)
    }

    /// The state events of a portal's room, as `initial_state` has them.
    /// `parent` is what the chat is part of (`network` of MSC2346).
    pub(crate) fn bridge_state(
        &self,
        row: &PortalRow,
        chat: &ChatInfo<Plain>,
        parent: Option<&PortalRow>,
    ) -> Vec<Value> {
        let key = self.bridge_state_key(row);
        let info = self.connector.info();
        let room_type = match row.kind {
            ChatKind::Dm => "dm",
            ChatKind::Space => "space",
            ChatKind::Group | ChatKind::Channel => "group",
        };
        let mut protocol = json!({ "id": self.connector.id(), "displayname": info.name, "external_url": info.url });
        if let Some(icon) = &info.icon {
            protocol["avatar_url"] = icon.clone().into();
        }
        let mut bridge = json!({
            "bridgebot": self.matrix.bot_id(),
            "creator": self.matrix.bot_id(),
            "protocol": protocol,
            "channel": { "id": row.key.id, "displayname": row.name },
            "com.beeper.room_type": room_type,
        });
        if let Some(parent) = parent {
            bridge["network"] = json!({ "id": parent.key.id, "displayname": parent.name });
        }
        let features = features(&self.connector.narrowed(chat));
        [
            ("m.bridge", bridge.clone()),
            ("uk.half-shot.bridge", bridge),
            ("com.beeper.room_features", features),
        ]
        .into_iter()
        .map(|(kind, content)| json!({ "type": kind, "state_key": key, "content": content }))
        .collect()
    }

    /// Names that state, so that it is sent again only when it has changed.
    pub(crate) fn bridge_state_hash(state: &[Value]) -> String {
        base32(&Sha256::digest(serde_json::to_vec(state).unwrap_or_default()))
    }
}

/// What can be done, in the form clients know (mautrix-go, `event/capabilities.go`).
fn features(caps: &RoomCaps) -> Value {
    let mut features = json!({
        "location_message": level(caps.location),
        "poll": level(caps.poll),
        "edit": level(caps.edit.is_some()),
        "delete": level(caps.remove.is_some()),
        "reaction": level(caps.react.is_some()),
        "reply": level(caps.reply),
        "thread": level(caps.thread),
        "read_receipts": caps.read,
        "typing_notifications": caps.typing,
        "mark_as_unread": caps.unread,
    });
    if let Some(text) = caps.text.as_ref().filter(|text| text.max_len > 0) {
        features["max_text_length"] = text.max_len.into();
    }
    if let Some(age) = caps.edit.as_ref().and_then(|edit| edit.max_age) {
        features["edit_max_age"] = age.as_secs().into();
    }
    if let Some(age) = caps.remove.as_ref().and_then(|remove| remove.max_age) {
        features["delete_max_age"] = age.as_secs().into();
    }
    if let Some(react) = &caps.react {
        if let Some(count) = react.per_user {
            features["reaction_count"] = count.into();
        }
        if !react.allowed.is_empty() {
            features["allowed_reactions"] = react.allowed.clone().into();
        }
    }
    if let Some(media) = &caps.media {
        let mimes: Map<String, Value> = if media.mimes.is_empty() {
            Map::from_iter([("*/*".to_owned(), 2.into())])
        } else {
            media.mimes.iter().map(|mime| ((*mime).to_owned(), 2.into())).collect()
        };
        let mut file = json!({ "mime_types": mimes, "caption": level(media.captions) });
        if media.max_size > 0 {
            file["max_size"] = media.max_size.into();
        }
        let kinds = ["m.image", "m.video", "m.audio", "m.file"];
        features["file"] = kinds
            .iter()
            .map(|kind| ((*kind).to_owned(), file.clone()))
            .collect::<Map<_, _>>()
            .into();
    }
    if let Some(meta) = &caps.room_meta {
        let can = [
            ("m.room.name", meta.name),
            ("m.room.topic", meta.topic),
            ("m.room.avatar", meta.avatar),
        ];
        features["state"] = can
            .into_iter()
            .map(|(kind, can)| (kind.to_owned(), json!({ "level": level(can) })))
            .collect::<Map<_, _>>()
            .into();
    }
    if let Some(timer) = &caps.disappear {
        features["state"][disappearing::STATE] = json!({ "level": level(true) });
        let kinds: Vec<&str> =
            [(DisappearFrom::Read, "after_read"), (DisappearFrom::Sent, "after_send")]
                .into_iter()
                .filter(|(from, _)| timer.from.is_empty() || timer.from.contains(from))
                .map(|(_, kind)| kind)
                .collect();
        features["disappearing_timer"] = json!({ "types": kinds });
        if !timer.times.is_empty() {
            let times = timer.times.iter().map(|time| time.as_millis() as u64);
            features["disappearing_timer"]["timers"] = times.collect::<Vec<_>>().into();
        }
    }
    if let Some(members) = &caps.membership {
        let can = [("invite", members.invite), ("kick", members.kick), ("ban", members.ban)];
        features["member_actions"] = can
            .into_iter()
            .map(|(action, can)| (action.to_owned(), level(can).into()))
            .collect::<Map<_, _>>()
            .into();
    }
    features["id"] = base32(&Sha256::digest(features.to_string().as_bytes())).into();
    features
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::{ReactCaps, TextCaps};

    #[test]
    fn what_is_not_registered_is_refused() {
        let caps = RoomCaps {
            text: Some(TextCaps { max_len: 400 }),
            react: Some(ReactCaps { per_user: Some(1), allowed: Vec::new() }),
            reply: true,
            ..RoomCaps::default()
        };
        let features = features(&caps);
        assert_eq!(features["max_text_length"], 400);
        assert_eq!(features["edit"], -2);
        assert_eq!(features["reaction"], 2);
        assert_eq!(features["reaction_count"], 1);
        assert!(features.get("file").is_none());
    }
}
