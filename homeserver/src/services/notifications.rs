//! How many events each user has not read in each room
//! ([Receiving notifications](https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications)).
//!
//! The counts cost nothing when an event is sent. What notifies is found when the user asks, from where he asked last; a user who never
//! asks, as ghosts, costs nothing. What people are told without asking, by `/notifications` and by pushers, is noted by a follower of the
//! feed ([`follow`]).

mod audience;
mod context;
pub mod follow;
mod rules;
mod tally;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use landbridge_database::Database;
use quick_cache::sync::Cache;
use ruma::events::TimelineEventType;
use ruma::push::Ruleset;
use ruma::{EventId, OwnedEventId, OwnedUserId, UserId};
use tokio::sync::{Mutex, watch};

pub use self::context::Subject;
pub use self::rules::{Verdict, judge};
pub use self::tally::{Counts, Markers, Scope, Unread};
use self::tally::{MAX_ITEMS, Tally};
use super::relations::relation_of;
use crate::event::{Event, Flags};
use crate::feed::{Change, FeedObserver, Published};
use crate::nid::{EventNid, ORD_SHIFT, Pos, RoomNid, TimelineOrd};
use crate::room::{RECENT, Room, RoomError, RoomSnapshot, Rooms};
use crate::storage::receipts::{self, Receipt};
use crate::storage::timeline_read;
use crate::sync::viewer::Ignored;

/// Pairs of user and room whose counts are kept; a forgotten one is counted anew.
const MAX_KEPT: usize = 50_000;
/// How far an event's thread is looked for along its relations, as the specification recommends.
const MAX_HOPS: usize = 3;

type Key = (OwnedUserId, RoomNid);

/// The unread events of users who sync.
pub struct Notifications {
    db: Database,
    rooms: Rooms,
    kept: Cache<Key, Arc<Entry>>,
    /// Everything up to here was looked at by the follower, and what it found is durable.
    noted: watch::Sender<Pos>,
}

#[derive(Default)]
struct Entry {
    /// The user's receipts in the room may have moved.
    receipts_moved: AtomicBool,
    state: Mutex<Option<State>>,
}

struct State {
    tally: Tally,
    markers: Markers,
    /// Identity of the rules that the tally was made by.
    rules: Arc<Ruleset>,
}

/// What is asked of one room.
pub struct Ask<'a> {
    /// Whose unread events.
    pub user: &'a UserId,
    /// His push rules. A different `Arc` than before means other rules: everything is judged anew.
    pub rules: Arc<Ruleset>,
    /// Senders he ignores: nothing of theirs notifies.
    pub ignored: &'a Ignored,
    /// Events after here don't count yet.
    pub upto: Pos,
}

impl Notifications {
    /// Nothing is counted yet.
    pub fn new(db: Database, rooms: Rooms) -> Self {
        Self { db, rooms, kept: Cache::new(MAX_KEPT), noted: watch::Sender::new(0) }
    }

    /// Reads the receipts of a user in many rooms at once, for the rooms that nothing is kept of.
    pub async fn prepare(&self, user: &UserId, rooms: &[RoomNid]) -> Result<Prepared, RoomError> {
        let missing: Vec<RoomNid> = rooms
            .iter()
            .copied()
            .filter(|room| self.kept.get(&(user.to_owned(), *room)).is_none())
            .collect();
        if missing.is_empty() {
            return Ok(Prepared::default());
        }
        // From here on a receipt that comes is noted, whatever is read now.
        for room in &missing {
            self.kept.insert((user.to_owned(), *room), Arc::default());
        }
        Ok(Prepared(self.read_up_to(user, &missing).await?))
    }

    /// How far a user has read in some rooms.
    pub async fn read_up_to(
        &self,
        user: &UserId,
        rooms: &[RoomNid],
    ) -> Result<HashMap<RoomNid, Markers>, RoomError> {
        let mut markers: HashMap<RoomNid, Markers> =
            rooms.iter().map(|room| (*room, Markers::default())).collect();
        for receipt in receipts::of_user(&self.db, user.as_str(), rooms).await? {
            add(markers.entry(receipt.room).or_default(), &receipt);
        }
        Ok(markers)
    }

