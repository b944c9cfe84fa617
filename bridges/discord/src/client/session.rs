//! Where a gateway connection has got to: stored with every event that is stored, so that after a crash Discord is asked for exactly what
//! was missed, and where it has forgotten, the channels are read from the newest message that is known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::Id;

/// A gateway session and how far it is stored (API reference, "Gateway", "Resuming").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cursor {
    /// The session.
    pub session: String,
    /// Where it can be resumed.
    pub url: String,
    /// The last event that is stored.
    pub sequence: u64,
    /// The newest message of any channel that is stored. Snowflakes are ordered by time over all channels.
    pub newest: Id,
    /// The channels whose pins are still to be asked for, each with what names the change.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<Id, String>,
    /// The posts whose titles or tags have changed, and whose first messages are still to be asked for; the same.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub posts: BTreeMap<Id, String>,
}

impl Cursor {
    /// Reads what was stored; what can't be read is as if there were nothing.
    pub fn read(stored: Option<&str>) -> Self {
        stored.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
    /// To be stored.
    pub fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
    /// What names an event of the session for ever.
    pub fn stamp(&self, sequence: u64) -> String {
        format!("{}:{sequence}", self.session)
    }
}

/// The name of a shard's cursor among the login's.
pub fn stream(shard: u32, of: u32) -> String {
    format!("shard:{shard}/{of}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        let cursor = Cursor {
            session: "s".into(),
            url: "wss://x".into(),
            sequence: 7,
            newest: Id(9),
            pins: [(Id(5), "s:6".to_owned())].into(),
            posts: [(Id(8), "s:7".to_owned())].into(),
        };
        assert_eq!(Cursor::read(Some(&cursor.write())), cursor);
        assert_eq!(Cursor::read(Some("no")), Cursor::default());
        assert_eq!(Cursor::read(None).stamp(3), ":3");
    }
}
