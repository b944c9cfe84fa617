//! What is told of one room.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::build::Build;
use super::connection::Told;
use super::lists::Wanted;
use crate::event::Event;
use crate::nid::{EventNid, ORD_SHIFT, Pos, RoomNid, TimelineOrd};
use crate::room::{MEMBER, Membership, Room, RoomError, RoomSnapshot, StateMap, UserRoom, bumps};
use crate::sync::access::leaving;
use crate::sync::changes::{Changed, State, changed_since, state_at};
use crate::sync::filter::RoomEventFilter;
use crate::sync::lazy::Session;
use crate::sync::lens::Lens;
use crate::sync::v3::summary::heroes;
use crate::sync::window::{Span, Window, saw_as_invited, window};

/// Members who moved in a gap and are told though nobody in the timeline needs them.
const MAX_MOVED: usize = 50;

/// What there is to tell of a room.
pub(super) enum Look {
    /// Nothing new.
    Quiet,
    /// Something, but it is for a later answer.
    Later,
    /// This.
    Show(Box<Shown>),
}

/// A room that is told.
pub(super) struct Shown {
    pub(super) room: Room,
    pub(super) snapshot: Arc<RoomSnapshot>,
    pub(super) membership: Membership,
    /// The user's member event.
    pub(super) member: EventNid,
    /// Whether the client has nothing of it, or must forget what it has.
    pub(super) initial: bool,
    pub(super) bump: Pos,
    /// For rooms that the user is or was in.
    pub(super) inside: Option<Inside>,
}

/// What is told of a room to whoever is or was inside.
pub(super) struct Inside {
    pub(super) window: Window,
    /// Whether events are told that the client may have had before, because it wants more of them than it did.
    pub(super) expanded: bool,
    /// Events of the timeline that are newer than the connection's position.
    pub(super) live: usize,
    /// Whether a timeline is wanted at all.
    pub(super) wants_timeline: bool,
    pub(super) required: Vec<EventNid>,
    /// The room's state at the end.
    pub(super) end: StateMap,
    pub(super) tells: Tells,
    /// Whom the room is named after, if that is told.
    pub(super) heroes: Vec<String>,
}

/// What is told of a room beside its timeline and the state that is asked for.
#[derive(Default)]
pub(super) struct Tells {
    pub(super) name: bool,
    pub(super) avatar: bool,
    pub(super) members: bool,
}

/// The lowest place of what comes after a position.
const fn boundary(pos: Pos) -> TimelineOrd {
    (pos + 1) << ORD_SHIFT
}

/// Looks at a room.
pub(super) async fn look(
    build: &Build<'_>,
    nid: RoomNid,
    mine: &UserRoom,
    wanted: &Wanted,
    lazy: &mut Session,
) -> Result<Look, RoomError> {
    let told = build.state.rooms.get(&nid);
    let bound = build.told_bound(nid);
    if let (Some(told), Some(bound)) = (told, bound)
        && mine.pos <= bound
        && build.app.feed.room_head(nid) <= bound
        && has_all(told, wanted)
    {
        return Ok(Look::Quiet);
    }
    let Some(room) = build.app.rooms.find(nid).await? else { return Ok(Look::Later) };
    let snapshot = room.snapshot();
    let mut lens = Lens::new(&build.app.rooms, &build.viewer.user, &snapshot.state);
    let membership = if mine.pos > build.upto {
        match lens.membership_below(boundary(build.upto)).await? {
            Membership::Join => Membership::Join,
            // What became of the user after the answer's end is for the next one.
            _ => return Ok(Look::Later),
        }
    } else {
        mine.membership
    };
    let asked = matches!(membership, Membership::Invite | Membership::Knock);
    if (asked || membership != Membership::Join) && bound.is_some_and(|bound| mine.pos <= bound) {
        return Ok(Look::Quiet);
    }
    if asked {
        return Ok(Look::Show(Box::new(Shown {
            room,
            snapshot,
            membership,
            member: mine.event,
            initial: bound.is_none(),
            bump: mine.pos,
            inside: None,
        })));
    }
    let looking = Looking { build, room, snapshot, membership, mine, wanted, told, bound };
    looking.inside(lens, lazy).await
}

/// Whether nothing is wanted of a room that was not wanted before.
fn has_all(told: &Told, wanted: &Wanted) -> bool {
    told.details.limit >= wanted.details.limit && told.details.required == wanted.details.required
}

struct Looking<'a> {
    build: &'a Build<'a>,
    room: Room,
    snapshot: Arc<RoomSnapshot>,
    membership: Membership,
    mine: &'a UserRoom,
    wanted: &'a Wanted,
    told: Option<&'a Told>,
    bound: Option<Pos>,
}

