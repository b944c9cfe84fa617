//! Builds events upon a room as it will be once everything before them is durable.

use std::{collections::HashMap, sync::Arc};

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, EventId, OwnedEventId, UserId,
    events::{StateEventType, TimelineEventType},
};

use serde_json::value::RawValue;

use super::{
    Draft, Interest, Membership, RoomError, RoomInfo, RoomSnapshot, check,
    context::Context,
    groups,
    redaction::{self, BeforeAndAfter},
    resolve::entry_of,
    snapshot::Extremity,
    unit::{Published, Step},
};
use crate::{
    event::{Event, Flags, MAX_PDU_BYTES, Pdu, Reference, Template, TxnEcho, canonical_object},
    nid::EventNid,
};

/// The most predecessors of an event (room versions, "Event format").
const MAX_PREV_EVENTS: usize = 20;

/// How deep content may be nested; JSON parsers stop at 128.
const MAX_NESTING: usize = 100;

/// The greatest depth that canonical JSON can say.
const MAX_DEPTH: i64 = (1 << 53) - 1;

/// The most forward extremities before a room merges them.
const MERGE_ABOVE: usize = 10;

/// The type of the events that merge extremities; other servers know it, and hide it too.
const MERGE: &str = "org.matrix.dummy_event";

/// What became of a draft.
pub(super) enum Appended {
    /// A new event.
    New(Arc<Event>),
    /// The state was so already.
    Same(Arc<Event>),
}

