//! Which rooms a request is about: those in the windows of its lists, and those it subscribes to. Nothing in here loads a room, but for
//! filters that ask for what only the room knows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use ruma::RoomId;

use super::build::Build;
use super::connection::ToldList;
use super::filters::{Kinds, Passes};
use super::request::{Details, Filters, List, Request};
use crate::http::error::ApiResult;
use crate::nid::RoomNid;
use crate::room::{RoomError, UserRoom, UserRooms};
use crate::sync::invites::hidden;
use crate::sync::order::{Facts, Known};
use crate::sync::ranking::{Place, Ranking, is_left};

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
    if request.subscriptions.is_empty() && request.lists.is_empty() {
        return Ok(chosen);
    }
    let around = Around::of(build, memberships).await?;
    for (id, details) in &request.subscriptions {
        let Some(nid) = number(build, id).await? else { continue };
        if request.sticky.is_some() {
            chosen.matched.insert(nid);
        }
        let seen = !around.unseen.contains(&nid);
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
    for list in &request.lists {
        let (count, places) = match &list.filters {
            None => around.whole(list).await?,
            Some(filters) => around.filtered(filters).await?,
        };
        if request.sticky.is_some() {
            chosen.matched.extend(places.iter().map(|(_, nid)| *nid));
        }
        chosen.lists.insert(list.name.clone(), ToldList { asked: asked(list), count });
        for nid in window(&places, list) {
            let wanted = chosen.want(nid, &list.details);
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
    let bound = || build.told_bound(nid).or(build.since());
    !is_left(mine) || bound().is_some_and(|bound| mine.pos > bound)
}

/// A user's ranking, with what has to be passed over in it and what is not in it.
struct Around<'a> {
    build: &'a Build<'a>,
    memberships: &'a UserRooms,
    /// The rooms that the user is invited to and does not get to see.
    unseen: HashSet<RoomNid>,
    /// The rooms that were left and are told of all the same, in order.
    left: Vec<(Place, Facts)>,
}

impl<'a> Around<'a> {
    async fn of(build: &'a Build<'a>, memberships: &'a UserRooms) -> ApiResult<Self> {
        let mut around = Self { build, memberships, unseen: HashSet::new(), left: Vec::new() };
        let (invitations, mut left): (_, Vec<RoomNid>) = around
            .ranked(|ranking, _| {
                let newly = build.since().map(|since| ranking.left_after(since).collect());
                (ranking.invitations(), newly.unwrap_or_default())
            })
            .await?;
        around.unseen = hidden(build.app, build.viewer, &invitations).await?;
        // Those that were out of sight before they were left.
        let out_of_sight = build.state.rooms.iter().filter(|(_, told)| told.bound.is_some());
        left.extend(out_of_sight.map(|(nid, _)| *nid));
        let is_told = |nid: RoomNid, mine| is_left(mine) && is_candidate(build, nid, mine);
        left.retain(|nid| memberships.get(nid).is_some_and(|mine| is_told(*nid, mine)));
        left.sort_unstable();
        left.dedup();
        let known = |nid: RoomNid, facts: &Facts| {
            let pos = memberships.get(&nid).map_or(0, |mine| mine.pos);
            around.left.push(((Reverse(pos), nid), facts.clone()));
        };
        build.app.sync.order.visit(&build.app.db, &left, known).await?;
        around.left.sort_unstable_by_key(|(place, _)| *place);
        Ok(around)
    }

    async fn ranked<R>(&self, look: impl FnOnce(&Ranking, Known<'_>) -> R) -> ApiResult<R> {
        let (app, user) = (self.build.app, &self.build.viewer.user);
        Ok(app.sync.order.ranked(&app.db, user, self.memberships, look).await?)
    }

    /// How many rooms a list without filters has, and those up to the last one that it shows, in order.
    async fn whole(&self, list: &List) -> ApiResult<(usize, Vec<Place>)> {
        // What is stuck in rooms is told of all of them.
        let end = if self.build.request.sticky.is_some() { usize::MAX } else { end(list) };
        let look = |ranking: &Ranking, _: Known<'_>| {
            let shown = ranking.shown();
            let count = shown.len().saturating_sub(self.unseen.len());
            let places = shown.filter(|(_, nid)| !self.unseen.contains(nid)).take(end);
            (count, places.collect())
        };
        let (count, mut places): (_, Vec<Place>) = self.ranked(look).await?;
        if !self.left.is_empty() {
            places.extend(self.left.iter().map(|(place, _)| *place));
            places.sort_unstable();
        }
        Ok((count + self.left.len(), places))
    }

    /// How many rooms a list with filters has, and all of them in order.
    async fn filtered(&self, filters: &Filters) -> ApiResult<(usize, Vec<Place>)> {
        let passes = Passes::of(self.build, filters, self.memberships).await?;
        let mut kinds = Kinds::default();
        let mut places = loop {
            let look = |ranking: &Ranking, known: Known<'_>| {
                let (mut places, mut unknown) = (Vec::new(), Vec::new());
                let mut judge = |place: Place, facts: &Facts| {
                    let Some(mine) = self.memberships.get(&place.1) else { return };
                    match passes.judge(mine, facts, kinds.get(place.1, facts)) {
                        Some(true) => places.push(place),
                        Some(false) => {}
                        None => unknown.push(place.1),
                    }
                };
                for place in ranking.shown().filter(|(_, nid)| !self.unseen.contains(nid)) {
                    if let Some(facts) = known.get(place.1) {
                        judge(place, facts);
                    }
                }
                self.left.iter().for_each(|(place, facts)| judge(*place, facts));
                if unknown.is_empty() { Ok(places) } else { Err(unknown) }
            };
            match self.ranked(look).await? {
                Ok(places) => break places,
                Err(unknown) => kinds.learn(self.build.app, &unknown).await?,
            }
        };
        if !self.left.is_empty() {
            places.sort_unstable();
        }
        Ok((places.len(), places))
    }
}

