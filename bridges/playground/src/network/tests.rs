//! The network's behaviour, over its HTTP interface.

use std::sync::atomic::{AtomicI64, Ordering};

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;

/// A network of its own with Alice and Bob in the lobby, and a clock that moves by a second at each look.
struct Net {
    playground: Playground,
    folder: tempfile::TempDir,
    options: Options,
}

impl Net {
    async fn new(token: Option<&str>, faults: bool) -> Self {
        let clock = Arc::new(AtomicI64::new(1_700_000_000_000));
        let now = Arc::new(move || clock.fetch_add(1_000, Ordering::Relaxed));
        let options = Options { token: token.map(Into::into), faults, now };
        let folder = tempfile::tempdir().unwrap();
        let playground = Playground::open(folder.path(), options.clone()).await.unwrap();
        playground.seed("bridge").await.unwrap();
        Self { playground, folder, options }
    }

    /// As if the process had been stopped and started.
    async fn restart(self) -> Self {
        let Self { playground, folder, options } = self;
        drop(playground);
        let playground = Playground::open(folder.path(), options.clone()).await.unwrap();
        Self { playground, folder, options }
    }

    async fn raw(&self, request: Request<Body>) -> (StatusCode, Vec<u8>) {
        let response = self.playground.router().oneshot(request).await.unwrap();
        let status = response.status();
        (
            status,
            to_bytes(response.into_body(), 1 << 22).await.map(|b| b.to_vec()).unwrap_or_default(),
        )
    }

