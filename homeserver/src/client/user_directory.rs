//! Finding people (Client-Server API, "User Directory").

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::{Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, post};
use crate::services::user_directory::search as find;
use crate::storage::user_directory::Candidate;

const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 50;
const MAX_TERM: usize = 255;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![post("/_matrix/client/v3/user_directory/search", search)]
}

#[derive(Deserialize)]
struct Search {
    search_term: String,
    limit: Option<usize>,
}

fn shown(found: Candidate) -> Value {
    let mut shown = Map::from_iter([("user_id".to_owned(), json!(found.user_id))]);
    for (key, json) in [("display_name", found.displayname), ("avatar_url", found.avatar_url)] {
        if let Some(value) = json.and_then(|json| serde_json::from_str(&json).ok()) {
            shown.insert(key.to_owned(), value);
        }
    }
    Value::Object(shown)
}

async fn search(
    State(app): State<Arc<App>>,
    requester: Requester,
    Json(body): Json<Search>,
) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Other)?;
    if body.search_term.len() > MAX_TERM {
        return Err(ApiError::invalid_param(format!("search_term may have {MAX_TERM} bytes")));
    }
    let limit = body.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let shared_only = !app.config.rooms.user_directory_shows_all;
    let term = body.search_term.trim();
    let mut found = find(&app.db, term, &requester.user, shared_only).await?;
    let limited = found.len() > limit;
    found.truncate(limit);
    let results: Vec<_> = found.into_iter().map(shown).collect();
    Ok(Reply(json!({ "results": results, "limited": limited })))
}
