//! The stretch of a room's timeline that an answer tells.

use std::collections::HashSet;
use std::sync::Arc;

use crate::app::App;
use crate::event::{Event, Flags};
use crate::nid::{EventNid, ORD_SHIFT, Pos, RoomNid, TimelineOrd};
use crate::room::{MEMBER, Membership, RoomError, RoomSnapshot, UserRoom};
use crate::storage::timeline_read;
use crate::sync::filter::RoomEventFilter;
use crate::sync::lens::Lens;
use crate::sync::viewer::Viewer;

/// Events that are looked through in one room for one answer. A filter that nearly nothing passes must not make a sync read a whole
/// room; what lies before is the client's to page through.
const MAX_SCANNED: usize = 2_000;
/// Events fetched at once where memory doesn't hold them.
const CHUNK: usize = 100;

/// A stretch of timeline up to some position.
#[derive(Debug, Default)]
pub(in crate::sync) struct Window {
    /// All shown live events of the stretch, oldest first, whether or not the client gets them.
    pub(in crate::sync) all: Vec<Arc<Event>>,
    /// Events of `all` that are not for the user to see.
    pub(in crate::sync) unseen: Vec<EventNid>,
    /// Those that the client gets, oldest first, with what he was to the room at each.
    pub(in crate::sync) events: Vec<(Arc<Event>, Membership)>,
    /// Whether there are more between the last answer and the first of these.
    pub(in crate::sync) limited: bool,
    /// Where paging back from here begins.
    pub(in crate::sync) start: TimelineOrd,
}

impl Window {
    /// What became of a user who was out already, and nothing else.
    pub(in crate::sync) fn of_one(
        event: Arc<Event>,
        membership: Membership,
        limited: bool,
    ) -> Self {
        let start = event.place().map_or(TimelineOrd::MIN, |place| place.ord);
        Self { events: vec![(event, membership)], limited, start, ..Self::default() }
    }

    /// The events of the stretch that are part of the room's DAG, and so have a state before and after them; imported history is
    /// outside of it.
    pub(in crate::sync) fn dag(&self) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        self.all.iter().filter(|event| !event.flags.has(Flags::IMPORTED))
    }

    /// State events of the stretch that the client does not get with its timeline.
    pub(in crate::sync) fn dropped_state(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.all.iter().filter(|event| {
            event.is_state() && !self.events.iter().any(|(told, _)| told.nid == event.nid)
        })
    }
}

/// What is asked of a stretch.
pub(in crate::sync) struct Span<'a> {
    pub(in crate::sync) filter: &'a RoomEventFilter,
    /// Events up to here the client has; `None` when it has nothing of the room.
    pub(in crate::sync) since: Option<Pos>,
    /// Events after here are for the next answer.
    pub(in crate::sync) upto: Pos,
    pub(in crate::sync) limit: usize,
}

/// The newest events of the span that pass.
pub(in crate::sync) async fn window(
    app: &App,
    snapshot: &RoomSnapshot,
    lens: &mut Lens<'_>,
    viewer: &Viewer,
    span: &Span<'_>,
) -> Result<Window, RoomError> {
    let mut back = Backwards::new(app, snapshot, span.upto);
    let floor = span.since.unwrap_or(0);
    let admitted = span.filter.admits_room(&snapshot.info.id);
    let everything = span.filter.passes_everything();
    let mut window = Window { start: (floor + 1) << ORD_SHIFT, ..Window::default() };
    if span.since.is_none() {
        window.start = TimelineOrd::MIN;
    }
    // Events beyond the last that was taken, should there turn out to be another one to tell.
    let mut beyond = 0;
    // State that was set by events which the client doesn't get. An older value of it in the timeline would be the last that the client
    // hears of, so the timeline begins after it.
    let mut kept_back: HashSet<(String, String)> = HashSet::new();
    while let Some(event) = back.next().await? {
        let Some(place) = event.place() else { continue };
        if place.pos <= floor {
            break;
        }
        let passes = admitted
            && (everything
                || span.filter.admits(
                    &event.kind().to_string(),
                    &event.pdu.sender,
                    event.pdu.content(),
                ))
            && !viewer.ignores(&event);
        let seen = lens.see(&event).await?;
        let full = window.events.len() >= span.limit;
        if let (true, Some(membership)) = (passes, seen) {
            if full || !kept_back.is_empty() && key(&event).is_some_and(|k| kept_back.contains(&k))
            {
                window.limited = true;
                break;
            }
            window.events.push((Arc::clone(&event), membership));
            beyond = 0;
        } else if full {
            beyond += 1;
        } else {
            kept_back.extend(key(&event));
        }
        if seen.is_none() {
            window.unseen.push(event.nid);
        }
        window.all.push(event);
        if window.all.len() >= MAX_SCANNED {
            window.limited = true;
            break;
        }
    }
    if window.limited {
        window.all.truncate(window.all.len() - beyond);
        let first = window.all.last().and_then(|event| event.place());
        window.start = first.map_or((span.upto + 1) << ORD_SHIFT, |place| place.ord);
    }
    window.all.reverse();
    window.events.reverse();
    Ok(window)
}

