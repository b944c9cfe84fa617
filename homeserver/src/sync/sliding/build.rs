//! One answer: from the state of a connection to the next.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::connection::{ACCOUNT_DATA, RECEIPTS, State, THREADS, Told};
use super::lists::{Chosen, Wanted, choose};
use super::request::{Details, Request};
use super::room::{Look, Shown, look};
use super::token::Position;
use super::{extensions, write};
use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::ApiResult;
use crate::nid::{Pos, RoomNid};
use crate::room::{Membership, UserRooms};
use crate::sync::json::Writer;
use crate::sync::lazy::Session;
use crate::sync::token::SyncToken;
use crate::sync::viewer::Viewer;

/// Rooms in one answer. Further ones come with the next, which then does not wait.
const MAX_SHOWN: usize = 500;

/// An answer that is being built.
pub(super) struct Build<'a> {
    pub(super) app: &'a App,
    pub(super) requester: &'a Requester,
    pub(super) request: &'a Request,
    pub(super) viewer: &'a Viewer,
    /// What the client comes with; `None` when it begins.
    pub(super) came: Option<Position>,
    /// What the connection was told by then.
    pub(super) state: &'a State,
    /// The user's direct chats.
    pub(super) direct: Arc<HashSet<String>>,
    /// The answer tells nothing that came after this position.
    pub(super) upto: Pos,
    /// Nor what passed after this ephemeral one.
    pub(super) ephemeral: i64,
}

/// An answer, but for its `pos`.
pub(super) struct Answer {
    /// The body, open at its end.
    pub(super) out: Writer,
    pub(super) at: SyncToken,
    /// What the connection has been told with it, if that is not what it had been told before but for the position.
    pub(super) state: Option<State>,
    /// Whether it tells anything.
    pub(super) something: bool,
}

/// A room that the answer is about, whether or not anything of it is told.
pub(super) struct Covered<'a> {
    pub(super) nid: RoomNid,
    pub(super) wanted: &'a Wanted,
    /// Up to where the client has it; `None` when it has nothing, or must forget what it has.
    pub(super) bound: Option<Pos>,
    /// Which extensions told of it up to there.
    pub(super) extensions: u8,
    /// Whether it was in sight all the time since the connection's position.
    pub(super) in_sight: bool,
}

impl<'a> Build<'a> {
    pub(super) async fn new(
        app: &'a App,
        requester: &'a Requester,
        request: &'a Request,
        viewer: &'a Viewer,
        came: Option<Position>,
        state: &'a State,
    ) -> ApiResult<Self> {
        // The ephemeral head first: typing in a room is told only where the room is known.
        let ephemeral = app.feed.ephemeral().head();
        let upto = app.feed.head();
        let direct = app.sync.personal.direct(&app.db, &viewer.user).await?;
        Ok(Self { app, requester, request, viewer, came, state, direct, upto, ephemeral })
    }

    /// The position that the client comes with.
    pub(super) fn since(&self) -> Option<Pos> {
        self.came.map(|came| came.at.pos)
    }

    /// Up to where the client has a room.
    pub(super) fn told_bound(&self, room: RoomNid) -> Option<Pos> {
        let told = self.state.rooms.get(&room)?;
        told.bound.or(self.since())
    }

    /// Builds the answer.
    pub(super) async fn run(&self, lazy: &mut Session) -> ApiResult<Answer> {
        let memberships = self.app.rooms.memberships(&self.viewer.user).await?;
        let chosen = choose(self, &memberships).await?;
        let mut next = Next::of(self);
        let (shown, covered) = self.rooms(&chosen, &memberships, lazy, &mut next).await?;
        next.out_of_sight(&covered);

        let mut out = Writer::with_capacity(1024);
        out.open();
        if let Some(txn_id) = &self.request.txn_id {
            out.key("txn_id");
            out.text(txn_id);
        }
        if !chosen.lists.is_empty() {
            out.open_at("lists");
            for (name, list) in &chosen.lists {
                out.open_at(name);
                out.key("count");
                out.int(list.count as i64);
                out.close();
            }
            out.close();
        }
        let lists_changed = chosen.lists != self.state.lists;
        if lists_changed {
            next.state.lists.clone_from(&chosen.lists);
            next.changed = true;
        }
        if !shown.is_empty() {
            write::write(self, &mut out, &shown).await?;
        }
        next.extensions(self.request);
        let told = extensions::write(self, &mut out, &covered, &shown, &chosen.matched).await?;
        if next.changed {
            next.forget_deleted(&memberships);
        }
        let feed = &self.app.feed;
        let at = SyncToken {
            generation: feed.generation(),
            pos: self.upto,
            boot: feed.ephemeral().boot(),
            ephemeral: self.ephemeral,
            to_device: self.upto,
            sticky: self.upto,
        };
        let something = told || lists_changed || !shown.is_empty();
        Ok(Answer { out, at, state: next.changed.then_some(next.state), something })
    }

