//! The stand-in's REST API and CDN (API reference, "Channels", "Messages", "Webhooks").

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, Query, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs::OpenOptions, io::Write as _};

use crate::fake::{APPLICATION, BOT, Fake, GUILD, TOKEN};

type Params = Query<BTreeMap<String, String>>;

pub(crate) fn router() -> Router<Fake> {
    let api = Router::new()
        .route("/users/@me/guilds", get(async || Json(json!([{ "id": GUILD, "name": "Testers" }]))))
        .route("/users/{id}", get(user))
        .route("/applications/@me", get(async || Json(json!({ "id": APPLICATION }))))
        .route("/applications/{id}/commands", put(async || Json(json!([]))))
        .route("/gateway/bot", get(gateway))
        .route("/guilds/{id}/channels", get(channels))
        .route("/guilds/{id}/threads/active", get(active))
        .route("/channels/{channel}/webhooks", get(webhooks).post(make_webhook))
        .route("/channels/{channel}/messages", get(page).post(by_bot))
        .route("/channels/{channel}/messages/pins", get(pins))
        .route("/channels/{channel}/messages/pins/{id}", put(pin).delete(unpin))
        .route("/channels/{channel}/messages/{id}", get(one).patch(change).delete(delete))
        .route("/channels/{channel}/messages/{id}/threads", post(thread))
        .route("/channels/{channel}/messages/{id}/reactions/{emoji}/@me", put(done).delete(done))
        .route("/channels/{channel}", get(channel).patch(change_channel))
        .route("/channels/{channel}/threads", post(begin))
        .route("/channels/{channel}/threads/archived/public", get(put_away))
        .route("/channels/{channel}/typing", post(done))
        .route("/webhooks/{hook}/{token}", post(by_webhook))
        .route(
            "/webhooks/{hook}/{token}/messages/{id}",
            axum::routing::patch(change_hooked).delete(delete_hooked),
        )
        .route("/interactions/{id}/{token}/callback", post(answer));
    Router::new().nest("/api/v10", api).route(
        "/cdn/{*path}",
        get(async |Path(path): Path<String>| {
            let mime = match path.rsplit_once('.').map(|(_, kind)| kind) {
                Some("json") => "application/json",
                Some("gif") => "image/gif",
                Some("ogg") => "audio/ogg",
                Some("zip") => "application/zip",
                _ => "image/png",
            };
            let bytes = if mime == "application/json" { LOTTIE.into() } else { file(&path) };
            ([(header::CONTENT_TYPE, mime)], Bytes::from(bytes))
        }),
    )
}

/// What is in a file of the CDN's: enough of a picture, and what it is called, so that one can be told from another.
pub(crate) fn file(path: &str) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n", path.as_bytes()].concat()
}

/// A drawing of nothing.
const LOTTIE: &str =
    r#"{ "v": "5.7.6", "fr": 30, "ip": 0, "op": 30, "w": 64, "h": 64, "layers": [] }"#;

/// Notes each request, and turns away who has no token.
pub(crate) async fn noted(State(fake): State<Fake>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let text = |name: header::HeaderName| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let path = parts.uri.to_string();
    if path.starts_with("/api/") {
        let request = json!({
            "method": parts.method.as_str(), "path": path, "type": text(header::CONTENT_TYPE),
            "authorization": !text(header::AUTHORIZATION).is_empty(), "body": STANDARD.encode(&bytes),
        });
        // Discord's schema doesn't have the methods of OAuth2.
        let noted = std::env::var_os("LANDBRIDGE_DISCORD_REQUESTS");
        if let Some(file) = noted.filter(|_| !path.contains("/oauth2/")) {
            // One write for each, so that the lines of tests side by side don't mix.
            let line = format!("{request}\n");
            let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
            file.write_all(line.as_bytes()).unwrap();
        }
        fake.requests.lock().unwrap().push(request);
        let open = path.contains("/webhooks/") && !path.contains("/channels/")
            || path.contains("/interactions/")
            || crate::fake_oauth::is_open(&path, &text(header::AUTHORIZATION));
        if !open && text(header::AUTHORIZATION) != format!("Bot {TOKEN}") {
            return StatusCode::UNAUTHORIZED.into_response();
        }
    }
    next.run(Request::from_parts(parts, Body::from(bytes))).await
}

fn refusal(status: u16, code: u64, message: &str) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(json!({ "code": code, "message": message })))
        .into_response()
}

async fn done() -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn user(Path(id): Path<String>) -> Json<Value> {
    Json(json!({ "id": id, "username": format!("user{id}"), "discriminator": "0" }))
}

