//! Following the log: by long poll for programs, by server-sent events for the page. Both resume by sequence number.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Query, State},
    http::HeaderMap,
    response::{
        Sse,
        sse::{Event as SseEvent, KeepAlive},
    },
};
use futures::{Stream, stream};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    super::{error::NetworkError, limits, service::Caller},
    App,
};
use crate::wire::Events;

/// Where to read on, and how long to wait for something.
#[derive(Deserialize)]
pub(super) struct Follow {
    since: Option<i64>,
    #[serde(default = "page")]
    limit: i64,
    #[serde(default)]
    wait: u64,
    typing: Option<i64>,
    person: Option<String>,
}

fn page() -> i64 {
    limits::MAX_PAGE
}

/// A place among those who may wait at a time.
fn seat(app: &App) -> Result<OwnedSemaphorePermit, NetworkError> {
    Arc::clone(&app.streams).try_acquire_owned().map_err(|_| NetworkError::Full {
        what: "waiting readers",
        limit: limits::MAX_STREAMS as i64,
    })
}

/// `GET /api/events?since=&limit=&wait=&typing=&person=`: events after `since`, at once if there are any or if the typing state is another than
/// the one named; otherwise after at most `wait` seconds.
/// With `person`, only what that person sees.
pub(super) async fn poll(
    State(app): State<App>,
    caller: Caller,
    Query(follow): Query<Follow>,
) -> Result<Json<Events>, NetworkError> {
    let caller = app.service.view_of(caller, follow.person).await?;
    let seat = seat(&app)?;
    let since = follow.since.unwrap_or(0).max(0);
    let wait = Duration::from_secs(follow.wait.min(limits::MAX_WAIT));
    let found =
        tokio::time::timeout(wait, wait_for(&app, &caller, since, follow.limit, follow.typing))
            .await;
    drop(seat);
    match found {
        Ok(events) => Ok(Json(events?)),
        Err(_) => Ok(Json(app.service.events(&caller, since, follow.limit).await?)),
    }
}

/// The next page that says something new. Ends early, with an empty one, when the network stops.
async fn wait_for(
    app: &App,
    caller: &Caller,
    since: i64,
    limit: i64,
    typing: Option<i64>,
) -> Result<Events, NetworkError> {
    let mut new_events = app.service.watch_events();
    let mut new_typing = app.service.watch_typing();
    let mut since = since;
    loop {
        new_events.borrow_and_update();
        new_typing.borrow_and_update();
        let found = app.service.events(caller, since, limit).await?;
        let other_typing = typing.is_some_and(|version| version != found.typing.version);
        if !found.events.is_empty() || other_typing || app.stop.is_cancelled() {
            return Ok(found);
        }
        since = found.next;
        let tick = async {
            // Typing ends by itself: look again when it may have.
            if found.typing.people.is_empty() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        tokio::select! {
            _ = new_events.changed() => {}
            _ = new_typing.changed(), if typing.is_some() => {}
            () = tick => {}
            () = app.stop.cancelled() => {}
        }
    }
}

/// What an open stream carries from one page to the next.
struct Reader {
    app: App,
    caller: Caller,
    since: i64,
    typing: i64,
    ready: std::vec::IntoIter<SseEvent>,
    _seat: OwnedSemaphorePermit,
}

/// `GET /api/stream?since=`: the same as server-sent events named `event` and `typing`, without end. `Last-Event-ID` goes before `since`;
/// without either, the stream begins now.
pub(super) async fn stream(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Query(follow): Query<Follow>,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, NetworkError> {
    let caller = app.service.view_of(caller, follow.person).await?;
    let seat = seat(&app)?;
    let last_id =
        headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let since = match last_id.or(follow.since) {
        Some(since) => since.max(0),
        None => *app.service.watch_events().borrow(),
    };
    let reader =
        Reader { app, caller, since, typing: 0, ready: Vec::new().into_iter(), _seat: seat };
    let events = stream::unfold(reader, |mut reader| async move {
        loop {
            if let Some(event) = reader.ready.next() {
                return Some((Ok(event), reader));
            }
            if reader.app.stop.is_cancelled() {
                return None;
            }
            let page = wait_for(
                &reader.app,
                &reader.caller,
                reader.since,
                limits::MAX_PAGE,
                Some(reader.typing),
            )
            .await;
            let page = page
                .inspect_err(|error| tracing::warn!(%error, "a Playground stream ends"))
                .ok()?;
            reader.since = page.next;
            let mut ready = Vec::with_capacity(page.events.len() + 1);
            for event in &page.events {
                let id = event.seq.to_string();
                ready.push(SseEvent::default().event("event").id(id).json_data(event).ok()?);
            }
            if page.typing.version != reader.typing {
                reader.typing = page.typing.version;
                ready.push(SseEvent::default().event("typing").json_data(&page.typing).ok()?);
            }
            reader.ready = ready.into_iter();
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}
