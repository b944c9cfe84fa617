//! A whole server without sockets, and short ways to speak to it.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use landbridge_database::testing::TestDatabase;
use ruma::events::TimelineEventType;
use ruma::{CanonicalJsonObject, OwnedUserId, RoomVersionId, UserId};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::app::App;
use crate::config::Secret;
use crate::room::{CreateRoom, Draft, Invitee, Preset, Room};
use crate::{Config, Server};

pub(super) struct Rig {
    pub(super) server: Server,
    /// Goes with the rig.
    test: TestDatabase,
}

/// Somebody with a device.
pub(super) struct Person<'a> {
    rig: &'a Rig,
    pub(super) id: OwnedUserId,
    token: String,
}

impl Rig {
    pub(super) async fn new() -> Self {
        Self::open(TestDatabase::new()).await
    }

    /// The same database after a restart; everything in memory is gone.
    pub(super) async fn restart(self) -> Self {
        let Self { server, test } = self;
        server.stop().await;
        drop(server);
        Self::open(test).await
    }

    async fn open(test: TestDatabase) -> Self {
        let url = test.whole_url().await.expect("the database opens");
        let mut config = Config { data_dir: test.folder().join("data"), ..Config::default() };
        config.database.url = Some(Secret::new(url));
        config.server_name = "h".try_into().expect("a server name");
        config.listen.http.clear();
        config.listen.tls.clear();
        config.registration.open = true;
        // Gateways of tests.
        config.outbound.allowed_addresses.push("127.0.0.0/8".parse().expect("a range"));
        config.rate_limits.enabled = false;
        config.accounts.password_memory_kib = 8;
        config.accounts.password_passes = 1;
        let server = Server::start(config).await.expect("the server starts");
        Self { server, test }
    }

    pub(super) fn app(&self) -> &Arc<App> {
        self.server.app()
    }

    pub(super) async fn person(&self, name: &str) -> Person<'_> {
        let body = json!({"username": name, "password": "a long password", "auth": {"type": "m.login.dummy"}});
        let (status, answer) =
            self.ask(Method::POST, "/_matrix/client/v3/register", None, Some(&body)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let text = |key: &str| answer[key].as_str().expect("a text").to_owned();
        Person {
            rig: self,
            id: UserId::parse(text("user_id")).expect("a user ID"),
            token: text("access_token"),
        }
    }

    /// Somebody who registered before a restart.
    pub(super) fn again(&self, (id, token): (OwnedUserId, String)) -> Person<'_> {
        Person { rig: self, id, token }
    }

    /// A request that may be refused, as whom the token says.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
        let response = self
            .server
            .router()
            .oneshot(request.body(body).expect("a request"))
            .await
            .expect("an answer");
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (
            status,
            serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&bytes))),
        )
    }
}

impl Person<'_> {
    /// What outlives a restart.
    pub(super) fn keep(&self) -> (OwnedUserId, String) {
        (self.id.clone(), self.token.clone())
    }

    /// A request that may be refused.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        self.rig.ask(method, &format!("/_matrix/client/{path}"), Some(&self.token), body).await
    }

    /// A `GET` that is answered.
    pub(super) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    /// A request with a body that is answered.
    pub(super) async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, Some(&body)).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    /// A sync that waits for nothing; the answer and its token.
    pub(super) async fn sync(&self, since: Option<&str>, filter: Value) -> (Value, String) {
        self.sync_with(since, filter, "").await
    }

    pub(super) async fn sync_with(
        &self,
        since: Option<&str>,
        filter: Value,
        more: &str,
    ) -> (Value, String) {
        let filter: String =
            url::form_urlencoded::byte_serialize(filter.to_string().as_bytes()).collect();
        let since = since.map(|since| format!("&since={since}")).unwrap_or_default();
        let answer = self.get(&format!("v3/sync?filter={filter}{since}{more}")).await;
        let token = answer["next_batch"].as_str().expect("a token").to_owned();
        (answer, token)
    }

    pub(super) async fn room(&self, preset: Preset, visibility: Option<&str>) -> Room {
        let mut initial_state = Vec::new();
        if let Some(visibility) = visibility {
            let content = to_raw_value(&json!({ "history_visibility": visibility })).expect("JSON");
            initial_state.push((TimelineEventType::RoomHistoryVisibility, String::new(), content));
        }
        let creator = Invitee { user: self.id.clone(), profile: CanonicalJsonObject::new() };
        let request = CreateRoom::new(creator, RoomVersionId::V11, preset);
        let request = CreateRoom { initial_state, ..request };
        self.rig.app().rooms.create(request).await.expect("a room")
    }

    /// Sends an event and gives its id.
    pub(super) async fn send(&self, room: &Room, kind: &str, content: &Value) -> String {
        let draft =
            Draft::message(self.id.clone(), kind.into(), to_raw_value(content).expect("JSON"));
        room.send(draft).await.expect("it is sent").event_id.to_string()
    }

    pub(super) async fn say(&self, room: &Room, body: &str) -> String {
        self.send(room, "m.room.message", &json!({"msgtype": "m.text", "body": body})).await
    }

    pub(super) async fn set(&self, room: &Room, kind: &str, key: &str, content: &Value) -> String {
        let content = to_raw_value(content).expect("JSON");
        let draft = Draft::state(self.id.clone(), kind.into(), key, content);
        room.send(draft).await.expect("it is sent").event_id.to_string()
    }

    /// Gives someone a membership.
    pub(super) async fn member(&self, room: &Room, user: &UserId, membership: &str) -> String {
        self.set(room, "m.room.member", user.as_str(), &json!({ "membership": membership })).await
    }

    pub(super) async fn join(&self, room: &Room) -> String {
        self.member(room, &self.id, "join").await
    }

    pub(super) async fn leave(&self, room: &Room) -> String {
        self.member(room, &self.id, "leave").await
    }
}

/// The ids of the events in a list.
pub(super) fn ids(events: &Value) -> Vec<&str> {
    events
        .as_array()
        .map(|events| {
            events.iter().map(|event| event["event_id"].as_str().expect("an id")).collect()
        })
        .unwrap_or_default()
}

/// The bodies of the messages in a list.
pub(super) fn bodies(events: &Value) -> Vec<&str> {
    events
        .as_array()
        .map(|events| events.iter().filter_map(|event| event["content"]["body"].as_str()).collect())
        .unwrap_or_default()
}

/// `type/state_key` of the events in a list, sorted.
pub(super) fn keys(events: &Value) -> Vec<String> {
    let key = |event: &Value| {
        format!(
            "{}/{}",
            event["type"].as_str().unwrap_or("?"),
            event["state_key"].as_str().unwrap_or("-")
        )
    };
    let mut keys: Vec<String> =
        events.as_array().map(|events| events.iter().map(key).collect()).unwrap_or_default();
    keys.sort();
    keys
}
