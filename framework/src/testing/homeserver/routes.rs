//! The Client-Server API as far as a bridge uses it. Only what an appservice sees is played: answers have the fields of
//! the spec that a bridge reads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value, json};

use super::Shared;
use super::state::{Refusal, State, not_found};

/// The largest body taken.
const MAX_BODY: usize = 64 * 1024 * 1024;

type Answer = Result<Value, Refusal>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(move |request: Request| {
        let shared = shared.clone();
        async move { handle(shared, request).await.into_response() }
    })
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, axum::Json(json!({ "errcode": self.1, "error": self.2 }))).into_response()
    }
}

/// One request, taken apart.
struct Asked<'a> {
    method: &'a Method,
    path: &'a str,
    segments: Vec<&'a str>,
    query: BTreeMap<String, String>,
    headers: &'a HeaderMap,
    bytes: bytes::Bytes,
    body: Value,
}

async fn handle(shared: Arc<Shared>, request: Request) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, MAX_BODY)
        .await
        .map_err(|_| Refusal(400, "M_UNKNOWN", "the body broke off".into()))?;
    let path = head.uri.path().to_owned();
    let decoded: Vec<String> = path.trim_start_matches('/').split('/').map(decode).collect();
    let query = head.uri.query().unwrap_or_default();
    let asked = Asked {
        method: &head.method,
        path: &path,
        segments: decoded.iter().map(String::as_str).collect(),
        query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers: &head.headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        bytes,
    };
    if let ["_matrix", "client", "v1", "appservice", _, "ping"] = asked.segments[..] {
        shared.news.notify_waiters();
        return Ok(axum::Json(json!({ "duration_ms": 1 })).into_response());
    }
    let answer = {
        let mut state = shared.state();
        state.requests += 1;
        media(&mut state, &asked)
            .map_or_else(|| answer(&mut state, &asked).map(|v| axum::Json(v).into_response()), Ok)
    };
    shared.news.notify_waiters();
    if answer.is_ok()
        && asked.segments.last() == Some(&"sync")
        && let Some(wait) = asked.query.get("timeout").and_then(|ms| ms.parse().ok())
        && asked.query.contains_key("since")
    {
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    answer
}

/// Downloads are the one answer that isn't JSON.
fn media(state: &mut State, asked: &Asked<'_>) -> Option<Response> {
    let (server, id) = match asked.segments[..] {
        ["_matrix", "client", "v1", "media", "download", server, id]
            if asked.method == Method::GET =>
        {
            (server, id)
        }
        _ => return None,
    };
    let (mime, bytes) = state.media.get(&format!("mxc://{server}/{id}"))?.clone()?;
    Some(([(CONTENT_TYPE, mime)], Body::from(bytes)).into_response())
}

fn answer(state: &mut State, asked: &Asked<'_>) -> Answer {
    let segments = &asked.segments[..];
    if segments == ["_matrix", "client", "versions"] {
        let beeper = state.is_ours();
        return Ok(json!({ "versions": ["v1.1", "v1.7", "v1.11"], "unstable_features": {
            "com.beeper.batch_sending": beeper, "com.beeper.room_create_autojoin_invites": beeper,
            "com.beeper.room_yeeting": beeper,
        }}));
    }
    let bearer = asked.headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let token = bearer.strip_prefix("Bearer ").unwrap_or_default();
    if segments == ["_matrix", "client", "v3", "register"] {
        return register(state, token, &asked.body);
    }
    let user = state.authenticate(token, asked.query.get("user_id").map(String::as_str))?;
    match segments {
        ["_matrix", "client", "v3", rest @ ..] => match rest {
            ["rooms", room, rest @ ..] => in_room(state, asked, &user, room, rest),
            rest => beside_rooms(state, asked, &user, rest),
        },
        ["_matrix", "client", "v1", "media", "config"] => Ok(json!({ "m.upload.size": MAX_BODY })),
        ["_matrix", "media", "v3", "upload"] => {
            let mxc = state.new_mxc();
            upload(state, asked, &mxc);
            Ok(json!({ "content_uri": mxc }))
        }
        ["_matrix", "media", "v1", "create"] => {
            let mxc = state.new_mxc();
            state.media.insert(mxc.clone(), None);
            Ok(json!({ "content_uri": mxc }))
        }
        ["_matrix", "media", "v3", "upload", server, id] => {
            let mxc = format!("mxc://{server}/{id}");
            match state.media.get(&mxc) {
                None => Err(not_found("upload")),
                Some(Some(_)) => {
                    Err(Refusal(409, "M_CANNOT_OVERWRITE_MEDIA", "it is there already".into()))
                }
                Some(None) => {
                    upload(state, asked, &mxc);
                    Ok(json!({}))
                }
            }
        }
        ["_matrix", "client", "unstable", "com.beeper.backfill", "rooms", room, "batch_send"]
            if state.is_ours() =>
        {
            Ok(json!({ "event_ids": state.import(room, &asked.body)? }))
        }
        ["_matrix", "client", "unstable", "com.beeper.yeet", "rooms", room, "delete"]
            if state.is_ours() =>
        {
            state.rooms.remove(*room).ok_or_else(|| not_found("room"))?;
            Ok(json!({}))
        }
        _ => Err(unrecognized()),
    }
}

