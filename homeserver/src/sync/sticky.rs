//! The sticky events of an answer ([MSC4354](https://github.com/matrix-org/matrix-spec-proposals/pull/4354)): every client gets each of
//! them once, however few events of the timeline it asks for.

use std::collections::HashMap;
use std::sync::Arc;

use super::json::Writer;
use super::lens::Lens;
use super::viewer::{Form, Surroundings, Viewer};
use crate::app::App;
use crate::event::Event;
use crate::nid::{EventNid, ORD_SHIFT, Pos, RoomNid};
use crate::room::{Membership, RoomError};

/// Sticky events in one answer, as the proposal suggests. Further ones come with the next answers.
pub(in crate::sync) const MAX_STICKY: usize = 100;

/// What an answer may tell.
#[derive(Debug, Default)]
pub(in crate::sync) struct Told {
    rooms: HashMap<RoomNid, Vec<Arc<Event>>>,
    /// Up to which position these are all.
    pub(in crate::sync) next: Pos,
}

/// What a client has, and what the answer tells of.
#[derive(Debug, Clone, Copy)]
pub(in crate::sync) struct Span {
    pub(in crate::sync) since: Pos,
    pub(in crate::sync) upto: Pos,
    pub(in crate::sync) limit: usize,
}

/// The sticky events of the rooms that the user is in, those that are wanted of them.
pub(in crate::sync) async fn collect(
    app: &App,
    viewer: &Viewer,
    span: Span,
    wanted: impl Fn(RoomNid) -> bool,
) -> Result<Told, RoomError> {
    let Span { since, upto, limit } = span;
    let with_any = app.sticky.rooms();
    if with_any.is_empty() {
        return Ok(Told { next: upto, ..Told::default() });
    }
    let memberships = app.rooms.memberships(&viewer.user).await?;
    let inside = |room: RoomNid| {
        memberships.get(&room).filter(|mine| mine.membership == Membership::Join && wanted(room))
    };
    let mut found = app.sticky.between(since, upto, viewer.now, |room| inside(room).is_some());
    let mut next = upto;
    if found.len() > limit {
        found.truncate(limit);
        next = found.last().map_or(upto, |(_, last)| last.pos);
    }
    // Whoever came into a room within the span gets those that were there before it, too.
    for room in with_any {
        let came = inside(room).is_some_and(|mine| mine.pos > since && mine.pos <= next);
        if !came || !app.sticky.any(room, 0, since) {
            continue;
        }
        let snapshot = app.rooms.handle(room).await?.snapshot();
        let mut lens = Lens::new(&app.rooms, &viewer.user, &snapshot.state);
        if lens.was_away((since + 1) << ORD_SHIFT, (next + 1) << ORD_SHIFT).await? {
            found.extend(app.sticky.between(0, since, viewer.now, |other| other == room));
        }
    }
    found.sort_unstable_by_key(|(_, sticky)| sticky.pos);
    let nids: Vec<EventNid> = found.iter().map(|(_, sticky)| sticky.event).collect();
    let mut rooms: HashMap<RoomNid, Vec<Arc<Event>>> = HashMap::new();
    for event in app.rooms.events(&nids).await? {
        // What was redacted is sticky no more.
        if event.sticky_for(viewer.now).is_some() && !viewer.ignores(&event) {
            rooms.entry(event.room).or_default().push(event);
        }
    }
    Ok(Told { rooms, next })
}

impl Told {
    /// The events of a room that its timeline does not hold.
    pub(in crate::sync) fn of<'a>(
        &'a self,
        room: RoomNid,
        timeline: &'a [(Arc<Event>, Membership)],
    ) -> impl Iterator<Item = &'a Arc<Event>> {
        let all = self.rooms.get(&room).into_iter().flatten();
        all.filter(|event| !timeline.iter().any(|(told, _)| told.nid == event.nid))
    }

    /// The rooms that there is anything of.
    pub(in crate::sync) fn rooms(&self) -> impl Iterator<Item = RoomNid> {
        self.rooms.keys().copied()
    }
}

/// Appends the events under a name, if there are any.
pub(in crate::sync) fn write<'a>(
    out: &mut Writer,
    viewer: &Viewer,
    form: Form<'_>,
    name: &str,
    events: impl Iterator<Item = &'a Arc<Event>>,
) {
    let section = out.open_events(name);
    for event in events {
        viewer.write(out, event, None, form, &Surroundings::default());
    }
    out.close_events(section);
}
