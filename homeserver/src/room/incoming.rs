//! The way in for events of other servers: what they refer to and isn't here is brought first.

use ruma::OwnedEventId;

use super::{
    Room, RoomError,
    fetch::MOST_MISSING,
    receive::{Incoming, Verdict},
    task::Request,
};
use crate::event::{Flags, Pdu, Received, ServerKeys, verify};

/// The most entries of a state that another server may tell.
const MOST_STATE: usize = 200_000;

/// What became of an event of another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is part of the room, or was before.
    Accepted,
    /// It is kept, but nobody sees it (Server-Server API, "Soft failure").
    SoftFailed,
    /// It is kept so that others that refer to it can be judged, and has no effect ("Rejection").
    Rejected,
    /// It can't be judged, because these events can't be had; it was not kept.
    Incomplete(Vec<OwnedEventId>),
}

/// An event that is to be judged, and how far the search for what it needs has come.
struct Wanted {
    pdu: Pdu,
    as_outlier: bool,
    state: Option<Vec<OwnedEventId>>,
    search: Search,
}

/// The ways to get what an event needs, one after the other.
#[derive(Clone, Copy)]
enum Search {
    Between,
    AuthEvents,
    StateBefore,
    Over,
}

impl Wanted {
    const fn new(pdu: Pdu, as_outlier: bool) -> Self {
        Self { pdu, as_outlier, state: None, search: Search::Between }
    }
}

impl Room {
    /// Takes in an event as another server sent it: form, signatures and hash are checked first, outside of the room's
    /// task. Durable when this returns.
    pub async fn receive(&self, raw: &str, keys: &ServerKeys) -> Result<Outcome, RoomError> {
        let received = verify(raw, self.rules(), keys)
            .map_err(|error| RoomError::BadJson(error.to_string()))?;
        self.receive_verified(received).await
    }

    /// Takes in an event that has passed [`verify()`].
    pub async fn receive_verified(&self, received: Received) -> Result<Outcome, RoomError> {
        if received.pdu.room_id != self.id() {
            return Err(RoomError::InvalidParam("the event is of another room".to_owned()));
        }
        let mut budget = MOST_MISSING;
        let mut stack = vec![Wanted::new(received.pdu, false)];
        loop {
            let Some(top) = stack.last() else { return Err(RoomError::NotFound) };
            let incoming = Box::new(Incoming {
                pdu: top.pdu.clone(),
                as_outlier: top.as_outlier,
                state: top.state.clone(),
            });
            match self.ask(|reply| Request::Receive { incoming, reply }).await? {
                Verdict::Decided(event) | Verdict::Known(event) => {
                    stack.pop();
                    if stack.is_empty() {
                        return Ok(outcome(event.flags));
                    }
                }
                Verdict::Missing { auth, prev } => {
                    if !self.search(&mut stack, &mut budget, &auth, &prev).await? {
                        // It can't be judged; those that wanted it may do without.
                        stack.pop();
                        if stack.is_empty() {
                            return Ok(Outcome::Incomplete([auth, prev].concat()));
                        }
                    }
                }
            }
        }
    }

    /// Brings what the top of the stack lacks onto the stack; false when there is no way left to try.
    async fn search(
        &self,
        stack: &mut Vec<Wanted>,
        budget: &mut usize,
        auth: &[OwnedEventId],
        prev: &[OwnedEventId],
    ) -> Result<bool, RoomError> {
        let Some(top) = stack.last_mut() else { return Ok(false) };
        let (missing, rules) = (self.0.ctx.missing.clone(), self.rules());
        let search = top.search;
        let (found, as_outlier) = match search {
            Search::Between => {
                top.search = Search::AuthEvents;
                if prev.is_empty() {
                    return Ok(true);
                }
                let snapshot = self.snapshot();
                let ends: Vec<OwnedEventId> =
                    snapshot.extremities.iter().map(|end| end.reference.id.clone()).collect();
                let latest = [top.pdu.event_id.clone()];
                let mut found = missing.between(self.id(), rules, &ends, &latest).await;
                // They come oldest first, and the oldest must lie on top of the stack.
                found.reverse();
                (found, false)
            }
            Search::AuthEvents => {
                top.search = Search::StateBefore;
                if auth.is_empty() {
                    return Ok(true);
                }
                (missing.events(self.id(), rules, auth).await, true)
            }
            Search::StateBefore => {
                top.search = Search::Over;
                if prev.is_empty() || top.as_outlier {
                    return Ok(false);
                }
                let state = missing.state_before(self.id(), &top.pdu.event_id).await;
                let Some(state) = state.filter(|state| state.len() <= MOST_STATE) else {
                    return Ok(false);
                };
                top.state = Some(state.clone());
                let here = self.0.ctx.events.many_by_ids(&state).await?;
                let here: std::collections::HashSet<&OwnedEventId> =
                    here.iter().map(|event| &event.pdu.event_id).collect();
                let lacking: Vec<OwnedEventId> =
                    state.iter().filter(|id| !here.contains(id)).cloned().collect();
                (missing.events(self.id(), rules, &lacking).await, true)
            }
            Search::Over => return Ok(false),
        };
        for Received { pdu, .. } in found {
            let new = pdu.room_id == self.id()
                && !stack.iter().any(|wanted| wanted.pdu.event_id == pdu.event_id);
            let free = matches!(search, Search::StateBefore);
            if new && (free || *budget > 0) {
                *budget -= usize::from(!free);
                stack.push(Wanted::new(pdu, as_outlier));
            }
        }
        Ok(true)
    }
}

const fn outcome(flags: Flags) -> Outcome {
    if flags.has(Flags::REJECTED) {
        Outcome::Rejected
    } else if flags.has(Flags::SOFT_FAILED) {
        Outcome::SoftFailed
    } else {
        Outcome::Accepted
    }
}
