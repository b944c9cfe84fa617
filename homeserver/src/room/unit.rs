//! What a room commits at once: one event or several, with all that follows from them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use ruma::{OwnedEventId, OwnedRoomAliasId, UserId, events::TimelineEventType};

use super::{
    Interest, Membership, RoomSnapshot, TxnKey, UserRoom, bump::bumps, context::Context,
    pending::Pending, redaction::BeforeAndAfter,
};
use crate::{
    commit::CommitTx,
    event::{Event, Flags, Place},
    feed::Change,
    nid::{EventNid, ORD_SHIFT, Pos, RoomNid, TimelineOrd},
    storage::{self, StorageError, events::NewEvent, state_groups::GroupRow, timeline::ord_of},
};

/// What is known of a room's event once it is decided.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) event: Arc<Event>,
    /// The states it brings into being, each after its parent.
    pub(super) groups: Vec<GroupRow>,
    /// The appservices interested in it.
    pub(super) interest: Interest,
    /// The memberships that it changes, in the room's current state.
    pub(super) members: Vec<(String, Membership, EventNid)>,
    /// What it redacts: the event as it was, and what is left of it.
    pub(super) redacts: Option<BeforeAndAfter>,
    /// Whether it was stored before, as an outlier or hidden.
    pub(super) was_stored: bool,
    /// Predecessors that aren't here and were done without.
    pub(super) gaps: Vec<OwnedEventId>,
    /// Whether it is such a predecessor of another one.
    pub(super) closes_gap: bool,
}

impl Step {
    /// An event that changes nothing but itself.
    pub(super) const fn bare(event: Arc<Event>, was_stored: bool) -> Self {
        Self {
            event,
            groups: Vec::new(),
            interest: Interest::EMPTY,
            members: Vec::new(),
            redacts: None,
            was_stored,
            gaps: Vec::new(),
            closes_gap: false,
        }
    }
}

/// What a room is born with.
#[derive(Debug)]
pub(super) struct Birth {
    pub(super) alias: Option<OwnedRoomAliasId>,
    pub(super) creator: String,
    /// Whether it stands in the public directory.
    pub(super) published: bool,
    /// The room whose upgrade it is.
    pub(super) replaces: Option<RoomNid>,
}

/// A piece of a room's history to be committed at once.
pub(super) struct Unit {
    pub(super) steps: Vec<Step>,
    /// The room after it.
    pub(super) after: Arc<RoomSnapshot>,
    /// The request that the first event answers.
    pub(super) txn: Option<TxnKey>,
    pub(super) birth: Option<Birth>,
    pub(super) placing: Placing,
}

/// Where the events of a unit stand in the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placing {
    /// At the end, each with a position of its own.
    Live,
    /// Before the first message that the timeline has; without positions.
    BeforeMessages,
}

/// There is no room left before the first message.
pub(super) const TIMELINE_FULL: &str = "no more history fits before the first message of this room";

/// What the outside sees of a room.
pub(super) struct Published {
    pub(super) snapshot: ArcSwap<RoomSnapshot>,
    pub(super) pending: Pending,
}

/// The alias of a new room is taken.
pub(super) const ALIAS_TAKEN: &str = "the alias is already in use";

