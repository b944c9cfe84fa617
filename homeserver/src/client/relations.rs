//! What relates to an event, and the threads of a room (Client-Server API, "Querying events by relationship", "Threading").

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::extract::State;
use ruma::{OwnedEventId, OwnedRoomId};
use serde::Deserialize;

use super::messages::{boundary, direction, surroundings};
use crate::app::App;
use crate::event::Event;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::RawReply;
use crate::http::router::{Route, get};
use crate::nid::TimelineOrd;
use crate::room::{Membership, RoomError};
use crate::storage::relations as table;
use crate::sync::access::Access;
use crate::sync::json::Writer;
use crate::sync::token::PageToken;
use crate::sync::viewer::{Form, Viewer};

/// Events of a page when the request names no limit.
const DEFAULT_LIMIT: usize = 50;
/// The most events of a page.
const MAX_LIMIT: usize = 500;
/// How many levels of relations `recurse` goes down, as the specification recommends.
const MAX_DEPTH: usize = 3;
/// Events whose relations are followed further down.
const MAX_PARENTS: usize = 2_000;

const FORM: Form<'static> = Form { room_id: true, federation: false, fields: None };

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v1/rooms/{roomId}/relations/{eventId}", all),
        get("/_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}", by_relation),
        get("/_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}", by_type),
        get("/_matrix/client/v1/rooms/{roomId}/threads", threads),
    ]
}

#[derive(Deserialize)]
struct Params {
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
    dir: Option<String>,
    #[serde(default)]
    recurse: bool,
}

/// Which children are asked for.
struct Of {
    room: OwnedRoomId,
    event: OwnedEventId,
    rel_type: Option<String>,
    kind: Option<String>,
}

async fn all(
    app: State<Arc<App>>,
    requester: Requester,
    Path((room, event)): Path<(OwnedRoomId, OwnedEventId)>,
    Query(params): Query<Params>,
) -> ApiResult<RawReply> {
    relations(&app, &requester, &Of { room, event, rel_type: None, kind: None }, &params).await
}

async fn by_relation(
    app: State<Arc<App>>,
    requester: Requester,
    Path((room, event, rel_type)): Path<(OwnedRoomId, OwnedEventId, String)>,
    Query(params): Query<Params>,
) -> ApiResult<RawReply> {
    relations(&app, &requester, &Of { room, event, rel_type: Some(rel_type), kind: None }, &params)
        .await
}

async fn by_type(
    app: State<Arc<App>>,
    requester: Requester,
    Path((room, event, rel_type, kind)): Path<(OwnedRoomId, OwnedEventId, String, String)>,
    Query(params): Query<Params>,
) -> ApiResult<RawReply> {
    relations(
        &app,
        &requester,
        &Of { room, event, rel_type: Some(rel_type), kind: Some(kind) },
        &params,
    )
    .await
}

async fn relations(
    app: &App,
    requester: &Requester,
    of: &Of,
    params: &Params,
) -> ApiResult<RawReply> {
    let forwards = direction(params.dir.as_deref())?;
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let access = Access::open(app, &requester.user, &of.room).await?;
    access.event(app, &requester.user, &of.event).await?;
    let from = boundary(params.from.as_deref(), "from")?;
    let to = boundary(params.to.as_deref(), "to")?;
    let (floor, ceiling) = if forwards { (from, to) } else { (to, from) };
    let parents = parents(app, &access, &of.event, params.recurse).await?;
    let query = table::Query {
        room: access.room.nid(),
        parents: &parents,
        rel_type: of.rel_type.as_deref(),
        kind: of.kind.as_deref(),
        floor: floor.unwrap_or(TimelineOrd::MIN),
        ceiling: ceiling.unwrap_or(TimelineOrd::MAX).min(access.ceiling()),
        forwards,
        // One more, to know whether there is another page.
        limit: limit + 1,
    };
    let children = table::children(&app.db, &query).await?;
    let next = (children.len() > limit).then(|| {
        let last = children[limit - 1].ord;
        if forwards { last + 1 } else { last }
    });
    let nids: Vec<_> = children.iter().take(limit).map(|child| child.nid).collect();
    let viewer = Viewer::of(app, requester).await?;
    let events = visible(app, &access, &viewer, app.rooms.events(&nids).await?).await?;
    let mut out = Writer::with_capacity(events.len() * 700 + 64);
    out.open();
    chunk(app, &access, &viewer, &events, &mut out).await?;
    if let Some(next) = next {
        out.key("next_batch");
        out.text(&PageToken(next).to_string());
    }
    if let Some(from) = from {
        out.key("prev_batch");
        out.text(&PageToken(from).to_string());
    }
    if params.recurse {
        out.key("recursion_depth");
        out.int(MAX_DEPTH as i64);
    }
    out.close();
    Ok(RawReply(out.into_string().into()))
}

