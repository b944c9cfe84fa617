//! What goes on behind requests, in the form of Synapse's admin API.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::request::{Admin, Params};
use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::{Json, Reply};
use crate::http::router::{Route, get, post};
use crate::storage::jobs::{self, Job};
use crate::storage::search;

const ENABLED: &str = "/_synapse/admin/v1/background_updates/enabled";
/// What a piece of work may be.
const STATUSES: [&str; 5] = ["scheduled", "active", "complete", "cancelled", "failed"];

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_synapse/admin/v1/scheduled_tasks", tasks),
        get("/_synapse/admin/v1/background_updates/status", updates),
        get(ENABLED, enabled),
        post(ENABLED, enable),
        post("/_synapse/admin/v1/background_updates/start_job", start),
    ]
}

fn shown(job: &Job) -> ApiResult<Value> {
    let result: Value = serde_json::from_str(&job.result).map_err(ApiError::internal)?;
    Ok(json!({
        "id": job.id,
        "action": job.kind.as_str(),
        "status": job.status.as_str(),
        "timestamp_ms": job.changed_ms,
        "resource_id": job.subject,
        "result": result,
        "error": job.error,
    }))
}

/// Deletions and the like: what is under way, and what ended within a day.
async fn tasks(State(app): State<Arc<App>>, _: Admin, params: Params) -> ApiResult<Reply<Value>> {
    let text = |name: &str| params.text(name).unwrap_or_default();
    let status = params.text("job_status").or_else(|| params.text("status"));
    if status.is_some_and(|status| !STATUSES.contains(&status)) {
        let text = format!("status must be one of {}", STATUSES.join(", "));
        return Err(ApiError::invalid_param(text));
    }
    let before = params.number("max_timestamp")?.unwrap_or(i64::MAX);
    let found = jobs::all(&app.db, text("action_name"), text("resource_id"), before).await?;
    let found = found.iter().filter(|job| status.is_none_or(|is| is == job.status.as_str()));
    let tasks: Vec<Value> = found.map(shown).collect::<ApiResult<_>>()?;
    Ok(Reply(json!({ "scheduled_tasks": tasks })))
}

/// The tables are brought up to date before the server starts. What is done behind it is the index of words of what was there
/// before there was one, or was imported; of that it is known how much is left.
async fn updates(State(app): State<Arc<App>>, _: Admin) -> ApiResult<Reply<Value>> {
    let mut current = BTreeMap::new();
    if let Some(backlog) = search::backlog(&app.db).await? {
        let left = backlog.highest.0.saturating_sub(backlog.lowest.0);
        current.insert("homeserver", json!({ "name": "search_index", "items_left": left }));
    }
    Ok(Reply(json!({ "enabled": true, "current_updates": current })))
}

async fn enabled(_: Admin) -> Reply<Value> {
    Reply(json!({ "enabled": true }))
}

#[derive(Deserialize)]
struct Enable {
    enabled: bool,
}

async fn enable(_: Admin, Json(body): Json<Enable>) -> ApiResult<Reply<Value>> {
    if body.enabled {
        return Ok(Reply(json!({ "enabled": true })));
    }
    Err(ApiError::invalid_param("There are no background updates here that could be paused"))
}

#[derive(Deserialize)]
struct Start {
    job_name: String,
}

/// Nothing here is computed once and then goes stale, which is what such jobs are for.
async fn start(_: Admin, Json(body): Json<Start>) -> ApiResult<Reply<Value>> {
    let text = format!("There is no job {:?} here: nothing has to be computed anew", body.job_name);
    Err(ApiError::invalid_param(text))
}
