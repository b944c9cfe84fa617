//! The filters of a list: what they need is looked up once, then each room is judged by what is known of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ruma::RoomId;
use serde::Deserialize;

use super::build::Build;
use super::request::Filters;
use crate::app::App;
use crate::http::error::ApiResult;
use crate::nid::RoomNid;
use crate::room::{Membership, RoomError, UserRoom, UserRooms};
use crate::sync::order::Facts;
use crate::sync::personal::Tags;

/// Spaces that a filter may name; the children of further ones are not looked at.
const MAX_SPACES: usize = 200;

/// A list's filters, with what they need.
pub(super) struct Passes<'a> {
    filters: &'a Filters,
    direct: &'a HashSet<String>,
    spaces: Option<HashSet<String>>,
    tags: Option<Arc<Tags>>,
}

impl<'a> Passes<'a> {
    pub(super) async fn of(
        build: &'a Build<'_>,
        filters: &'a Filters,
        memberships: &UserRooms,
    ) -> ApiResult<Self> {
        let spaces = match &filters.spaces {
            Some(spaces) => Some(children(build.app, spaces, memberships).await?),
            None => None,
        };
        let tags = if filters.tags.is_some() || filters.not_tags.is_some() {
            Some(build.app.sync.personal.tags(&build.app.db, &build.viewer.user).await?)
        } else {
            None
        };
        Ok(Self { filters, direct: &build.direct, spaces, tags })
    }

    /// Whether a room passes; `None` when that depends on its type, which is not known.
    pub(super) fn judge(&self, mine: &UserRoom, facts: &Facts, kind: Option<&str>) -> Option<bool> {
        let (filters, id) = (self.filters, facts.id.as_str());
        let has_tag = |wanted: &[String]| {
            let tags = self.tags.as_ref().and_then(|tags| tags.get(id));
            tags.is_some_and(|tags| wanted.iter().any(|tag| tags.contains(tag)))
        };
        let invited = mine.membership == Membership::Invite;
        let passes = filters.is_dm.is_none_or(|wanted| self.direct.contains(id) == wanted)
            && self.spaces.as_ref().is_none_or(|spaces| spaces.contains(id))
            && filters.is_encrypted.is_none_or(|wanted| facts.encrypted == wanted)
            && filters.is_invite.is_none_or(|wanted| invited == wanted)
            && filters.tags.as_ref().is_none_or(|wanted| has_tag(wanted))
            && filters.not_tags.as_ref().is_none_or(|unwanted| !has_tag(unwanted));
        if !passes || (filters.room_types.is_none() && filters.not_room_types.is_none()) {
            return Some(passes);
        }
        let kind = kind?;
        let is_among = |types: &Vec<Option<String>>| {
            types.iter().any(|wanted| wanted.as_deref().unwrap_or_default() == kind)
        };
        Some(
            filters.room_types.as_ref().is_none_or(is_among)
                && !filters.not_room_types.as_ref().is_some_and(is_among),
        )
    }
}

/// Types of rooms that had to be looked up in the rooms themselves.
#[derive(Default)]
pub(super) struct Kinds(HashMap<RoomNid, String>);

impl Kinds {
    /// The type of a room, empty without one; `None` while nobody has looked.
    pub(super) fn get<'a>(&'a self, room: RoomNid, facts: &'a Facts) -> Option<&'a str> {
        facts.kind.as_deref().or_else(|| self.0.get(&room).map(String::as_str))
    }

    /// Looks into rooms for their types. One that isn't there any more has none.
    pub(super) async fn learn(&mut self, app: &App, rooms: &[RoomNid]) -> Result<(), RoomError> {
        for nid in rooms {
            let kind = match app.rooms.find(*nid).await? {
                Some(room) => {
                    let snapshot = room.snapshot();
                    let create = snapshot.create_event();
                    create.and_then(|create| create.pdu.content_str("type")).unwrap_or_default()
                }
                None => String::new(),
            };
            app.sync.order.learn_kind(*nid, &kind);
            self.0.insert(*nid, kind);
        }
        Ok(())
    }
}

/// The rooms that some spaces name as theirs, those spaces that the user is in.
async fn children(
    app: &App,
    spaces: &[String],
    memberships: &UserRooms,
) -> ApiResult<HashSet<String>> {
    #[derive(Deserialize)]
    struct Content {
        #[serde(default)]
        via: Vec<serde_json::Value>,
    }
    let mut children = HashSet::new();
    for space in spaces.iter().take(MAX_SPACES) {
        let Ok(id) = <&RoomId>::try_from(space.as_str()) else { continue };
        let room = match app.rooms.get(id).await {
            Err(RoomError::NotFound) => continue,
            room => room?,
        };
        if memberships.get(&room.nid()).is_none_or(|mine| mine.membership != Membership::Join) {
            continue;
        }
        let snapshot = room.snapshot();
        let nids: Vec<_> =
            snapshot.state.of_kind("m.space.child").map(|(_, entry)| entry.nid).collect();
        for event in app.rooms.events(&nids).await? {
            // A child without servers to join by has been taken out.
            let content = serde_json::from_str::<Content>(event.pdu.content().get());
            if content.is_ok_and(|content| !content.via.is_empty())
                && let Some(child) = event.pdu.state_key()
            {
                children.insert(child.to_owned());
            }
        }
    }
    Ok(children)
}