impl Unit {
    /// The work for the committer.
    pub(super) fn work(
        self,
        ctx: Arc<Context>,
        published: Arc<Published>,
    ) -> impl for<'a> Fn(&'a mut CommitTx) -> BoxFuture<'a, Result<(), StorageError>>
    + Send
    + Sync
    + 'static {
        let unit = Arc::new(self);
        move |tx| {
            let (unit, ctx, published) = (unit.clone(), ctx.clone(), published.clone());
            Box::pin(async move { unit.write(tx, ctx, published).await })
        }
    }

    async fn write(
        self: Arc<Self>,
        tx: &mut CommitTx,
        ctx: Arc<Context>,
        published: Arc<Published>,
    ) -> Result<(), StorageError> {
        let info = &self.after.info;
        if let Some(birth) = &self.birth {
            storage::rooms::insert(tx, info.nid, info.id.as_str(), info.version.as_str()).await?;
            if let Some(alias) = &birth.alias {
                let now = ctx.clock.now_ms();
                let alias = alias.as_str();
                if !storage::aliases::insert(tx, alias, info.nid, &birth.creator, now).await? {
                    return Err(StorageError::Conflict(ALIAS_TAKEN));
                }
            }
            if birth.published {
                storage::published::insert(tx, &info.id, ctx.clock.now_ms()).await?;
            }
            if let Some(old) = birth.replaces {
                storage::upgrades::insert(tx, info.nid, old, &birth.creator).await?;
            }
        }
        let mut places: Vec<Option<Place>> = Vec::with_capacity(self.steps.len());
        let mut history = self.history_begins(tx).await?;
        for step in &self.steps {
            for group in &step.groups {
                storage::state_groups::insert(tx, group).await?;
            }
            if let Some(ord) = &mut history {
                let place = Place { pos: 0, ord: *ord };
                *ord += 1;
                step.write(tx, Some(place)).await?;
                places.push(Some(place));
                continue;
            }
            let place = step.event.flags.is_shown().then(|| {
                let pos = tx.next_pos();
                Place { pos, ord: ord_of(pos) }
            });
            step.write(tx, place).await?;
            if let Some(place) = place {
                for (user, membership, event) in &step.members {
                    storage::memberships::set(
                        tx,
                        user,
                        info.nid,
                        membership.as_str(),
                        *event,
                        place.pos,
                    )
                    .await?;
                }
                tx.publish(place.pos, Change::Event(step.event.clone(), step.interest));
            }
            places.push(place);
        }
        if let (Some(txn), Some(step)) = (&self.txn, self.steps.first()) {
            let event = &step.event;
            let (id, now) = (event.pdu.event_id.as_str(), ctx.clock.now_ms());
            storage::txns::insert(tx, &txn.scope, &txn.path, event.nid, id, now).await?;
        }
        self.write_lists(tx).await?;
        if self.placing == Placing::BeforeMessages
            && let (Some(first), Some(last)) = (
                self.steps.iter().map(|step| step.event.nid).min(),
                self.steps.iter().map(|step| step.event.nid).max(),
            )
        {
            // No reader of the feed hears of them.
            storage::search::add_backlog(tx, first, last).await?;
        }
        let pos = newest(&places).map_or(0, |place| place.pos);
        if let Some(group) = self.after.group {
            let extremities: Vec<EventNid> =
                self.after.extremities.iter().map(|extremity| extremity.nid).collect();
            let head = storage::rooms::Head {
                extremities: &extremities,
                state: group.nid,
                depth: self.after.depth,
                pos,
                bump: self.bump(&places),
                encrypted: self.after.state_nid("m.room.encryption", "").is_some(),
                kind: self.kind(),
            };
            storage::rooms::set_head(tx, info.nid, &head).await?;
        }
        tx.on_commit(move || self.committed(&places, &ctx, &published));
        Ok(())
    }

    /// What the lists of rooms and of users know of the room: only state changes it.
    async fn write_lists(&self, tx: &mut CommitTx) -> Result<(), StorageError> {
        let room = self.after.info.nid;
        if self.birth.is_none() && !self.steps.iter().any(|step| step.event.is_state()) {
            return Ok(());
        }
        storage::room_listing::touch(tx, room).await?;
        let opens = |step: &Step| {
            step.event.is_state()
                && matches!(
                    step.event.kind(),
                    TimelineEventType::RoomJoinRules | TimelineEventType::RoomHistoryVisibility
                )
        };
        if self.birth.is_some() || self.steps.iter().any(opens) {
            storage::room_open::set(tx, room, self.after.is_open()).await?;
        }
        Ok(())
    }

    /// The position of the newest event that moves the room up in lists; 0 without one.
    fn bump(&self, places: &[Option<Place>]) -> Pos {
        let newest_first = self.steps.iter().zip(places).rev();
        newest_first
            .filter(|(step, _)| bumps(step.event.kind()))
            .find_map(|(_, place)| place.map(|place| place.pos).filter(|pos| *pos > 0))
            .unwrap_or(0)
    }

    /// The room's type, where the unit holds the event that says it.
    fn kind(&self) -> Option<String> {
        let create =
            self.steps.iter().find(|step| *step.event.kind() == TimelineEventType::RoomCreate)?;
        Some(create.event.pdu.content_str("type").unwrap_or_default())
    }

    /// The place of the first event, if they are history. They stand right before the first message, and the free places
    /// before them stay free for what is older still.
    async fn history_begins(&self, tx: &mut CommitTx) -> Result<Option<TimelineOrd>, StorageError> {
        if self.placing != Placing::BeforeMessages {
            return Ok(None);
        }
        let room = self.after.info.nid;
        let first = storage::timeline_import::first_message(tx.sql(), room).await?;
        let end = if let Some(first) = first {
            first
        } else {
            // The end of the space that belongs to the newest event.
            let newest = storage::timeline::before(tx, room, TimelineOrd::MAX).await?.unwrap_or(0);
            ((newest >> ORD_SHIFT) + 1) << ORD_SHIFT
        };
        let before = storage::timeline::before(tx, room, end).await?.unwrap_or(0);
        let count = self.steps.len() as i64;
        if end - before <= count {
            return Err(StorageError::Conflict(TIMELINE_FULL));
        }
        Ok(Some(end - count))
    }

    /// The unit is durable: memory follows, before anyone learns of it.
    fn committed(&self, places: &[Option<Place>], ctx: &Context, published: &Published) {
        for (step, place) in self.steps.iter().zip(places) {
            if let Some(place) = place {
                step.event.set_place(*place);
                for (user, membership, event) in &step.members {
                    if let Ok(user) = <&UserId>::try_from(user.as_str()) {
                        let change = UserRoom {
                            membership: *membership,
                            event: *event,
                            pos: place.pos,
                            forgotten: false,
                        };
                        ctx.users.changed(user, self.after.info.nid, change);
                    }
                }
            }
            if step.was_stored {
                ctx.events.replace(step.event.clone());
            } else {
                ctx.events.put(step.event.clone());
            }
            if let Some((before, after)) = &step.redacts {
                if let Some(place) = before.place() {
                    after.set_place(place);
                }
                ctx.events.replace(after.clone());
            }
            published.pending.remove(&step.event);
        }
        let head = newest(places);
        if let Some(place) = head.or_else(|| published.snapshot.load().head()) {
            self.after.set_head(place);
        }
        published.snapshot.store(self.after.clone());
    }
}

