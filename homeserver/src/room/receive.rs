//! Events that this server didn't build: checks 4 to 6 on receipt, their place in the DAG, and what they make of the
//! room's state (Server-Server API, "Checks performed on receipt of a PDU").

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ruma::{EventId, OwnedEventId, events::TimelineEventType};

use super::{
    Membership, RoomError, StateMap,
    builder::{Builder, user_interest},
    check,
    groups::{self, Group},
    redaction,
    resolve::{self, Conflict, Known, entry_of},
    snapshot::Extremity,
    unit::Step,
};
use crate::{
    event::{Event, Flags, Pdu, Reference},
    nid::{EventNid, StateGroup},
    storage::{self, state_groups::GroupRow},
};

/// The most forward extremities that a room keeps: each is one more state to resolve for every event.
const MOST_EXTREMITIES: usize = 20;

/// How many soft-failed or rejected predecessors are followed to find the extremities behind them.
const MOST_UNSEEN: usize = 200;

/// An event for the room, which has passed the checks that need no room.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    pub(super) pdu: Pdu,
    /// Only its auth events count: it is wanted as one itself, or as part of a state.
    pub(super) as_outlier: bool,
    /// The ids of the state before it, as another server says, where predecessors can't be had.
    pub(super) state: Option<Vec<OwnedEventId>>,
}

/// What the room says to an incoming event.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// It was here before.
    Known(Arc<Event>),
    /// It can't be judged without these.
    Missing { auth: Vec<OwnedEventId>, prev: Vec<OwnedEventId> },
    /// It was judged; its flags say how.
    Decided(Arc<Event>),
}

/// A state and its stored form.
struct Before {
    state: StateMap,
    group: Option<Group>,
    rows: Vec<GroupRow>,
}