    async fn call_as(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, "localhost:1");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let (status, bytes) = self.raw(request.body(body).unwrap()).await;
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        self.call_as(None, method, path, (method != "GET").then_some(body)).await
    }

    async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    }

    async fn say(&self, actor: &str, text: &str) -> String {
        let sent = self
            .ok("POST", "/api/chats/lobby/messages", json!({"actor": actor, "text": text}))
            .await;
        sent["event"]["content"]["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn messages_are_numbered_without_holes_and_survive_a_restart() {
    let mut net = Net::new(None, false).await;
    for n in 1..=3 {
        net.say("alice", &format!("hello {n}")).await;
    }
    net = net.restart().await;
    net.say("bob", "hello 4").await;
    let page = net.ok("GET", "/api/chats/lobby/messages?limit=3", Value::Null).await;
    let numbers: Vec<_> = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["number"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, [2, 3, 4]);
    assert_eq!(page["more"], true);
    let page = net.ok("GET", "/api/chats/lobby/messages?after=3", Value::Null).await;
    assert_eq!(page["messages"][0]["text"], "hello 4");
    assert_eq!(page["more"], false);
    let events = net.ok("GET", "/api/events?since=0", Value::Null).await;
    let seqs: Vec<_> =
        events["events"].as_array().unwrap().iter().map(|e| e["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5], "the chat's creation and four messages");
    assert_eq!(events["next"], 5);
}

#[tokio::test]
async fn the_same_key_sends_once() {
    let net = Net::new(None, false).await;
    let body = json!({"actor": "alice", "key": "k1", "text": "once"});
    let first = net.ok("POST", "/api/chats/lobby/messages", body.clone()).await;
    let again = net.ok("POST", "/api/chats/lobby/messages", body).await;
    assert_eq!(first["event"], again["event"]);
    assert_eq!((&first["repeated"], &again["repeated"]), (&json!(false), &json!(true)));
    let other = net
        .ok(
            "POST",
            "/api/chats/lobby/messages",
            json!({"actor": "bob", "key": "k1", "text": "mine"}),
        )
        .await;
    assert_eq!(other["event"]["content"]["number"], 2, "a key belongs to its actor");
    let found = net.ok("GET", "/api/people/alice/keys/k1", Value::Null).await;
    assert_eq!(found["event"], first["event"]);
    let none = net.ok("GET", "/api/people/alice/keys/k2", Value::Null).await;
    assert_eq!(none["event"], Value::Null);
}

#[tokio::test]
async fn edits_reactions_and_deletions_change_the_present_state() {
    let net = Net::new(None, false).await;
    let id = net.say("alice", "helo").await;
    let path = format!("/api/messages/{id}");
    let edited = net.ok("PATCH", &path, json!({"actor": "alice", "text": "hello"})).await;
    assert_eq!(edited["event"]["content"]["version"], 1);
    let same = net.ok("PATCH", &path, json!({"actor": "alice", "text": "hello"})).await;
    assert_eq!(same["event"], Value::Null, "an edit to the same text is no event");
    let (status, refused) = net.call("PATCH", &path, json!({"actor": "bob", "text": "mine"})).await;
    assert_eq!((status, &refused["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")));

    let react = |set| json!({"actor": "bob", "emoji": "👍", "set": set});
    net.ok("PUT", &format!("{path}/reactions"), react(true)).await;
    let twice = net.ok("PUT", &format!("{path}/reactions"), react(true)).await;
    assert_eq!(twice["event"], Value::Null);
    let message = net.ok("GET", &path, Value::Null).await;
    assert_eq!(
        (&message["text"], &message["reactions"][0]["emoji"]),
        (&json!("hello"), &json!("👍"))
    );

    net.ok("DELETE", &path, json!({"actor": "alice"})).await;
    let message = net.ok("GET", &path, Value::Null).await;
    assert_eq!(
        (&message["text"], &message["deleted"], &message["number"]),
        (&json!(""), &json!(true), &json!(1))
    );
    let (status, _) = net.call("PUT", &format!("{path}/reactions"), react(true)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_is_no_member_says_nothing() {
    let net = Net::new(None, false).await;
    net.ok("POST", "/api/people", json!({"id": "dora", "name": "Dora"})).await;
    let say = json!({"actor": "dora", "text": "hi"});
    let (status, refused) = net.call("POST", "/api/chats/lobby/messages", say.clone()).await;
    assert_eq!((status, &refused["code"]), (StatusCode::FORBIDDEN, &json!("not_a_member")));
    net.ok("PUT", "/api/chats/lobby/members/dora", json!({"actor": "dora"})).await;
    net.ok("POST", "/api/chats/lobby/messages", say).await;
    net.ok("DELETE", "/api/chats/lobby/members/dora", json!({"actor": "alice"})).await;
    let chat = net.ok("GET", "/api/chats/lobby", Value::Null).await;
    assert_eq!(chat["members"], json!(["alice", "bob", "bridge", "carol"]));
}

#[tokio::test]
async fn limits_hold() {
    let net = Net::new(None, false).await;
    let long = "x".repeat(MAX_TEXT + 1);
    let (status, _) = net
        .call("POST", "/api/chats/lobby/messages", json!({"actor": "alice", "text": long}))
        .await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let huge = "x".repeat(limits::MAX_BODY + 1);
    let (status, refused) = net
        .call("POST", "/api/chats/lobby/messages", json!({"actor": "alice", "text": huge}))
        .await;
    assert_eq!((status, &refused["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("too_long")));
    let (status, refused) =
        net.call("POST", "/api/chats/lobby/messages", json!({"actor": "alice", "txt": "x"})).await;
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!("invalid")));
    let (status, _) =
        net.call("POST", "/api/people", json!({"id": "alice", "name": "Other"})).await;
    assert_eq!(status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn tokens_bind_to_a_person_and_their_chats() {
    let net = Net::new(Some("network"), false).await;
    let (status, _) = net.call_as(None, "GET", "/api/whoami", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let own = Some("network");
    let (_, token) = net.call_as(own, "POST", "/api/people/alice/token", None).await;
    let token = token["token"].as_str().unwrap();
    let alice = Some(token);
    let (_, me) = net.call_as(alice, "GET", "/api/whoami", None).await;
    assert_eq!(me["person"]["name"], "Alice");
    let say = json!({"text": "as myself"});
    let (status, sent) = net.call_as(alice, "POST", "/api/chats/lobby/messages", Some(say)).await;
    assert_eq!((status, &sent["event"]["actor"]), (StatusCode::OK, &json!("alice")));
    let forged = json!({"actor": "bob", "text": "as bob"});
    let (status, _) = net.call_as(alice, "POST", "/api/chats/lobby/messages", Some(forged)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);

    let dm = json!({"actor": "bob", "kind": "direct", "members": ["carol"]});
    let (_, dm) = net.call_as(own, "POST", "/api/chats", Some(dm)).await;
    let dm = dm["id"].as_str().unwrap();
    let secret = json!({"actor": "bob", "text": "psst"});
    net.call_as(own, "POST", &format!("/api/chats/{dm}/messages"), Some(secret)).await;
    let (_, seen) = net.call_as(alice, "GET", "/api/events?since=0", None).await;
    assert!(
        seen["events"].as_array().unwrap().iter().all(|event| event["chat"] == "lobby"),
        "{seen}"
    );
    let (status, _) = net.call_as(alice, "GET", &format!("/api/chats/{dm}/messages"), None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, _) = net.call_as(alice, "GET", &format!("/api/chats/{dm}"), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_direct_chat_is_one_per_pair() {
    let net = Net::new(None, false).await;
    let one = net
        .ok("POST", "/api/chats", json!({"actor": "alice", "kind": "direct", "members": ["bob"]}))
        .await;
    let other = net
        .ok("POST", "/api/chats", json!({"actor": "bob", "kind": "direct", "members": ["alice"]}))
        .await;
    assert_eq!(one["id"], other["id"]);
    let path = format!("/api/chats/{}/members/carol", one["id"].as_str().unwrap());
    let (status, _) = net.call("PUT", &path, json!({"actor": "alice"})).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_waiting_poll_wakes_for_events_and_typing() {
    let net = Net::new(None, false).await;
    let newest = net.ok("GET", "/api/whoami", Value::Null).await["newest"].as_i64().unwrap();
    let path = format!("/api/events?since={newest}&wait=30");
    let (woken, id) = tokio::join!(net.ok("GET", &path, Value::Null), net.say("alice", "wake up"));
    assert_eq!(woken["events"][0]["content"]["id"], id);

    let events = net.ok("GET", "/api/events?since=0", Value::Null).await;
    let path = format!(
        "/api/events?since={}&wait=30&typing={}",
        events["next"], events["typing"]["version"]
    );
    let typing =
        net.call("PUT", "/api/chats/lobby/typing", json!({"actor": "bob", "typing": true}));
    let (woken, (status, _)) = tokio::join!(net.ok("GET", &path, Value::Null), typing);
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(woken["typing"]["people"], json!([["lobby", "bob"]]));
}

#[tokio::test]
async fn read_marks_only_go_forward() {
    let net = Net::new(None, false).await;
    let (first, second) = (net.say("alice", "1").await, net.say("alice", "2").await);
    let mark = |id: &str| json!({"actor": "bob", "message": id});
    assert_ne!(net.ok("PUT", "/api/chats/lobby/read", mark(&second)).await["event"], Value::Null);
    assert_eq!(net.ok("PUT", "/api/chats/lobby/read", mark(&first)).await["event"], Value::Null);
}

#[tokio::test]
async fn name_and_topic_change_with_one_event_each() {
    let net = Net::new(None, false).await;
    let before = net.ok("GET", "/api/whoami", Value::Null).await["newest"].as_i64().unwrap();
    let change = json!({"actor": "alice", "key": "d1", "name": "Hall", "topic": ""});
    net.ok("PATCH", "/api/chats/lobby", change.clone()).await;
    let again = net.ok("PATCH", "/api/chats/lobby", change).await;
    assert_eq!(again["repeated"], true);
    let events = net.ok("GET", &format!("/api/events?since={before}"), Value::Null).await;
    let kinds: Vec<_> =
        events["events"].as_array().unwrap().iter().map(|e| e["type"].clone()).collect();
    assert_eq!(kinds, ["named", "topic"]);
    let chat = net.ok("GET", "/api/chats/lobby", Value::Null).await;
    assert_eq!((&chat["name"], &chat["topic"]), (&json!("Hall"), &Value::Null));
}

#[tokio::test]
async fn faults_play_only_where_allowed() {
    let net = Net::new(None, false).await;
    let (status, _) = net.call("PUT", "/api/faults", json!({"rate_limit_every": 1})).await;
    assert_eq!(status, StatusCode::FORBIDDEN);

    let net = Net::new(None, true).await;
    net.ok("PUT", "/api/faults", json!({"rate_limit_every": 2, "retry_after_ms": 1500})).await;
    net.say("alice", "1").await;
    let (status, refused) =
        net.call("POST", "/api/chats/lobby/messages", json!({"actor": "alice", "text": "2"})).await;
    assert_eq!((status, &refused["retry_after_ms"]), (StatusCode::TOO_MANY_REQUESTS, &json!(1500)));

    net.ok("PUT", "/api/faults", json!({"drop_after_every": 1})).await;
    let body = json!({"actor": "alice", "key": "lost", "text": "3"});
    let (_, answer) = net.call("POST", "/api/chats/lobby/messages", body).await;
    assert_eq!(answer, Value::Null, "the answer is lost");
    let found = net.ok("GET", "/api/people/alice/keys/lost", Value::Null).await;
    assert_eq!(found["event"]["content"]["text"], "3", "but the message was sent");
}

#[tokio::test]
async fn polls_take_one_vote_of_each_until_they_are_closed() {
    let net = Net::new(None, false).await;
    let poll = json!({"actor": "alice", "text": "Which?", "poll": ["this", "that"]});
    let sent = net.ok("POST", "/api/chats/lobby/messages", poll).await;
    let id = sent["event"]["content"]["id"].as_str().unwrap().to_owned();
    let (vote, closed) = (format!("/api/messages/{id}/vote"), format!("/api/messages/{id}/closed"));
    let cast = |who: &str, choice: Value| json!({"actor": who, "choice": choice});
    net.ok("PUT", &vote, cast("bob", json!(0))).await;
    net.ok("PUT", &vote, cast("alice", json!(0))).await;
    net.ok("PUT", &vote, cast("bob", json!(1))).await;
    let same = net.ok("PUT", &vote, cast("bob", json!(1))).await;
    assert_eq!(same["event"], Value::Null, "nothing has changed");
    net.ok("PUT", &vote, cast("alice", Value::Null)).await;
    for (method, path, body, wanted) in [
        ("PUT", &vote, cast("bob", json!(2)), StatusCode::BAD_REQUEST),
        ("PUT", &closed, json!({"actor": "bob"}), StatusCode::FORBIDDEN),
    ] {
        assert_eq!(net.call(method, path, body).await.0, wanted);
    }
    net.ok("PUT", &closed, json!({"actor": "alice"})).await;
    assert_eq!(net.call("PUT", &vote, cast("bob", json!(0))).await.0, StatusCode::FORBIDDEN);
    let edit = json!({"actor": "alice", "text": "What?"});
    let message = format!("/api/messages/{id}");
    assert_eq!(net.call("PATCH", &message, edit).await.0, StatusCode::FORBIDDEN);
    let now = net.restart().await.ok("GET", &message, Value::Null).await;
    assert_eq!(now["poll"]["votes"].as_array().unwrap().len(), 1);
    assert_eq!(now["poll"]["votes"][0]["choice"], 1);
    assert!(now["poll"]["closed"].as_i64().unwrap() > 0);
    let net = Net::new(None, false).await;
    let none = json!({"actor": "alice", "text": "Which?", "poll": []});
    let (status, _) = net.call("POST", "/api/chats/lobby/messages", none).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let plain = net.say("alice", "no poll").await;
    let (status, _) =
        net.call("PUT", &format!("/api/messages/{plain}/vote"), cast("bob", json!(0))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn other_sites_are_kept_out() {
    let net = Net::new(None, false).await;
    let request = |host: &str, origin: &str| {
        Request::get("/api/whoami")
            .header(header::HOST, host)
            .header(header::ORIGIN, origin)
            .body(Body::empty())
            .unwrap()
    };
    let (status, _) = net.raw(request("localhost:8009", "http://localhost:8009")).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = net.raw(request("localhost:8009", "http://evil.example")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, _) = net.raw(request("evil.example", "http://evil.example")).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "a name of somebody else's that points here");
}

#[tokio::test]
async fn the_page_asks_nothing_of_others() {
    let net = Net::new(None, false).await;
    for path in ["/", "/page.js", "/markup.js", "/page.css", "/icon.svg"] {
        let (status, body) = net.raw(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let text = String::from_utf8(body).unwrap();
        let foreign = text.replace("http://www.w3.org/2000/svg", "").replace("https://…", "");
        assert!(!foreign.contains("src=\"http") && !foreign.contains("href=\"http"), "{path}");
    }
}
