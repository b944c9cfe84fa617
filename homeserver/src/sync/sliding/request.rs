//! What a client asks, read and checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use ruma::{OwnedRoomId, UserId};
use serde::{Deserialize, Serialize};

use super::required::Required;
use crate::http::error::{ApiError, ApiResult};

/// Lists of one connection.
const MAX_LISTS: usize = 100;
/// Bytes of a list's name.
const MAX_LIST_NAME: usize = 64;
/// Ranges of one list.
const MAX_RANGES: usize = 100;
/// Rooms that are subscribed to.
const MAX_SUBSCRIPTIONS: usize = 1_000;
/// Pairs of type and state key for one room.
const MAX_REQUIRED: usize = 500;
/// Bytes of a connection's id.
const MAX_CONN_ID: usize = 255;
/// Entries of a filter or of an extension's list.
const MAX_NAMES: usize = 1_000;
/// Subscriptions to threads in one answer.
const MAX_THREADS: i64 = 100;
/// The most events of one room in one answer.
const MAX_TIMELINE: u64 = 1_000;

/// The body of a request
/// ([MSC4186](https://github.com/matrix-org/matrix-spec-proposals/pull/4186)).
#[derive(Debug, Default, Deserialize)]
pub struct Body {
    conn_id: Option<String>,
    txn_id: Option<String>,
    lists: Option<BTreeMap<String, ListBody>>,
    room_subscriptions: Option<BTreeMap<OwnedRoomId, DetailsBody>>,
    extensions: Option<ExtensionsBody>,
}

#[derive(Debug, Deserialize)]
struct ListBody {
    ranges: Option<Vec<(u64, u64)>>,
    slow_get_all_rooms: Option<bool>,
    required_state: Option<Vec<(String, String)>>,
    timeline_limit: u64,
    filters: Option<Filters>,
}

#[derive(Debug, Deserialize)]
struct DetailsBody {
    required_state: Option<Vec<(String, String)>>,
    timeline_limit: u64,
}

#[derive(Debug, Default, Deserialize)]
struct ExtensionsBody {
    to_device: Option<ToDevice>,
    e2ee: Option<Switch>,
    account_data: Option<RoomExtension>,
    receipts: Option<RoomExtension>,
    typing: Option<RoomExtension>,
    #[serde(rename = "io.element.msc4308.thread_subscriptions")]
    threads: Option<Threads>,
    #[serde(rename = "org.matrix.msc4354.sticky_events")]
    sticky: Option<Sticky>,
}

/// What is asked of sticky events
/// ([MSC4480](https://github.com/matrix-org/matrix-spec-proposals/pull/4480)).
#[derive(Debug, Default, Deserialize)]
pub(super) struct Sticky {
    enabled: Option<bool>,
    /// How many at most.
    pub(super) limit: Option<u64>,
    /// What the client has already.
    pub(super) since: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Threads {
    enabled: Option<bool>,
    limit: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
struct Switch {
    enabled: Option<bool>,
}

/// What is asked of messages to the device.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ToDevice {
    enabled: Option<bool>,
    /// How many messages at most.
    pub(super) limit: Option<u64>,
    /// What the device has already.
    pub(super) since: Option<String>,
}

/// An extension that tells of rooms.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RoomExtension {
    enabled: Option<bool>,
    lists: Option<Vec<String>>,
    rooms: Option<Vec<String>>,
}

impl RoomExtension {
    /// Whether it tells of the rooms in a list.
    pub(super) fn wants_list(&self, name: &str) -> bool {
        self.lists
            .as_ref()
            .is_none_or(|lists| lists.iter().any(|known| known == "*" || known == name))
    }

    /// Whether it tells of a room that is subscribed to.
    pub(super) fn wants_room(&self, room: &str) -> bool {
        self.rooms
            .as_ref()
            .is_none_or(|rooms| rooms.iter().any(|known| known == "*" || known == room))
    }
}

/// Which rooms are in a list. What is absent filters nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
pub(super) struct Filters {
    pub(super) is_dm: Option<bool>,
    pub(super) spaces: Option<Vec<String>>,
    pub(super) is_encrypted: Option<bool>,
    pub(super) is_invite: Option<bool>,
    pub(super) room_types: Option<Vec<Option<String>>>,
    pub(super) not_room_types: Option<Vec<Option<String>>>,
    pub(super) tags: Option<Vec<String>>,
    pub(super) not_tags: Option<Vec<String>>,
}

impl Filters {
    fn check(&self) -> ApiResult<()> {
        let lists = [&self.spaces, &self.tags, &self.not_tags].map(|list| len(list.as_ref()));
        let types = [&self.room_types, &self.not_room_types].map(|list| len(list.as_ref()));
        if lists.into_iter().chain(types).any(|len| len > MAX_NAMES) {
            return Err(ApiError::invalid_param(format!("A filter may have {MAX_NAMES} entries")));
        }
        Ok(())
    }
}

fn len<T>(list: Option<&Vec<T>>) -> usize {
    list.map_or(0, Vec::len)
}

/// How much of a room is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Details {
    /// Events of the timeline at most.
    pub(super) limit: usize,
    /// Which state.
    pub(super) required: Required,
}

