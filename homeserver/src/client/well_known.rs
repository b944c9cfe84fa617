//! What the server tells the world of itself (Client-Server API, "Server Discovery", "Policy Servers").

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::config::Config;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::Reply;
use crate::http::router::{Route, get};

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/.well-known/matrix/client", client),
        get("/.well-known/matrix/support", support),
        get("/.well-known/matrix/policy_server", policy_server),
    ]
}

async fn client(State(app): State<Arc<App>>) -> ApiResult<Reply<Value>> {
    let base = app.config.public_base_url.as_deref();
    let base = base.ok_or_else(|| {
        ApiError::not_found("The server's administrator has published no address")
    })?;
    let mut told = json!({ "m.homeserver": { "base_url": base } });
    if let Some(identity) = identity_server(&app.config) {
        told["m.identity_server"] = json!({ "base_url": identity });
    }
    // Where calls are carried, for clients that look here and not at the endpoint for it (MSC4143).
    if !app.config.rtc.transports.is_empty() {
        told["org.matrix.msc4143.rtc_foci"] = json!(app.config.rtc.transports);
    }
    Ok(Reply(told))
}

/// The address of the identity server that clients are to use: the one that the settings name, or the only one.
fn identity_server(config: &Config) -> Option<&str> {
    let servers = &config.identity_servers;
    let address = match &config.default_identity_server {
        Some(name) => servers.get(name)?,
        None if servers.len() == 1 => servers.values().next()?,
        None => return None,
    };
    Some(address.trim_end_matches('/'))
}

async fn support(State(app): State<Arc<App>>) -> ApiResult<Reply<Map<String, Value>>> {
    let support = &app.config.support;
    let mut answer = Map::new();
    if !support.contacts.is_empty() {
        answer.insert("contacts".to_owned(), json!(support.contacts));
    }
    if let Some(page) = &support.page {
        answer.insert("support_page".to_owned(), json!(page));
    }
    if answer.is_empty() {
        return Err(ApiError::not_found("The server's administrator has published no contact"));
    }
    Ok(Reply(answer))
}

async fn policy_server(State(app): State<Arc<App>>) -> ApiResult<Reply<Value>> {
    let keys = &app.config.policy_server.public_keys;
    if keys.is_empty() {
        return Err(ApiError::not_found("There is no policy server here"));
    }
    Ok(Reply(json!({ "public_keys": keys })))
}
