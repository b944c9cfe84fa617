//! The rooms of a space and below (Client-Server API, "Spaces").

use std::cmp::Ordering;
use std::sync::Arc;

use axum::extract::State;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::room_summary::{Summary, may_preview, summarise};
use crate::app::App;
use crate::event::Event;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::Reply;
use crate::http::limit::Limit;
use crate::http::router::{Route, get};
use crate::room::{Room, RoomError};
use crate::services::spaces::Walk;

/// Rooms of a page unless fewer are asked for.
const DEFAULT_LIMIT: i64 = 50;
/// The most rooms of a page.
const MAX_LIMIT: i64 = 100;
/// How deep a walk goes at most.
const MAX_DEPTH: i64 = 100;
/// Rooms that are looked at for one page. Where nearly all are hidden from the user, pages are short.
const MAX_LOOKED: usize = 1_000;
/// Children of one space that are told and gone into.
const MAX_CHILDREN: usize = 5_000;
const CHILD: &str = "m.space.child";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![get("/_matrix/client/v1/rooms/{roomId}/hierarchy", hierarchy)]
}

/// What a page of the tree is asked for by.
#[derive(Debug, Deserialize)]
pub(crate) struct HierarchyParams {
    #[serde(default)]
    suggested_only: bool,
    limit: Option<i64>,
    max_depth: Option<i64>,
    from: Option<String>,
}

/// A page of the tree.
#[derive(Serialize)]
pub(crate) struct Page {
    rooms: Vec<Told>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
}

/// A room of the tree.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    summary: Summary,
    children_state: Vec<ChildState>,
}

/// An `m.space.child` event as it is told: stripped, with its time.
#[derive(Serialize)]
struct ChildState {
    #[serde(rename = "type")]
    kind: &'static str,
    state_key: OwnedRoomId,
    content: Box<RawValue>,
    sender: OwnedUserId,
    origin_server_ts: i64,
}

async fn hierarchy(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(space): Path<OwnedRoomId>,
    Query(params): Query<HierarchyParams>,
) -> ApiResult<Reply<Page>> {
    requester.limit(&app, Limit::Other)?;
    tree(&app, &requester.user, false, &space, &params).await.map(Reply)
}

/// A page of the rooms below a space that a user may see; to `everything` an administrator may.
pub(crate) async fn tree(
    app: &App,
    user: &UserId,
    everything: bool,
    space: &RoomId,
    params: &HierarchyParams,
) -> ApiResult<Page> {
    let limit = match params.limit {
        Some(..=0) => return Err(ApiError::invalid_param("limit must be above 0")),
        limit => limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT) as usize,
    };
    let depth = match params.max_depth {
        Some(..0) => return Err(ApiError::invalid_param("max_depth must not be negative")),
        depth => depth.unwrap_or(MAX_DEPTH).min(MAX_DEPTH) as u32,
    };
    let mut walk = match params.from.as_deref().filter(|from| !from.is_empty()) {
        None => {
            if everything {
                app.rooms.get(space).await?;
            } else {
                must_see(app, user, space).await?;
            }
            Walk::new(user.to_owned(), space.to_owned(), params.suggested_only, depth)
        }
        Some(token) => {
            let walk = app.walks.find(token).await.filter(|walk| {
                // Nobody goes on with another's walk, nor elsewhere than where it began.
                walk.user == user && walk.root == space
            });
            let walk = walk.ok_or_else(|| {
                ApiError::invalid_param("from is unknown, or too old; begin without it")
            })?;
            if walk.suggested_only != params.suggested_only || walk.max_depth != depth {
                return Err(ApiError::invalid_param(
                    "suggested_only and max_depth must stay as they were on the first page",
                ));
            }
            walk
        }
    };
    let mut rooms = Vec::new();
    let mut looked = 0;
    while rooms.len() < limit && looked < MAX_LOOKED {
        let Some((id, depth)) = walk.step() else { break };
        looked += 1;
        let room = match app.rooms.get(&id).await {
            Ok(room) => room,
            // A room that this server is not in; other servers are asked once it federates.
            Err(RoomError::NotFound) => continue,
            Err(error) => return Err(error.into()),
        };
        if !everything && !may_preview(app, &room, Some(user)).await? {
            continue;
        }
        let summary = summarise(&room).await?;
        let children = if summary.listed.room_type.as_deref() == Some("m.space") {
            children(app, &room, walk.suggested_only).await?
        } else {
            Vec::new()
        };
        walk.enter(children.iter().map(|child| &*child.state_key), depth);
        rooms.push(Told { summary, children_state: children });
    }
    let next_batch = if walk.is_over() { None } else { Some(app.walks.keep(walk).await) };
    Ok(Page { rooms, next_batch })
}

