//! Imported history (`com.beeper.batch_sending`): events that stand in the timeline and outside the DAG.
//!
//! They are stored under the ids that the bridge gives, keep their senders and times, and are served like any other
//! event. They are never an extremity, an auth event or state, and never leave this server.

use std::{collections::HashSet, sync::Arc};

use ruma::{OwnedEventId, OwnedUserId, events::TimelineEventType};
use serde_json::value::RawValue;

use super::{
    Interest, Room, RoomError,
    builder::{Builder, client_content},
    task::Request,
    unit::{Placing, Step},
};
use crate::{
    event::{Event, Flags, MAX_PDU_BYTES, Pdu, Template},
    storage,
};

/// The most events of one import.
pub const MOST_IMPORTED: usize = 2_000;

/// One event of an import.
#[derive(Clone, Debug)]
pub struct ImportEvent {
    /// Its id; one of ours if the bridge gives none.
    pub event_id: Option<OwnedEventId>,
    /// Who sent it.
    pub sender: OwnedUserId,
    /// Its type.
    pub kind: TimelineEventType,
    /// Its content.
    pub content: Box<RawValue>,
    /// When it was sent, in ms since 1970.
    pub ts: i64,
}

/// Where an import goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// After everything that is there; clients see it arrive.
    Forward,
    /// Before the first message, imported ones included; clients see it when they page back to it.
    Backward {
        /// Forward instead, if the room has no message yet.
        forward_if_empty: bool,
    },
}

/// History to be imported, oldest first.
#[derive(Clone, Debug)]
pub struct Import {
    /// The events, oldest first.
    pub events: Vec<ImportEvent>,
    /// Where they go.
    pub direction: Direction,
    /// Whether those that arrive at the end notify people.
    pub notify: bool,
    /// The appservice that imports: it isn't sent what it brought.
    pub by: Interest,
}

impl Room {
    /// Imports history; durable when it returns. Gives the ids in the order of the events. Events whose id is in the
    /// room already are left as they are, so that an import can be repeated.
    pub async fn import(&self, import: Import) -> Result<Vec<OwnedEventId>, RoomError> {
        if import.events.len() > MOST_IMPORTED {
            return Err(RoomError::InvalidParam(format!(
                "more than {MOST_IMPORTED} events in one batch"
            )));
        }
        let import = Arc::new(import);
        self.ask(|reply| Request::Import { import, reply }).await
    }
}

impl Builder<'_> {
    /// Takes history into the view; gives the ids, and where the new ones go.
    pub(super) async fn import(
        &mut self,
        import: &Import,
    ) -> Result<(Vec<OwnedEventId>, Placing), RoomError> {
        let placing = match import.direction {
            Direction::Forward => Placing::Live,
            Direction::Backward { forward_if_empty: true } if !self.has_messages().await? => {
                Placing::Live
            }
            Direction::Backward { .. } => Placing::BeforeMessages,
        };
        let mut ids = Vec::with_capacity(import.events.len());
        let mut seen: HashSet<OwnedEventId> = HashSet::new();
        for event in &import.events {
            if let Some(id) = &event.event_id
                && (seen.contains(id) || self.is_here(id).await?)
            {
                ids.push(id.clone());
                continue;
            }
            let pdu = self.pdu(event)?;
            let id = pdu.event_id.clone();
            seen.insert(id.clone());
            ids.push(id);
            let mut event = Event::new(self.ctx.numbers.event(), self.view.info.nid, pdu);
            event.flags = Flags::IMPORTED;
            if import.notify {
                event.flags = event.flags.with(Flags::NOTIFIES);
            }
            let event = Arc::new(event);
            self.published.pending.insert(&event);
            if placing == Placing::Live {
                self.view.push_recent(event.clone());
            }
            let mut step = Step::bare(event, false);
            step.interest = self.view.interest.mask().without(import.by);
            self.steps.push(step);
        }
        Ok((ids, placing))
    }

    /// Whether anything but state stands in the timeline.
    async fn has_messages(&self) -> Result<bool, RoomError> {
        if self.view.recent.iter().any(|event| !event.is_state()) {
            return Ok(true);
        }
        let room = self.view.info.nid;
        Ok(storage::timeline_import::has_messages(&self.ctx.db, room).await?)
    }

    /// Whether an id is taken: by an event of this room, which is fine, or of another one, which isn't.
    async fn is_here(&self, id: &OwnedEventId) -> Result<bool, RoomError> {
        match self.event_by_id(id).await? {
            None => Ok(false),
            Some(event) if event.room == self.view.info.nid => Ok(true),
            Some(_) => Err(RoomError::InvalidParam(format!("{id} is an event of another room"))),
        }
    }

    fn pdu(&self, event: &ImportEvent) -> Result<Pdu, RoomError> {
        if event.content.get().len() > MAX_PDU_BYTES {
            return Err(RoomError::TooLarge(
                "the content alone is larger than an event may be".to_owned(),
            ));
        }
        let template = Template {
            room_id: Some(self.view.info.id.clone()),
            sender: event.sender.clone(),
            kind: event.kind.clone(),
            state_key: None,
            content: client_content(&event.content, Some(event.ts))?,
            origin_server_ts: event.ts,
            depth: 0,
            prev_events: Vec::new(),
            auth_events: Vec::new(),
            redacts: None,
            sticky: None,
        };
        let mut pdu = template.build(&self.view.info.rules, &self.ctx.key)?;
        if let Some(id) = &event.event_id {
            if id.as_str().len() > crate::event::ID_MAX_BYTES {
                return Err(RoomError::TooLarge("an event id is too long".to_owned()));
            }
            pdu.event_id = id.clone();
        }
        Ok(pdu)
    }
}
