//! Complaints about events and users, in the form of Synapse's admin API.

use std::sync::Arc;

use axum::extract::State;
use ruma::{EventId, RoomId};
use serde_json::{Value, json};

use super::request::{Admin, Params, listed};
use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Reply};
use crate::http::router::{Route, delete, get};
use crate::storage::reports::{self, EventReport, UserReport, Wanted};

const ONE: &str = "/_synapse/admin/v1/event_reports/{reportId}";
const ONE_OF_USER: &str = "/_synapse/admin/v1/user_reports/{reportId}";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_synapse/admin/v1/event_reports", list),
        get(ONE, show),
        delete(ONE, forget),
        get("/_synapse/admin/v1/user_reports", list_users),
        get(ONE_OF_USER, show_user),
        delete(ONE_OF_USER, forget_user),
    ]
}

async fn told(app: &App, report: &EventReport) -> ApiResult<Value> {
    let facts = match RoomId::parse(&report.room_id) {
        Ok(id) => match app.rooms.get(&id).await {
            Ok(room) => Some(app.room_facts.one(app, &room).await?),
            Err(_) => None,
        },
        Err(_) => None,
    };
    Ok(json!({
        "id": report.id,
        "received_ts": report.reported_ms,
        "room_id": report.room_id,
        "event_id": report.event_id,
        "user_id": report.reporter,
        "reason": report.reason,
        "score": report.score,
        "sender": report.sender,
        "name": facts.as_ref().and_then(|facts| facts.name.clone()),
        "canonical_alias": facts.and_then(|facts| facts.canonical_alias),
    }))
}

async fn list(State(app): State<Arc<App>>, _: Admin, params: Params) -> ApiResult<Reply<Value>> {
    let text = |name: &str| params.text(name).unwrap_or_default().to_owned();
    let wanted = Wanted {
        reporter: text("user_id"),
        room: text("room_id"),
        sender: text("event_sender_user_id"),
    };
    let (page, newest_first) = (params.page()?, params.backwards()?.unwrap_or(true));
    let (found, total) =
        reports::list(&app.db, &wanted, newest_first, (page.from, page.limit)).await?;
    let mut rows = Vec::with_capacity(found.len());
    for report in &found {
        rows.push(told(&app, report).await?);
    }
    Ok(Reply(listed("event_reports", rows, total, page.next(total).map(Value::from))))
}

/// The number in the path.
fn number(text: &str) -> ApiResult<i64> {
    let wrong = || ApiError::invalid_param("The report's ID must be a number, and not below 0");
    text.parse::<i64>().ok().filter(|id| *id >= 0).ok_or_else(wrong)
}

fn unknown() -> ApiError {
    ApiError::not_found("There is no such report")
}

async fn show(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<String>,
) -> ApiResult<Reply<Value>> {
    let report = reports::get(&app.db, number(&id)?).await?.ok_or_else(unknown)?;
    let mut answer = told(&app, &report).await?;
    if let Ok(id) = EventId::parse(&report.event_id)
        && let Some(event) = app.rooms.event(&id).await?
    {
        answer["event_json"] =
            serde_json::from_slice(event.pdu.raw()).map_err(ApiError::internal)?;
    }
    Ok(Reply(answer))
}

async fn forget(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<String>,
) -> ApiResult<Reply<Empty>> {
    if app.accounts.forget_report(number(&id)?).await? { Ok(EMPTY) } else { Err(unknown()) }
}

fn told_user(report: &UserReport) -> Value {
    json!({
        "id": report.id,
        "received_ts": report.reported_ms,
        "target_user_id": report.user_id,
        "user_id": report.reporter,
        "reason": report.reason,
    })
}

async fn list_users(
    State(app): State<Arc<App>>,
    _: Admin,
    params: Params,
) -> ApiResult<Reply<Value>> {
    let text = |name: &str| params.text(name).unwrap_or_default();
    let (page, newest_first) = (params.page()?, params.backwards()?.unwrap_or(true));
    let wanted = (text("user_id"), text("target_user_id"));
    let (found, total) =
        reports::list_users(&app.db, wanted, newest_first, (page.from, page.limit)).await?;
    let rows = found.iter().map(told_user).collect();
    Ok(Reply(listed("user_reports", rows, total, page.next(total).map(Value::from))))
}

async fn show_user(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<String>,
) -> ApiResult<Reply<Value>> {
    let report = reports::get_user(&app.db, number(&id)?).await?.ok_or_else(unknown)?;
    Ok(Reply(told_user(&report)))
}

async fn forget_user(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<String>,
) -> ApiResult<Reply<Empty>> {
    if app.accounts.forget_user_report(number(&id)?).await? { Ok(EMPTY) } else { Err(unknown()) }
}
