//! The contents of a new room's first events.

use std::collections::BTreeSet;

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedUserId, UserId, events::TimelineEventType,
    room_version_rules::AuthorizationRules,
};
use serde_json::{json, value::RawValue};

use super::{CreateRoom, Invitee, Preset};
use crate::{
    event::{canonical_object, canonical_string},
    room::RoomError,
};

/// A state event to be sent: by whom, its type, its key, its content.
pub(super) type First = (OwnedUserId, TimelineEventType, String, Box<RawValue>);

/// The create event's content (Client-Server API, "m.room.create").
pub(super) fn create(
    request: &CreateRoom,
    rules: &AuthorizationRules,
) -> Result<Box<RawValue>, RoomError> {
    let mut content = request.creation_content.clone();
    content.insert("room_version".to_owned(), request.version.to_string().into());
    content.remove("creator");
    if !rules.use_room_create_sender {
        content.insert("creator".to_owned(), request.creator.user.to_string().into());
    }
    if rules.additional_room_creators {
        let creators = additional_creators(request)?;
        content.remove("additional_creators");
        if !creators.is_empty() {
            let creators = creators.into_iter().map(CanonicalJsonValue::String).collect();
            content.insert("additional_creators".to_owned(), CanonicalJsonValue::Array(creators));
        }
    }
    Ok(raw(&content))
}

/// Those that the request names, and in a trusted private chat the invited too.
fn additional_creators(request: &CreateRoom) -> Result<BTreeSet<String>, RoomError> {
    let wrong =
        || RoomError::BadJson("`additional_creators` must be an array of user ids".to_owned());
    let mut creators = BTreeSet::new();
    match request.creation_content.get("additional_creators") {
        None => {}
        Some(CanonicalJsonValue::Array(named)) => {
            for user in named {
                let user = user.as_str().filter(|user| UserId::parse(user).is_ok());
                creators.insert(user.ok_or_else(wrong)?.to_owned());
            }
        }
        Some(_) => return Err(wrong()),
    }
    if request.preset == Preset::TrustedPrivateChat {
        creators.extend(request.invites.iter().map(|invitee| invitee.user.to_string()));
    }
    creators.remove(request.creator.user.as_str());
    Ok(creators)
}

/// The events after the create event, in the order that the spec has.
pub(super) fn drafts(
    request: &CreateRoom,
    rules: &AuthorizationRules,
) -> Result<Vec<First>, RoomError> {
    let creator = &request.creator.user;
    let mut list: Vec<First> = Vec::new();
    let mut add = |kind: &str, key: &str, content: Box<RawValue>| {
        list.push((creator.clone(), kind.into(), key.to_owned(), content));
    };
    let member = |invitee: &Invitee, membership: &str, is_direct: bool| {
        let mut content = invitee.profile.clone();
        content.insert("membership".to_owned(), membership.to_owned().into());
        if is_direct {
            content.insert("is_direct".to_owned(), true.into());
        }
        raw(&content)
    };

    add("m.room.member", creator.as_str(), member(&request.creator, "join", false));
    add("m.room.power_levels", "", power_levels(request, rules)?);
    if let Some(alias) = &request.alias {
        add("m.room.canonical_alias", "", object(&json!({ "alias": alias }))?);
    }
    let join_rule = if request.preset == Preset::PublicChat { "public" } else { "invite" };
    let guests = if request.preset == Preset::PublicChat { "forbidden" } else { "can_join" };
    let presets = [
        ("m.room.join_rules", json!({ "join_rule": join_rule })),
        ("m.room.history_visibility", json!({ "history_visibility": "shared" })),
        ("m.room.guest_access", json!({ "guest_access": guests })),
    ];
    for (kind, content) in presets {
        let given = |first: &(TimelineEventType, String, _)| {
            first.0.to_string() == kind && first.1.is_empty()
        };
        if !request.initial_state.iter().any(given) {
            add(kind, "", object(&content)?);
        }
    }
    for (kind, key, content) in &request.initial_state {
        if *kind != TimelineEventType::RoomPowerLevels || !key.is_empty() {
            add(&kind.to_string(), key, content.clone());
        }
    }
    if let Some(name) = &request.name {
        add("m.room.name", "", object(&json!({ "name": name }))?);
    }
    if let Some(topic) = &request.topic {
        let blocks = json!({ "m.text": [{ "body": topic, "mimetype": "text/plain" }] });
        add("m.room.topic", "", object(&json!({ "topic": topic, "m.topic": blocks }))?);
    }
    let mut seen = BTreeSet::from([creator]);
    let invites: Vec<&Invitee> =
        request.invites.iter().filter(|invitee| seen.insert(&invitee.user)).collect();
    for guest in &invites {
        add("m.room.member", guest.user.as_str(), member(guest, "invite", request.is_direct));
    }
    for guest in invites.iter().filter(|guest| request.join_invited.contains(&guest.user)) {
        let content = member(guest, "join", false);
        let user = &guest.user;
        list.push((user.clone(), TimelineEventType::RoomMember, user.to_string(), content));
    }
    Ok(list)
}

/// The power levels: those in the initial state, or the default ones with the override laid over them.
fn power_levels(
    request: &CreateRoom,
    rules: &AuthorizationRules,
) -> Result<Box<RawValue>, RoomError> {
    let given = request
        .initial_state
        .iter()
        .find(|(kind, key, _)| *kind == TimelineEventType::RoomPowerLevels && key.is_empty());
    if let Some((_, _, content)) = given {
        return Ok(content.clone());
    }
    let mut users = serde_json::Map::new();
    if !rules.explicitly_privilege_room_creators {
        users.insert(request.creator.user.to_string(), 100.into());
        if request.preset == Preset::TrustedPrivateChat {
            let invited =
                request.invites.iter().map(|invitee| (invitee.user.to_string(), 100.into()));
            users.extend(invited);
        }
    }
    // In room version 12 it must be above `state_default` by more than the creators' power alone.
    let tombstone = if rules.explicitly_privilege_room_creators { 150 } else { 100 };
    let content = object(&json!({
        "users": users,
        "users_default": 0,
        "events": {
            "m.room.avatar": 50,
            "m.room.canonical_alias": 50,
            "m.room.encryption": 100,
            "m.room.history_visibility": 100,
            "m.room.name": 50,
            "m.room.power_levels": 100,
            "m.room.server_acl": 100,
            "m.room.tombstone": tombstone,
        },
        "events_default": 0,
        "state_default": 50,
        "ban": 50,
        "kick": 50,
        "redact": 50,
        "invite": 0,
        "historical": 100,
    }))?;
    let Some(over) = &request.power_level_content_override else { return Ok(content) };
    let mut content = canonical_object(content.get())?;
    content.extend(over.clone());
    Ok(raw(&content))
}

fn raw(object: &CanonicalJsonObject) -> Box<RawValue> {
    RawValue::from_string(canonical_string(object)).expect("canonical JSON is JSON")
}

fn object(value: &serde_json::Value) -> Result<Box<RawValue>, RoomError> {
    RawValue::from_string(value.to_string()).map_err(|error| RoomError::BadJson(error.to_string()))
}
