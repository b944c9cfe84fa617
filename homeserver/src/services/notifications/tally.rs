//! What one user has not read in one room: the events that notify him, and what of them his receipts leave.

use std::collections::BTreeMap;

use ruma::{EventId, OwnedEventId};

use crate::nid::{EventNid, TimelineOrd};

/// Notifying events that are kept for one user in one room. Beyond it the oldest are dropped and the count stands still; no client
/// shows numbers of that size.
pub(super) const MAX_ITEMS: usize = 2_000;

/// Unread events of a room or a thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that notify.
    pub notify: u32,
    /// Those of them that are highlighted.
    pub highlight: u32,
}

/// Unread events of a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unread {
    /// Of the main timeline.
    pub main: Counts,
    /// Of each thread that has some, by its root.
    pub threads: BTreeMap<OwnedEventId, Counts>,
    /// Those of them all that are calls.
    pub calls: u32,
}

impl Unread {
    /// All of them, for clients that know no threads.
    pub fn total(&self) -> Counts {
        self.threads.values().fold(self.main, |sum, counts| Counts {
            notify: sum.notify + counts.notify,
            highlight: sum.highlight + counts.highlight,
        })
    }
}

/// How far a user has read, by places in the timeline. `m.read` and `m.read.private` count alike: the farther one holds
/// ([Marking notifications as read](https://spec.matrix.org/v1.19/client-server-api/#marking-notifications-as-read)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Markers {
    all: Option<TimelineOrd>,
    main: Option<TimelineOrd>,
    threads: BTreeMap<OwnedEventId, TimelineOrd>,
}

/// What a receipt speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The whole room, threads or not.
    All,
    /// The main timeline.
    Main,
    /// The thread with this root.
    Thread(&'a EventId),
}

impl Markers {
    /// Moves a marker; never back.
    pub fn advance(&mut self, scope: Scope<'_>, ord: TimelineOrd) {
        match scope {
            Scope::All => self.all = self.all.max(Some(ord)),
            Scope::Main => self.main = self.main.max(Some(ord)),
            Scope::Thread(root) => {
                let marker = self.threads.entry(root.to_owned()).or_insert(ord);
                *marker = ord.max(*marker);
            }
        }
    }

    /// Nothing at or below this place is unread, whatever its thread.
    pub fn floor(&self) -> Option<TimelineOrd> {
        self.all
    }

    /// Whether what stands at a place of the main timeline, or of a thread, is read.
    pub fn has_read(&self, thread: Option<&EventId>, ord: TimelineOrd) -> bool {
        let own = match thread {
            None => self.main,
            Some(root) => self.threads.get(root).copied(),
        };
        self.all.max(own).is_some_and(|read| ord <= read)
    }
}

#[derive(Debug)]
struct Item {
    ord: TimelineOrd,
    nid: EventNid,
    /// Index into `threads`; none for the main timeline.
    thread: Option<u16>,
    highlight: bool,
    call: bool,
}

/// The notifying events of one user in one room, up to a place.
#[derive(Debug, Default)]
pub(super) struct Tally {
    items: Vec<Item>,
    threads: Vec<OwnedEventId>,
    /// All events up to here, inclusively, were looked at.
    pub(super) upto: TimelineOrd,
    markers: Markers,
}

impl Tally {
    /// Nothing at or before `upto` counts.
    pub(super) fn from(upto: TimelineOrd) -> Self {
        Self { upto, ..Self::default() }
    }

    /// A further event notifies.
    pub(super) fn add(
        &mut self,
        nid: EventNid,
        ord: TimelineOrd,
        thread: Option<&EventId>,
        highlight: bool,
    ) {
        let thread = match thread {
            None => None,
            Some(root) => {
                let known = self.threads.iter().position(|known| known == root);
                let index = known.unwrap_or_else(|| {
                    self.threads.push(root.to_owned());
                    self.threads.len() - 1
                });
                u16::try_from(index).ok()
            }
        };
        if self.markers.has_read(
            thread.and_then(|index| self.threads.get(usize::from(index))).map(|root| &**root),
            ord,
        ) {
            return;
        }
        if self.items.len() >= MAX_ITEMS {
            self.items.remove(0);
        }
        self.items.push(Item { ord, nid, thread, highlight, call: false });
    }

    /// The event that was added last is a call.
    pub(super) fn is_call(&mut self, nid: EventNid) {
        if let Some(item) = self.items.last_mut().filter(|item| item.nid == nid) {
            item.call = true;
        }
    }

    /// Whether an event is unread.
    pub(super) fn holds(&self, nid: EventNid) -> bool {
        self.items.iter().rev().any(|item| item.nid == nid)
    }

    /// An event was redacted and counts no longer.
    pub(super) fn remove(&mut self, nid: EventNid) {
        self.items.retain(|item| item.nid != nid);
    }

    /// The user has read this far; what is read is dropped.
    pub(super) fn read(&mut self, markers: &Markers) {
        if self.markers == *markers {
            return;
        }
        self.markers.clone_from(markers);
        let threads = &self.threads;
        self.items.retain(|item| !markers.has_read(thread_of(threads, item), item.ord));
    }

