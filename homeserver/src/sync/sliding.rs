//! Simplified sliding sync ([MSC4186](https://github.com/matrix-org/matrix-spec-proposals/pull/4186)): a client looks at windows of lists
//! of its rooms, and is told no more than it looks at.
//!
//! As in [`v3`](super::v3), an answer ends at the stream's head when its building begins. What a room was told up to is either the
//! connection's position, for rooms in sight, or is written down when the room leaves the windows; so nothing is missed of a room that
//! comes back, and nothing is told twice.

mod build;
mod connection;
mod extensions;
mod filters;
mod lists;
mod request;
mod required;
mod room;
mod sticky;
mod token;
mod write;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use ruma::DeviceId;
use ruma::presence::PresenceState;
use tokio::time::{Instant, timeout_at};

use self::build::{Answer, Build};
pub use self::connection::Connections;
use self::connection::State;
use self::extensions::messages_since;
pub use self::request::{Body, Request};
pub use self::token::Position;
use super::v3::{MAX_TIMEOUT, devices};
use super::viewer::Viewer;
use super::watch::watch;
use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::storage::sliding::ConnectionKey;

/// The client's position is not one that the server can go on from: it has to begin anew.
fn unknown_pos() -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "M_UNKNOWN_POS", "Unknown position; begin without one")
}

/// How a request is to be answered.
#[derive(Debug)]
pub struct Manner {
    /// Where the client stands; nowhere yet, when absent.
    pub pos: Option<String>,
    /// How long to wait for something to tell.
    pub timeout: Duration,
    /// How the user is to be shown.
    pub presence: PresenceState,
}

/// Answers a request, as soon as there is something to tell or its time is over. Gives the body.
pub async fn sync(
    app: &Arc<App>,
    requester: &Requester,
    request: Request,
    manner: Manner,
) -> ApiResult<String> {
    let deadline = Instant::now() + manner.timeout.min(MAX_TIMEOUT);
    let device = requester.device.as_deref();
    let key = ConnectionKey {
        user: requester.user.to_string(),
        device: device.map_or("", DeviceId::as_str).to_owned(),
        conn: request.conn_id.clone(),
    };
    let (came, state) = match &manner.pos {
        None => (None, Arc::new(State::default())),
        Some(pos) => {
            let (position, state) = position(app, &key, pos).await?;
            (Some(position), state)
        }
    };
    acknowledge(app, requester, &request).await?;
    let waits = came.is_some() && !manner.timeout.is_zero();
    let mut watch = if waits { Some(watch(app, &requester.user).await?) } else { None };
    let _online = app.presence.syncing(&requester.user, manner.presence).await;

    let scope = requester.txn_scope();
    let lazy_key = format!("{scope}|sliding|{}", request.conn_id);
    let mut lazy = app.sync.lazy.session(&lazy_key, manner.pos.as_deref());
    loop {
        let viewer = Viewer::of(app, requester).await?;
        lazy.reset();
        let build = Build::new(app, requester, &request, &viewer, came, &state).await?;
        let Answer { mut out, at, state: next, something } = build.run(&mut lazy).await?;
        let over = Instant::now() >= deadline || app.background.stop.is_cancelled();
        let Some(watch) = watch.as_mut().filter(|_| !something && !over) else {
            let known = came.map(|came| came.number);
            // The state is durable before the client learns its number.
            let number = match (next, known) {
                (Some(next), _) => app.sync.connections.save(app, &key, known, next).await?,
                (None, Some(known)) => known,
                (None, None) => return Err(unknown_pos()),
            };
            let pos = Position { number, at }.to_string();
            lazy.answered(&pos);
            out.key("pos");
            out.text(&pos);
            out.close();
            return Ok(out.into_string());
        };
        tokio::select! {
            // Time over: one more look, which then answers whatever it finds.
            _ = timeout_at(deadline, watch.changed()) => {}
            () = app.background.stop.cancelled() => {}
        }
    }
}

/// Where a connection stands, and what it was told by then.
async fn position(app: &App, key: &ConnectionKey, pos: &str) -> ApiResult<(Position, Arc<State>)> {
    let position: Position = pos.parse().map_err(|_| unknown_pos())?;
    if position.at.generation != app.feed.generation() || position.at.pos > app.feed.head() {
        return Err(unknown_pos());
    }
    let state = app.sync.connections.load(app, key, position.number).await?;
    Ok((position, state.ok_or_else(unknown_pos)?))
}

/// The device comes with what it has of its messages: those are no longer kept.
async fn acknowledge(app: &App, requester: &Requester, request: &Request) -> ApiResult<()> {
    let Some(since) = request.to_device.as_ref().and_then(|asked| asked.since.as_deref()) else {
        return Ok(());
    };
    let pos = messages_since(app.feed.generation(), since)?;
    match &requester.device {
        Some(device) if pos > 0 => {
            let pos = pos.min(app.feed.head());
            devices::acknowledge(app, &requester.user, device, pos).await
        }
        _ => Ok(()),
    }
}
