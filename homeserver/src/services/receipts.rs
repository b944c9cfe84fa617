//! Read receipts ([Receipts](https://spec.matrix.org/v1.19/client-server-api/#receipts)): given, and told to others.

use std::collections::BTreeMap;
use std::sync::Arc;

use ruma::{OwnedEventId, OwnedUserId};

use crate::commit::{CommitError, Committer};
use crate::event::Event;
use crate::feed::Change;
use crate::storage::receipts::{self, Receipt, UNTHREADED};
use crate::sync::json::Writer;

/// The type of receipts that others see.
pub const READ: &str = "m.read";
/// The type of receipts that only their giver sees.
pub const READ_PRIVATE: &str = "m.read.private";

/// A receipt to be given.
#[derive(Debug, Clone)]
pub struct Given {
    /// By whom.
    pub user: OwnedUserId,
    /// [`READ`] or [`READ_PRIVATE`].
    pub kind: &'static str,
    /// `main` or a thread's root, if it is threaded.
    pub thread: Option<String>,
    /// When, in ms since 1970.
    pub ts: i64,
}

/// Gives a receipt; durable when it returns. One that lies behind the giver's last one of the same kind and thread changes nothing.
pub async fn give(
    committer: &Committer,
    event: Arc<Event>,
    given: Given,
) -> Result<(), CommitError> {
    let Some(place) = event.place() else { return Ok(()) };
    committer
        .run(move |tx| {
            let (event, given) = (Arc::clone(&event), given.clone());
            Box::pin(async move {
                let thread = given.thread.clone().unwrap_or_else(|| UNTHREADED.to_owned());
                let last = receipts::last(tx, event.room, given.user.as_str(), given.kind, &thread)
                    .await?;
                if last.is_some_and(|last| last >= place.ord) {
                    return Ok(());
                }
                let pos = tx.next_pos();
                let event_id: OwnedEventId = event.pdu.event_id.clone();
                let row = Receipt {
                    room: event.room,
                    user: given.user.to_string(),
                    kind: given.kind.to_owned(),
                    thread,
                    event_id: event_id.to_string(),
                    ord: place.ord,
                    ts: given.ts,
                    pos,
                };
                receipts::set(tx, &row).await?;
                let change = Change::Receipt {
                    room: event.room,
                    user: given.user,
                    kind: given.kind.into(),
                    thread: given.thread,
                    event_id,
                    ts: given.ts,
                };
                tx.publish(pos, change);
                Ok(())
            })
        })
        .await
}

/// Appends the `m.receipt` event that tells some receipts of one room to one user; false when none is for him to see.
pub fn write(out: &mut Writer, receipts: &[Receipt], viewer: &str) -> bool {
    // One user may have read the same event in a thread and in the whole room. The form has place for one of these; the one for the whole
    // room says more (MSC4102).
    type Users<'a> = BTreeMap<&'a str, &'a Receipt>;
    let mut events: BTreeMap<&str, BTreeMap<&str, Users<'_>>> = BTreeMap::new();
    for receipt in
        receipts.iter().filter(|receipt| receipt.kind != READ_PRIVATE || receipt.user == viewer)
    {
        let users = events.entry(&receipt.event_id).or_default().entry(&receipt.kind).or_default();
        let known = users.entry(&receipt.user).or_insert(receipt);
        if receipt.thread == UNTHREADED {
            *known = receipt;
        }
    }
    if events.is_empty() {
        return false;
    }
    out.open();
    out.key("type");
    out.text("m.receipt");
    out.open_at("content");
    for (event, kinds) in events {
        out.open_at(event);
        for (kind, users) in kinds {
            out.open_at(kind);
            for (user, receipt) in users {
                out.open_at(user);
                out.key("ts");
                out.int(receipt.ts);
                if receipt.thread != UNTHREADED {
                    out.key("thread_id");
                    out.text(&receipt.thread);
                }
                out.close();
            }
            out.close();
        }
        out.close();
    }
    out.close();
    out.close();
    true
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::nid::RoomNid;

    fn receipt(user: &str, kind: &str, thread: &str, event: &str, ts: i64) -> Receipt {
        Receipt {
            room: RoomNid(1),
            user: user.to_owned(),
            kind: kind.to_owned(),
            thread: thread.to_owned(),
            event_id: event.to_owned(),
            ord: 1,
            ts,
            pos: 1,
        }
    }

    fn written(receipts: &[Receipt], viewer: &str) -> Option<Value> {
        let mut out = Writer::default();
        write(&mut out, receipts, viewer).then(|| serde_json::from_str(out.as_str()).expect("JSON"))
    }

    #[test]
    fn private_receipts_are_told_to_their_giver_alone() {
        let receipts = [receipt("@a:h", READ_PRIVATE, UNTHREADED, "$e", 5)];
        assert_eq!(written(&receipts, "@b:h"), None);
        let expected = json!({"type": "m.receipt", "content": {"$e": {"m.read.private": {"@a:h": {"ts": 5}}}}});
        assert_eq!(written(&receipts, "@a:h"), Some(expected));
    }

    #[test]
    fn a_receipt_for_the_whole_room_hides_the_threaded_one_at_the_same_event() {
        for order in [[0, 1], [1, 0]] {
            let both = [
                receipt("@a:h", READ, UNTHREADED, "$e", 5),
                receipt("@a:h", READ, "$root", "$e", 6),
            ];
            let receipts: Vec<_> = order.iter().map(|n| both[*n].clone()).collect();
            let told = written(&receipts, "@b:h").expect("something to tell");
            assert_eq!(told["content"]["$e"]["m.read"]["@a:h"], json!({"ts": 5}));
        }
        let threaded = [receipt("@a:h", READ, "$root", "$e", 6)];
        let told = written(&threaded, "@b:h").expect("something to tell");
        assert_eq!(told["content"]["$e"]["m.read"]["@a:h"], json!({"ts": 6, "thread_id": "$root"}));
    }
}
