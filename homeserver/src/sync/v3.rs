//! `GET /_matrix/client/v3/sync` ([Syncing](https://spec.matrix.org/v1.19/client-server-api/#syncing)).
//!
//! An answer is built for a span of positions: from the token's, to the stream's head when the building begins. What is asked of memory may
//! know later things already, so all that is told is held against the end of the span.

mod build;
pub(super) mod devices;
mod ephemeral;
mod plan;
mod rooms;
mod state;
pub(super) mod summary;
pub(super) mod write;

use std::sync::Arc;
use std::time::Duration;

use ruma::presence::PresenceState;
use tokio::time::{Instant, timeout_at};

use self::build::{Answer, Build};
use super::filter::Filter;
use super::token::SyncToken;
use super::viewer::Viewer;
use super::watch::watch;
use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::ApiResult;

/// The longest a request waits for something to happen.
pub const MAX_TIMEOUT: Duration = Duration::from_mins(5);

/// What a client asks.
#[derive(Debug)]
pub struct Request {
    /// What it has: nothing yet, when absent.
    pub since: Option<SyncToken>,
    /// What it wants.
    pub filter: Filter,
    /// Whether it wants the whole state of its rooms, whatever it has.
    pub full_state: bool,
    /// How long to wait for something to tell.
    pub timeout: Duration,
    /// How its user is to be shown.
    pub presence: PresenceState,
    /// The section to tell the state after the timeline in, if that is wanted instead of the one before
    /// ([MSC4222](https://github.com/matrix-org/matrix-spec-proposals/pull/4222)).
    pub state_after: Option<&'static str>,
}

/// Answers a request, as soon as there is something to tell or its time is over. Gives the body.
pub async fn sync(
    app: &Arc<App>,
    requester: &Requester,
    mut request: Request,
) -> ApiResult<String> {
    let deadline = Instant::now() + request.timeout.min(MAX_TIMEOUT);
    let given = request.since;
    request.since = given
        .filter(|token| token.generation == app.feed.generation() && token.pos <= app.feed.head());
    if let (Some(since), Some(device)) = (request.since, &requester.device) {
        devices::acknowledge(app, &requester.user, device, since.to_device).await?;
    }
    let starting_over = given.is_some() && request.since.is_none();
    let waits = request.since.is_some() && !request.full_state && !request.timeout.is_zero();
    let mut watch = if waits { Some(watch(app, &requester.user).await?) } else { None };
    let _online = app.presence.syncing(&requester.user, request.presence.clone()).await;

    let scope = requester.txn_scope();
    let mut lazy =
        app.sync.lazy.session(&scope, request.since.map(|token| token.to_string()).as_deref());
    loop {
        let viewer = Viewer::of(app, requester).await?;
        lazy.reset();
        let build = Build::new(app, requester, &request, &viewer, starting_over);
        let Answer { body, token, something } = build.run(&mut lazy).await?;
        let over = Instant::now() >= deadline || app.background.stop.is_cancelled();
        let Some(watch) = watch.as_mut().filter(|_| !something && !over) else {
            lazy.answered(&token.to_string());
            return Ok(body);
        };
        tokio::select! {
            // Time over: one more look, which then answers whatever it finds.
            _ = timeout_at(deadline, watch.changed()) => {}
            () = app.background.stop.cancelled() => {}
        }
    }
}
