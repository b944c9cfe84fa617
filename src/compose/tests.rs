//! The composition as a whole, in one process and without a browser: a message each way, and everything again after a restart.

use std::{path::Path, time::Duration};

use axum::body::{Body, to_bytes};
use http::{Request, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;

struct Whole {
    server: Server,
    parts: Parts,
    http: reqwest::Client,
    page: String,
    token: String,
}

impl Whole {
    async fn start(folder: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = Config::default();
        config.homeserver.data_dir = folder.to_owned();
        config.homeserver.listen.http.clear();
        config.homeserver.accounts.password_memory_kib = 8;
        config.homeserver.registration.open = true;
        config.playground.listen = ([127, 0, 0, 1], 0).into();
        quick_start::prepare(&mut config);
        let server = Server::start(config.homeserver.clone()).await.unwrap();
        let mut parts = Parts::default();
        parts.begin(&server, &mut config, true).await.unwrap();
        let page = format!("http://{}", parts.playground.as_ref().unwrap().address());
        let mut whole =
            Self { server, parts, http: reqwest::Client::new(), page, token: String::new() };
        let body = json!({"username": "guest", "password": "a-long-password", "auth": {"type": "m.login.dummy"}});
        let mut session = whole.matrix("POST", "/_matrix/client/v3/register", body).await;
        if session["access_token"].is_null() {
            let identifier = json!({"type": "m.id.user", "user": "guest"});
            let body = json!({"type": "m.login.password", "identifier": identifier, "password": "a-long-password"});
            session = whole.matrix("POST", "/_matrix/client/v3/login", body).await;
        }
        whole.token = session["access_token"].as_str().unwrap().to_owned();
        whole
    }

    async fn stop(self) {
        self.parts.end().await;
        self.server.stop().await;
    }

    async fn matrix(&self, method: &str, path: &str, body: Value) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json");
        let request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        let response = self
            .server
            .router()
            .oneshot(request.body(Body::from(body.to_string())).unwrap())
            .await
            .unwrap();
        serde_json::from_slice(&to_bytes(response.into_body(), 1 << 24).await.unwrap()).unwrap()
    }

    /// Joins the lobby's room, once the bridge has made it.
    async fn join(&self) -> String {
        for _ in 0..300 {
            let joined = self
                .matrix("POST", "/_matrix/client/v3/join/%23playground_lobby:localhost", json!({}))
                .await;
            if let Some(room) = joined["room_id"].as_str() {
                return room.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the lobby has no room");
    }

    async fn say_on_page(&self, key: &str, text: &str) {
        let url = format!("{}/api/chats/lobby/messages", self.page);
        let body = json!({"actor": "alice", "key": key, "text": text});
        self.http.post(url).json(&body).send().await.unwrap().error_for_status().unwrap();
    }

    async fn say_in_room(&self, room: &str, txn: &str, text: &str) {
        let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{txn}");
        let sent = self.matrix("PUT", &path, json!({"msgtype": "m.text", "body": text})).await;
        assert!(sent["event_id"].is_string(), "{sent}");
    }

    /// What was said in the room, oldest first, as (sender, text), once there is so much.
    async fn heard_in_room(&self, room: &str, count: usize) -> Vec<(String, String)> {
        let path = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=100");
        for _ in 0..300 {
            let page = self.matrix("GET", &path, Value::Null).await;
            let events = page["chunk"].as_array().unwrap().iter().rev();
            let said = events.filter(|event| event["type"] == "m.room.message");
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let said: Vec<_> = said
                .map(|event| (text(&event["sender"]), text(&event["content"]["body"])))
                .collect();
            if said.len() >= count {
                return said;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("fewer than {count} messages arrived in the room");
    }

    async fn heard_on_page(&self, count: usize) -> Vec<Value> {
        let url = format!("{}/api/chats/lobby/messages?after=0", self.page);
        for _ in 0..300 {
            let page: Value = self.http.get(&url).send().await.unwrap().json().await.unwrap();
            let messages = page["messages"].as_array().unwrap();
            if messages.len() >= count {
                return messages.clone();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("fewer than {count} messages arrived on the page");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_cross_both_ways_and_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let whole = Whole::start(folder.path()).await;
    let room = whole.join().await;
    whole.say_on_page("k1", "from the page").await;
    whole.heard_in_room(&room, 1).await;
    whole.say_in_room(&room, "t1", "from the room").await;
    let messages = whole.heard_on_page(2).await;
    assert_eq!(messages[1]["text"], "from the room");
    assert_eq!(messages[1]["profile"]["name"], "guest");
    whole.stop().await;

    let whole = Whole::start(folder.path()).await;
    whole.say_on_page("k1", "from the page").await;
    whole.say_on_page("k2", "after the restart").await;
    let said = whole.heard_in_room(&room, 3).await;
    let texts: Vec<_> = said.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(
        texts,
        ["from the page", "from the room", "after the restart"],
        "once each, in order"
    );
    assert!(said[0].0.starts_with("@playground_alice:"));
    whole.say_in_room(&room, "t2", "still here").await;
    let texts: Vec<_> =
        whole.heard_on_page(4).await.iter().map(|message| message["text"].clone()).collect();
    assert_eq!(texts, ["from the page", "from the room", "after the restart", "still here"]);
    whole.stop().await;
}
