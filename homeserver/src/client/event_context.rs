//! Single events and what is around them (Client-Server API, "Getting events for a room", "Event Context").

use std::sync::Arc;

use axum::extract::State;
use ruma::{EventId, OwnedEventId, OwnedRoomId, RoomId, UserId};
use serde::Deserialize;

use super::messages::{direction, filter, members_of, surroundings};
use crate::app::App;
use crate::event::Event;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::RawReply;
use crate::http::router::{Route, get};
use crate::nid::TimelineOrd;
use crate::room::{MEMBER, Membership};
use crate::storage::timeline_read::near_time;
use crate::sync::access::Access;
use crate::sync::filter::{MAX_LIMIT, RoomEventFilter};
use crate::sync::json::Writer;
use crate::sync::page::{Ask, page};
use crate::sync::token::PageToken;
use crate::sync::viewer::{Form, Surroundings, Viewer};

/// Events around one when the request names no limit.
const DEFAULT_LIMIT: usize = 10;
/// Events near a time that are looked at together for one that the user may see.
const NEAR: usize = 100;
/// How often that is done.
const MAX_PAGES: usize = 20;

const FORM: Form<'static> = Form { room_id: true, federation: false, fields: None };

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/rooms/{roomId}/event/{eventId}", event),
        get("/_matrix/client/v3/rooms/{roomId}/context/{eventId}", context),
        get("/_matrix/client/v1/rooms/{roomId}/timestamp_to_event", timestamp_to_event),
    ]
}

async fn event(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((room, id)): Path<(OwnedRoomId, OwnedEventId)>,
) -> ApiResult<RawReply> {
    tell(&app, &requester, &room, &id).await
}

/// An event as the user may see it.
pub(super) async fn tell(
    app: &App,
    requester: &Requester,
    room: &RoomId,
    id: &EventId,
) -> ApiResult<RawReply> {
    let access = open(app, requester, room).await?;
    let (event, membership) = access.event(app, &requester.user, id).await?;
    let viewer = Viewer::of(app, requester).await?;
    let around = surroundings(app, &viewer, &access, std::slice::from_ref(&event)).await?;
    let mut out = Writer::with_capacity(1024);
    viewer.write(&mut out, &event, Some(membership), FORM, &around);
    Ok(RawReply(out.into_string().into()))
}

/// An event of a room that the user may not read is not found, as an event that isn't there.
async fn open(app: &App, requester: &Requester, room: &RoomId) -> ApiResult<Access> {
    Access::open(app, &requester.user, room).await.map_err(|error| {
        if error.errcode == "M_FORBIDDEN" {
            ApiError::not_found("There is no such event, or it is not yours to see")
        } else {
            error
        }
    })
}

/// What surroundings of an event are asked for by.
#[derive(Debug, Deserialize)]
pub(crate) struct ContextParams {
    limit: Option<usize>,
    filter: Option<String>,
}

async fn context(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((room, id)): Path<(OwnedRoomId, OwnedEventId)>,
    Query(params): Query<ContextParams>,
) -> ApiResult<RawReply> {
    let access = Access::open(&app, &requester.user, &room).await?;
    let viewer = Viewer::of(&app, &requester).await?;
    answer(&app, &access, &viewer, &id, &params).await
}

/// An event and what is around it, as one viewer gets it.
pub(crate) async fn answer(
    app: &App,
    access: &Access,
    viewer: &Viewer,
    id: &EventId,
    params: &ContextParams,
) -> ApiResult<RawReply> {
    let filter = filter(params.filter.as_deref())?;
    let (event, membership) = access.event(app, &viewer.user, id).await?;
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let around =
        around(app, viewer, access, &event, (limit / 2, limit - limit / 2), &filter).await?;

    let all: Vec<Arc<Event>> = around
        .before
        .iter()
        .chain(&around.after)
        .map(|(event, _)| Arc::clone(event))
        .chain([Arc::clone(&event)])
        .collect();
    let surroundings = surroundings(app, viewer, access, &all).await?;
    let mut out = Writer::with_capacity(all.len() * 700 + 1024);
    out.open();
    out.key("event");
    viewer.write(&mut out, &event, Some(membership), FORM, &surroundings);
    for (key, events) in [("events_before", &around.before), ("events_after", &around.after)] {
        out.open_list_at(key);
        for (event, membership) in events {
            viewer.write(&mut out, event, Some(*membership), FORM, &surroundings);
        }
        out.close_list();
    }
    out.key("start");
    out.text(&PageToken(around.start).to_string());
    out.key("end");
    out.text(&PageToken(around.end).to_string());
    out.open_list_at("state");
    for event in state_at(app, access, &around, &event, &all, &filter).await? {
        viewer.write(&mut out, &event, None, FORM, &Surroundings::default());
    }
    out.close_list();
    out.close();
    Ok(RawReply(out.into_string().into()))
}

