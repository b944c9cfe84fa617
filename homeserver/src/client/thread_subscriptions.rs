//! Subscriptions to threads ([MSC4306](https://github.com/matrix-org/matrix-spec-proposals/pull/4306)), and going back through them
//! ([MSC4308](https://github.com/matrix-org/matrix-spec-proposals/pull/4308)).

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use ruma::{OwnedEventId, OwnedRoomId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::{EMPTY, Empty, JsonOrEmpty, RawReply, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, delete, get, put};
use crate::services::relations::relation_of;
use crate::services::threads::{Outcome, Thread, position, token, write};
use crate::sync::access::Access;
use crate::sync::json::Writer;
use crate::sync::sliding::Position;

/// Subscriptions in one answer when the request names no number, and the most.
const LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 512;

const ONE: &str =
    "/_matrix/client/unstable/io.element.msc4306/rooms/{roomId}/thread/{threadRootId}/subscription";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get(ONE, read),
        put(ONE, subscribe),
        delete(ONE, unsubscribe),
        get("/_matrix/client/unstable/io.element.msc4308/thread_subscriptions", list),
    ]
}

/// The room and the thread, if the user may see the event that it began with.
async fn thread(
    app: &App,
    requester: &Requester,
    room: OwnedRoomId,
    first: OwnedEventId,
) -> ApiResult<(Access, Thread)> {
    let unknown = || ApiError::not_found("There is no such thread");
    let access =
        Access::open(app, &requester.user, &room).await.map_err(|error| hide(error, unknown()))?;
    access.event(app, &requester.user, &first).await.map_err(|error| hide(error, unknown()))?;
    let thread = Thread { user: requester.user.clone(), room: access.room.nid(), root: first };
    Ok((access, thread))
}

/// What the user may not see looks like what isn't there.
fn hide(error: ApiError, instead: ApiError) -> ApiError {
    if error.status == StatusCode::FORBIDDEN { instead } else { error }
}

async fn read(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((room, first)): Path<(OwnedRoomId, OwnedEventId)>,
) -> ApiResult<Reply<Value>> {
    let (_, thread) = thread(&app, &requester, room, first).await?;
    match app.threads.get(&thread).await? {
        Some(said) => Ok(Reply(json!({ "automatic": said.automatic }))),
        None => Err(ApiError::not_found("You are not subscribed to this thread")),
    }
}

#[derive(Default, Deserialize)]
struct Subscribe {
    automatic: Option<OwnedEventId>,
}

async fn subscribe(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((room, first)): Path<(OwnedRoomId, OwnedEventId)>,
    JsonOrEmpty(body): JsonOrEmpty<Subscribe>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    let (access, thread) = thread(&app, &requester, room, first).await?;
    let cause = match body.automatic {
        None => None,
        Some(cause) => {
            let (event, _) = access.event(&app, &requester.user, &cause).await?;
            let within = relation_of(&event).is_some_and(|relation| {
                relation.rel_type == "m.thread" && relation.event_id == thread.root.as_str()
            });
            if !within {
                return Err(ApiError::new(
                    StatusCode::BAD_REQUEST,
                    "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD",
                    "That event is not in the thread",
                ));
            }
            Some(event.place().map_or(0, |place| place.pos))
        }
    };
    done(app.threads.subscribe(&thread, cause).await?)
}

async fn unsubscribe(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((room, first)): Path<(OwnedRoomId, OwnedEventId)>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    let (_, thread) = thread(&app, &requester, room, first).await?;
    done(app.threads.unsubscribe(&thread).await?)
}

fn done(outcome: Outcome) -> ApiResult<Reply<Empty>> {
    match outcome {
        Outcome::Done => Ok(EMPTY),
        Outcome::Conflict => Err(ApiError::new(
            StatusCode::CONFLICT,
            "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION",
            "You have left the thread since",
        )),
        Outcome::TooMany => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "M_RESOURCE_LIMIT_EXCEEDED",
            "You follow too many threads",
        )),
    }
}

#[derive(Deserialize)]
struct Params {
    dir: String,
    from: Option<String>,
    to: Option<String>,
    limit: Option<i64>,
}

async fn list(
    State(app): State<Arc<App>>,
    requester: Requester,
    Query(params): Query<Params>,
) -> ApiResult<RawReply> {
    if params.dir != "b" {
        return Err(ApiError::invalid_param("dir must be b"));
    }
    let limit = params.limit.unwrap_or(LIMIT);
    if limit < 1 {
        return Err(ApiError::invalid_param("limit must be at least 1"));
    }
    let limit = limit.min(MAX_LIMIT);
    let upto = match params.from.as_deref() {
        None => app.feed.head(),
        Some(from) => {
            position(from).ok_or_else(|| ApiError::invalid_param("from is not a token"))?
        }
    };
    let after = match params.to.as_deref() {
        None => 0,
        // The `pos` of a sliding sync is good as well.
        Some(to) => position(to)
            .or_else(|| to.parse::<Position>().ok().map(|position| position.at.pos))
            .ok_or_else(|| ApiError::invalid_param("to is not a token"))?,
    };
    let listed = app.threads.newest(&requester.user, after, upto, limit).await?;
    let mut out = Writer::with_capacity(256);
    out.open();
    write(&mut out, &listed);
    if listed.len() as i64 == limit
        && let Some(last) = listed.last()
    {
        out.key("end");
        out.text(&token(last.subscription.pos - 1));
    }
    out.close();
    Ok(RawReply(out.into_string().into()))
}