    /// The user's unread events in a room that he is in.
    pub async fn unread(
        &self,
        room: &Room,
        ask: &Ask<'_>,
        prepared: &Prepared,
    ) -> Result<Unread, RoomError> {
        self.look(room, ask, prepared, Tally::unread).await
    }

    /// Whether an event of a room that the user is in notifies him and is unread.
    pub async fn is_unread(
        &self,
        room: &Room,
        ask: &Ask<'_>,
        event: EventNid,
    ) -> Result<bool, RoomError> {
        self.look(room, ask, &Prepared::default(), |tally| tally.holds(event)).await
    }

    /// Looks at the user's unread events in a room.
    async fn look<T: Default>(
        &self,
        room: &Room,
        ask: &Ask<'_>,
        prepared: &Prepared,
        what: impl FnOnce(&Tally) -> T + Send,
    ) -> Result<T, RoomError> {
        let key = (ask.user.to_owned(), room.nid());
        let entry = self.kept.get(&key).unwrap_or_else(|| {
            let entry: Arc<Entry> = Arc::default();
            self.kept.insert(key, Arc::clone(&entry));
            entry
        });
        let mut state = entry.state.lock().await;
        let moved = entry.receipts_moved.swap(false, Ordering::AcqRel);
        let snapshot = room.snapshot();
        let markers = match (&*state, prepared.0.get(&room.nid())) {
            (Some(state), _) if !moved => state.markers.clone(),
            (None, Some(prepared)) if !moved => prepared.clone(),
            _ => self.markers(ask.user, room.nid()).await?,
        };
        if state.as_ref().is_none_or(|state| !Arc::ptr_eq(&state.rules, &ask.rules)) {
            let floor = self.floor(&snapshot, ask.user, &markers).await?;
            *state = Some(State {
                tally: Tally::from(floor),
                markers: Markers::default(),
                rules: Arc::clone(&ask.rules),
            });
        }
        // It was just set.
        let Some(state) = state.as_mut() else { return Ok(T::default()) };
        state.tally.read(&markers);
        state.markers = markers;
        self.go_on(&snapshot, ask, &mut state.tally).await?;
        Ok(what(&state.tally))
    }

    async fn markers(&self, user: &UserId, room: RoomNid) -> Result<Markers, RoomError> {
        Ok(self.read_up_to(user, &[room]).await?.remove(&room).unwrap_or_default())
    }

    /// What came before the user joined, or before he last read everything, does not count.
    async fn floor(
        &self,
        snapshot: &RoomSnapshot,
        user: &UserId,
        markers: &Markers,
    ) -> Result<TimelineOrd, RoomError> {
        let mut joined = 0;
        let mut next = snapshot.member(user).map(|(_, nid)| nid);
        // A new name is a new member event; the one by which he came is further back.
        while let Some(nid) = next {
            let Some(event) = self.rooms.events(&[nid]).await?.pop() else { break };
            if event.pdu.membership() != Some(crate::room::Membership::Join) {
                break;
            }
            joined = event.place().map_or(0, |place| place.ord);
            if markers.floor().is_some_and(|floor| floor >= joined) {
                break;
            }
            next = event.replaces;
        }
        Ok(markers.floor().unwrap_or(0).max(joined))
    }

