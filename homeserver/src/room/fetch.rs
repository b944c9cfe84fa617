//! Events that others refer to and this server lacks: where they come from.

use async_trait::async_trait;
use ruma::{EventId, OwnedEventId, RoomId, room_version_rules::RoomVersionRules};

use crate::event::Received;

/// The most events that are fetched for one event that came in (Server-Server API, "Retrieving missing events").
pub(super) const MOST_MISSING: usize = 200;

/// Gets events from other servers. What it gives back has passed [`crate::event::verify()`].
#[async_trait]
pub trait MissingEvents: Send + Sync {
    /// The events between `earliest`, which this server has, and `latest`, which refer to what it lacks; oldest first,
    /// `latest` not among them (`/get_missing_events`).
    async fn between(
        &self,
        room: &RoomId,
        rules: &RoomVersionRules,
        earliest: &[OwnedEventId],
        latest: &[OwnedEventId],
    ) -> Vec<Received>;

    /// Single events by their ids, such as auth events (`/event`).
    async fn events(
        &self,
        room: &RoomId,
        rules: &RoomVersionRules,
        ids: &[OwnedEventId],
    ) -> Vec<Received>;

    /// The ids of the state before an event, as a server that has it says (`/state_ids`).
    async fn state_before(&self, room: &RoomId, event: &EventId) -> Option<Vec<OwnedEventId>>;
}

/// A server that talks to no other: what is missing stays missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoOtherServers;

#[async_trait]
impl MissingEvents for NoOtherServers {
    async fn between(
        &self,
        _: &RoomId,
        _: &RoomVersionRules,
        _: &[OwnedEventId],
        _: &[OwnedEventId],
    ) -> Vec<Received> {
        Vec::new()
    }

    async fn events(&self, _: &RoomId, _: &RoomVersionRules, _: &[OwnedEventId]) -> Vec<Received> {
        Vec::new()
    }

    async fn state_before(&self, _: &RoomId, _: &EventId) -> Option<Vec<OwnedEventId>> {
        None
    }
}
