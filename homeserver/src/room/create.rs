//! Making a room: all its first events, its alias and its invites in one unit (Client-Server API, "Creation").

mod content;

use std::{collections::BTreeSet, sync::Arc};

use arc_swap::ArcSwap;
use ruma::{
    CanonicalJsonObject, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId,
    events::TimelineEventType,
};
use serde_json::value::RawValue;

use super::{
    Draft, Room, RoomError, RoomInfo, RoomSnapshot, Rooms, StateMap,
    builder::{Appended, Builder},
    pending::Pending,
    unit::{ALIAS_TAKEN, Birth, Placing, Published, Unit},
};
use crate::commit::CommitError;
use crate::nid::RoomNid;

/// A set of rules to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// By invitation.
    PrivateChat,
    /// By invitation, and the invited have the creator's power.
    TrustedPrivateChat,
    /// Open to all but guests.
    PublicChat,
}

/// Somebody to invite, and the content of their member event apart from `membership`: profile and reason.
#[derive(Clone, Debug)]
pub struct Invitee {
    /// Who.
    pub user: OwnedUserId,
    /// `displayname`, `avatar_url`, `reason`.
    pub profile: CanonicalJsonObject,
}

/// A room to be made.
#[derive(Clone, Debug)]
pub struct CreateRoom {
    /// Who makes it.
    pub creator: Invitee,
    /// Its version.
    pub version: RoomVersionId,
    /// What it begins with.
    pub preset: Preset,
    /// More keys of the create event's content: `m.federate`, `type`, `predecessor`, `additional_creators`.
    pub creation_content: CanonicalJsonObject,
    /// Its alias; the caller has checked that the creator may have it.
    pub alias: Option<OwnedRoomAliasId>,
    /// Its name.
    pub name: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// State events to set: type, state key, content.
    pub initial_state: Vec<(TimelineEventType, String, Box<RawValue>)>,
    /// Laid over the power levels that follow from the rest.
    pub power_level_content_override: Option<CanonicalJsonObject>,
    /// Who is invited.
    pub invites: Vec<Invitee>,
    /// Whether the invites say that it is a direct chat.
    pub is_direct: bool,
    /// Who of the invited joins at once (`com.beeper.room_create_autojoin_invites`).
    pub join_invited: BTreeSet<OwnedUserId>,
    /// The `origin_server_ts` of the first events, for appservices that say one.
    pub ts: Option<i64>,
    /// Whether it stands in the public directory.
    pub published: bool,
    /// The room whose upgrade it is; the upgrade is begun with it.
    pub replaces: Option<RoomNid>,
}

impl CreateRoom {
    /// A room that is as its preset has it.
    pub fn new(creator: Invitee, version: RoomVersionId, preset: Preset) -> Self {
        Self {
            creator,
            version,
            preset,
            creation_content: CanonicalJsonObject::new(),
            alias: None,
            name: None,
            topic: None,
            initial_state: Vec::new(),
            power_level_content_override: None,
            invites: Vec::new(),
            is_direct: false,
            join_invited: BTreeSet::new(),
            ts: None,
            published: false,
            replaces: None,
        }
    }
}

/// The most users that one request may invite: each costs an event, and all of them are one unit.
pub(super) const MOST_INVITES: usize = 2_000;

impl Rooms {
    /// Makes a room; it is durable, with everything asked for, when this returns, or nothing is.
    pub async fn create(&self, request: CreateRoom) -> Result<Room, RoomError> {
        let ctx = &self.0.ctx;
        let rules = request
            .version
            .rules()
            .ok_or_else(|| RoomError::UnsupportedVersion(request.version.to_string()))?;
        if request.invites.len() > MOST_INVITES {
            return Err(RoomError::InvalidParam("too many invites".to_owned()));
        }
        if request.creator.user.server_name() != ctx.server {
            return Err(RoomError::Forbidden("the creator isn't a user of this server".to_owned()));
        }
        let by_hash = rules.authorization.room_create_event_id_as_room_id;
        // A room whose id is its create event's hash has none until that event is built; its own events don't say it
        // there, so any id will do for that long.
        let id = RoomId::new_v1(&ctx.server);
        let info =
            RoomInfo { nid: ctx.numbers.room(), id, version: request.version.clone(), rules };
        let state = StateMap::new(ctx.groups.key().clone());
        let mut empty = RoomSnapshot::empty(Arc::new(info), state, &*ctx.interest);
        if let Some(alias) = &request.alias {
            empty.interest.add_alias(&*ctx.interest, alias);
        }
        let published = Arc::new(Published {
            snapshot: ArcSwap::from_pointee(empty.clone()),
            pending: Pending::default(),
        });
        let mut builder = Builder::new(ctx, &published, &empty);
        let create = content::create(&request, &builder.view.info.rules.authorization)?;
        let sender = request.creator.user.clone();
        let draft = Draft::state(sender.clone(), TimelineEventType::RoomCreate, "", create);
        let event = match builder.append(Draft { ts: request.ts, ..draft }).await? {
            Appended::New(event) | Appended::Same(event) => event,
        };
        if by_hash {
            let before = &builder.view.info;
            let info = RoomInfo {
                nid: before.nid,
                id: event.pdu.room_id.clone(),
                version: before.version.clone(),
                rules: before.rules.clone(),
            };
            builder.view.info = Arc::new(info);
        }
        let rules = builder.view.info.rules.authorization.clone();
        for (from, kind, key, content) in content::drafts(&request, &rules)? {
            let draft = Draft { ts: request.ts, ..Draft::state(from, kind.clone(), key, content) };
            builder.append(draft).await.map_err(|error| impossible(&kind, error))?;
        }

        let Builder { view, steps, .. } = builder;
        let id: OwnedRoomId = view.info.id.clone();
        let birth = Birth {
            alias: request.alias.clone(),
            creator: sender.to_string(),
            published: request.published,
            replaces: request.replaces,
        };
        let unit = Unit {
            steps,
            after: Arc::new(view),
            txn: None,
            birth: Some(birth),
            placing: Placing::Live,
        };
        match ctx.committer.run(unit.work(ctx.clone(), published.clone())).await {
            Ok(()) => {}
            Err(CommitError::Storage(error)) if error.to_string() == ALIAS_TAKEN => {
                return Err(RoomError::AliasInUse);
            }
            Err(error) => return Err(error.into()),
        }
        let made = published.snapshot.load_full();
        self.ready(&id, async { Ok(Room::start(ctx.clone(), (*made).clone())) }).await
    }
}

/// The rules refused an event that the request implies.
fn impossible(kind: &TimelineEventType, error: RoomError) -> RoomError {
    match error {
        RoomError::Forbidden(why) => RoomError::InvalidState(format!("{kind}: {why}")),
        error => error,
    }
}