impl Details {
    fn of(
        required: Option<Vec<(String, String)>>,
        limit: u64,
        user: &UserId,
    ) -> ApiResult<Arc<Self>> {
        let required = required.unwrap_or_default();
        if required.len() > MAX_REQUIRED {
            let text = format!("required_state may have {MAX_REQUIRED} entries");
            return Err(ApiError::invalid_param(text));
        }
        let limit = usize::try_from(limit.min(MAX_TIMELINE)).unwrap_or(usize::MAX);
        Ok(Arc::new(Self { limit, required: Required::of(required, user) }))
    }

    /// Takes in what another one wants.
    pub(super) fn merge(&mut self, other: &Self) {
        self.limit = self.limit.max(other.limit);
        self.required.merge(&other.required);
    }
}

/// A list of rooms.
#[derive(Debug)]
pub(super) struct List {
    pub(super) name: String,
    /// From which to which room, both inclusive; all rooms without any.
    pub(super) ranges: Option<Vec<(usize, usize)>>,
    pub(super) details: Arc<Details>,
    pub(super) filters: Option<Filters>,
}

/// A request that was read.
#[derive(Debug)]
pub struct Request {
    pub(super) conn_id: String,
    pub(super) txn_id: Option<String>,
    pub(super) lists: Vec<List>,
    pub(super) subscriptions: Vec<(OwnedRoomId, Arc<Details>)>,
    pub(super) to_device: Option<ToDevice>,
    pub(super) e2ee: bool,
    pub(super) account_data: Option<RoomExtension>,
    pub(super) receipts: Option<RoomExtension>,
    pub(super) typing: Option<RoomExtension>,
    /// Subscriptions to threads, so many at most.
    pub(super) threads: Option<i64>,
    pub(super) sticky: Option<Sticky>,
}

impl Request {
    /// Checks the body of a user's request.
    pub fn of(body: Body, user: &UserId) -> ApiResult<Self> {
        let bad = |text: String| Err(ApiError::invalid_param(text));
        let conn_id = body.conn_id.unwrap_or_default();
        if conn_id.len() > MAX_CONN_ID {
            return bad(format!("conn_id may have {MAX_CONN_ID} bytes"));
        }
        if body.txn_id.as_ref().is_some_and(|id| id.len() > MAX_CONN_ID) {
            return bad(format!("txn_id may have {MAX_CONN_ID} bytes"));
        }
        let lists = body.lists.unwrap_or_default();
        if lists.len() > MAX_LISTS {
            return bad(format!("There may be {MAX_LISTS} lists"));
        }
        let lists: ApiResult<Vec<List>> =
            lists.into_iter().map(|(name, list)| checked(name, list, user)).collect();
        let subscriptions = body.room_subscriptions.unwrap_or_default();
        if subscriptions.len() > MAX_SUBSCRIPTIONS {
            return bad(format!("There may be {MAX_SUBSCRIPTIONS} subscriptions"));
        }
        let subscriptions: ApiResult<Vec<_>> = subscriptions
            .into_iter()
            .map(|(room, body)| {
                Ok((room, Details::of(body.required_state, body.timeline_limit, user)?))
            })
            .collect();
        let extensions = body.extensions.unwrap_or_default();
        let on = |extension: &RoomExtension| extension.enabled == Some(true);
        for extension in [&extensions.account_data, &extensions.receipts, &extensions.typing] {
            let Some(extension) = extension else { continue };
            if len(extension.lists.as_ref()).max(len(extension.rooms.as_ref())) > MAX_NAMES {
                return bad(format!("An extension may name {MAX_NAMES} lists or rooms"));
            }
        }
        Ok(Self {
            conn_id,
            txn_id: body.txn_id,
            lists: lists?,
            subscriptions: subscriptions?,
            to_device: extensions.to_device.filter(|messages| messages.enabled == Some(true)),
            e2ee: extensions.e2ee.is_some_and(|switch| switch.enabled == Some(true)),
            account_data: extensions.account_data.filter(on),
            receipts: extensions.receipts.filter(on),
            typing: extensions.typing.filter(on),
            threads: extensions
                .threads
                .filter(|threads| threads.enabled == Some(true))
                .map(|threads| threads.limit.unwrap_or(MAX_THREADS).clamp(1, MAX_THREADS)),
            sticky: extensions.sticky.filter(|sticky| sticky.enabled == Some(true)),
        })
    }
}

fn checked(name: String, list: ListBody, user: &UserId) -> ApiResult<List> {
    if name.len() > MAX_LIST_NAME {
        let text = format!("The name of a list may have {MAX_LIST_NAME} bytes");
        return Err(ApiError::invalid_param(text));
    }
    let ranges = list.ranges.filter(|_| list.slow_get_all_rooms != Some(true));
    let ranges = match ranges {
        None => None,
        Some(ranges) if ranges.len() > MAX_RANGES => {
            let text = format!("A list may have {MAX_RANGES} ranges");
            return Err(ApiError::invalid_param(text));
        }
        Some(ranges) if ranges.iter().any(|(from, to)| from > to) => {
            let text = "A range must not end before it begins";
            return Err(ApiError::invalid_param(text));
        }
        Some(ranges) => {
            let place = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
            Some(ranges.into_iter().map(|(from, to)| (place(from), place(to))).collect())
        }
    };
    if let Some(filters) = &list.filters {
        filters.check()?;
    }
    let details = Details::of(list.required_state, list.timeline_limit, user)?;
    Ok(List { name, ranges, details, filters: list.filters })
}
