//! A server with an administrator, and short ways to ask it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use landbridge_database::testing::TestDatabase;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::app::App;
use crate::config::Secret;
use crate::{Config, Server};

pub(super) struct Rig {
    pub(super) server: Server,
    /// The administrator's token.
    pub(super) admin: String,
    /// Goes with the rig.
    test: TestDatabase,
}

/// Somebody with a device.
pub(super) struct Person {
    pub(super) id: String,
    pub(super) token: String,
    pub(super) device: String,
}

impl Rig {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A server that is configured otherwise.
    pub(super) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let test = TestDatabase::new();
        let server = start(&test, change).await;
        let mut rig = Self { server, admin: String::new(), test };
        let boss = rig.person("boss").await;
        let user = boss.id.as_str().try_into().expect("a user ID");
        rig.server.app().accounts.set_admin(user, true).await.expect("it is written");
        rig.admin = boss.token;
        rig
    }

    /// The same database after a restart; everything in memory is gone.
    pub(super) async fn restart(self) -> Self {
        self.restart_with(|_| {}).await
    }

    /// The same, configured otherwise.
    pub(super) async fn restart_with(self, change: impl FnOnce(&mut Config)) -> Self {
        let Self { server, admin, test } = self;
        server.stop().await;
        drop(server);
        Self { server: start(&test, change).await, admin, test }
    }

    pub(super) fn app(&self) -> &Arc<App> {
        self.server.app()
    }

    pub(super) async fn person(&self, name: &str) -> Person {
        let body = json!({"username": name, "password": "a long password", "auth": {"type": "m.login.dummy"}});
        let path = "/_matrix/client/v3/register";
        let (status, answer) = self.ask("POST", path, "", &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let text = |key: &str| answer[key].as_str().expect("a text").to_owned();
        Person { id: text("user_id"), token: text("access_token"), device: text("device_id") }
    }

    /// Any request; without a token where that is empty.
    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: &Value,
    ) -> (StatusCode, Value) {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = request.body(body).expect("a request");
        let response = self.server.router().oneshot(request).await.expect("an answer");
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Sends a page's form.
    pub(super) async fn form(&self, path: &str, form: &str) -> StatusCode {
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()));
        let request = request.expect("a request");
        self.server.router().oneshot(request).await.expect("an answer").status()
    }

    /// What a user asks of the Client-Server API; it must succeed.
    pub(super) async fn client(
        &self,
        who: &Person,
        method: &str,
        path: &str,
        body: Value,
    ) -> Value {
        let path = format!("/_matrix/client/v3/{path}");
        let (status, answer) = self.ask(method, &path, &who.token, &body).await;
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    }

    /// What the administrator asks; `path` follows `/_synapse/admin/`. It must succeed.
    pub(super) async fn must(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.try_to(method, path, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    }

    /// The same, whatever the answer.
    pub(super) async fn try_to(
        &self,
        method: &str,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        self.ask(method, &format!("/_synapse/admin/{path}"), &self.admin, &body).await
    }

    /// What the administrator is refused: status and errcode.
    pub(super) async fn refused(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let (status, answer) = self.try_to(method, path, body).await;
        assert!(!status.is_success(), "{method} {path}: {status} {answer}");
        (status.as_u16(), answer["errcode"].as_str().unwrap_or_default().to_owned())
    }

    /// Makes a room and gives its ID.
    pub(super) async fn room(&self, who: &Person, body: Value) -> String {
        let answer = self.client(who, "POST", "createRoom", body).await;
        answer["room_id"].as_str().expect("an ID").to_owned()
    }

    /// Says something and gives the event's ID.
    pub(super) async fn say(&self, who: &Person, room: &str, text: &str) -> String {
        let path = format!("rooms/{room}/send/m.room.message/{}", rand::random::<u64>());
        let body = json!({ "msgtype": "m.text", "body": text });
        let answer = self.client(who, "PUT", &path, body).await;
        answer["event_id"].as_str().expect("an ID").to_owned()
    }
}

async fn start(test: &TestDatabase, change: impl FnOnce(&mut Config)) -> Server {
    let url = test.whole_url().await.expect("the database opens");
    let mut config = Config { data_dir: test.folder().join("data"), ..Config::default() };
    config.database.url = Some(Secret::new(url));
    config.server_name = "h".try_into().expect("a server name");
    config.listen.http.clear();
    config.listen.tls.clear();
    config.registration.open = true;
    config.accounts.password_memory_kib = 8;
    config.accounts.password_passes = 1;
    config.rate_limits.enabled = false;
    change(&mut config);
    Server::start(config).await.expect("the server starts")
}

/// The texts of one field of the objects in a list.
pub(super) fn texts<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    let objects = list.as_array().into_iter().flatten();
    objects.map(|object| object[field].as_str().unwrap_or("")).collect()
}

/// Asks until the answer's `status` is this one.
pub(super) async fn wait_for(rig: &Rig, path: &str, status: &str) -> Value {
    let done = async {
        loop {
            let answer = rig.must("GET", path, Value::Null).await;
            if answer["status"] == status {
                break answer;
            }
            assert!(answer["status"] == "active" || answer["status"] == "scheduled", "{answer}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), done).await.expect("it ends")
}

/// Joins a room.
pub(super) async fn join(rig: &Rig, who: &Person, room: &str) {
    rig.client(who, "POST", &format!("join/{room}"), json!({})).await;
}
