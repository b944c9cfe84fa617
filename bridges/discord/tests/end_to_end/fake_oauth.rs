//! The stand-in's way to ask people who they are (API reference, "OAuth2"), with their tokens.

use axum::{
    Form, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use crate::fake::{BOT, Fake, TOKEN};

/// The client's secret, and the code that somebody comes back with who has allowed it.
pub(crate) const CLIENT_SECRET: &str = "client-secret";
pub(crate) const CODE: &str = "good";

type Fields = Form<BTreeMap<String, String>>;

pub(crate) fn router() -> Router<Fake> {
    let api = Router::new()
        .route("/users/@me", get(me))
        .route("/oauth2/token", post(exchange))
        .route("/oauth2/token/revoke", post(revoke));
    Router::new().nest("/api/v10", api)
}

/// Whether a request needs no token of the bot's: its body, or another token, says who asks.
pub(crate) fn is_open(path: &str, authorization: &str) -> bool {
    path.contains("/oauth2/")
        || path.ends_with("/users/@me") && authorization.starts_with("Bearer ")
}

/// Who asks: the bot, or whoever a token is of.
async fn me(State(fake): State<Fake>, headers: HeaderMap) -> Response {
    let by = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if by == format!("Bot {TOKEN}") {
        return Json(json!({ "id": BOT, "username": "bridge", "bot": true })).into_response();
    }
    let token = by.trim_start_matches("Bearer ");
    if fake.state().tokens.contains(token) {
        Json(Fake::user("ann")).into_response()
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

fn is_client(fields: &BTreeMap<String, String>) -> bool {
    fields.get("client_secret").is_some_and(|secret| secret == CLIENT_SECRET)
}

async fn exchange(State(fake): State<Fake>, Form(fields): Fields) -> (StatusCode, Json<Value>) {
    let is = |key: &str, value: &str| fields.get(key).is_some_and(|given| given == value);
    if !is_client(&fields) || !is("code", CODE) || !is("grant_type", "authorization_code") {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" })));
    }
    fake.state().tokens.insert("of-ann".into());
    let token = json!({ "access_token": "of-ann", "token_type": "Bearer", "scope": "identify" });
    (StatusCode::OK, Json(token))
}

async fn revoke(State(fake): State<Fake>, Form(fields): Fields) -> StatusCode {
    let token = fields.get("token").filter(|_| is_client(&fields));
    let known = token.is_some_and(|token| fake.state().tokens.remove(token));
    if known { StatusCode::OK } else { StatusCode::BAD_REQUEST }
}