/// Builds on `view`; what is built gathers in `steps`.
pub(super) struct Builder<'a> {
    pub(super) ctx: &'a Context,
    pub(super) published: &'a Published,
    pub(super) view: RoomSnapshot,
    pub(super) steps: Vec<Step>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(ctx: &'a Context, published: &'a Published, view: &RoomSnapshot) -> Self {
        Self { ctx, published, view: view.without_head(), steps: Vec::new() }
    }

    fn info(&self) -> &Arc<RoomInfo> {
        &self.view.info
    }

    /// Builds, checks and signs one event of a local user.
    pub(super) async fn append(&mut self, mut draft: Draft) -> Result<Appended, RoomError> {
        if draft.content.get().len() > MAX_PDU_BYTES {
            return Err(RoomError::TooLarge(
                "the content alone is larger than an event may be".to_owned(),
            ));
        }
        let content = client_content(&draft.content, draft.ts)?;
        if draft.kind == TimelineEventType::RoomRedaction && draft.redacts.is_none() {
            // Clients of newer room versions say it in the content, whatever the room's version.
            let id = content.get("redacts").and_then(CanonicalJsonValue::as_str);
            draft.redacts = id.and_then(|id| EventId::parse(id).ok());
        }
        sensible(&draft, &content)?;
        self.must_be_open(&draft, &content)?;
        self.may_relate(&draft, &content).await?;
        if let Some(same) = self.same_state(&draft, &content).await? {
            return Ok(Appended::Same(same));
        }
        let info = self.info().clone();
        let rules = &info.rules.authorization;
        let keys = check::auth_keys(
            &draft.kind,
            &draft.sender,
            draft.state_key.as_deref(),
            &draft.content,
            rules,
        )
        .map_err(RoomError::BadJson)?;
        // Most refusals cost no signature.
        let plain = self.plain(&draft);
        if let Some(Err(why)) = plain {
            return Err(RoomError::Forbidden(why));
        }
        let target = match &draft.redacts {
            Some(id) => self.redaction_target(id, &draft).await?,
            None => None,
        };
        let pdu = self.build(draft.kind.clone(), &draft, content, &keys).await?;
        let mut event = Event::new(self.ctx.numbers.event(), info.nid, pdu);
        event.sticky_until = event.pdu.sticky_until(self.ctx.clock.now_ms());
        event.txn = draft.txn.map(|txn| TxnEcho { scope: txn.scope, id: txn.id });
        if draft.kind.to_string() == MERGE {
            event.flags = event.flags.with(Flags::HIDDEN);
        }
        if plain.is_none() {
            let whole = self.whole(&keys).await?;
            check::by_state(&event, &self.view.state, &whole, rules)
                .map_err(RoomError::Forbidden)?;
            if *event.kind() == TimelineEventType::RoomCreate {
                check::by_auth_events(&event, |_| None, rules).map_err(RoomError::Forbidden)?;
            }
        }
        self.accept(event, target)
    }

    /// Refuses to let anybody into a blocked room.
    fn must_be_open(&self, draft: &Draft, content: &CanonicalJsonObject) -> Result<(), RoomError> {
        let info = self.info();
        if draft.kind != TimelineEventType::RoomMember || !self.ctx.is_blocked(&info.id) {
            return Ok(());
        }
        let membership = content.get("membership").and_then(CanonicalJsonValue::as_str);
        let inside = draft
            .state_key
            .as_deref()
            .and_then(|key| <&UserId>::try_from(key).ok().map(|user| self.view.is_joined(user)));
        if matches!(membership, Some("join" | "invite" | "knock")) && inside != Some(true) {
            return Err(RoomError::Forbidden("this room is blocked on this server".to_owned()));
        }
        Ok(())
    }

    /// The quick check, where it applies.
    fn plain(&self, draft: &Draft) -> Option<Result<(), String>> {
        let (power, create) = (self.view.power_levels()?, self.view.create_event()?);
        check::plain(
            &draft.kind,
            &draft.sender,
            draft.state_key.as_deref(),
            &self.view.state,
            power,
            create,
        )
    }

    async fn build(
        &self,
        kind: TimelineEventType,
        draft: &Draft,
        content: CanonicalJsonObject,
        keys: &[(StateEventType, String)],
    ) -> Result<Pdu, RoomError> {
        let info = self.info();
        let mut auth_events = Vec::with_capacity(keys.len());
        for (kind, key) in keys {
            if let Some(entry) = self.view.state.get(&kind.to_string(), key) {
                auth_events.push(self.reference(entry.nid, entry.event_id()).await?);
            }
        }
        let mut newest: Vec<&Extremity> = self.view.extremities.iter().collect();
        newest.sort_by_key(|extremity| std::cmp::Reverse(extremity.depth));
        newest.truncate(MAX_PREV_EVENTS);
        let depth = newest.first().map_or(1, |extremity| (extremity.depth + 1).min(MAX_DEPTH));
        let in_v12 = info.rules.authorization.room_create_event_id_as_room_id;
        let template = Template {
            room_id: (!in_v12 || kind != TimelineEventType::RoomCreate).then(|| info.id.clone()),
            sender: draft.sender.clone(),
            kind,
            state_key: draft.state_key.clone(),
            content,
            origin_server_ts: draft.ts.unwrap_or_else(|| self.ctx.clock.now_ms()),
            depth,
            prev_events: newest.into_iter().map(|extremity| extremity.reference.clone()).collect(),
            auth_events,
            redacts: draft.redacts.clone(),
            sticky: draft.sticky,
        };
        Ok(template.build(&info.rules, &self.ctx.key)?)
    }

    /// A reference to an event; the event itself is only needed where its hash stands beside its id.
    async fn reference(&self, nid: EventNid, id: &EventId) -> Result<Reference, RoomError> {
        use ruma::room_version_rules::EventsReferenceFormatVersion as Format;
        if self.info().rules.events_reference_format != Format::V1 {
            return Ok(Reference { id: id.to_owned(), hash: None });
        }
        let event = self.event(nid).await?;
        Ok(Reference::to(&event.pdu, &self.info().rules)?)
    }

    /// An event of this room, durable or not.
    pub(super) async fn event(&self, nid: EventNid) -> Result<Arc<Event>, RoomError> {
        if let Some(event) = self.view.core.all().find(|event| event.nid == nid) {
            return Ok(event.clone());
        }
        if let Some(event) = self.published.pending.get(nid) {
            return Ok(event);
        }
        let event = self.ctx.events.get(nid).await?;
        event.ok_or_else(|| RoomError::Storage(format!("event {nid} is missing")))
    }

    /// An event of any room, by its id.
    pub(super) async fn event_by_id(&self, id: &EventId) -> Result<Option<Arc<Event>>, RoomError> {
        if let Some(event) = self.published.pending.by_id(id) {
            return Ok(Some(event));
        }
        Ok(self.ctx.events.by_id(id).await?)
    }

    /// The events of the current state that the rules read in whole.
    pub(super) async fn whole(
        &self,
        keys: &[(StateEventType, String)],
    ) -> Result<check::Whole, RoomError> {
        let mut whole: check::Whole = HashMap::new();
        for event in self.view.core.all() {
            whole.insert((event.kind().to_string(), String::new()), event.clone());
        }
        for (kind, key) in
            keys.iter().filter(|(kind, _)| *kind == StateEventType::RoomThirdPartyInvite)
        {
            if let Some(nid) = self.view.state.nid(&kind.to_string(), key) {
                whole.insert((kind.to_string(), key.clone()), self.event(nid).await?);
            }
        }
        Ok(whole)
    }

    /// The current state event that says the same by the same sender already.
    async fn same_state(
        &self,
        draft: &Draft,
        content: &CanonicalJsonObject,
    ) -> Result<Option<Arc<Event>>, RoomError> {
        let Some(key) = &draft.state_key else { return Ok(None) };
        let Some(nid) = self.view.state.nid(&draft.kind.to_string(), key) else { return Ok(None) };
        let event = self.event(nid).await?;
        let same = event.pdu.sender == draft.sender
            && canonical_object(event.pdu.content().get()).is_ok_and(|known| known == *content);
        Ok(same.then_some(event))
    }

    /// What a local user redacts: allowed to those with the power, and to everyone for their own events.
    async fn redaction_target(
        &self,
        id: &OwnedEventId,
        draft: &Draft,
    ) -> Result<Option<Arc<Event>>, RoomError> {
        let target = self.event_by_id(id).await?.filter(|event| event.room == self.info().nid);
        let power = self.view.power_levels();
        let own = target.as_ref().is_some_and(|event| event.pdu.sender == draft.sender);
        if !own && power.is_none_or(|power| power.user(&draft.sender) < power.redact) {
            return Err(RoomError::Forbidden(
                "you don't have the power to redact what others sent".to_owned(),
            ));
        }
        if target.as_ref().is_some_and(|event| *event.kind() == TimelineEventType::RoomCreate) {
            return Err(RoomError::Forbidden("a room's create event can't be redacted".to_owned()));
        }
        Ok(target)
    }

    /// Takes an event that follows on all extremities into the view.
    fn accept(
        &mut self,
        mut event: Event,
        target: Option<Arc<Event>>,
    ) -> Result<Appended, RoomError> {
        let before = self.view.interest.mask();
        event.state_before = self.view.group.map(|group| group.nid);
        let mut groups = Vec::new();
        let mut members = Vec::new();
        let mut interest = before;
        if let Some(key) = event.pdu.state_key.clone() {
            let kind = event.kind().to_string();
            let entry = entry_of(&event);
            let membership = entry.membership;
            let old = self.view.state.insert(&kind, &key, entry.clone());
            event.replaces = old.as_ref().map(|old| old.nid);
            let removed: Vec<EventNid> = event.replaces.into_iter().collect();
            let (group, row) = groups::next(
                &self.ctx.numbers,
                event.room,
                self.view.group,
                &removed,
                &[event.nid],
                &self.view.state,
            );
            self.ctx.groups.remember(group, &self.view.state);
            self.view.group = Some(group);
            groups.push(row);
            if let Some(membership) = membership {
                self.count_member(&key, old.and_then(|old| old.membership), membership);
                interest |= user_interest(self.ctx, &key);
                members.push((key, membership, event.nid));
            }
        }
        event.state_after = self.view.group.map(|group| group.nid);
        let event = Arc::new(event);
        if event.is_state() {
            self.view.set_core(&event);
        }
        self.view.depth = self.view.depth.max(event.pdu.depth);
        self.view.extremities = Arc::new(vec![Extremity {
            nid: event.nid,
            depth: event.pdu.depth,
            reference: Reference::to(&event.pdu, &self.view.info.rules)?,
            group: event.state_after,
        }]);
        let redacts = self.show(&event, target)?;
        self.published.pending.insert(&event);
        let mut step = Step::bare(event.clone(), false);
        step.groups = groups;
        step.interest = interest | self.view.interest.mask();
        step.members = members;
        step.redacts = redacts;
        self.steps.push(step);
        Ok(Appended::New(event))
    }

    /// Puts an event before those who look at the room, and what it leaves of its target.
    pub(super) fn show(
        &mut self,
        event: &Arc<Event>,
        target: Option<Arc<Event>>,
    ) -> Result<Option<BeforeAndAfter>, RoomError> {
        if event.flags.is_shown() {
            self.view.push_recent(event.clone());
        }
        let Some(target) = target else { return Ok(None) };
        let redacts = redaction::apply(&target, event, &self.view.info.rules)?;
        if let Some((_, after)) = &redacts {
            self.view.replace(after);
        }
        Ok(redacts)
    }

    /// Where branches have piled up, ties them together with an event that nobody sees, so that the next ones have one
    /// state to resolve and not many. Any local user who may send it does.
    pub(super) async fn merge_extremities(&mut self) -> Result<(), RoomError> {
        if self.view.extremities.len() <= MERGE_ABOVE {
            return Ok(());
        }
        let Some(power) = self.view.power_levels().cloned() else { return Ok(()) };
        let sender = self.view.state.members().find_map(|(user, entry)| {
            let user = <&UserId>::try_from(user).ok()?;
            let may = entry.membership == Some(Membership::Join)
                && user.server_name() == self.ctx.server
                && power.may_send(user, MERGE, false);
            may.then(|| user.to_owned())
        });
        if let Some(sender) = sender {
            let content = RawValue::from_string("{}".to_owned()).expect("an empty object is JSON");
            self.append(Draft::message(sender, MERGE.into(), content)).await?;
        }
        Ok(())
    }

    /// Counts a change of membership for the appservices' interest.
    pub(super) fn count_member(&mut self, user: &str, old: Option<Membership>, new: Membership) {
        let (was, is) = (old == Some(Membership::Join), new == Membership::Join);
        if was != is {
            self.view.interest.change(&*self.ctx.interest, user, is);
        }
    }

    /// Gives up what was built.
    pub(super) fn abandon(self) {
        for step in &self.steps {
            self.published.pending.remove(&step.event);
        }
    }
}

