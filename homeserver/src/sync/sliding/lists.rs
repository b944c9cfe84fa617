//! Which rooms a request is about: those in the windows of its lists, and those it subscribes to. Nothing in here loads a room, but for
//! filters that ask for what only the room knows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use ruma::RoomId;
use serde::Deserialize;

use super::build::Build;
use super::connection::ToldList;
use super::request::{Details, Filters, List, Request};
use crate::http::error::ApiResult;
use crate::nid::{Pos, RoomNid};
use crate::room::{Membership, RoomError, UserRoom, UserRooms};
use crate::sync::invites::hidden;

/// Spaces that a filter may name; the children of further ones are not looked at.
const MAX_SPACES: usize = 200;

/// A room that may be in a list.
struct Candidate {
    nid: RoomNid,
    mine: UserRoom,
    /// The higher, the further up.
    rank: Pos,
    id: ruma::OwnedRoomId,
    encrypted: bool,
    kind: Option<Arc<str>>,
}

/// A room that a request is about.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) details: Details,
    /// The extensions that are to tell of it.
    pub(super) account_data: bool,
    pub(super) receipts: bool,
    pub(super) typing: bool,
}

/// What a request is about.
#[derive(Default)]
pub(super) struct Chosen {
    /// The rooms, in the order in which they are to be told.
    pub(super) order: Vec<RoomNid>,
    pub(super) rooms: HashMap<RoomNid, Wanted>,
    /// The lists as they are now.
    pub(super) lists: BTreeMap<String, ToldList>,
    /// All rooms that are in a list, in its windows or not, and those subscribed to: those whose sticky events are told, if any are.
    pub(super) matched: HashSet<RoomNid>,
}

impl Chosen {
    fn want(&mut self, nid: RoomNid, details: &Details) -> &mut Wanted {
        let order = &mut self.order;
        let wanted = self.rooms.entry(nid).or_insert_with(|| {
            order.push(nid);
            Wanted::default()
        });
        wanted.details.merge(details);
        wanted
    }
}

/// Chooses the rooms.
pub(super) async fn choose(build: &Build<'_>, memberships: &UserRooms) -> ApiResult<Chosen> {
    let mut chosen = Chosen::default();
    let request = build.request;
    let unseen = if request.subscriptions.is_empty() {
        HashSet::new()
    } else {
        hidden_rooms(build, memberships).await?
    };
    for (id, details) in &request.subscriptions {
        let Some(nid) = number(build, id).await? else { continue };
        if request.sticky.is_some() {
            chosen.matched.insert(nid);
        }
        let seen = !unseen.contains(&nid);
        if seen && memberships.get(&nid).is_some_and(|mine| is_candidate(build, nid, mine)) {
            let wanted = chosen.want(nid, details);
            let wants = |extension: &Option<super::request::RoomExtension>| {
                extension.as_ref().is_some_and(|extension| extension.wants_room(id.as_str()))
            };
            wanted.account_data |= wants(&request.account_data);
            wanted.receipts |= wants(&request.receipts);
            wanted.typing |= wants(&request.typing);
        }
    }
    if request.lists.is_empty() {
        return Ok(chosen);
    }
    let candidates = candidates(build, memberships).await?;
    for list in &request.lists {
        let mut rooms: Vec<&Candidate> = match &list.filters {
            None => candidates.iter().collect(),
            Some(filters) => filtered(build, &candidates, filters, memberships).await?,
        };
        let count = rooms.len();
        if request.sticky.is_some() {
            chosen.matched.extend(rooms.iter().map(|candidate| candidate.nid));
        }
        chosen.lists.insert(list.name.clone(), ToldList { asked: asked(list), count });
        for candidate in window(&mut rooms, list.ranges.as_deref()) {
            let wanted = chosen.want(candidate.nid, &list.details);
            take_extensions(wanted, request, &list.name);
        }
    }
    Ok(chosen)
}

fn take_extensions(wanted: &mut Wanted, request: &Request, list: &str) {
    let wants = |extension: &Option<super::request::RoomExtension>| {
        extension.as_ref().is_some_and(|extension| extension.wants_list(list))
    };
    wanted.account_data |= wants(&request.account_data);
    wanted.receipts |= wants(&request.receipts);
    wanted.typing |= wants(&request.typing);
}

