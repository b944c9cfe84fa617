//! What was said in a room, whoever it was meant for.

use std::sync::Arc;

use axum::extract::State;
use ruma::{OwnedEventId, OwnedRoomId};
use serde_json::{Value, json};

use super::super::request::{Admin, Params};
use crate::app::App;
use crate::client::event_context::{self, ContextParams};
use crate::client::messages::{self, MessagesParams};
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::{RawReply, Reply};
use crate::http::router::{Route, get};
use crate::sync::access::Access;
use crate::sync::viewer::Viewer;

/// The endpoints of this module.
pub(super) fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_synapse/admin/v1/rooms/{roomId}/messages", read),
        get("/_synapse/admin/v1/rooms/{roomId}/context/{eventId}", context),
        get("/_synapse/admin/v1/rooms/{roomId}/timestamp_to_event", timestamp_to_event),
        get("/_synapse/admin/v1/fetch_event/{eventId}", fetch),
    ]
}

/// An administrator's eyes, which nothing is hidden from but what its author had erased.
fn viewer(app: &App, requester: &Requester) -> Viewer {
    Viewer {
        user: requester.user.clone(),
        echo: None,
        now: app.clock.now_ms(),
        ignored: Arc::default(),
        erasure: app.erasure.clone(),
    }
}

async fn read(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path(room): Path<OwnedRoomId>,
    Query(mut params): Query<MessagesParams>,
) -> ApiResult<RawReply> {
    let access = Access::of_administrator(&app, &room).await?;
    params.dir.get_or_insert_with(|| "f".to_owned());
    messages::answer(&app, &access, &viewer(&app, &requester), &room, &params).await
}

async fn context(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path((room, id)): Path<(OwnedRoomId, OwnedEventId)>,
    Query(params): Query<ContextParams>,
) -> ApiResult<RawReply> {
    let access = Access::of_administrator(&app, &room).await?;
    event_context::answer(&app, &access, &viewer(&app, &requester), &id, &params).await
}

async fn timestamp_to_event(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path(room): Path<OwnedRoomId>,
    params: Params,
) -> ApiResult<RawReply> {
    let (ts, backwards) = (params.required("ts")?, params.backwards()?.unwrap_or(false));
    let access = Access::of_administrator(&app, &room).await?;
    event_context::nearest(&app, &access, &requester.user, ts, !backwards).await
}

/// The event as servers know it.
async fn fetch(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<OwnedEventId>,
) -> ApiResult<Reply<Value>> {
    let event = app.rooms.event(&id).await?;
    let event = event.ok_or_else(|| ApiError::not_found("There is no such event"))?;
    let mut whole: Value = serde_json::from_slice(event.pdu.raw()).map_err(ApiError::internal)?;
    whole["event_id"] = json!(event.pdu.event_id);
    Ok(Reply(json!({ "event": whole })))
}
