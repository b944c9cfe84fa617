//! The authorisation rules, asked of a state (Server-Server API, "Authorisation rules"; room versions).
//!
//! The rules themselves are ruma's. This module brings them what they read of a state without reading member events
//! from the database: of a member they want nothing but the membership, which the state map holds.

use std::{collections::HashMap, sync::Arc};

use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId,
    events::{StateEventType, TimelineEventType},
    room_version_rules::AuthorizationRules,
    state_res::{
        auth_types_for_event, check_state_dependent_auth_rules, check_state_independent_auth_rules,
    },
};
use serde_json::value::RawValue;

use super::{MEMBER, Membership, PowerLevels, StateMap};
use crate::event::Event;

/// The events of a state that the rules read in whole, by type and state key.
pub(super) type Whole = HashMap<(String, String), Arc<Event>>;

/// The types and keys of the state that authorise an event (Server-Server API, "Auth events selection").
pub(super) fn auth_keys(
    kind: &TimelineEventType,
    sender: &UserId,
    state_key: Option<&str>,
    content: &RawValue,
    rules: &AuthorizationRules,
) -> Result<Vec<(StateEventType, String)>, String> {
    auth_types_for_event(kind, sender, state_key, content, rules)
}

/// What the rules see: a whole event, or a member.
enum View {
    Whole(Arc<Event>),
    Member(Member),
}

/// A member event of which only the membership is known.
struct Member {
    event_id: OwnedEventId,
    room_id: OwnedRoomId,
    user: OwnedUserId,
    content: &'static RawValue,
}

const fn member_content(membership: Membership) -> &'static str {
    match membership {
        Membership::Join => r#"{"membership":"join"}"#,
        Membership::Invite => r#"{"membership":"invite"}"#,
        Membership::Knock => r#"{"membership":"knock"}"#,
        Membership::Leave => r#"{"membership":"leave"}"#,
        Membership::Ban => r#"{"membership":"ban"}"#,
    }
}

impl Member {
    fn of(
        room_id: &RoomId,
        user: &str,
        event_id: &EventId,
        membership: Membership,
    ) -> Option<Self> {
        Some(Self {
            event_id: event_id.to_owned(),
            room_id: room_id.to_owned(),
            user: UserId::parse(user).ok()?,
            content: serde_json::from_str(member_content(membership)).ok()?,
        })
    }
}

impl ruma::state_res::Event for View {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        match self {
            Self::Whole(event) => &event.pdu.event_id,
            Self::Member(member) => &member.event_id,
        }
    }

    fn room_id(&self) -> Option<&RoomId> {
        match self {
            Self::Whole(event) => event.room_id(),
            Self::Member(member) => Some(&member.room_id),
        }
    }

    fn sender(&self) -> &UserId {
        match self {
            Self::Whole(event) => &event.pdu.sender,
            Self::Member(member) => &member.user,
        }
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        match self {
            Self::Whole(event) => event.origin_server_ts(),
            Self::Member(_) => MilliSecondsSinceUnixEpoch(ruma::UInt::MIN),
        }
    }

    fn event_type(&self) -> &TimelineEventType {
        match self {
            Self::Whole(event) => &event.pdu.kind,
            Self::Member(_) => &TimelineEventType::RoomMember,
        }
    }

    fn content(&self) -> &RawValue {
        match self {
            Self::Whole(event) => event.pdu.content(),
            Self::Member(member) => member.content,
        }
    }

    fn state_key(&self) -> Option<&str> {
        match self {
            Self::Whole(event) => event.pdu.state_key(),
            Self::Member(member) => Some(member.user.as_str()),
        }
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        match self {
            Self::Whole(event) => event.prev_events(),
            Self::Member(_) => Box::new(std::iter::empty()),
        }
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        match self {
            Self::Whole(event) => event.auth_events(),
            Self::Member(_) => Box::new(std::iter::empty()),
        }
    }

    fn redacts(&self) -> Option<&OwnedEventId> {
        match self {
            Self::Whole(event) => event.pdu.redacts.as_ref(),
            Self::Member(_) => None,
        }
    }

    fn rejected(&self) -> bool {
        match self {
            Self::Whole(event) => ruma::state_res::Event::rejected(&**event),
            Self::Member(_) => false,
        }
    }
}

/// Whether a state allows an event. `whole` holds the events of that state that the rules read in whole; the error says
/// which rule it was.
pub(super) fn by_state(
    event: &Event,
    state: &StateMap,
    whole: &Whole,
    rules: &AuthorizationRules,
) -> Result<(), String> {
    check_state_dependent_auth_rules(rules, event, |kind, key| {
        let kind = kind.to_string();
        if kind == MEMBER {
            let entry = state.get(MEMBER, key)?;
            return Member::of(&event.pdu.room_id, key, entry.event_id(), entry.membership?)
                .map(View::Member);
        }
        whole.get(&(kind, key.to_owned())).cloned().map(View::Whole)
    })
}

/// Whether an event's own auth events allow it: the state-independent rules, then the others over just those events.
/// `fetch` also finds the create event of a room whose id is that event's hash.
pub(super) fn by_auth_events(
    event: &Event,
    fetch: impl Fn(&EventId) -> Option<Arc<Event>>,
    rules: &AuthorizationRules,
) -> Result<(), String> {
    check_state_independent_auth_rules(rules, event, &fetch)?;
    let mut state: HashMap<(String, &str), Arc<Event>> = HashMap::new();
    let auth_events: Vec<_> = event.pdu.auth_events.iter().filter_map(|id| fetch(id)).collect();
    let create = rules
        .room_create_event_id_as_room_id
        .then(|| EventId::parse(format!("${}", event.pdu.room_id.strip_sigil())).ok())
        .flatten()
        .and_then(|id| fetch(&id));
    for auth in auth_events.iter().chain(&create) {
        if let Some(key) = auth.pdu.state_key() {
            state.insert((auth.pdu.kind.to_string(), key), auth.clone());
        }
    }
    check_state_dependent_auth_rules(rules, event, |kind, key| {
        state.get(&(kind.to_string(), key)).cloned()
    })
}

/// Whether the rules for an event without a special rule of its own allow it: most events of most rooms. `None` if the
/// event needs the whole rules. A property test holds it against those.
pub(super) fn plain(
    kind: &TimelineEventType,
    sender: &UserId,
    state_key: Option<&str>,
    state: &StateMap,
    power: &PowerLevels,
    create: &Event,
) -> Option<Result<(), String>> {
    use TimelineEventType as T;
    let special = matches!(
        kind,
        T::RoomCreate
            | T::RoomMember
            | T::RoomPowerLevels
            | T::RoomThirdPartyInvite
            | T::RoomRedaction
    );
    let name = kind.to_string();
    if special
        || name == "m.room.aliases"
        || create.pdu.sender.server_name() != sender.server_name()
    {
        return None;
    }
    Some(if state.membership(sender) != Some(Membership::Join) {
        Err("sender's membership is not `join`".to_owned())
    } else if !power.may_send(sender, &name, state_key.is_some()) {
        Err(format!("sender does not have enough power to send event of type `{kind}`"))
    } else if state_key.is_some_and(|key| key.starts_with('@') && key != sender.as_str()) {
        Err("sender cannot send event with `state_key` matching another user's ID".to_owned())
    } else {
        Ok(())
    })
}