/// What of a list makes its answer another one.
fn asked(list: &List) -> u64 {
    let mut hasher = DefaultHasher::new();
    list.ranges.hash(&mut hasher);
    list.filters.hash(&mut hasher);
    hasher.finish()
}

async fn number(build: &Build<'_>, id: &RoomId) -> Result<Option<RoomNid>, RoomError> {
    match build.app.rooms.get(id).await {
        Ok(room) => Ok(Some(room.nid())),
        Err(RoomError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a room is one to be told of: the user is in it or asked into it, was banned from it, or has left it since it was told, or since
/// the connection was told anything.
fn is_candidate(build: &Build<'_>, nid: RoomNid, mine: &UserRoom) -> bool {
    match mine.membership {
        Membership::Join | Membership::Invite | Membership::Knock => true,
        Membership::Ban if !mine.forgotten => true,
        Membership::Leave | Membership::Ban => {
            let bound = build.told_bound(nid).or(build.since());
            bound.is_some_and(|bound| mine.pos > bound)
        }
    }
}

async fn candidates(build: &Build<'_>, memberships: &UserRooms) -> ApiResult<Vec<Candidate>> {
    let nids: Vec<RoomNid> = memberships
        .iter()
        .filter(|(nid, mine)| is_candidate(build, **nid, mine))
        .map(|(nid, _)| *nid)
        .collect();
    let unseen = hidden_rooms(build, memberships).await?;
    let mut candidates = Vec::with_capacity(nids.len());
    build
        .app
        .sync
        .order
        .visit(&build.app.db, &nids, |nid, facts| {
            let Some(mine) = memberships.get(&nid).copied() else { return };
            if unseen.contains(&nid) {
                return;
            }
            // Nothing of what happens in a room shows to whoever is not inside.
            let rank = match mine.membership {
                Membership::Join => facts.bump,
                _ => mine.pos,
            };
            candidates.push(Candidate {
                nid,
                mine,
                rank,
                id: facts.id.clone(),
                encrypted: facts.encrypted,
                kind: facts.kind.clone(),
            });
        })
        .await?;
    Ok(candidates)
}

/// The rooms that the user is invited to and does not get to see.
async fn hidden_rooms(
    build: &Build<'_>,
    memberships: &UserRooms,
) -> Result<HashSet<RoomNid>, RoomError> {
    let invited = memberships.iter().filter(|(_, mine)| mine.membership == Membership::Invite);
    let invitations: Vec<_> = invited.map(|(_, mine)| mine.event).collect();
    hidden(build.app, build.viewer, &invitations).await
}

/// The rooms in the ranges, the first ones first. Only as many as needed are put in order.
fn window<'a>(
    rooms: &mut [&'a Candidate],
    ranges: Option<&[(usize, usize)]>,
) -> Vec<&'a Candidate> {
    let rank = |candidate: &&Candidate| (Reverse(candidate.rank), candidate.nid);
    let Some(ranges) = ranges else {
        rooms.sort_unstable_by_key(rank);
        return rooms.to_vec();
    };
    let end = ranges.iter().map(|(_, to)| to.saturating_add(1)).max().unwrap_or(0);
    let end = end.min(rooms.len());
    if end == 0 {
        return Vec::new();
    }
    if end < rooms.len() {
        rooms.select_nth_unstable_by_key(end - 1, rank);
    }
    rooms[..end].sort_unstable_by_key(rank);
    let inside = |place: usize| ranges.iter().any(|(from, to)| (*from..=*to).contains(&place));
    rooms[..end]
        .iter()
        .enumerate()
        .filter(|(place, _)| inside(*place))
        .map(|(_, room)| *room)
        .collect()
}

async fn filtered<'a>(
    build: &Build<'_>,
    candidates: &'a [Candidate],
    filters: &Filters,
    memberships: &UserRooms,
) -> ApiResult<Vec<&'a Candidate>> {
    let (db, user) = (&build.app.db, &build.viewer.user);
    let spaces = match &filters.spaces {
        Some(spaces) => Some(children(build, spaces, memberships).await?),
        None => None,
    };
    let direct = &build.direct;
    let tags = if filters.tags.is_some() || filters.not_tags.is_some() {
        Some(build.app.sync.personal.tags(db, user).await?)
    } else {
        None
    };
    let has_tag = |id: &RoomId, wanted: &[String]| {
        tags.as_ref()
            .and_then(|tags| tags.get(id.as_str()))
            .is_some_and(|tags| wanted.iter().any(|tag| tags.contains(tag)))
    };
    let mut rooms = Vec::new();
    for candidate in candidates {
        let id = &candidate.id;
        let passes = filters.is_dm.is_none_or(|wanted| direct.contains(id.as_str()) == wanted)
            && spaces.as_ref().is_none_or(|spaces| spaces.contains(id.as_str()))
            && filters.is_encrypted.is_none_or(|wanted| candidate.encrypted == wanted)
            && filters
                .is_invite
                .is_none_or(|wanted| (candidate.mine.membership == Membership::Invite) == wanted)
            && filters.tags.as_ref().is_none_or(|wanted| has_tag(id, wanted))
            && filters.not_tags.as_ref().is_none_or(|unwanted| !has_tag(id, unwanted));
        if passes && type_passes(build, candidate, filters).await? {
            rooms.push(candidate);
        }
    }
    Ok(rooms)
}

