//! `GET /rooms/{roomId}/messages` (Client-Server API, "Getting events for a room").

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State;
use ruma::{OwnedRoomId, RoomId};
use serde::Deserialize;

use crate::app::App;
use crate::event::Event;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::RawReply;
use crate::http::router::{Route, get};
use crate::nid::TimelineOrd;
use crate::room::{MEMBER, RoomError, StateMap};
use crate::services::relations::{Reader, bundles};
use crate::sync::access::Access;
use crate::sync::filter::{MAX_LIMIT, RoomEventFilter};
use crate::sync::json::Writer;
use crate::sync::page::{Ask, page};
use crate::sync::token::PageToken;
use crate::sync::viewer::{Form, Surroundings, Viewer};

/// Events of a page when the request names no limit, as the specification has it.
const DEFAULT_LIMIT: usize = 10;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![get("/_matrix/client/v3/rooms/{roomId}/messages", messages)]
}

/// What a page of a timeline is asked for by.
#[derive(Debug, Deserialize)]
pub(crate) struct MessagesParams {
    from: Option<String>,
    to: Option<String>,
    pub(crate) dir: Option<String>,
    limit: Option<usize>,
    filter: Option<String>,
}

async fn messages(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(room): Path<OwnedRoomId>,
    Query(params): Query<MessagesParams>,
) -> ApiResult<RawReply> {
    // Whoever may not read the room learns that first, whatever else is wrong with the request.
    let access = Access::open(&app, &requester.user, &room).await?;
    let viewer = Viewer::of(&app, &requester).await?;
    answer(&app, &access, &viewer, &room, &params).await
}

/// A page of a room's timeline, as one viewer gets it.
pub(crate) async fn answer(
    app: &App,
    access: &Access,
    viewer: &Viewer,
    room: &RoomId,
    params: &MessagesParams,
) -> ApiResult<RawReply> {
    let dir = params.dir.as_deref().ok_or_else(|| ApiError::missing_param("dir must be f or b"))?;
    let forwards = direction(Some(dir))?;
    let filter = filter(params.filter.as_deref())?;
    let ceiling = access.ceiling();
    let from = match boundary(params.from.as_deref(), "from")? {
        Some(from) => from,
        None if forwards => TimelineOrd::MIN,
        None => ceiling,
    };
    let to = boundary(params.to.as_deref(), "to")?;
    let limit = params.limit.or(filter.explicit_limit()).unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let mut lens = access.lens(app, &viewer.user);
    let ask = Ask {
        room: access.room.nid(),
        from: if forwards { from } else { from.min(ceiling) },
        to: to.unwrap_or(if forwards { ceiling } else { TimelineOrd::MIN }),
        forwards,
        limit,
        filter: &filter,
    };
    let page = if filter.admits_room(room) {
        page(app, &mut lens, viewer, &ask).await?
    } else {
        crate::sync::page::Page { events: Vec::new(), end: None }
    };

    let events: Vec<Arc<Event>> = page.events.iter().map(|(event, _)| Arc::clone(event)).collect();
    let around = surroundings(app, viewer, access, &events).await?;
    let mut out = Writer::with_capacity(events.len() * 700 + 200);
    out.open();
    out.key("start");
    out.text(&PageToken(from).to_string());
    if let Some(end) = page.end {
        out.key("end");
        out.text(&PageToken(end).to_string());
    }
    out.open_list_at("chunk");
    let form = Form { room_id: true, ..Form::default() };
    for (event, membership) in &page.events {
        viewer.write(&mut out, event, Some(*membership), form, &around);
    }
    out.close_list();
    if filter.lazy_load_members {
        let state = access.state().await?;
        let members = members_of(app, &state, &events).await?;
        out.open_list_at("state");
        for event in members {
            viewer.write(&mut out, &event, None, form, &Surroundings::default());
        }
        out.close_list();
    }
    out.close();
    Ok(RawReply(out.into_string().into()))
}

/// What some events of a room are written with.
pub(super) async fn surroundings(
    app: &App,
    viewer: &Viewer,
    access: &Access,
    events: &[Arc<Event>],
) -> Result<Surroundings, RoomError> {
    let mut lens = access.lens(app, &viewer.user);
    let reader = Reader {
        lens: &mut lens,
        ceiling: access.ceiling(),
        user: &viewer.user,
        ignored: &viewer.ignored,
    };
    let bundles = bundles(&app.db, &app.rooms, access.room.nid(), events, reader).await?;
    Surroundings::of(&app.rooms, events, bundles).await
}

/// The member events of the senders of some events.
pub(super) async fn members_of(
    app: &App,
    state: &StateMap,
    events: &[Arc<Event>],
) -> Result<Vec<Arc<Event>>, RoomError> {
    let senders: HashSet<&str> = events.iter().map(|event| event.pdu.sender.as_str()).collect();
    let mut nids: Vec<_> =
        senders.into_iter().filter_map(|sender| state.nid(MEMBER, sender)).collect();
    nids.sort_unstable();
    app.rooms.events(&nids).await
}

/// `true` for forwards.
pub(super) fn direction(dir: Option<&str>) -> ApiResult<bool> {
    match dir {
        Some("f") => Ok(true),
        Some("b") | None => Ok(false),
        Some(_) => Err(ApiError::invalid_param("dir must be f or b")),
    }
}

/// Reads a pagination token.
pub(super) fn boundary(token: Option<&str>, name: &str) -> ApiResult<Option<TimelineOrd>> {
    let Some(text) = token.filter(|text| !text.is_empty()) else { return Ok(None) };
    let PageToken(place) =
        text.parse().map_err(|error| ApiError::invalid_param(format!("{name}: {error}")))?;
    Ok(Some(place))
}

/// Reads a filter given as JSON.
pub(super) fn filter(json: Option<&str>) -> ApiResult<RoomEventFilter> {
    match json.filter(|json| !json.is_empty()) {
        Some(json) => {
            RoomEventFilter::parse(json).map_err(|error| ApiError::bad_json(error.to_string()))
        }
        None => Ok(RoomEventFilter::default()),
    }
}