fn unrecognized() -> Refusal {
    Refusal(404, "M_UNRECOGNIZED", "there is no such endpoint".into())
}

fn upload(state: &mut State, asked: &Asked<'_>, mxc: &str) {
    let mime = asked
        .headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("application/octet-stream");
    state.media.insert(mxc.to_owned(), Some((mime.to_owned(), asked.bytes.clone())));
}

fn register(state: &mut State, token: &str, body: &Value) -> Answer {
    if !state.registration.as_token.matches(token) {
        return Err(Refusal(401, "M_UNKNOWN_TOKEN", "that token is not known".into()));
    }
    let user = format!("@{}:{}", body["username"].as_str().unwrap_or_default(), state.server_name);
    if !state.is_appservice_user(&user) {
        return Err(Refusal(400, "M_EXCLUSIVE", "that user is not in the namespace".into()));
    }
    if !state.register(&user) {
        return Err(Refusal(400, "M_USER_IN_USE", "that user exists".into()));
    }
    Ok(json!({ "user_id": user }))
}

fn beside_rooms(state: &mut State, asked: &Asked<'_>, user: &str, segments: &[&str]) -> Answer {
    let get = asked.method == Method::GET;
    match segments {
        // Only for who asks for nothing.
        ["sync"] if !state.no_sync => Ok(json!({ "next_batch": "s0" })),
        ["account", "whoami"] => Ok(json!({ "user_id": user })),
        ["capabilities"] => Ok(json!({ "capabilities": {} })),
        ["joined_rooms"] => {
            let joined = state
                .rooms
                .values()
                .filter(|r| r.membership(user) == Some("join"))
                .map(|r| r.id.clone());
            Ok(json!({ "joined_rooms": joined.collect::<Vec<_>>() }))
        }
        ["createRoom"] => Ok(json!({ "room_id": state.create_room(user, &asked.body)? })),
        ["join", room] => {
            let room = state.aliases.get(*room).cloned().unwrap_or_else(|| (*room).to_owned());
            state.set_member(&room, user, user, "join", None)?;
            Ok(json!({ "room_id": room }))
        }
        ["directory", "room", alias] if get => {
            let room = state.aliases.get(*alias).ok_or_else(|| not_found("alias"))?;
            Ok(json!({ "room_id": room, "servers": [state.server_name] }))
        }
        ["directory", "room", alias] if asked.method == Method::PUT => {
            if state.aliases.contains_key(*alias) {
                return Err(Refusal(409, "M_UNKNOWN", "that alias is taken".into()));
            }
            let room = asked.body["room_id"].as_str().unwrap_or_default().to_owned();
            state.aliases.insert((*alias).to_owned(), room);
            Ok(json!({}))
        }
        ["directory", "room", alias] => {
            state.aliases.remove(*alias).map(|_| json!({})).ok_or_else(|| not_found("alias"))
        }
        ["directory", "list", "appservice", _, _] => Ok(json!({})),
        ["profile", who] if get => {
            state.profiles.get(*who).cloned().map(Value::Object).ok_or_else(|| not_found("profile"))
        }
        ["profile", who, field] if !get => {
            let value = asked.body[*field].clone();
            state.profiles.entry((*who).to_owned()).or_default().insert((*field).to_owned(), value);
            Ok(json!({}))
        }
        ["presence", who, "status"] => {
            state.passing.push(("m.presence".into(), String::new(), (*who).to_owned()));
            state.presences.insert((*who).to_owned(), asked.body.clone());
            Ok(json!({}))
        }
        ["user", who, "account_data", kind] => account_data(state, asked, who, "", kind),
        ["user", who, "rooms", room, "account_data", kind] => {
            account_data(state, asked, who, room, kind)
        }
        _ => Err(unrecognized()),
    }
}

fn account_data(
    state: &mut State,
    asked: &Asked<'_>,
    user: &str,
    room: &str,
    kind: &str,
) -> Answer {
    let key = (user.to_owned(), room.to_owned(), kind.to_owned());
    if asked.method == Method::GET {
        return state.account_data.get(&key).cloned().ok_or_else(|| not_found("account data"));
    }
    state.account_data.insert(key, asked.body.clone());
    Ok(json!({}))
}

