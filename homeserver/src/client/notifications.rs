//! What a user was notified of (Client-Server API, "Listing Notifications").

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use ruma::EventId;
use serde::Deserialize;

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Query;
use crate::http::json::RawReply;
use crate::http::router::{Route, get};
use crate::nid::Pos;
use crate::services::relations::Bundles;
use crate::storage::notifications;
use crate::sync::json::Writer;
use crate::sync::viewer::{Form, Surroundings, Viewer};

/// Notifications of an answer when the request names no limit, and at most.
const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 200;
/// How long is waited for what was sent just before the request.
const PATIENCE: Duration = Duration::from_secs(2);

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![get("/_matrix/client/v3/notifications", list)]
}

#[derive(Deserialize)]
struct Params {
    from: Option<String>,
    limit: Option<usize>,
    only: Option<String>,
}

async fn list(
    State(app): State<Arc<App>>,
    requester: Requester,
    Query(params): Query<Params>,
) -> ApiResult<RawReply> {
    let from: Pos = match params.from.as_deref().filter(|from| !from.is_empty()) {
        Some(from) => from
            .parse()
            .map_err(|_| ApiError::invalid_param("from is no token of this endpoint"))?,
        None => Pos::MAX,
    };
    let only_highlights = match params.only.as_deref() {
        None | Some("") => false,
        Some("highlight") => true,
        Some(other) => {
            return Err(ApiError::invalid_param(format!("only can be highlight, not {other:?}")));
        }
    };
    let limit = match params.limit {
        Some(0) => return Err(ApiError::invalid_param("limit must be above 0")),
        limit => limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT),
    };
    app.notifications.noted_up_to(app.feed.head(), PATIENCE).await;
    let user = &requester.user;
    let mut page = notifications::below(&app.db, user, from, only_highlights, limit + 1).await?;
    let more = page.len() > limit;
    page.truncate(limit);

    let viewer = Viewer::of(&app, &requester).await?;
    let nids: Vec<_> = page.iter().map(|row| row.event).collect();
    let events = app.rooms.events(&nids).await?;
    let around = Surroundings::of(&app.rooms, &events, Bundles::default()).await?;
    let mut rooms: Vec<_> = page.iter().map(|row| row.room).collect();
    rooms.sort_unstable();
    rooms.dedup();
    let read = app.notifications.read_up_to(user, &rooms).await?;

    let mut out = Writer::with_capacity(page.len() * 700 + 100);
    out.open();
    if let (true, Some(last)) = (more, page.last()) {
        out.key("next_token");
        out.text(&last.pos.to_string());
    }
    out.open_list_at("notifications");
    for row in &page {
        // What was redacted, or comes from somebody whom the user has come to ignore, is not worth a notification any more.
        let Some(event) = events.iter().find(|event| event.nid == row.event) else { continue };
        if event.redacted_because.is_some() || viewer.ignored.contains(event.pdu.sender.as_str()) {
            continue;
        }
        let thread = row.thread.as_deref().and_then(|root| <&EventId>::try_from(root).ok());
        out.open();
        out.key("room_id");
        out.text(event.pdu.room_id.as_str());
        out.key("ts");
        out.int(row.ts);
        out.key("read");
        out.bool(read.get(&row.room).is_some_and(|read| read.has_read(thread, row.ord)));
        out.key("actions");
        out.raw(&row.actions);
        out.key("event");
        viewer.write(&mut out, event, None, Form::default(), &around);
        out.close();
    }
    out.close_list();
    out.close();
    Ok(RawReply(out.into_string().into()))
}
