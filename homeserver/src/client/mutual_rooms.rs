//! The rooms that two users have in common (Client-Server API, "Mutual Rooms"), also in the form of MSC2666 from before it was
//! in the spec, which clients still use.

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use http::Uri;
use ruma::{OwnedRoomId, UserId};
use serde_json::{Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::query_one;
use crate::http::json::Reply;
use crate::http::limit::Limit;
use crate::http::router::{Route, get};
use crate::nid::RoomNid;

/// The most rooms in one answer.
const PAGE: usize = 500;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v1/mutual_rooms", mutual_rooms),
        get("/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms", unstable),
    ]
}

/// A page of rooms in common, the number of all, and where the next page begins.
struct Page {
    rooms: Vec<OwnedRoomId>,
    count: usize,
    next: Option<String>,
}

async fn page(app: &App, requester: &Requester, uri: &Uri, from: &str) -> ApiResult<Page> {
    requester.limit(app, Limit::Other)?;
    let user = query_one(uri, "user_id").ok_or_else(|| ApiError::missing("user_id"))?;
    let user = UserId::parse(&user)
        .map_err(|error| ApiError::invalid_param(format!("{user:?} is not a user ID: {error}")))?;
    if user == requester.user {
        return Err(ApiError::invalid_param("You share all your rooms with yourself"));
    }
    // A token is the last room of the page before, in the order in which the server knows rooms.
    let after = match query_one(uri, from) {
        None => None,
        Some(token) => {
            let nid = token.strip_prefix('m').and_then(|number| number.parse().ok());
            let unknown = || ApiError::invalid_param(format!("{from} is not a token from here"));
            Some(RoomNid(nid.ok_or_else(unknown)?))
        }
    };
    let theirs = app.rooms.joined(&user).await?;
    let mut common = app.rooms.joined(&requester.user).await?;
    common.retain(|room| theirs.binary_search(room).is_ok());
    let (shown, next) = window(&common, after, PAGE);
    let rooms = app.directory.ids(shown).await?;
    Ok(Page { rooms, count: common.len(), next: next.map(|last| format!("m{}", last.0)) })
}

/// At most `most` rooms from behind `after`, and the last of them if there are more.
fn window(rooms: &[RoomNid], after: Option<RoomNid>, most: usize) -> (&[RoomNid], Option<RoomNid>) {
    let begin = after.map_or(0, |after| rooms.partition_point(|room| *room <= after));
    let end = rooms.len().min(begin + most);
    let shown = &rooms[begin..end];
    (shown, shown.last().copied().filter(|_| end < rooms.len()))
}

async fn mutual_rooms(
    State(app): State<Arc<App>>,
    requester: Requester,
    OriginalUri(uri): OriginalUri,
) -> ApiResult<Reply<Value>> {
    let page = page(&app, &requester, &uri, "from").await?;
    let mut answer = json!({ "joined": page.rooms, "count": page.count });
    if let Some(next) = page.next {
        answer["next_batch"] = json!(next);
    }
    Ok(Reply(answer))
}

async fn unstable(
    State(app): State<Arc<App>>,
    requester: Requester,
    OriginalUri(uri): OriginalUri,
) -> ApiResult<Reply<Value>> {
    let page = page(&app, &requester, &uri, "batch_token").await?;
    let mut answer = json!({ "joined": page.rooms });
    if let Some(next) = page.next {
        answer["next_batch_token"] = json!(next);
    }
    Ok(Reply(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_each_room_once() {
        let rooms = [1, 4, 5, 9, 12].map(RoomNid);
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let (shown, next) = window(&rooms, after, 2);
            seen.extend_from_slice(shown);
            let Some(next) = next else { break };
            after = Some(next);
        }
        assert_eq!(seen, rooms);
        assert_eq!(window(&rooms, Some(RoomNid(12)), 2), (&[][..], None));
        assert_eq!(window(&rooms, Some(RoomNid(4)), 3), (&rooms[2..], None));
    }
}