impl Builder<'_> {
    /// Judges an event and takes it into the view.
    pub(super) async fn receive(&mut self, incoming: Incoming) -> Result<Verdict, RoomError> {
        let Incoming { pdu, as_outlier, state } = incoming;
        let known = self.event_by_id(&pdu.event_id).await?;
        if known.as_ref().is_some_and(|known| known.room != self.view.info.nid) {
            return Err(RoomError::InvalidParam(
                "its id is that of another room's event".to_owned(),
            ));
        }
        if let Some(known) = &known
            && (as_outlier || !known.flags.has(Flags::OUTLIER))
        {
            return Ok(Verdict::Known(known.clone()));
        }
        let (auth, missing_auth) = self.find(&pdu.auth_events).await?;
        let (prev, missing_prev) = if as_outlier {
            (HashMap::new(), Vec::new())
        } else {
            self.find_with_state(&pdu.prev_events).await?
        };
        if !missing_auth.is_empty() || (!missing_prev.is_empty() && state.is_none()) {
            return Ok(Verdict::Missing { auth: missing_auth, prev: missing_prev });
        }
        let nid = known.as_ref().map_or_else(|| self.ctx.numbers.event(), |known| known.nid);
        let mut event = Event::new(nid, self.view.info.nid, pdu);
        event.sticky_until = event.pdu.sticky_until(self.ctx.clock.now_ms());
        let rules = self.view.info.rules.authorization.clone();
        let create = self.view.create_event().cloned();
        let allowed = check::by_auth_events(
            &event,
            |id| {
                auth.get(id)
                    .or_else(|| create.as_ref().filter(|create| create.pdu.event_id == id))
                    .cloned()
            },
            &rules,
        );
        if let Err(why) = &allowed {
            tracing::debug!(event = %event.pdu.event_id, why, "rejected by its auth events");
            event.flags = event.flags.with(Flags::REJECTED);
        }
        if as_outlier {
            event.flags = event.flags.with(Flags::OUTLIER);
            let event = Arc::new(event);
            self.published.pending.insert(&event);
            self.steps.push(Step::bare(event.clone(), false));
            return Ok(Verdict::Decided(event));
        }
        let before = match state {
            Some(ids) if !missing_prev.is_empty() => self.state_from(&ids).await?,
            _ => self.state_before(&event, &prev).await?,
        };
        self.judge(&mut event, &before).await?;
        let late =
            storage::gaps::contains(&self.ctx.db, self.view.info.nid, event.pdu.event_id.as_str())
                .await?;
        if late {
            // Something that came earlier follows on it: it belongs to history.
            event.flags = event.flags.with(Flags::HIDDEN);
        }
        self.take(event, before, known.is_some(), late, missing_prev).await.map(Verdict::Decided)
    }

    /// Checks 5 and 6: by the state before the event, and by the room's current state.
    async fn judge(&self, event: &mut Event, before: &Before) -> Result<(), RoomError> {
        if event.flags.has(Flags::REJECTED) {
            return Ok(());
        }
        let rules = &self.view.info.rules.authorization;
        let whole = self.whole_of(event, &before.state).await?;
        if let Err(why) = check::by_state(event, &before.state, &whole, rules) {
            tracing::debug!(event = %event.pdu.event_id, why, "rejected by the state before it");
            event.flags = event.flags.with(Flags::REJECTED);
            return Ok(());
        }
        if before.state.hash() != self.view.state.hash() {
            let whole = self.whole_of(event, &self.view.state).await?;
            if let Err(why) = check::by_state(event, &self.view.state, &whole, rules) {
                tracing::debug!(event = %event.pdu.event_id, why, "soft-failed");
                event.flags = event.flags.with(Flags::SOFT_FAILED);
            }
        }
        Ok(())
    }

    /// Gives the event its states and its place in the DAG, and moves the room's current state.
    async fn take(
        &mut self,
        mut event: Event,
        before: Before,
        was_outlier: bool,
        late: bool,
        gaps: Vec<OwnedEventId>,
    ) -> Result<Arc<Event>, RoomError> {
        let rejected = event.flags.has(Flags::REJECTED);
        let Before { mut state, mut group, mut rows } = before;
        event.state_before = group.map(|group| group.nid);
        if let Some(key) = event.pdu.state_key.clone()
            && !rejected
        {
            let old = state.insert(&event.kind().to_string(), &key, entry_of(&event));
            event.replaces = old.map(|old| old.nid);
            let removed: Vec<EventNid> = event.replaces.into_iter().collect();
            let next =
                groups::next(&self.ctx.numbers, event.room, group, &removed, &[event.nid], &state);
            self.ctx.groups.remember(next.0, &state);
            group = Some(next.0);
            rows.push(next.1);
        }
        event.state_after = group.map(|group| group.nid);
        let redactions = self.redactions_before(&mut event).await?;
        let target = self.target_of(&mut event).await?;
        let event = Arc::new(event);
        self.published.pending.insert(&event);

        let before_interest = self.view.interest.mask();
        let mut members = Vec::new();
        if !late && !event.flags.has(Flags::REJECTED) && !event.flags.has(Flags::SOFT_FAILED) {
            let (current, more) = self.move_extremities(&event, state, group).await?;
            rows.extend(more);
            members = self.move_state(current).await?;
        }
        let redacts = self.show(&event, target)?;
        let mut interest = before_interest | self.view.interest.mask();
        if *event.kind() == TimelineEventType::RoomMember
            && let Some(key) = event.pdu.state_key()
        {
            interest |= user_interest(self.ctx, key);
        }
        let mut step = Step::bare(event.clone(), was_outlier);
        step.groups = rows;
        step.interest = interest;
        step.members = members;
        step.redacts = redacts;
        step.closes_gap = late;
        step.gaps = gaps;
        self.steps.push(step);
        // Redactions that waited for this event are shown now, after it.
        for waiting in redactions {
            let mut shown = Step::bare(waiting, true);
            shown.interest = interest;
            self.view.push_recent(shown.event.clone());
            self.steps.push(shown);
        }
        Ok(event)
    }

    /// Events of this room by their ids, and the ids of those that aren't here.
    async fn find(
        &self,
        ids: &[OwnedEventId],
    ) -> Result<(HashMap<OwnedEventId, Arc<Event>>, Vec<OwnedEventId>), RoomError> {
        let mut found = HashMap::with_capacity(ids.len());
        let mut rest = Vec::new();
        for id in ids {
            match self.published.pending.by_id(id) {
                Some(event) => drop(found.insert(id.clone(), event)),
                None => rest.push(id.clone()),
            }
        }
        for event in self.ctx.events.many_by_ids(&rest).await? {
            found.insert(event.pdu.event_id.clone(), event);
        }
        let missing = ids.iter().filter(|id| !found.contains_key(*id)).cloned().collect();
        Ok((found, missing))
    }

    /// The same, for predecessors: what is known as an outlier only has no state to build on.
    async fn find_with_state(
        &self,
        ids: &[OwnedEventId],
    ) -> Result<(HashMap<OwnedEventId, Arc<Event>>, Vec<OwnedEventId>), RoomError> {
        let (mut found, _) = self.find(ids).await?;
        let room = self.view.info.nid;
        found.retain(|_, event| event.room == room && event.state_after.is_some());
        let missing = ids.iter().filter(|id| !found.contains_key(*id)).cloned().collect();
        Ok((found, missing))
    }

    /// The state before an event, from the states after its predecessors.
    async fn state_before(
        &self,
        event: &Event,
        prev: &HashMap<OwnedEventId, Arc<Event>>,
    ) -> Result<Before, RoomError> {
        let mut after: Vec<StateGroup> = Vec::new();
        for id in &event.pdu.prev_events {
            if let Some(group) = prev.get(id).and_then(|prev| prev.state_after)
                && !after.contains(&group)
            {
                after.push(group);
            }
        }
        self.resolve(&after).await
    }

    /// One state from several stored ones.
    async fn resolve(&self, stored: &[StateGroup]) -> Result<Before, RoomError> {
        let mut states = Vec::with_capacity(stored.len());
        let mut of_states = Vec::with_capacity(stored.len());
        for group in stored {
            let (state, group) = self.ctx.groups.get(*group).await?;
            states.push(state);
            of_states.push(group);
        }
        if states.is_empty() {
            let state = StateMap::new(self.ctx.groups.key().clone());
            return Ok(Before { state, group: None, rows: Vec::new() });
        }
        let conflict = Conflict::of(&states);
        if conflict.keys.is_empty() {
            let state = states.swap_remove(0);
            return Ok(Before { state, group: of_states.first().copied(), rows: Vec::new() });
        }
        let known = self.with_auth_chains(&states).await?;
        let rules = &self.view.info.rules;
        let resolved = resolve::resolve(rules, &states, &conflict, &known)?;
        let dropped = states
            .iter()
            .map(|state| state.count(Membership::Join))
            .min()
            .unwrap_or(0)
            .saturating_sub(resolved.count(Membership::Join));
        if dropped > 0 {
            metrics::counter!("landbridge_state_resolution_dropped_members")
                .increment(dropped.into());
            tracing::warn!(room = %self.view.info.id, dropped, "a state resolution took members out of the room");
        }
        self.stored(resolved, &states, &of_states).await
    }

    /// Finds the stored form of a state among its parents and in the database, or makes one.
    async fn stored(
        &self,
        state: StateMap,
        parents: &[StateMap],
        groups: &[Group],
    ) -> Result<Before, RoomError> {
        let same = parents.iter().position(|parent| *parent == state);
        if let Some(index) = same {
            return Ok(Before { state, group: Some(groups[index]), rows: Vec::new() });
        }
        let room = self.view.info.nid;
        let hash = state.hash().to_bytes();
        if let Some(group) = storage::state_groups::by_hash(&self.ctx.db, room, &hash).await? {
            let (known, group) = self.ctx.groups.get(group).await?;
            if known == state {
                return Ok(Before { state, group: Some(group), rows: Vec::new() });
            }
        }
        let nearest = parents
            .iter()
            .zip(groups)
            .map(|(parent, group)| (parent.changes(&state), *group))
            .min_by_key(|(changes, _)| changes.removed.len() + changes.added.len());
        let (parent, removed, added) = match nearest {
            Some((changes, group)) => {
                let added = changes.added.iter().map(|(_, entry)| entry.nid).collect();
                (Some(group), changes.removed, added)
            }
            None => (None, Vec::new(), Vec::new()),
        };
        let (group, row) = groups::next(&self.ctx.numbers, room, parent, &removed, &added, &state);
        self.ctx.groups.remember(group, &state);
        Ok(Before { state, group: Some(group), rows: vec![row] })
    }

    /// A state that another server told, of events that are here by now; those that aren't, or were rejected, are left
    /// out of it.
    async fn state_from(&self, ids: &[OwnedEventId]) -> Result<Before, RoomError> {
        let (events, _) = self.find(ids).await?;
        let mut state = StateMap::new(self.ctx.groups.key().clone());
        for event in events.values() {
            if let Some(key) = event.pdu.state_key()
                && event.room == self.view.info.nid
                && !event.flags.has(Flags::REJECTED)
            {
                state.insert(&event.kind().to_string(), key, entry_of(event));
            }
        }
        self.stored(state, &[], &[]).await
    }

    /// All events of the states, and all that they rest on.
    async fn with_auth_chains(&self, states: &[StateMap]) -> Result<Known, RoomError> {
        let mut known = Known::new();
        let wanted: HashSet<OwnedEventId> = states
            .iter()
            .flat_map(|state| state.iter().map(|(_, entry)| entry.event_id().to_owned()))
            .collect();
        let mut seen = wanted.clone();
        let mut wanted: Vec<OwnedEventId> = wanted.into_iter().collect();
        while !wanted.is_empty() {
            let (found, _) = self.find(&wanted).await?;
            wanted.clear();
            for event in found.values() {
                let new = event.pdu.auth_events.iter().filter(|id| seen.insert((*id).clone()));
                wanted.extend(new.cloned());
            }
            known.extend(found);
        }
        Ok(known)
    }

    /// The events of a state that the rules read in whole for one event.
    async fn whole_of(&self, event: &Event, state: &StateMap) -> Result<check::Whole, RoomError> {
        let rules = &self.view.info.rules.authorization;
        let keys = check::auth_keys(
            event.kind(),
            &event.pdu.sender,
            event.pdu.state_key(),
            event.pdu.content(),
            rules,
        )
        .unwrap_or_default();
        let mut wanted: Vec<(String, String)> =
            ["m.room.create", "m.room.power_levels", "m.room.join_rules"]
                .into_iter()
                .map(|kind| (kind.to_owned(), String::new()))
                .collect();
        for (kind, key) in keys {
            let kind = kind.to_string();
            if kind == "m.room.third_party_invite" {
                wanted.push((kind, key));
            }
        }
        let mut whole = check::Whole::new();
        for (kind, key) in wanted {
            if let Some(nid) = state.nid(&kind, &key) {
                let event = self.event(nid).await?;
                whole.insert((kind, key), event);
            }
        }
        Ok(whole)
    }

    /// Puts an accepted event at the end of the DAG. What it follows on is no end any more; neither is what lies behind
    /// predecessors that nobody may see. Gives the room's new current state.
    async fn move_extremities(
        &mut self,
        event: &Arc<Event>,
        after: StateMap,
        group: Option<Group>,
    ) -> Result<(Before, Vec<GroupRow>), RoomError> {
        let mut covered: HashSet<OwnedEventId> = event.pdu.prev_events.iter().cloned().collect();
        let mut open: Vec<OwnedEventId> = event.pdu.prev_events.clone();
        let mut followed = 0;
        while let Some(id) = open.pop() {
            let Some(prev) = self.event_by_id(&id).await? else { continue };
            let unseen = prev.flags.has(Flags::REJECTED) || prev.flags.has(Flags::SOFT_FAILED);
            if unseen && followed < MOST_UNSEEN {
                followed += 1;
                for id in &prev.pdu.prev_events {
                    if covered.insert(id.clone()) {
                        open.push(id.clone());
                    }
                }
            }
        }
        let mut ends: Vec<Extremity> = self
            .view
            .extremities
            .iter()
            .filter(|end| !covered.contains(&end.reference.id))
            .cloned()
            .collect();
        ends.push(Extremity {
            nid: event.nid,
            depth: event.pdu.depth,
            reference: Reference::to(&event.pdu, &self.view.info.rules)?,
            group: event.state_after,
        });
        if ends.len() > MOST_EXTREMITIES {
            ends.sort_by_key(|end| std::cmp::Reverse(end.depth));
            ends.truncate(MOST_EXTREMITIES);
        }
        self.view.depth = self.view.depth.max(event.pdu.depth);
        let current = if ends.len() == 1 {
            Before { state: after, group, rows: Vec::new() }
        } else {
            let mut states: Vec<StateGroup> = Vec::new();
            for group in ends.iter().filter_map(|end| end.group) {
                if !states.contains(&group) {
                    states.push(group);
                }
            }
            self.resolve(&states).await?
        };
        self.view.extremities = Arc::new(ends);
        let Before { state, group, rows } = current;
        Ok((Before { state, group, rows: Vec::new() }, rows))
    }

    /// Makes a state the current one; what follows from it follows.
    async fn move_state(
        &mut self,
        current: Before,
    ) -> Result<Vec<(String, Membership, EventNid)>, RoomError> {
        let changes = self.view.state.changes(&current.state);
        let mut members = Vec::new();
        for (key, entry) in &changes.added {
            if let Some(membership) = entry.membership {
                let old = self.view.state.get(key.kind(), key.key()).and_then(|old| old.membership);
                self.count_member(key.key(), old, membership);
                members.push((key.key().to_owned(), membership, entry.nid));
            }
        }
        for key in &changes.gone {
            if let Some(old) = self.view.state.get(key.kind(), key.key())
                && old.membership.is_some()
            {
                let nid = old.nid;
                let was = old.membership;
                self.count_member(key.key(), was, Membership::Leave);
                members.push((key.key().to_owned(), Membership::Leave, nid));
            }
        }
        self.view.state = current.state;
        self.view.group = current.group;
        for (key, entry) in &changes.added {
            if key.key().is_empty() && super::snapshot::Core::KINDS.contains(&key.kind()) {
                let event = self.event(entry.nid).await?;
                self.view.set_core(&event);
            }
        }
        for key in changes.gone.iter().filter(|key| key.key().is_empty()) {
            self.view.clear_core(key.kind());
        }
        Ok(members)
    }

    /// What an incoming redaction may be applied to. One whose target isn't here yet waits, unseen, for it; one that
    /// isn't allowed is never shown.
    async fn target_of(&self, event: &mut Event) -> Result<Option<Arc<Event>>, RoomError> {
        let Some(id) = event.pdu.redacts.clone() else { return Ok(None) };
        if !event.flags.is_shown() {
            return Ok(None);
        }
        let target = self.event_by_id(&id).await?;
        let power = self.view.power_levels().map(|power| &**power);
        let target = target.filter(|target| redaction::is_allowed(event, target, power));
        if target.is_none() {
            event.flags = event.flags.with(Flags::HIDDEN);
        }
        Ok(target)
    }

    /// Applies redactions that came before the event itself; gives those that may now be shown.
    async fn redactions_before(&self, event: &mut Event) -> Result<Vec<Arc<Event>>, RoomError> {
        let id: &EventId = &event.pdu.event_id;
        let room = self.view.info.nid;
        let waiting = storage::events::redactions_of(&self.ctx.db, room, id.as_str()).await?;
        let power = self.view.power_levels().map(|power| &**power);
        for redaction in self.ctx.events.many(&waiting).await? {
            let hidden_only = Flags(redaction.flags.0 & !Flags::HIDDEN.0).is_shown();
            if hidden_only && redaction::is_allowed(&redaction, event, power) {
                let shown = Arc::new(redaction.unhidden());
                event.pdu = crate::event::redact(&event.pdu, &self.view.info.rules)?;
                event.flags = event.flags.with(Flags::REDACTED);
                event.sticky_until = None;
                event.redacted_because = Some(shown.clone());
                return Ok(vec![shown]);
            }
        }
        Ok(Vec::new())
    }
}