/// The appservices interested in a user.
pub(super) fn user_interest(ctx: &Context, user: &str) -> Interest {
    <&ruma::UserId>::try_from(user).map_or(Interest::EMPTY, |user| ctx.interest.of_user(user))
}

/// Content that a client gave: not too deep to be read back as part of an event, and with a time that canonical JSON
/// can say.
pub(super) fn client_content(
    content: &RawValue,
    ts: Option<i64>,
) -> Result<CanonicalJsonObject, RoomError> {
    if ts.is_some_and(|ts| !(0..=MAX_DEPTH).contains(&ts)) {
        return Err(RoomError::InvalidParam("the timestamp is out of range".to_owned()));
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in content.get().bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Err(RoomError::BadJson("the content is nested too deeply".to_owned()));
        }
    }
    Ok(canonical_object(content.get())?)
}

/// What a local client may not send though the rules of the room would let it.
fn sensible(draft: &Draft, content: &CanonicalJsonObject) -> Result<(), RoomError> {
    match draft.kind {
        TimelineEventType::RoomPowerLevels => integers_only(content),
        TimelineEventType::RoomMember if draft.state_key.is_some() => {
            let membership = content.get("membership").and_then(CanonicalJsonValue::as_str);
            if membership.and_then(Membership::parse).is_none() {
                return Err(RoomError::BadJson("`membership` is missing or unknown".to_owned()));
            }
            Ok(())
        }
        TimelineEventType::RoomRedaction if draft.redacts.is_none() => {
            Err(RoomError::BadJson("a redaction must say what it redacts".to_owned()))
        }
        _ => Ok(()),
    }
}

/// No new power levels as strings, even where the room version still reads them (Server-Server API, "Definitions").
fn integers_only(content: &CanonicalJsonObject) -> Result<(), RoomError> {
    const TABLES: [&str; 3] = ["users", "events", "notifications"];
    const LEVELS: [&str; 7] =
        ["users_default", "events_default", "state_default", "ban", "kick", "redact", "invite"];
    let wrong = |name: &str| Err(RoomError::BadJson(format!("`{name}` must be an integer")));
    for name in LEVELS {
        if content.get(name).is_some_and(|level| !level.is_integer()) {
            return wrong(name);
        }
    }
    for name in TABLES {
        match content.get(name) {
            None => {}
            Some(CanonicalJsonValue::Object(table)) => {
                if let Some((key, _)) = table.iter().find(|(_, level)| !level.is_integer()) {
                    return wrong(&format!("{name}.{key}"));
                }
            }
            Some(_) => {
                return Err(RoomError::BadJson(format!("`{name}` must be an object of integers")));
            }
        }
    }
    Ok(())
}
