//! The members of a room (Client-Server API, "Getting events for a room").

use std::sync::Arc;

use axum::extract::State;
use ruma::OwnedRoomId;
use serde::Deserialize;

use super::messages::boundary;
use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::RawReply;
use crate::http::router::{Route, get};
use crate::nid::TimelineOrd;
use crate::room::{Membership, StateMap};
use crate::storage::timeline_read::{backwards, forwards};
use crate::sync::access::Access;
use crate::sync::json::Writer;
use crate::sync::viewer::{Form, Surroundings, Viewer};

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/rooms/{roomId}/members", members),
        get("/_matrix/client/v3/rooms/{roomId}/joined_members", joined_members),
    ]
}

#[derive(Deserialize)]
struct Params {
    at: Option<String>,
    membership: Option<String>,
    not_membership: Option<String>,
}

async fn members(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(room): Path<OwnedRoomId>,
    Query(params): Query<Params>,
) -> ApiResult<RawReply> {
    let wanted = membership(params.membership.as_deref())?;
    let unwanted = membership(params.not_membership.as_deref())?;
    let access = Access::open(&app, &requester.user, &room).await?;
    let state = match boundary(params.at.as_deref(), "at")? {
        Some(at) => state_below(&app, &access, at.min(access.ceiling())).await?,
        None => access.state().await?,
    };
    let nids: Vec<_> = state
        .members()
        .filter(|(_, entry)| wanted.is_none() || entry.membership == wanted)
        .filter(|(_, entry)| unwanted.is_none() || entry.membership != unwanted)
        .map(|(_, entry)| entry.nid)
        .collect();
    let viewer = Viewer::of(&app, &requester).await?;
    let (form, around) = (Form { room_id: true, ..Form::default() }, Surroundings::default());
    let events = app.rooms.events(&nids).await?;
    let mut out = Writer::with_capacity(events.len() * 400 + 16);
    out.open();
    out.open_list_at("chunk");
    for event in &events {
        viewer.write(&mut out, event, None, form, &around);
    }
    out.close_list();
    out.close();
    Ok(RawReply(out.into_string().into()))
}

fn membership(given: Option<&str>) -> ApiResult<Option<Membership>> {
    let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(None) };
    let known = Membership::parse(given);
    known.map(Some).ok_or_else(|| ApiError::invalid_param("There is no such membership"))
}

/// The room's state just below a place. Below its first events nobody is in a room; then it is the state by which its first member came,
/// because clients ask with the token of the beginning of a timeline that they were told whole.
async fn state_below(app: &App, access: &Access, place: TimelineOrd) -> ApiResult<StateMap> {
    let room = access.room.nid();
    let mut below = place;
    loop {
        let found = backwards(&app.db, room, below, TimelineOrd::MIN, 100).await?;
        let Some(last) = found.last() else { break };
        below = last.ord;
        let nids: Vec<_> = found.iter().map(|placed| placed.nid).collect();
        // Imported history has no state of its own; what stands before it has.
        if let Some(group) =
            app.rooms.events(&nids).await?.iter().find_map(|event| event.state_after)
        {
            return Ok(access.room.state_of(group).await?);
        }
    }
    let first = forwards(&app.db, room, TimelineOrd::MIN, TimelineOrd::MAX, 20).await?;
    let nids: Vec<_> = first.iter().map(|placed| placed.nid).collect();
    for event in app.rooms.events(&nids).await? {
        if let Some(group) =
            event.state_after.filter(|_| event.pdu.membership() == Some(Membership::Join))
        {
            return Ok(access.room.state_of(group).await?);
        }
    }
    access.state().await.map_err(Into::into)
}

/// What a member event says of how its user is to be shown.
#[derive(Deserialize)]
struct Profile<'a> {
    #[serde(borrow)]
    displayname: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    avatar_url: Option<std::borrow::Cow<'a, str>>,
}

async fn joined_members(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(room): Path<OwnedRoomId>,
) -> ApiResult<RawReply> {
    let access = Access::joined(&app, &requester.user, &room).await?;
    let joined = access
        .snapshot
        .state
        .members()
        .filter(|(_, entry)| entry.membership == Some(Membership::Join));
    let nids: Vec<_> = joined.map(|(_, entry)| entry.nid).collect();
    let events = app.rooms.events(&nids).await?;
    let mut out = Writer::with_capacity(events.len() * 120 + 16);
    out.open();
    out.open_at("joined");
    for event in &events {
        let Some(user) = event.pdu.state_key() else { continue };
        let profile: Profile<'_> = serde_json::from_str(event.pdu.content().get())
            .unwrap_or(Profile { displayname: None, avatar_url: None });
        out.open_at(user);
        // Left out where there is none: the spec has strings here, and an `mxc://` URI.
        if let Some(name) = profile.displayname {
            out.key("display_name");
            out.text(&name);
        }
        if let Some(url) = profile.avatar_url.filter(|url| url.starts_with("mxc://")) {
            out.key("avatar_url");
            out.text(&url);
        }
        out.close();
    }
    out.close();
    out.close();
    Ok(RawReply(out.into_string().into()))
}