/// The events on both sides of one, as far as the user may see them: those before it newest first.
pub(super) struct Around {
    pub(super) before: Vec<(Arc<Event>, Membership)>,
    pub(super) after: Vec<(Arc<Event>, Membership)>,
    pub(super) start: TimelineOrd,
    pub(super) end: TimelineOrd,
}

/// Reads what is around an event.
pub(super) async fn around(
    app: &App,
    viewer: &Viewer,
    access: &Access,
    event: &Event,
    (before, after): (usize, usize),
    filter: &RoomEventFilter,
) -> ApiResult<Around> {
    let place =
        event.place().ok_or_else(|| ApiError::not_found("The event stands in no timeline"))?.ord;
    let mut lens = access.lens(app, &viewer.user);
    let mut ask = Ask {
        room: access.room.nid(),
        from: place,
        to: TimelineOrd::MIN,
        forwards: false,
        limit: before,
        filter,
    };
    let earlier = page(app, &mut lens, viewer, &ask).await?;
    ask = Ask { from: place + 1, to: access.ceiling(), forwards: true, limit: after, ..ask };
    let later = page(app, &mut lens, viewer, &ask).await?;
    let ord = |event: Option<&(Arc<Event>, Membership)>| {
        event.and_then(|(event, _)| event.place()).map(|place| place.ord)
    };
    let start = ord(earlier.events.last()).unwrap_or(place);
    let end = ord(later.events.last()).unwrap_or(place) + 1;
    Ok(Around { before: earlier.events, after: later.events, start, end })
}

/// The room's state at the last of the events, with no more members than are wanted.
async fn state_at(
    app: &App,
    access: &Access,
    around: &Around,
    event: &Arc<Event>,
    all: &[Arc<Event>],
    filter: &RoomEventFilter,
) -> ApiResult<Vec<Arc<Event>>> {
    let last = around.after.last().map_or(event, |(event, _)| event);
    let state = match last.state_after {
        Some(group) => access.room.state_of(group).await?,
        // Imported history has no state of its own.
        None => access.state().await?,
    };
    let lazy = filter.lazy_load_members;
    let nids: Vec<_> = state
        .iter()
        .filter(|(key, _)| !lazy || key.kind() != MEMBER)
        .map(|(_, entry)| entry.nid)
        .collect();
    let mut events = app.rooms.events(&nids).await?;
    if lazy {
        events.extend(members_of(app, &state, all).await?);
    }
    events.retain(|event| {
        filter.admits(&event.kind().to_string(), &event.pdu.sender, event.pdu.content())
    });
    Ok(events)
}

#[derive(Deserialize)]
struct TimestampParams {
    ts: i64,
    dir: String,
}

async fn timestamp_to_event(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(room): Path<OwnedRoomId>,
    Query(params): Query<TimestampParams>,
) -> ApiResult<RawReply> {
    let forwards = direction(Some(&params.dir))?;
    let access = Access::open(&app, &requester.user, &room).await?;
    nearest(&app, &access, &requester.user, params.ts, forwards).await
}

/// The event nearest to a time that a user may see.
pub(crate) async fn nearest(
    app: &App,
    access: &Access,
    user: &UserId,
    ts: i64,
    forwards: bool,
) -> ApiResult<RawReply> {
    let mut lens = access.lens(app, user);
    let mut from = (ts, if forwards { TimelineOrd::MIN } else { TimelineOrd::MAX });
    for _ in 0..MAX_PAGES {
        let near = near_time(&app.db, access.room.nid(), from, forwards, NEAR).await?;
        let nids: Vec<_> = near.iter().map(|placed| placed.nid).collect();
        let events = app.rooms.events(&nids).await?;
        for event in &events {
            if lens.see(event).await?.is_some() {
                let mut out = Writer::with_capacity(160);
                out.open();
                out.key("event_id");
                out.text(event.pdu.event_id.as_str());
                out.key("origin_server_ts");
                out.int(event.pdu.origin_server_ts);
                out.close();
                return Ok(RawReply(out.into_string().into()));
            }
        }
        let Some((event, place)) = events.last().zip(near.last()) else { break };
        if near.len() < NEAR {
            break;
        }
        from = (event.pdu.origin_server_ts, place.ord + if forwards { 1 } else { -1 });
    }
    Err(ApiError::not_found("There is no event near that time that you may see"))
}