fn in_room(
    state: &mut State,
    asked: &Asked<'_>,
    user: &str,
    room: &str,
    segments: &[&str],
) -> Answer {
    let ts = asked.query.get("ts").and_then(|ts| ts.parse().ok());
    let get = asked.method == Method::GET;
    if get && state.room(room)?.membership(user) != Some("join") {
        return Err(super::state::forbidden(&format!("{user} is not in the room")));
    }
    match segments {
        ["send", kind, _] => once(state, user, asked.path, |state| {
            state.send(room, user, kind, None, asked.body.clone(), ts)
        }),
        ["redact", target, _] => once(state, user, asked.path, |state| {
            state.redact(room, user, target, asked.body.clone(), ts)
        }),
        ["state"] => Ok(state.room(room)?.all_state().cloned().collect()),
        ["state", kind, rest @ ..] => {
            let key = rest.first().copied().unwrap_or_default();
            if get {
                let content = state.room(room)?.state_content(kind, key).cloned();
                return content.ok_or_else(|| not_found("state"));
            }
            Ok(
                json!({ "event_id": state.send(room, user, kind, Some(key), asked.body.clone(), ts)? }),
            )
        }
        ["invite" | "kick" | "ban" | "unban" | "leave"] => {
            let target = asked.body["user_id"].as_str().unwrap_or(user);
            state.moderate(room, user, target, segments[0], asked.body.get("reason"))?;
            Ok(json!({}))
        }
        ["forget"] => Ok(json!({})),
        ["joined_members"] => {
            let room = state.room(room)?;
            let joined: Map<String, Value> = room
                .members("join")
                .map(|member| {
                    let content = room.state_content("m.room.member", member).unwrap_or(&Value::Null);
                    let profile = json!({ "display_name": content["displayname"], "avatar_url": content["avatar_url"] });
                    (member.to_owned(), profile)
                })
                .collect();
            Ok(json!({ "joined": joined }))
        }
        ["messages"] => messages(state, asked, room),
        ["event", id] => state.room(room)?.event(id).cloned().ok_or_else(|| not_found("event")),
        ["aliases"] => {
            let own =
                state.aliases.iter().filter(|(_, r)| *r == room).map(|(alias, _)| alias.clone());
            Ok(json!({ "aliases": own.collect::<Vec<_>>() }))
        }
        ["typing", who] => {
            state.passing.push(("m.typing".into(), room.to_owned(), (*who).to_owned()));
            let typing = (room.to_owned(), (*who).to_owned());
            if asked.body["typing"] == true {
                state.typing.insert(typing);
            } else {
                state.typing.remove(&typing);
            }
            Ok(json!({}))
        }
        ["read_markers"] => {
            state.passing.push(("m.receipt".into(), room.to_owned(), user.to_owned()));
            if let Some(event) = asked.body["m.read"].as_str() {
                state.receipts.insert((room.to_owned(), user.to_owned()), event.to_owned());
            }
            Ok(json!({}))
        }
        _ => Err(unrecognized()),
    }
}

/// A send with a transaction ID happens once.
fn once(
    state: &mut State,
    user: &str,
    path: &str,
    work: impl FnOnce(&mut State) -> Result<String, Refusal>,
) -> Answer {
    let key = (user.to_owned(), path.to_owned());
    if let Some(id) = state.txns.get(&key) {
        return Ok(json!({ "event_id": id }));
    }
    let id = work(state)?;
    state.txns.insert(key, id.clone());
    Ok(json!({ "event_id": id }))
}

/// `GET /messages`; a token is a place in the timeline.
fn messages(state: &State, asked: &Asked<'_>, room: &str) -> Answer {
    let room = state.room(room)?;
    let limit = asked.query.get("limit").and_then(|l| l.parse().ok()).unwrap_or(10usize).min(1000);
    let back = asked.query.get("dir").is_some_and(|dir| dir == "b");
    let from = match asked.query.get("from") {
        Some(token) => token
            .strip_prefix('t')
            .and_then(|place| place.parse().ok())
            .ok_or_else(|| Refusal(400, "M_INVALID_PARAM", "that is not a token".into()))?,
        None if back => room.end(),
        None => room.start() + 1,
    };
    let (chunk, next): (Vec<&Value>, Option<i64>) = if back {
        let mut places = room.timeline.range(..from).rev();
        let page: Vec<_> = places.by_ref().take(limit).collect();
        let more = places.next().is_some();
        let next = page.last().filter(|_| more).map(|(at, _)| **at);
        (page.into_iter().map(|(_, event)| event).collect(), next)
    } else {
        let mut places = room.timeline.range(from..);
        let page: Vec<_> = places.by_ref().take(limit).collect();
        let next = places.next().map(|(at, _)| *at);
        (page.into_iter().map(|(_, event)| event).collect(), next)
    };
    let mut answer = json!({ "chunk": chunk, "start": format!("t{from}") });
    if let Some(next) = next {
        answer["end"] = format!("t{next}").into();
    }
    Ok(answer)
}

/// One segment of a path without its percent-encoding.
fn decode(segment: &str) -> String {
    let mut out = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let mut rest = bytes.clone();
        let hex = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        match (byte, hex(rest.next()), hex(rest.next())) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                bytes = rest;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