    /// The user wrote in a thread or the main timeline, and so has read what stood there. Events come in order, so nothing need be
    /// remembered: what comes later is not read by this.
    pub(super) fn wrote(&mut self, thread: Option<&EventId>, ord: TimelineOrd) {
        let threads = &self.threads;
        self.items.retain(|item| item.ord > ord || thread_of(threads, item) != thread);
    }

    /// What is left.
    pub(super) fn unread(&self) -> Unread {
        let mut unread = Unread::default();
        for item in &self.items {
            unread.calls += u32::from(item.call);
            let counts = match thread_of(&self.threads, item) {
                None => &mut unread.main,
                Some(root) => unread.threads.entry(root.to_owned()).or_default(),
            };
            counts.notify += 1;
            counts.highlight += u32::from(item.highlight);
        }
        unread
    }
}

fn thread_of<'a>(threads: &'a [OwnedEventId], item: &Item) -> Option<&'a EventId> {
    item.thread.and_then(|index| threads.get(usize::from(index))).map(|root| &**root)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ruma::event_id;

    use super::*;

    fn counts(notify: u32, highlight: u32) -> Counts {
        Counts { notify, highlight }
    }

    /// The example of the specification's threading chapter: a thread on A with B, C and E; D and F in the main timeline.
    fn example() -> Tally {
        let a = event_id!("$a:h");
        let mut tally = Tally::from(0);
        for (n, thread, highlight) in [
            (1, None, false),
            (2, Some(a), false),
            (3, Some(a), true),
            (4, None, true),
            (5, Some(a), false),
            (6, None, false),
        ] {
            tally.add(EventNid(n), n, thread, highlight);
        }
        tally
    }

    #[test]
    fn receipts_clear_what_they_speak_of() {
        let a = event_id!("$a:h");
        let mut tally = example();
        assert_eq!(tally.unread().total(), counts(6, 2));
        assert_eq!(tally.unread().main, counts(3, 1));
        assert_eq!(tally.unread().threads[a], counts(3, 1));
        let mut markers = Markers::default();
        markers.advance(Scope::Main, 1);
        tally.read(&markers);
        assert_eq!((tally.unread().main, tally.unread().threads[a]), (counts(2, 1), counts(3, 1)));
        markers.advance(Scope::Thread(a), 2);
        tally.read(&markers);
        assert_eq!((tally.unread().main, tally.unread().threads[a]), (counts(2, 1), counts(2, 1)));
        markers.advance(Scope::All, 4);
        tally.read(&markers);
        assert_eq!((tally.unread().main, tally.unread().threads[a]), (counts(1, 0), counts(1, 0)));
        markers.advance(Scope::Thread(a), 7);
        tally.read(&markers);
        assert_eq!(tally.unread(), Unread { main: counts(1, 0), ..Unread::default() });
    }

    #[test]
    fn markers_never_go_back() {
        let mut markers = Markers::default();
        markers.advance(Scope::All, 5);
        markers.advance(Scope::All, 3);
        assert_eq!(markers.floor(), Some(5));
    }

    #[test]
    fn writing_reads_the_thread_it_is_written_in() {
        let mut tally = example();
        tally.wrote(None, 7);
        assert_eq!(tally.unread().main, counts(0, 0));
        assert_eq!(tally.unread().total(), counts(3, 1));
    }

    #[test]
    fn a_redacted_event_counts_no_longer() {
        let mut tally = example();
        tally.remove(EventNid(4));
        assert_eq!(tally.unread().total(), counts(5, 1));
    }

    #[test]
    fn the_count_is_bounded() {
        let mut tally = Tally::from(0);
        for n in 1..=(MAX_ITEMS as i64 + 10) {
            tally.add(EventNid(n), n, None, false);
        }
        assert_eq!(tally.unread().main.notify as usize, MAX_ITEMS);
    }

    proptest! {
        /// Whether receipts come before or after the events makes no difference.
        #[test]
        fn order_of_receipts_and_events_does_not_matter(
            events in prop::collection::vec((prop::option::of(0..3usize), any::<bool>()), 0..30),
            receipts in prop::collection::vec((0..5usize, 0..30i64), 0..6),
        ) {
            let roots = [event_id!("$a:h"), event_id!("$b:h"), event_id!("$c:h")];
            let mut markers = Markers::default();
            for (scope, ord) in receipts {
                markers.advance(match scope { 0 => Scope::All, 1 => Scope::Main, n => Scope::Thread(roots[n - 2]) }, ord);
            }
            let (mut early, mut late) = (Tally::from(-1), Tally::from(-1));
            early.read(&markers);
            for (ord, (thread, highlight)) in events.into_iter().enumerate() {
                for tally in [&mut early, &mut late] {
                    tally.add(EventNid(ord as i64), ord as i64, thread.map(|n| roots[n]), highlight);
                }
            }
            late.read(&markers);
            prop_assert_eq!(early.unread(), late.unread());
        }
    }
}
