//! The stand-in's gateway (API reference, "Gateway").

use std::time::Duration;

use axum::{
    Router,
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    response::Response,
    routing::get,
};
use serde_json::{Value, json};

use crate::fake::{APPLICATION, BOT, Fake, GUILD, Session, TOKEN};

/// In milliseconds: short, so that a connection that only seems to live is found out within a test.
const HEARTBEAT: u64 = 400;

pub(crate) fn router() -> Router<Fake> {
    Router::new().route("/gateway/", get(upgrade))
}

async fn upgrade(State(fake): State<Fake>, socket: WebSocketUpgrade) -> Response {
    socket.on_upgrade(|socket| connection(fake, socket))
}

fn server(fake: &Fake) -> Value {
    let state = fake.state();
    let is_thread = |channel: &&Value| channel["type"] == 11;
    let in_use = |thread: &Value| thread["thread_metadata"]["archived"] != true;
    let all = || state.channels.values().cloned().collect::<Vec<Value>>();
    let threads: Vec<Value> = all().into_iter().filter(|c| is_thread(&c) && in_use(c)).collect();
    let channels: Vec<Value> = all().into_iter().filter(|c| !is_thread(&c)).collect();
    let mut server = state.server.clone();
    server["channels"] = channels.into();
    server["threads"] = threads.into();
    server
}

async fn say(socket: &mut WebSocket, frame: Value) -> bool {
    socket.send(Message::Text(frame.to_string().into())).await.is_ok()
}

async fn event(socket: &mut WebSocket, sequence: u64, name: &str, data: &Value) -> bool {
    say(socket, json!({ "op": 0, "s": sequence, "t": name, "d": data })).await
}

async fn end(socket: &mut WebSocket, code: u16) {
    let frame = CloseFrame { code, reason: "".into() };
    let _ = socket.send(Message::Close(Some(frame))).await;
}

async fn connection(fake: Fake, mut socket: WebSocket) {
    let mut cut = fake.cut.subscribe();
    cut.mark_unchanged();
    let mut news = fake.news.subscribe();
    fake.state().connected += 1;
    let hello = json!({ "op": 10, "d": { "heartbeat_interval": HEARTBEAT } });
    if !say(&mut socket, hello).await {
        return;
    }
    let mut session: Option<String> = None;
    loop {
        let muted = fake.state().faults.mute;
        tokio::select! {
            _ = cut.changed() => return,
            heard = news.recv() => {
                let Ok((of, sequence, name, data)) = heard else { return };
                if session.as_ref() == Some(&of) && !muted && !event(&mut socket, sequence, &name, &data).await {
                    return;
                }
            }
            frame = socket.recv() => {
                let Some(Ok(Message::Text(text))) = frame else { return };
                let frame: Value = serde_json::from_str(&text).unwrap();
                if muted {
                    continue;
                }
                match frame["op"].as_u64() {
                    Some(1) if !say(&mut socket, json!({ "op": 11 })).await => return,
                    Some(2) => {
                        if frame["d"]["token"] != format!("Bot {TOKEN}") {
                            return end(&mut socket, 4004).await;
                        }
                        let intents = frame["d"]["intents"].as_u64().unwrap();
                        fake.state().intents = intents;
                        session = identify(&fake, &mut socket).await;
                        if session.is_none() {
                            return;
                        }
                    }
                    Some(6) => {
                        session = resume(&fake, &mut socket, &frame["d"]).await;
                        if session.is_none() && !say(&mut socket, json!({ "op": 9, "d": false })).await {
                            return;
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

async fn identify(fake: &Fake, socket: &mut WebSocket) -> Option<String> {
    let (id, ready) = {
        let mut state = fake.state();
        state.identified += 1;
        let id = format!("session{}", state.identified);
        let ready = json!({
            "v": 10, "session_id": id, "resume_gateway_url": format!("ws://{}/gateway", fake.address),
            "user": { "id": BOT, "username": "bridge", "bot": true, "discriminator": "0" },
            "guilds": [{ "id": GUILD, "unavailable": true }],
            "application": { "id": APPLICATION, "flags": 0 },
        });
        (id, ready)
    };
    let guild = server(fake);
    {
        let mut state = fake.state();
        let log = vec![
            (1, "READY".to_owned(), ready.clone()),
            (2, "GUILD_CREATE".to_owned(), guild.clone()),
        ];
        state.sessions.insert(id.clone(), Session { log });
    }
    let told =
        event(socket, 1, "READY", &ready).await && event(socket, 2, "GUILD_CREATE", &guild).await;
    told.then_some(id)
}

async fn resume(fake: &Fake, socket: &mut WebSocket, asked: &Value) -> Option<String> {
    let id = asked["session_id"].as_str()?.to_owned();
    let seen = asked["seq"].as_u64()?;
    let missed: Vec<(u64, String, Value)> = {
        let mut state = fake.state();
        if state.faults.refuse_resume {
            return None;
        }
        let session = state.sessions.get(&id)?;
        let missed =
            session.log.iter().filter(|(sequence, ..)| *sequence > seen).cloned().collect();
        state.resumed += 1;
        missed
    };
    for (sequence, name, data) in missed {
        if !event(socket, sequence, &name, &data).await {
            return None;
        }
    }
    // What comes while the missed is told may be told twice: Discord does that too.
    tokio::time::sleep(Duration::from_millis(1)).await;
    event(socket, seen, "RESUMED", &json!({})).await.then_some(id)
}