async fn type_passes(
    build: &Build<'_>,
    candidate: &Candidate,
    filters: &Filters,
) -> Result<bool, RoomError> {
    if filters.room_types.is_none() && filters.not_room_types.is_none() {
        return Ok(true);
    }
    let kind = if let Some(kind) = &candidate.kind {
        Arc::clone(kind)
    } else {
        let Some(room) = build.app.rooms.find(candidate.nid).await? else { return Ok(false) };
        let snapshot = room.snapshot();
        let create = snapshot.create_event();
        let kind = create.and_then(|create| create.pdu.content_str("type")).unwrap_or_default();
        build.app.sync.order.learn_kind(candidate.nid, &kind);
        Arc::from(kind)
    };
    let is_among = |types: &Vec<Option<String>>| {
        types.iter().any(|wanted| wanted.as_deref().unwrap_or_default() == &*kind)
    };
    Ok(filters.room_types.as_ref().is_none_or(is_among)
        && !filters.not_room_types.as_ref().is_some_and(is_among))
}

/// The rooms that some spaces name as theirs, those spaces that the user is in.
async fn children(
    build: &Build<'_>,
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
        let room = match build.app.rooms.get(id).await {
            Err(RoomError::NotFound) => continue,
            room => room?,
        };
        if memberships.get(&room.nid()).is_none_or(|mine| mine.membership != Membership::Join) {
            continue;
        }
        let snapshot = room.snapshot();
        let nids: Vec<_> =
            snapshot.state.of_kind("m.space.child").map(|(_, entry)| entry.nid).collect();
        for event in build.app.rooms.events(&nids).await? {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nid::EventNid;

    fn candidate(nid: i64, rank: Pos) -> Candidate {
        let mine =
            UserRoom { membership: Membership::Join, event: EventNid(0), pos: 0, forgotten: false };
        let id = RoomId::parse(format!("!{nid}:h")).expect("an id");
        Candidate { nid: RoomNid(nid), mine, rank, id, encrypted: false, kind: None }
    }

    #[test]
    fn windows_are_the_highest_in_order() {
        let all: Vec<Candidate> = (0..50).map(|n| candidate(n, (n * 7) % 50)).collect();
        let shown = |ranges: Option<&[(usize, usize)]>| -> Vec<Pos> {
            let mut rooms: Vec<&Candidate> = all.iter().collect();
            window(&mut rooms, ranges).iter().map(|room| room.rank).collect()
        };
        assert_eq!(shown(Some(&[(0, 2)])), [49, 48, 47]);
        assert_eq!(shown(Some(&[(0, 0), (2, 3)])), [49, 47, 46]);
        assert_eq!(shown(Some(&[(48, 90)])), [1, 0]);
        assert_eq!(shown(Some(&[(0, usize::MAX)])).len(), 50);
        assert_eq!(shown(Some(&[])), Vec::<Pos>::new());
        assert_eq!(shown(None).first(), Some(&49));
    }
}