impl Looking<'_> {
    async fn inside(self, mut lens: Lens<'_>, lazy: &mut Session) -> Result<Look, RoomError> {
        let (build, wanted) = (self.build, &self.wanted.details);
        let is_in = self.membership == Membership::Join;
        // What happened while he was away may be his to see since he came back, also if he left once more.
        let again = match self.bound.filter(|bound| self.mine.pos > *bound).map(boundary) {
            Some(from) if is_in => lens.was_away(from, boundary(build.upto)).await?,
            Some(from) => {
                lens.membership_below(from).await? != Membership::Join
                    && lens.came_since(from).await?
            }
            None => false,
        };
        let known = self.bound.filter(|_| !again);
        let leaving = if is_in { None } else { leaving(build.app, self.mine.event).await? };
        if !is_in && !self.was_in(&mut lens, known).await? {
            return self.turned_down(&mut lens).await;
        }
        // Whoever was banned after he left does not see what happened in between.
        let left = leaving.as_ref().and_then(|leaving| leaving.place());
        let upto = left.map_or(if is_in { build.upto } else { self.mine.pos }, |place| place.pos);
        let initial = known.is_none();
        let expanded = !initial && self.told.is_some_and(|told| told.details.limit < wanted.limit);
        let filter = RoomEventFilter::default();
        let since = known.filter(|_| !expanded);
        let span = Span { filter: &filter, since, upto, limit: wanted.limit };
        let app = build.app;
        let outside = !is_in && upto < self.mine.pos;
        let window = if outside
            && saw_as_invited(
                app,
                &self.snapshot,
                &mut lens,
                build.viewer,
                self.mine,
                leaving.as_deref(),
            )
            .await?
            && let Some(leave) = app.rooms.events(&[self.mine.event]).await?.pop()
        {
            Window::of_one(leave, self.membership, true)
        } else {
            window(app, &self.snapshot, &mut lens, build.viewer, &span).await?
        };
        let end = self.end(upto, leaving.as_deref()).await?;

        let whole = (!window.limited && since.is_some()).then_some(&window);
        let changed = match known {
            Some(pos) => changed_since(app, &self.room, &self.snapshot, whole, &end, pos).await?,
            None => Vec::new(),
        };
        let required = self.required(&window, &end, known, &changed, lazy);
        let has = |kind: &str, key: &str| {
            changed.iter().any(|changed| changed.kind == kind && changed.key == key)
        };
        let tells_members = initial || changed.iter().any(|changed| changed.kind == MEMBER);
        if !initial && !expanded && window.events.is_empty() && !window.limited && required.is_empty()
            // A change of the user's own place is told even if nothing of it is to be seen.
            && !tells_members && changed.is_empty() && !self.read_further().await?
        {
            return Ok(Look::Quiet);
        }
        let named = super::write::is_named(app, &end.map).await?;
        let inside = Inside {
            expanded,
            live: live(&window, build.since()),
            wants_timeline: wanted.limit > 0,
            required,
            tells: Tells {
                name: initial || has("m.room.name", ""),
                avatar: initial || has("m.room.avatar", ""),
                members: tells_members && is_in,
            },
            heroes: if tells_members && !named && is_in {
                heroes(&end.map, &build.viewer.user)
            } else {
                Vec::new()
            },
            end: end.map,
            window,
        };
        let bump = self.bump(upto).await?;
        Ok(Look::Show(Box::new(Shown {
            room: self.room,
            snapshot: self.snapshot,
            membership: self.membership,
            member: self.mine.event,
            initial,
            bump,
            inside: Some(inside),
        })))
    }

    /// Whether a user who is out was inside since the client was told last, or when it was.
    async fn was_in(&self, lens: &mut Lens<'_>, known: Option<Pos>) -> Result<bool, RoomError> {
        match known {
            None => lens.was_ever_in().await,
            Some(pos) => Ok(lens.membership_below(boundary(pos)).await? == Membership::Join
                || lens.came_since(boundary(pos)).await?),
        }
    }

    /// An invitation was turned down or withdrawn, or a knock: it told nothing of the room itself. If it followed a stay, the end of
    /// that was perhaps not told either.
    async fn turned_down(self, lens: &mut Lens<'_>) -> Result<Look, RoomError> {
        let build = self.build;
        if self.bound.is_none() {
            // The client never heard of it, either.
            return Ok(Look::Quiet);
        }
        let Some(leave) = build.app.rooms.events(&[self.mine.event]).await?.pop() else {
            return Ok(Look::Quiet);
        };
        let gap = lens.was_ever_in().await?;
        let me = build.viewer.user.as_str();
        let required = &self.wanted.details.required;
        let required = required.admits(MEMBER, me) || required.lazy;
        let window = Window::of_one(leave, self.membership, gap);
        let inside = Inside {
            live: live(&window, build.since()),
            window,
            expanded: false,
            wants_timeline: self.wanted.details.limit > 0,
            required: required.then_some(self.mine.event).into_iter().collect(),
            end: self.snapshot.state.clone(),
            tells: Tells::default(),
            heroes: Vec::new(),
        };
        Ok(Look::Show(Box::new(Shown {
            room: self.room,
            snapshot: self.snapshot,
            membership: self.membership,
            member: self.mine.event,
            initial: false,
            bump: self.mine.pos,
            inside: Some(inside),
        })))
    }

    /// The state at the end of what is told.
    async fn end(&self, upto: Pos, leaving: Option<&Event>) -> Result<State, RoomError> {
        if let Some(group) = leaving.and_then(|leaving| leaving.state_after) {
            return Ok(State { map: self.room.state_of(group).await?, group: Some(group) });
        }
        state_at(self.build.app, &self.room, &self.snapshot, upto).await
    }

    /// The state to tell: what is wanted and new to the client, and the members that the timeline needs.
    fn required(
        &self,
        window: &Window,
        end: &State,
        known: Option<Pos>,
        changed: &[Changed],
        lazy: &mut Session,
    ) -> Vec<EventNid> {
        let required = &self.wanted.details.required;
        let room = self.room.nid();
        let mut nids: BTreeSet<EventNid> = match (known, self.told) {
            (Some(_), Some(told)) => {
                let wanted =
                    changed.iter().filter(|changed| required.admits(&changed.kind, &changed.key));
                let newly = required.select_beyond(&told.details.required, &end.map);
                wanted.map(|changed| changed.nid).chain(newly).collect()
            }
            _ => required.select(&end.map).into_iter().collect(),
        };
        if required.lazy {
            let mut needed: HashSet<&str> =
                window.events.iter().map(|(event, _)| event.pdu.sender.as_str()).collect();
            let targets = window.events.iter().map(|(event, _)| event);
            let targets = targets.filter(|event| event.kind().to_string() == MEMBER);
            needed.extend(targets.filter_map(|event| event.pdu.state_key()));
            for user in needed {
                let Some(nid) = end.map.nid(MEMBER, user) else { continue };
                if known.is_none() || !lazy.knows(room, nid) {
                    nids.insert(nid);
                }
            }
            let moved = changed.iter().filter(|changed| changed.kind == MEMBER);
            let moved = moved.map(|changed| changed.nid);
            let most = if window.limited { MAX_MOVED } else { usize::MAX };
            nids.extend(moved.take(most));
            let members = window.events.iter().map(|(event, _)| event.pdu.sender.as_str());
            for user in members.chain(changed.iter().map(|changed| changed.key.as_str())) {
                if let Some(nid) = end.map.nid(MEMBER, user)
                    && nids.contains(&nid)
                {
                    lazy.tell(room, nid);
                }
            }
        }
        nids.into_iter().collect()
    }

    /// Whether the user has read further, elsewhere perhaps: the room's counts are then others.
    async fn read_further(&self) -> Result<bool, RoomError> {
        let (build, room) = (self.build, self.room.nid());
        let Some(bound) = self.bound else { return Ok(false) };
        if !build.app.sync.heads.receipts_after(room, bound) {
            return Ok(false);
        }
        let own =
            crate::storage::receipts::of_user(&build.app.db, build.viewer.user.as_str(), &[room])
                .await?;
        Ok(own.iter().any(|receipt| receipt.pos > bound && receipt.pos <= build.upto))
    }

    /// The position of the newest event up to the answer's end that moves the room up.
    async fn bump(&self, upto: Pos) -> Result<Pos, RoomError> {
        let recent = self.snapshot.recent().iter().rev();
        let newest = recent
            .filter(|event| bumps(event.kind()))
            .find_map(|event| event.place().map(|place| place.pos).filter(|pos| *pos <= upto));
        if let Some(newest) = newest {
            return Ok(newest);
        }
        let mut known = 0;
        let app = self.build.app;
        app.sync.order.visit(&app.db, &[self.room.nid()], |_, facts| known = facts.bump).await?;
        Ok(if known > 0 && known <= upto { known } else { self.mine.pos.min(upto) })
    }
}

fn live(window: &Window, since: Option<Pos>) -> usize {
    let Some(since) = since else { return 0 };
    let newer = |pos: Pos| pos > since;
    window
        .events
        .iter()
        .filter(|(event, _)| event.place().is_some_and(|place| newer(place.pos)))
        .count()
}
