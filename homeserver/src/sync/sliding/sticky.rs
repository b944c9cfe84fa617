//! The extension for sticky events
//! ([MSC4480](https://github.com/matrix-org/matrix-spec-proposals/pull/4480)): its `since` and `next_batch` are a stream of their own, as
//! with messages to devices.

use std::collections::HashSet;

use super::build::Build;
use super::extensions::position;
use super::room::Shown;
use crate::http::error::ApiResult;
use crate::nid::RoomNid;
use crate::sync::json::Writer;
use crate::sync::sticky::{MAX_STICKY, Span, collect, write};
use crate::sync::viewer::Form;

const NAME: &str = "org.matrix.msc4354.sticky_events";

/// Appends the extension; tells whether there is anything in it.
pub(super) async fn extension(
    build: &Build<'_>,
    out: &mut Writer,
    shown: &[Shown],
    matched: &HashSet<RoomNid>,
) -> ApiResult<bool> {
    let Some(asked) = &build.request.sticky else { return Ok(false) };
    let app = build.app;
    let generation = app.feed.generation();
    let since = match &asked.since {
        Some(since) => position(generation, since, NAME)?,
        None => 0,
    };
    let limit = asked.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_STICKY);
    let span = Span { since, upto: build.upto, limit: limit.clamp(1, MAX_STICKY) };
    let told = collect(app, build.viewer, span, |room| matched.contains(&room)).await?;
    out.open_at(NAME);
    out.key("next_batch");
    out.text(&format!("{generation}_{}", told.next.max(since)));
    let mark = out.len();
    out.open_at("rooms");
    let empty = out.len();
    for nid in told.rooms() {
        let inside = shown.iter().find(|shown| shown.room.nid() == nid);
        let inside = inside.and_then(|shown| shown.inside.as_ref());
        let timeline =
            inside.filter(|inside| inside.wants_timeline).map(|inside| &*inside.window.events);
        let room = app.rooms.handle(nid).await?;
        let stuck = told.of(nid, timeline.unwrap_or_default());
        write(out, build.viewer, Form::default(), room.id().as_str(), stuck);
    }
    let something = out.len() > empty;
    if something {
        out.close();
    } else {
        out.truncate(mark);
    }
    out.close();
    Ok(something)
}
