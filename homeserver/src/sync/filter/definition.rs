//! Filters as clients write them. Unknown keys are ignored, as the specification has it for all requests.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
pub(super) struct FilterDefinition {
    pub(super) event_fields: Option<Vec<String>>,
    pub(super) event_format: Option<String>,
    pub(super) presence: Option<EventDefinition>,
    pub(super) account_data: Option<EventDefinition>,
    pub(super) room: Option<RoomDefinition>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RoomDefinition {
    pub(super) rooms: Option<Vec<String>>,
    pub(super) not_rooms: Option<Vec<String>>,
    #[serde(default)]
    pub(super) include_leave: bool,
    pub(super) ephemeral: Option<RoomEventDefinition>,
    pub(super) state: Option<RoomEventDefinition>,
    pub(super) timeline: Option<RoomEventDefinition>,
    pub(super) account_data: Option<RoomEventDefinition>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct EventDefinition {
    pub(super) limit: Option<i64>,
    pub(super) types: Option<Vec<String>>,
    pub(super) not_types: Option<Vec<String>>,
    pub(super) senders: Option<Vec<String>>,
    pub(super) not_senders: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RoomEventDefinition {
    #[serde(flatten)]
    pub(super) event: EventDefinition,
    pub(super) rooms: Option<Vec<String>>,
    pub(super) not_rooms: Option<Vec<String>>,
    pub(super) contains_url: Option<bool>,
    #[serde(default)]
    pub(super) lazy_load_members: bool,
    #[serde(default)]
    pub(super) include_redundant_members: bool,
    #[serde(default)]
    pub(super) unread_thread_notifications: bool,
    /// MSC3874, which the field uses under this name.
    #[serde(rename = "org.matrix.msc3874.rel_types", alias = "rel_types")]
    pub(super) rel_types: Option<Vec<String>>,
    /// MSC3874, which the field uses under this name.
    #[serde(rename = "org.matrix.msc3874.not_rel_types", alias = "not_rel_types")]
    pub(super) not_rel_types: Option<Vec<String>>,
}