/// The event, and with `recurse` those related to it whose own relations are asked for, too.
async fn parents(
    app: &App,
    access: &Access,
    event: &ruma::EventId,
    recurse: bool,
) -> Result<Vec<String>, RoomError> {
    let mut parents = vec![event.to_string()];
    if !recurse {
        return Ok(parents);
    }
    let mut known: HashSet<String> = parents.iter().cloned().collect();
    let mut level = parents.clone();
    for _ in 1..MAX_DEPTH {
        let below = table::child_ids(&app.db, access.room.nid(), &level, MAX_PARENTS).await?;
        level = below.into_iter().filter(|id| known.insert(id.clone())).collect();
        if level.is_empty() || parents.len() + level.len() > MAX_PARENTS {
            break;
        }
        parents.extend(level.iter().cloned());
    }
    Ok(parents)
}

async fn visible(
    app: &App,
    access: &Access,
    viewer: &Viewer,
    events: Vec<Arc<Event>>,
) -> Result<Vec<(Arc<Event>, Membership)>, RoomError> {
    let mut lens = access.lens(app, &viewer.user);
    let mut seen = Vec::with_capacity(events.len());
    for event in events {
        if viewer.ignores(&event) {
            continue;
        }
        if let Some(membership) = lens.see(&event).await? {
            seen.push((event, membership));
        }
    }
    Ok(seen)
}

async fn chunk(
    app: &App,
    access: &Access,
    viewer: &Viewer,
    events: &[(Arc<Event>, Membership)],
    out: &mut Writer,
) -> Result<(), RoomError> {
    let plain: Vec<Arc<Event>> = events.iter().map(|(event, _)| Arc::clone(event)).collect();
    let around = surroundings(app, viewer, access, &plain).await?;
    out.open_list_at("chunk");
    for (event, membership) in events {
        viewer.write(out, event, Some(*membership), FORM, &around);
    }
    out.close_list();
    Ok(())
}

#[derive(Deserialize)]
struct ThreadParams {
    include: Option<String>,
    limit: Option<usize>,
    from: Option<String>,
}

async fn threads(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(room): Path<OwnedRoomId>,
    Query(params): Query<ThreadParams>,
) -> ApiResult<RawReply> {
    let participant = match params.include.as_deref() {
        None | Some("all") => None,
        Some("participated") => Some(requester.user.as_str()),
        Some(_) => return Err(ApiError::invalid_param("include must be all or participated")),
    };
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let access = Access::open(&app, &requester.user, &room).await?;
    let asked = table::Roots {
        room: access.room.nid(),
        participant,
        latest_below: boundary(params.from.as_deref(), "from")?.unwrap_or(TimelineOrd::MAX),
        ceiling: access.ceiling(),
        // One more, to know whether there is another page.
        limit: limit + 1,
    };
    let roots = table::roots(&app.db, &asked).await?;
    let next = (roots.len() > limit).then(|| roots[limit - 1].1);
    let order: Vec<String> = roots.into_iter().take(limit).map(|(root, _)| root).collect();
    let ids: Vec<OwnedEventId> =
        order.iter().filter_map(|root| root.as_str().try_into().ok()).collect();
    let events = app.rooms.cache().many_by_ids(&ids).await.map_err(RoomError::from)?;
    let viewer = Viewer::of(&app, &requester).await?;
    let seen = visible(&app, &access, &viewer, events).await?;
    let mut by_id: HashMap<String, (Arc<Event>, Membership)> = seen
        .into_iter()
        .map(|(event, membership)| (event.pdu.event_id.to_string(), (event, membership)))
        .collect();
    let ordered: Vec<_> = order.iter().filter_map(|root| by_id.remove(root)).collect();
    let mut out = Writer::with_capacity(ordered.len() * 1500 + 64);
    out.open();
    chunk(&app, &access, &viewer, &ordered, &mut out).await?;
    if let Some(next) = next {
        out.key("next_batch");
        out.text(&PageToken(next).to_string());
    }
    out.close();
    Ok(RawReply(out.into_string().into()))
}