/// Refuses users who may not see a room.
async fn must_see(app: &App, user: &UserId, space: &RoomId) -> ApiResult<()> {
    // Rooms that don't exist and rooms that are not for this user look the same.
    let refused = || ApiError::forbidden("You may not see this room, or it does not exist");
    let room = match app.rooms.get(space).await {
        Err(RoomError::NotFound) => return Err(refused()),
        room => room?,
    };
    if may_preview(app, &room, Some(user)).await? { Ok(()) } else { Err(refused()) }
}

/// What decides a child's place among its siblings.
#[derive(Debug, PartialEq, Eq)]
struct Rank {
    order: Option<String>,
    ts: i64,
    id: OwnedRoomId,
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_order = match (&self.order, &other.order) {
            (Some(one), Some(other)) => one.cmp(other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        by_order.then_with(|| self.ts.cmp(&other.ts)).then_with(|| self.id.cmp(&other.id))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Deserialize)]
struct Content {
    // Whatever has another shape is no child; it must not hide the others.
    via: Option<serde_json::Value>,
    suggested: Option<serde_json::Value>,
    order: Option<serde_json::Value>,
}

/// The place of a child; `None` for an event that makes no room one.
fn rank(event: &Event, suggested_only: bool) -> Option<Rank> {
    let content: Content = serde_json::from_str(event.pdu.content().get()).ok()?;
    let servers = content.via.as_ref().and_then(serde_json::Value::as_array)?;
    let suggested = content.suggested.as_ref().and_then(serde_json::Value::as_bool) == Some(true);
    if servers.is_empty() || (suggested_only && !suggested) {
        return None;
    }
    let id = RoomId::parse(event.pdu.state_key()?).ok()?;
    let order = content.order.as_ref().and_then(serde_json::Value::as_str).filter(|order| {
        order.len() <= 50 && order.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    });
    Some(Rank { order: order.map(ToOwned::to_owned), ts: event.pdu.origin_server_ts, id })
}

/// The children of a space, in their order.
async fn children(app: &App, room: &Room, suggested_only: bool) -> ApiResult<Vec<ChildState>> {
    let snapshot = room.snapshot();
    let nids: Vec<_> =
        snapshot.state.of_kind(CHILD).map(|(_, entry)| entry.nid).take(MAX_CHILDREN).collect();
    let events = app.rooms.events(&nids).await?;
    let mut children: Vec<(Rank, Arc<Event>)> = events
        .into_iter()
        .filter_map(|event| Some((rank(&event, suggested_only)?, event)))
        .collect();
    children.sort_by(|(one, _), (other, _)| one.cmp(other));
    let told = |(rank, event): (Rank, Arc<Event>)| ChildState {
        kind: CHILD,
        state_key: rank.id,
        content: event.pdu.content().to_owned(),
        sender: event.pdu.sender.clone(),
        origin_server_ts: event.pdu.origin_server_ts,
    };
    Ok(children.into_iter().map(told).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_stand_in_the_order_of_the_specification() {
        let rank = |id: &str, order: Option<&str>, ts: i64| Rank {
            order: order.map(ToOwned::to_owned),
            ts,
            id: RoomId::parse(id).unwrap(),
        };
        let mut ranks = [
            rank("!d:example.org", None, 1_640_741_000_000),
            rank("!c:example.org", Some("first"), 1_640_841_000_000),
            rank("!e:example.org", None, 1_640_641_000_000),
            rank("!a:example.org", Some("aaaa"), 1_640_141_000_000),
            rank("!b:example.org", Some(" "), 1_640_341_000_000),
            rank("!f:example.org", None, 1_640_641_000_000),
        ];
        ranks.sort();
        let ids: Vec<_> = ranks.iter().map(|rank| &rank.id.as_str()[1..2]).collect();
        assert_eq!(ids, ["b", "a", "c", "e", "f", "d"]);
    }
}