async fn gateway(State(fake): State<Fake>) -> Json<Value> {
    Json(json!({
        "url": format!("ws://{}/gateway", fake.address), "shards": 1,
        "session_start_limit": { "total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1 },
    }))
}

async fn channels(State(fake): State<Fake>) -> Json<Value> {
    Json(fake.state().channels.values().cloned().collect())
}

async fn active(State(fake): State<Fake>) -> Json<Value> {
    let state = fake.state();
    let threads: Vec<Value> =
        state.channels.values().filter(|c| c["type"] == 11 && !is_put_away(c)).cloned().collect();
    Json(json!({ "threads": threads }))
}

fn is_put_away(thread: &Value) -> bool {
    thread["thread_metadata"]["archived"] == true
}

async fn put_away(State(fake): State<Fake>, Path(channel): Path<String>) -> Json<Value> {
    let state = fake.state();
    let of = |thread: &&Value| thread["parent_id"] == *channel && is_put_away(thread);
    let threads: Vec<Value> = state.channels.values().filter(of).cloned().collect();
    Json(json!({ "threads": threads, "members": [], "has_more": false }))
}

async fn channel(State(fake): State<Fake>, Path(channel): Path<String>) -> Response {
    let known = fake.state().channels.get(&channel).cloned();
    known.map_or_else(|| refusal(404, 10_003, "Unknown Channel"), |c| Json(c).into_response())
}

/// The bot changes a channel.
async fn change_channel(
    State(fake): State<Fake>,
    Path(channel): Path<String>,
    Json(body): Json<Value>,
) -> Json<Value> {
    for (key, value) in body.as_object().unwrap() {
        fake.change(&channel, key, value.clone());
    }
    Json(fake.state().channels[&channel].clone())
}

async fn webhooks(State(fake): State<Fake>, Path(channel): Path<String>) -> Json<Value> {
    let state = fake.state();
    Json(state.webhooks.values().filter(|hook| hook["channel_id"] == *channel).cloned().collect())
}

async fn make_webhook(State(fake): State<Fake>, Path(channel): Path<String>) -> Response {
    let mut state = fake.state();
    if state.faults.no_webhooks {
        return refusal(403, 50_013, "Missing Permissions");
    }
    let id = state.next_id().to_string();
    let hook = json!({
        "id": id, "type": 1, "channel_id": channel, "token": format!("token{id}"),
        "application_id": APPLICATION, "name": "Landbridge",
    });
    state.webhooks.insert(id, hook.clone());
    Json(hook).into_response()
}

async fn page(
    State(fake): State<Fake>,
    Path(channel): Path<String>,
    Query(params): Params,
) -> Json<Value> {
    let number = |key: &str| params.get(key).and_then(|text| text.parse::<u64>().ok());
    let limit = number("limit").unwrap_or(50) as usize;
    let id = |message: &Value| message["id"].as_str().unwrap().parse::<u64>().unwrap();
    let all = fake.state().messages.get(&channel).cloned().unwrap_or_default();
    let (after, before) = (number("after"), number("before"));
    let mut found: Vec<Value> = all
        .into_iter()
        .filter(|m| {
            after.is_none_or(|after| id(m) > after) && before.is_none_or(|before| id(m) < before)
        })
        .collect();
    // Newest first, but of those after something the oldest are given.
    if after.is_some() {
        found.truncate(limit);
        found.reverse();
    } else {
        found.reverse();
        found.truncate(limit);
    }
    Json(found.into())
}

async fn one(State(fake): State<Fake>, Path((channel, id)): Path<(String, String)>) -> Response {
    let state = fake.state();
    let found = state.messages.get(&channel).into_iter().flatten().find(|m| m["id"] == *id);
    found.map_or_else(
        || refusal(404, 10_008, "Unknown Message"),
        |m| Json(m.clone()).into_response(),
    )
}

/// The JSON of a request that was noted.
pub(crate) fn body_of(request: &Value) -> Value {
    let bytes = STANDARD.decode(request["body"].as_str().unwrap()).unwrap();
    if bytes.is_empty() {
        return Value::Null;
    }
    payload(request["type"].as_str().unwrap(), &bytes)
}

/// The JSON of a request, with or without files.
fn payload(content_type: &str, body: &[u8]) -> Value {
    if !content_type.starts_with("multipart/") {
        return serde_json::from_slice(body).unwrap();
    }
    let text = String::from_utf8_lossy(body);
    let json = text.split("name=\"payload_json\"").nth(1).unwrap();
    let json = json.split_once("\r\n\r\n").unwrap().1.split_once("\r\n--").unwrap().0;
    let mut message: Value = serde_json::from_str(json).unwrap();
    for (number, part) in text.split("filename=\"").skip(1).enumerate() {
        let name = part.split('"').next().unwrap();
        message["attachments"][number]["filename"] = name.into();
        message["attachments"][number]["url"] = "https://cdn.discordapp.com/x".into();
    }
    message
}

/// What goes wrong with a message; `Err`: it is not taken.
fn trouble(fake: &Fake) -> Result<bool, Box<Response>> {
    let mut state = fake.state();
    if state.faults.limit > 0 {
        state.faults.limit -= 1;
        let limited = json!({ "message": "You are being rate limited.", "retry_after": 0.2, "global": false });
        let headers = [("retry-after", "0.2"), ("x-ratelimit-scope", "user")];
        let answer = (StatusCode::TOO_MANY_REQUESTS, headers, Json(limited)).into_response();
        return Err(Box::new(answer));
    }
    if state.faults.fail > 0 {
        state.faults.fail -= 1;
        return Err(Box::new(StatusCode::BAD_GATEWAY.into_response()));
    }
    let lost = state.faults.lose_answers > 0;
    state.faults.lose_answers -= u32::from(lost);
    Ok(lost)
}

/// An answer that breaks off.
fn broken() -> Response {
    let stream = futures::stream::iter([
        Ok(Bytes::from_static(b"{")),
        Err(std::io::Error::other("the connection broke")),
    ]);
    Response::new(Body::from_stream(stream))
}

fn take(fake: &Fake, channel: &str, message: &Value) -> Response {
    let lost = match trouble(fake) {
        Ok(lost) => lost,
        Err(response) => return *response,
    };
    let id = fake.post(channel, message.clone());
    if lost {
        return broken();
    }
    Json(json!({ "id": id, "channel_id": channel, "content": message["content"] })).into_response()
}

async fn by_webhook(
    State(fake): State<Fake>,
    Path((hook, token)): Path<(String, String)>,
    Query(params): Params,
    headers: header::HeaderMap,
    body: Bytes,
) -> Response {
    let known = fake.state().webhooks.get(&hook).cloned();
    let Some(known) = known.filter(|known| known["token"] == *token) else {
        return refusal(404, 10_015, "Unknown Webhook");
    };
    assert_eq!(
        params.get("wait").map(String::as_str),
        Some("true"),
        "webhooks are always waited for"
    );
    let content_type = headers.get(header::CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
    let mut message = payload(&content_type, &body);
    assert!(message["allowed_mentions"]["parse"].is_array(), "whom it notifies is always said");
    message["webhook_id"] = hook.clone().into();
    message["application_id"] = APPLICATION.into();
    message["author"] = json!({ "id": hook, "username": message["username"], "bot": true });
    let own = known["channel_id"].as_str().unwrap().to_owned();
    let forum = fake.state().channels[&own]["type"] == 15;
    if let Some(name) = message["thread_name"].as_str().map(ToOwned::to_owned) {
        assert!(forum, "only forums have posts");
        return post_in(&fake, &own, &name, &message["applied_tags"].clone(), message);
    }
    if forum && !params.contains_key("thread_id") {
        let code = 220_001;
        return refusal(
            400,
            code,
            "Webhooks posted to forum channels must have a thread_name or thread_id",
        );
    }
    let channel = params.get("thread_id").cloned().unwrap_or(own);
    take(&fake, &channel, &message)
}

/// A post of a forum: a thread that is called as its first message.
fn post_in(fake: &Fake, forum: &str, name: &str, tags: &Value, message: Value) -> Response {
    let lost = match trouble(fake) {
        Ok(lost) => lost,
        Err(response) => return *response,
    };
    let id = fake.begin(forum, name, tags, message);
    if lost {
        return broken();
    }
    Json(json!({ "id": id, "channel_id": id })).into_response()
}

/// The bot begins a post.
async fn begin(
    State(fake): State<Fake>,
    Path(forum): Path<String>,
    headers: header::HeaderMap,
    body: Bytes,
) -> Response {
    let content_type = headers.get(header::CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
    let post = payload(&content_type, &body);
    let mut message = post["message"].clone();
    message["author"] = json!({ "id": BOT, "username": "bridge", "bot": true });
    post_in(&fake, &forum, post["name"].as_str().unwrap(), &post["applied_tags"], message)
}

async fn by_bot(
    State(fake): State<Fake>,
    Path(channel): Path<String>,
    headers: header::HeaderMap,
    body: Bytes,
) -> Response {
    let content_type = headers.get(header::CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
    let mut message = payload(&content_type, &body);
    message["author"] = json!({ "id": BOT, "username": "bridge", "bot": true });
    let nonce = message["nonce"].as_str().unwrap_or_default().to_owned();
    let known = fake.state().nonces.get(&nonce).cloned();
    if let Some(known) = known.filter(|_| message["enforce_nonce"] == true) {
        return Json(json!({ "id": known })).into_response();
    }
    let response = take(&fake, &channel, &message);
    if response.status().is_success() {
        let last = fake.state().last.to_string();
        fake.state().nonces.insert(nonce, last);
    }
    response
}

fn alter(fake: &Fake, channel: &str, id: &str, body: &[u8], hook: Option<&str>) -> Response {
    let new: Value = serde_json::from_slice(body).unwrap();
    let mut changed = None;
    {
        let mut state = fake.state();
        let all = state.messages.entry(channel.to_owned()).or_default();
        if let Some(message) =
            all.iter_mut().find(|m| m["id"] == id && m["webhook_id"].as_str() == hook)
        {
            message["content"] = new["content"].clone();
            message["edited_timestamp"] = "2026-01-01T00:00:02+00:00".into();
            changed = Some(message.clone());
        }
    }
    match changed {
        Some(message) => {
            fake.dispatch("MESSAGE_UPDATE", &message);
            Json(message).into_response()
        }
        None => refusal(404, 10_008, "Unknown Message"),
    }
}

async fn change(
    State(fake): State<Fake>,
    Path((channel, id)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    alter(&fake, &channel, &id, &body, None)
}

fn hook_channel(fake: &Fake, hook: &str, params: &BTreeMap<String, String>) -> String {
    let own = fake
        .state()
        .webhooks
        .get(hook)
        .and_then(|hook| hook["channel_id"].as_str().map(Into::into));
    params.get("thread_id").cloned().or(own).unwrap_or_default()
}

async fn change_hooked(
    State(fake): State<Fake>,
    Path((hook, _, id)): Path<(String, String, String)>,
    Query(params): Params,
    body: Bytes,
) -> Response {
    let channel = hook_channel(&fake, &hook, &params);
    alter(&fake, &channel, &id, &body, Some(&hook))
}

fn drop_message(fake: &Fake, channel: &str, id: &str, hook: Option<&str>) -> Response {
    let there = fake.state().messages.get(channel).is_some_and(|all| {
        all.iter().any(|m| m["id"] == id && hook.is_none_or(|hook| m["webhook_id"] == hook))
    });
    if !there {
        return refusal(404, 10_008, "Unknown Message");
    }
    fake.remove(channel, id);
    StatusCode::NO_CONTENT.into_response()
}

async fn delete(State(fake): State<Fake>, Path((channel, id)): Path<(String, String)>) -> Response {
    drop_message(&fake, &channel, &id, None)
}

async fn delete_hooked(
    State(fake): State<Fake>,
    Path((hook, _, id)): Path<(String, String, String)>,
    Query(params): Params,
) -> Response {
    let channel = hook_channel(&fake, &hook, &params);
    drop_message(&fake, &channel, &id, Some(&hook))
}

async fn thread(
    State(fake): State<Fake>,
    Path((channel, id)): Path<(String, String)>,
    Json(body): Json<Value>,
) -> Response {
    if fake.state().channels.contains_key(&id) {
        return refusal(400, 160_004, "A thread has already been created for this message");
    }
    let name = body["name"].as_str().unwrap_or_default();
    Json(fake.begin_thread(&channel, &id, name)).into_response()
}

async fn pins(State(fake): State<Fake>, Path(channel): Path<String>) -> Json<Value> {
    let state = fake.state();
    let pinned = state.pins.get(&channel).cloned().unwrap_or_default();
    let items: Vec<Value> = pinned
        .iter()
        .rev()
        .map(|id| json!({ "pinned_at": "x", "message": { "id": id } }))
        .collect();
    Json(json!({ "items": items, "has_more": false }))
}

async fn pin(State(fake): State<Fake>, Path((channel, id)): Path<(String, String)>) -> StatusCode {
    fake.pin(&channel, &id);
    StatusCode::NO_CONTENT
}

async fn unpin(
    State(fake): State<Fake>,
    Path((channel, id)): Path<(String, String)>,
) -> StatusCode {
    fake.unpin(&channel, &id);
    StatusCode::NO_CONTENT
}

async fn answer(State(fake): State<Fake>, Json(body): Json<Value>) -> StatusCode {
    fake.state().answers.push(body);
    StatusCode::NO_CONTENT
}

/// The router with everything noted.
pub(crate) fn noting(router: Router<Fake>, fake: &Fake) -> Router<Fake> {
    router.layer(middleware::from_fn_with_state(fake.clone(), noted))
}
