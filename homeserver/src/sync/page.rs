//! A page of a room's timeline, read from a boundary in either direction.
//!
//! Pages that share a boundary neither skip nor repeat: a page ends at the last event that was looked at, whether or not it was for the
//! client.

use std::sync::Arc;

use super::filter::RoomEventFilter;
use super::lens::Lens;
use super::viewer::Viewer;
use crate::app::App;
use crate::event::Event;
use crate::nid::{RoomNid, TimelineOrd};
use crate::room::{Membership, RoomError};
use crate::storage::timeline_read::{backwards, forwards};

/// Events that are looked at for one page. A filter that little passes gives short pages with an end to go on from.
const MAX_SCANNED: usize = 3_000;

/// What is asked of a timeline.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Whose timeline.
    pub room: RoomNid,
    /// The boundary to begin at.
    pub from: TimelineOrd,
    /// The boundary not to go beyond.
    pub to: TimelineOrd,
    /// Whether the page goes forward in time.
    pub forwards: bool,
    /// Events that the page may have.
    pub limit: usize,
    /// What passes.
    pub filter: &'a RoomEventFilter,
}

/// A page, in the order asked for.
#[derive(Debug)]
pub struct Page {
    /// Events that the user may see and wants, with what he was to the room at each.
    pub events: Vec<(Arc<Event>, Membership)>,
    /// Where the next page begins; none when there is nothing beyond.
    pub end: Option<TimelineOrd>,
}

/// Reads a page.
pub async fn page(
    app: &App,
    lens: &mut Lens<'_>,
    viewer: &Viewer,
    ask: &Ask<'_>,
) -> Result<Page, RoomError> {
    let mut page = Page { events: Vec::new(), end: None };
    let mut at = ask.from;
    let mut scanned = 0;
    let everything = ask.filter.passes_everything();
    while page.events.len() < ask.limit {
        if scanned >= MAX_SCANNED {
            page.end = Some(at);
            return Ok(page);
        }
        // Mostly all that is read is told; where not, the next round fetches what is missing.
        let want = (ask.limit - page.events.len()).clamp(20, 1000);
        let found = if ask.forwards {
            forwards(&app.db, ask.room, at, ask.to, want).await?
        } else {
            backwards(&app.db, ask.room, at, ask.to, want).await?
        };
        let nids: Vec<_> = found.iter().map(|placed| placed.nid).collect();
        let events = app.rooms.events(&nids).await?;
        for event in events {
            if page.events.len() >= ask.limit {
                page.end = Some(at);
                return Ok(page);
            }
            let Some(place) = event.place() else { continue };
            at = if ask.forwards { place.ord + 1 } else { place.ord };
            let passes = everything
                || ask.filter.admits(
                    &event.kind().to_string(),
                    &event.pdu.sender,
                    event.pdu.content(),
                );
            if passes
                && !viewer.ignores(&event)
                && let Some(membership) = lens.see(&event).await?
            {
                page.events.push((event, membership));
            }
        }
        scanned += found.len();
        if found.len() < want {
            return Ok(page);
        }
    }
    page.end = Some(at);
    Ok(page)
}
