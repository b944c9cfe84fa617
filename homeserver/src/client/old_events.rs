//! The event stream of clients from before there was `/sync`, and of guests who look into a room (Client-Server API,
//! "Syncing", `GET /events`, deprecated).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use ruma::{OwnedEventId, OwnedRoomId};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::event_context::tell;
use super::old_sync::{read_token, token_at};
use crate::app::App;
use crate::event::Event;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::RawReply;
use crate::http::router::{Route, get};
use crate::nid::{ORD_SHIFT, Pos};
use crate::room::Membership;
use crate::storage::timeline_read::forwards;
use crate::sync::access::Access;
use crate::sync::invites::hidden;
use crate::sync::json::Writer;
use crate::sync::token::SyncToken;
use crate::sync::v3::MAX_TIMEOUT;
use crate::sync::viewer::{Form, Surroundings, Viewer};
use crate::sync::watch::watch;

/// For how long a request waits that doesn't say.
const DEFAULT_TIMEOUT_MS: u64 = 30_000;
/// Events of one answer.
const MAX_EVENTS: usize = 100;
/// How often a room is looked at by someone who is not in it: nothing wakes him.
const PEEK: Duration = Duration::from_secs(1);
const FORM: Form<'static> = Form { room_id: true, federation: false, fields: None };

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/events", events),
        get("/_matrix/client/v3/events/{eventId}", one_event),
    ]
}

#[derive(Deserialize)]
struct Params {
    from: Option<String>,
    timeout: Option<u64>,
    room_id: Option<OwnedRoomId>,
}

/// Events after a position, by their positions, with what the user was to the room at each.
type Found = BTreeMap<Pos, (Arc<Event>, Option<Membership>)>;

async fn events(
    State(app): State<Arc<App>>,
    requester: Requester,
    Query(params): Query<Params>,
) -> ApiResult<RawReply> {
    if let Some(room) = &params.room_id {
        Access::open(&app, &requester.user, room).await?;
    } else if requester.guest {
        return Err(ApiError::missing_param("Guests must say which room with room_id"));
    }
    let from =
        params.from.as_deref().filter(|from| !from.is_empty()).map(read_token).transpose()?;
    let from = from
        .filter(|token| token.generation == app.feed.generation() && token.pos <= app.feed.head())
        .unwrap_or_else(|| token_at(&app, app.feed.head()));
    let timeout = Duration::from_millis(params.timeout.unwrap_or(DEFAULT_TIMEOUT_MS));
    let deadline = Instant::now() + timeout.min(MAX_TIMEOUT);
    let mut watch = watch(&app, &requester.user).await?;
    let viewer = Viewer::of(&app, &requester).await?;
    let mut at = from;
    loop {
        let upto = app.feed.head();
        let (found, end) = find(&app, &viewer, params.room_id.as_ref(), at, upto).await?;
        if found.is_empty() && end < upto {
            // A stretch with nothing for this user.
            at = token_at(&app, end);
            continue;
        }
        let over = Instant::now() >= deadline || app.background.stop.is_cancelled();
        if !found.is_empty() || over {
            return Ok(answer(&viewer, &found, from, token_at(&app, end)));
        }
        let until = match &params.room_id {
            Some(_) => deadline.min(Instant::now() + PEEK),
            None => deadline,
        };
        tokio::select! {
            _ = timeout_at(until, watch.changed()) => {}
            () = app.background.stop.cancelled() => {}
        }
    }
}

fn answer(viewer: &Viewer, found: &Found, start: SyncToken, end: SyncToken) -> RawReply {
    let mut out = Writer::with_capacity(found.len() * 700 + 200);
    out.open();
    out.key("start");
    out.text(&start.to_string());
    out.key("end");
    out.text(&end.to_string());
    out.open_list_at("chunk");
    for (event, membership) in found.values() {
        viewer.write(&mut out, event, *membership, FORM, &Surroundings::default());
    }
    out.close_list();
    out.close();
    RawReply(out.into_string().into())
}

/// The first events of the span, and where they end.
async fn find(
    app: &App,
    viewer: &Viewer,
    only: Option<&OwnedRoomId>,
    from: SyncToken,
    upto: Pos,
) -> ApiResult<(Found, Pos)> {
    let mut found = Found::new();
    let mut end = upto;
    let memberships = app.rooms.memberships(&viewer.user).await?;
    let mut rooms = Vec::new();
    if let Some(id) = only {
        rooms.push(app.rooms.get(id).await?);
    } else {
        for (nid, mine) in &memberships {
            if mine.membership == Membership::Join {
                if app.feed.room_head(*nid) > from.pos {
                    rooms.extend(app.rooms.find(*nid).await?);
                }
            } else if mine.pos > from.pos && mine.pos <= upto && !mine.forgotten {
                // That he was invited, or is out, he is told by that event alone.
                for event in app.rooms.events(&[mine.event]).await? {
                    let invited = mine.membership == Membership::Invite;
                    if !invited || hidden(app, viewer, &[mine.event]).await?.is_empty() {
                        found.insert(mine.pos, (event, Some(mine.membership)));
                    }
                }
            }
        }
    }
    let ceiling = (upto + 1) << ORD_SHIFT;
    for room in rooms {
        let access = match Access::open(app, &viewer.user, room.id()).await {
            Err(error) if error.errcode == "M_FORBIDDEN" && only.is_none() => continue,
            access => access?,
        };
        let (floor, ceiling) = (from.boundary(), ceiling.min(access.ceiling()));
        let placed = forwards(&app.db, room.nid(), floor, ceiling, MAX_EVENTS).await?;
        let nids: Vec<_> = placed.iter().map(|placed| placed.nid).collect();
        if let Some(last) = placed.get(MAX_EVENTS - 1) {
            // There may be more of this room; what comes after it in others is for the next answer, too.
            end = end.min(last.ord >> ORD_SHIFT);
        }
        let mut lens = access.lens(app, &viewer.user);
        for event in app.rooms.events(&nids).await? {
            let Some(place) = event.place().filter(|place| place.pos > from.pos) else { continue };
            if viewer.ignores(&event) {
                continue;
            }
            if let Some(membership) = lens.see(&event).await? {
                found.insert(place.pos, (event, Some(membership)));
            }
        }
    }
    if let Some((pos, _)) = found.iter().nth(MAX_EVENTS - 1) {
        end = end.min(*pos);
    }
    found.retain(|pos, _| *pos <= end);
    Ok((found, end))
}

async fn one_event(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<OwnedEventId>,
) -> ApiResult<RawReply> {
    let unknown = || ApiError::not_found("There is no such event, or it is not yours to see");
    let event = app.rooms.event(&id).await?.ok_or_else(unknown)?;
    tell(&app, &requester, &event.pdu.room_id, &id).await
}