/// The newest live place.
fn newest(places: &[Option<Place>]) -> Option<Place> {
    places.iter().rev().find_map(|place| place.filter(|place| place.pos > 0))
}

impl Step {
    async fn write(&self, tx: &mut CommitTx, place: Option<Place>) -> Result<(), StorageError> {
        let event = &self.event;
        let place = place.map(|place| (place.ord, Some(place.pos).filter(|pos| *pos > 0)));
        let kind = event.kind().to_string();
        let membership = super::resolve::membership_of(event);
        let row = NewEvent {
            nid: event.nid,
            id: event.pdu.event_id.as_str(),
            room: event.room,
            place,
            kind: &kind,
            state_key: event.pdu.state_key(),
            sender: event.pdu.sender.as_str(),
            depth: event.pdu.depth,
            ts: event.pdu.origin_server_ts,
            flags: event.flags.0,
            state_before: event.state_before,
            state_after: event.state_after,
            replaces: event.replaces,
            membership: membership.map(Membership::as_str),
            redacts: event.pdu.redacts.as_ref().map(|id| id.as_str()),
            txn: event.txn.as_ref().map(|txn| (txn.scope.as_str(), txn.id.as_str())),
            sticky_until: event.sticky_until,
            raw: event.pdu.raw(),
        };
        if self.was_stored {
            storage::events::place(tx, &row).await?;
        } else {
            storage::events::insert(tx, &row).await?;
        }
        for id in &self.gaps {
            storage::gaps::insert(tx, event.room, id.as_str()).await?;
        }
        if self.closes_gap {
            storage::gaps::delete(tx, event.room, event.pdu.event_id.as_str()).await?;
        }
        if let Some((_, after)) = &self.redacts {
            let flags = after.flags.with(Flags::REDACTED);
            storage::events::redact(tx, after.nid, event.nid, flags.0, after.pdu.raw()).await?;
        }
        Ok(())
    }
}