    async fn rooms<'c>(
        &self,
        chosen: &'c Chosen,
        memberships: &UserRooms,
        lazy: &mut Session,
        next: &mut Next<'_>,
    ) -> ApiResult<(Vec<Shown>, Vec<Covered<'c>>)> {
        let (mut shown, mut covered) = (Vec::new(), Vec::new());
        if self.came.is_none() {
            // Most may not be in memory: they are loaded together rather than one after the other.
            let first = chosen.order.get(..MAX_SHOWN).unwrap_or(&chosen.order);
            self.app.rooms.load_many(first).await?;
        }
        for nid in &chosen.order {
            let (Some(mine), Some(wanted)) = (memberships.get(nid), chosen.rooms.get(nid)) else {
                continue;
            };
            if shown.len() >= MAX_SHOWN {
                break;
            }
            let answer = match look(self, *nid, mine, wanted, lazy).await? {
                Look::Later => continue,
                Look::Quiet => None,
                Look::Show(answer) => Some(*answer),
            };
            let told = self.state.rooms.get(nid);
            let anew = answer.as_ref().is_some_and(|answer| answer.initial);
            let membership = answer.as_ref().map_or(mine.membership, |answer| answer.membership);
            next.tell(*nid, membership, wanted);
            covered.push(Covered {
                nid: *nid,
                wanted,
                bound: self.told_bound(*nid).filter(|_| !anew),
                extensions: told.filter(|_| !anew).map_or(0, |told| told.extensions),
                in_sight: !anew && told.is_some_and(|told| told.bound.is_none()),
            });
            shown.extend(answer);
        }
        Ok((shown, covered))
    }
}

/// The state of the connection after the answer.
struct Next<'a> {
    build: &'a Build<'a>,
    state: State,
    changed: bool,
    /// Equal details are kept once.
    details: HashMap<usize, Vec<Arc<Details>>>,
}

impl<'a> Next<'a> {
    fn of(build: &'a Build<'_>) -> Self {
        let state = build.state.clone();
        Self { build, state, changed: build.came.is_none(), details: HashMap::new() }
    }

    fn shared(&mut self, details: Details) -> Arc<Details> {
        let same = self.details.entry(details.limit).or_default();
        if let Some(known) = same.iter().find(|known| ***known == details) {
            return Arc::clone(known);
        }
        let details = Arc::new(details);
        same.push(Arc::clone(&details));
        details
    }

    /// The client has this room up to the answer's end.
    fn tell(&mut self, nid: RoomNid, membership: Membership, wanted: &Wanted) {
        let before = self.state.rooms.get(&nid);
        let is_in = membership == Membership::Join;
        // A room that was left is in no list any more, until the user comes again.
        let bound = (membership == Membership::Leave).then_some(self.build.upto);
        let bit = |on: bool, bit: u8| if on && is_in { bit } else { 0 };
        let extensions = bit(wanted.account_data, ACCOUNT_DATA) | bit(wanted.receipts, RECEIPTS);
        // Wanting fewer events and later more again is no reason to tell any twice.
        let limit = before.map_or(0, |told| told.details.limit).max(wanted.details.limit);
        if let Some(told) = before
            && told.bound == bound
            && told.extensions == extensions
            && told.details.limit == limit
            && told.details.required == wanted.details.required
        {
            return;
        }
        let required = wanted.details.required.clone();
        let details = self.shared(Details { limit, required });
        self.state.rooms.insert(nid, Told { bound, details, extensions });
        self.changed = true;
    }

    /// The rooms that were in sight and are not now were told up to the position that the client came with.
    fn out_of_sight(&mut self, covered: &[Covered<'_>]) {
        let Some(since) = self.build.since() else { return };
        let inside: HashSet<RoomNid> = covered.iter().map(|covered| covered.nid).collect();
        let gone: Vec<RoomNid> = self
            .state
            .rooms
            .iter()
            .filter(|(nid, told)| told.bound.is_none() && !inside.contains(nid))
            .map(|(nid, _)| *nid)
            .collect();
        for nid in gone {
            if let Some(told) = self.state.rooms.get_mut(&nid) {
                told.bound = Some(since);
                self.changed = true;
            }
        }
    }

    /// What the user is nothing to any more, not even somebody who left, an administrator has deleted: it comes never again.
    fn forget_deleted(&mut self, memberships: &UserRooms) {
        let rooms = self.state.rooms.keys();
        let deleted: Vec<RoomNid> =
            rooms.filter(|nid| !memberships.contains_key(*nid)).copied().collect();
        for nid in deleted {
            self.state.rooms.remove(&nid);
        }
    }

    fn extensions(&mut self, request: &Request) {
        let bit = |on: bool, bit: u8| if on { bit } else { 0 };
        let extensions = bit(request.account_data.is_some(), ACCOUNT_DATA)
            | bit(request.threads.is_some(), THREADS);
        self.changed |= self.state.extensions != extensions;
        self.state.extensions = extensions;
    }
}