/// The entry of the room's state that an event sets.
fn key(event: &Event) -> Option<(String, String)> {
    let key = event.pdu.state_key().filter(|_| !event.flags.has(Flags::IMPORTED))?;
    Some((event.kind().to_string(), key.to_owned()))
}

/// Whether anything happened after a user's leaving that is his to see all the same, because he was asked in again. His client heard of the
/// invitation at most, and wants to read back to there. Whoever was never inside may not read the room.
pub(in crate::sync) async fn saw_as_invited(
    app: &App,
    snapshot: &RoomSnapshot,
    lens: &mut Lens<'_>,
    viewer: &Viewer,
    mine: &UserRoom,
    leaving: Option<&Event>,
) -> Result<bool, RoomError> {
    let Some(since) = leaving.and_then(Event::place).map(|place| place.pos) else {
        return Ok(false);
    };
    let filter = RoomEventFilter::default();
    let span = Span { filter: &filter, since: Some(since), upto: mine.pos, limit: MAX_SCANNED };
    let window = window(app, snapshot, lens, viewer, &span).await?;
    let is_own = |event: &Event| {
        event.kind().to_string() == MEMBER && event.pdu.state_key() == Some(viewer.user.as_str())
    };
    let mut events = window.events.iter();
    Ok(events.any(|(event, membership)| *membership == Membership::Invite && !is_own(event)))
}

/// The newest event of a room's DAG at or before a position.
pub(in crate::sync) async fn event_at(
    app: &App,
    snapshot: &RoomSnapshot,
    pos: Pos,
) -> Result<Option<Arc<Event>>, RoomError> {
    let mut back = Backwards::new(app, snapshot, pos);
    while let Some(event) = back.next().await? {
        if !event.flags.has(Flags::IMPORTED) {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

/// Shown live events of a room up to a position, newest first: out of memory as far as it reaches, then from the tables.
struct Backwards<'a> {
    app: &'a App,
    room: RoomNid,
    ready: std::vec::IntoIter<Arc<Event>>,
    /// Where the tables go on; none at the beginning of the room.
    below: Option<TimelineOrd>,
}

impl<'a> Backwards<'a> {
    fn new(app: &'a App, snapshot: &RoomSnapshot, upto: Pos) -> Self {
        let recent = snapshot.recent();
        let whole = recent.len() < crate::room::RECENT;
        let oldest = recent.front().and_then(|event| event.place());
        // A room of fewer events is in memory as a whole.
        let below = oldest.filter(|_| !whole).map(|place| place.ord.min((upto + 1) << ORD_SHIFT));
        let fits = |event: &&Arc<Event>| event.place().is_some_and(|place| place.pos <= upto);
        let ready: Vec<_> = recent.iter().rev().filter(fits).cloned().collect();
        Self { app, room: snapshot.info.nid, ready: ready.into_iter(), below }
    }

    async fn next(&mut self) -> Result<Option<Arc<Event>>, RoomError> {
        loop {
            if let Some(event) = self.ready.next() {
                return Ok(Some(event));
            }
            let Some(below) = self.below else { return Ok(None) };
            let found =
                timeline_read::live_backwards(&self.app.db, self.room, below, CHUNK).await?;
            self.below =
                (found.len() == CHUNK).then(|| found.last().map(|placed| placed.ord)).flatten();
            let nids: Vec<_> = found.iter().map(|placed| placed.nid).collect();
            let mut events = self.app.rooms.events(&nids).await?;
            events.sort_unstable_by_key(|event| {
                std::cmp::Reverse(event.place().map(|place| place.ord))
            });
            if events.is_empty() && self.below.is_none() {
                return Ok(None);
            }
            self.ready = events.into_iter();
        }
    }
}