    /// Judges what came since the tally was last brought up to date.
    async fn go_on(
        &self,
        snapshot: &RoomSnapshot,
        ask: &Ask<'_>,
        tally: &mut Tally,
    ) -> Result<(), RoomError> {
        let ceiling = (ask.upto + 1) << ORD_SHIFT;
        if snapshot.head().is_some_and(|head| head.ord <= tally.upto) || tally.upto >= ceiling - 1 {
            return Ok(());
        }
        let events = self.new_events(snapshot, tally.upto, ceiling).await?;
        let mut context = None;
        for event in &events {
            let Some(place) = event.place() else { continue };
            if let Some(target) = &event.pdu.redacts
                && let Some(redacted) = self.rooms.event(target).await?
            {
                tally.remove(redacted.nid);
            }
            if event.pdu.sender == *ask.user {
                let thread = self.thread(event).await?;
                tally.wrote(thread.as_deref(), place.ord);
                continue;
            }
            if !is_news(event)
                || ask.ignored.contains(event.pdu.sender.as_str())
                || event.redacted_because.is_some()
            {
                continue;
            }
            let context = match &context {
                Some(context) => context,
                None => {
                    context.insert(context::of(&self.rooms, snapshot, ask.user, &ask.rules).await?)
                }
            };
            let subject = Subject::of(&self.rooms, event, snapshot).await?;
            let verdict = judge(&ask.rules, &subject, context);
            if verdict.notify {
                let thread = self.thread(event).await?;
                tally.add(event.nid, place.ord, thread.as_deref(), verdict.highlight);
                if *event.kind() == TimelineEventType::CallInvite {
                    tally.is_call(event.nid);
                }
            }
        }
        tally.upto = ceiling - 1;
        Ok(())
    }

    /// The newest live events above a place and below another, oldest first; not more than a tally holds.
    async fn new_events(
        &self,
        snapshot: &RoomSnapshot,
        above: TimelineOrd,
        ceiling: TimelineOrd,
    ) -> Result<Vec<Arc<Event>>, RoomError> {
        let recent = snapshot.recent();
        let ord = |event: &Arc<Event>| event.place().map_or(TimelineOrd::MIN, |place| place.ord);
        if recent.len() < RECENT || recent.front().is_some_and(|oldest| ord(oldest) <= above + 1) {
            return Ok(recent
                .iter()
                .filter(|event| (above + 1..ceiling).contains(&ord(event)))
                .cloned()
                .collect());
        }
        let found =
            timeline_read::live_between(&self.db, snapshot.info.nid, above, ceiling, MAX_ITEMS)
                .await?;
        let nids: Vec<_> = found.iter().rev().map(|placed| placed.nid).collect();
        self.rooms.events(&nids).await
    }

    /// The root of the thread that an event is in, by its relations.
    async fn thread(&self, event: &Arc<Event>) -> Result<Option<OwnedEventId>, RoomError> {
        let mut event = Arc::clone(event);
        for _ in 0..MAX_HOPS {
            let Some(relation) = relation_of(&event) else { return Ok(None) };
            let Ok(target) = <&EventId>::try_from(&*relation.event_id) else { return Ok(None) };
            if relation.rel_type == "m.thread" {
                return Ok(Some(target.to_owned()));
            }
            let parent = self.rooms.event(target).await?;
            let Some(parent) = parent.filter(|parent| parent.room == event.room) else {
                return Ok(None);
            };
            event = parent;
        }
        Ok(None)
    }
}

/// Whether an event is something that happened: imported history is not, unless its importer says so.
fn is_news(event: &Event) -> bool {
    !event.flags.has(Flags::IMPORTED) || event.flags.has(Flags::NOTIFIES)
}

/// Receipts read ahead for many rooms.
#[derive(Debug, Default)]
pub struct Prepared(HashMap<RoomNid, Markers>);

fn add(markers: &mut Markers, receipt: &Receipt) {
    match receipt.thread.as_str() {
        receipts::UNTHREADED => markers.advance(Scope::All, receipt.ord),
        "main" => markers.advance(Scope::Main, receipt.ord),
        root => {
            if let Ok(root) = <&EventId>::try_from(root) {
                markers.advance(Scope::Thread(root), receipt.ord);
            }
        }
    }
}

impl FeedObserver for Notifications {
    fn published(&self, batch: &[Published]) {
        for published in batch {
            if let Change::Receipt { room, user, .. } = &published.change
                && let Some(entry) = self.kept.get(&(user.clone(), *room))
            {
                entry.receipts_moved.store(true, Ordering::Release);
            }
        }
    }
}