/// Behind the last place that a list asks for.
fn end(list: &List) -> usize {
    let Some(ranges) = &list.ranges else { return usize::MAX };
    ranges.iter().map(|(_, to)| to.saturating_add(1)).max().unwrap_or(0)
}

/// The rooms in the ranges, the first ones first.
fn window(places: &[Place], list: &List) -> Vec<RoomNid> {
    let inside = |place: usize| {
        let ranges = list.ranges.as_ref();
        ranges.is_none_or(|ranges| ranges.iter().any(|(from, to)| (*from..=*to).contains(&place)))
    };
    let places = places.iter().take(end(list)).enumerate();
    places.filter(|(place, _)| inside(*place)).map(|(_, (_, nid))| *nid).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn windows_are_the_highest_in_order() {
        let mut places: Vec<Place> = (0..50).map(|n| (Reverse((n * 7) % 50), RoomNid(n))).collect();
        places.sort_unstable();
        let shown = |ranges: Option<&[(usize, usize)]>| -> Vec<i64> {
            let list = List {
                name: "all".to_owned(),
                ranges: ranges.map(<[_]>::to_vec),
                details: Arc::default(),
                filters: None,
            };
            window(&places, &list).iter().map(|nid| (nid.0 * 7) % 50).collect()
        };
        assert_eq!(shown(Some(&[(0, 2)])), [49, 48, 47]);
        assert_eq!(shown(Some(&[(0, 0), (2, 3)])), [49, 47, 46]);
        assert_eq!(shown(Some(&[(48, 90)])), [1, 0]);
        assert_eq!(shown(Some(&[(0, usize::MAX)])).len(), 50);
        assert_eq!(shown(Some(&[])), Vec::<i64>::new());
        assert_eq!(shown(None).first(), Some(&49));
    }
}
