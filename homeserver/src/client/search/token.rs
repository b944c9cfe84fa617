//! Where the next page of results begins.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::http::error::{ApiError, ApiResult};
use crate::nid::{EventNid, TimelineOrd};

/// The order of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Order {
    Rank,
    Recent,
}

/// Results that belong together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Group {
    /// `room_id` or `sender`.
    pub(super) key: String,
    pub(super) value: String,
}

impl Group {
    /// The group of an event; `None` for a key that the specification doesn't know.
    pub(super) fn of(key: &str, event: &Event) -> Option<Self> {
        let value = match key {
            "room_id" => event.pdu.room_id.to_string(),
            "sender" => event.pdu.sender.to_string(),
            _ => return None,
        };
        Some(Self { key: key.to_owned(), value })
    }

    pub(super) fn has(&self, event: &Event) -> bool {
        Self::of(&self.key, event).as_ref() == Some(self)
    }
}

/// Where the next page begins. Results by time go on below an event, those by rank behind a number of them, among what was
/// there when the first page was asked for: so none is skipped and none repeated when more is said meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) order: Order,
    pub(super) bound: TimelineOrd,
    pub(super) after: Option<(TimelineOrd, EventNid)>,
    pub(super) skip: usize,
    /// How many there are in all, as the first page said.
    pub(super) count: u64,
    pub(super) group: Option<Group>,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
struct Form(Order, TimelineOrd, Option<(TimelineOrd, i64)>, usize, u64, Option<Group>);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = self.after.map(|(ord, nid)| (ord, nid.0));
        let form = Form(self.order, self.bound, after, self.skip, self.count, self.group.clone());
        let json = serde_json::to_vec(&form).map_err(|_| fmt::Error)?;
        f.write_str(&URL_SAFE_NO_PAD.encode(json))
    }
}

impl Token {
    /// Reads a token of a search in this order.
    pub(super) fn read(text: &str, asked: Order) -> ApiResult<Self> {
        let form = URL_SAFE_NO_PAD.decode(text).ok();
        let form = form.and_then(|json| serde_json::from_slice::<Form>(&json).ok());
        let Form(order, bound, after, skip, count, group) = form
            .filter(|form| form.0 == asked)
            .ok_or_else(|| ApiError::invalid_param("next_batch is not one of this search's"))?;
        let after = after.map(|(ord, nid)| (ord, EventNid(nid)));
        Ok(Self { order, bound, after, skip, count, group })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_trip_and_belongs_to_its_order() {
        let token = Token {
            order: Order::Recent,
            bound: 7,
            after: Some((3, EventNid(9))),
            skip: 0,
            count: 5,
            group: Some(Group { key: "sender".to_owned(), value: "@a:h".to_owned() }),
        };
        let text = token.to_string();
        assert_eq!(Token::read(&text, Order::Recent).unwrap(), token);
        for bad in [&*text, "", "rubbish!", "e30"] {
            assert_eq!(Token::read(bad, Order::Rank).unwrap_err().errcode, "M_INVALID_PARAM");
        }
    }
}
