//! A server with a database of its own, on the engine that the environment asks for, and a client that speaks to its router.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use landbridge_database::testing::TestDatabase;
use landbridge_homeserver::Server;
use landbridge_homeserver::clock::{Clock, SystemClock};
use landbridge_homeserver::config::{Config, Secret};
use serde_json::{Value, json};
use tower::ServiceExt;

/// The machine's time, and some more.
#[derive(Default)]
pub(crate) struct Later {
    passed: AtomicI64,
    /// When it was stopped; 0 while it goes.
    stopped: AtomicI64,
}

impl Later {
    pub(crate) fn pass(&self, seconds: i64) {
        self.passed.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// From now on time passes only by [`pass`](Self::pass).
    pub(crate) fn stop(&self) {
        self.stopped.store(SystemClock.now_ms(), Ordering::SeqCst);
    }
}

impl Clock for Later {
    fn now_ms(&self) -> i64 {
        let machine = match self.stopped.load(Ordering::SeqCst) {
            0 => SystemClock.now_ms(),
            stopped => stopped,
        };
        machine + self.passed.load(Ordering::SeqCst)
    }
}

/// A running server; dropping it loses its data.
pub(crate) struct TestServer {
    test: TestDatabase,
    config: Config,
    pub(crate) server: Server,
}

async fn config(test: &TestDatabase) -> Config {
    let server_name = "hs.test".try_into().unwrap();
    let data_dir = test.folder().join("data");
    let mut config = Config { server_name, data_dir, ..Config::default() };
    // On SQLite the database lies in the folder of the data, as it does by itself.
    if test.options().schema.is_some() {
        config.database.url = Some(Secret::new(test.whole_url().await.unwrap()));
    }
    config.listen.http = Vec::new();
    config.registration.open = true;
    config.registration.shared_secret = Some(Secret::new("shared"));
    config.accounts.password_memory_kib = 8;
    config.accounts.password_passes = 1;
    config.rate_limits.enabled = false;
    config
}

impl TestServer {
    /// Starts a server that knows nobody.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_with_at(change, Arc::new(SystemClock)).await
    }

    /// Starts a server with a clock of its own.
    pub(crate) async fn start_at(clock: Arc<dyn Clock>) -> Self {
        Self::start_with_at(|_| {}, clock).await
    }

    /// The same with other settings.
    pub(crate) async fn start_with_at(
        change: impl FnOnce(&mut Config),
        clock: Arc<dyn Clock>,
    ) -> Self {
        let test = TestDatabase::new();
        let mut config = config(&test).await;
        change(&mut config);
        let server = Server::start_at(config.clone(), clock).await.unwrap();
        Self { test, config, server }
    }

    /// Stops the server and starts it again on the same data.
    pub(crate) async fn restart(self) -> Self {
        self.server.stop().await;
        let Self { test, config, server } = self;
        drop(server);
        let server = Server::start(config.clone()).await.unwrap();
        Self { test, config, server }
    }

    /// Lets go of the server; what is left is its database, and the URL of that.
    pub(crate) fn leave(self) -> (TestDatabase, String) {
        (self.test, self.config.database_url())
    }

    /// The folder with the data.
    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.test.folder().join("data")
    }

    /// Makes a request.
    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.server.router().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Sends a form; the status, and where the answer leads.
    pub(crate) async fn form(&self, path: &str, fields: &str) -> (StatusCode, Option<String>) {
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(fields.to_owned()));
        let response = self.server.router().oneshot(request.unwrap()).await.unwrap();
        let location = response.headers().get("location");
        let location = location.map(|location| location.to_str().unwrap().to_owned());
        (response.status(), location)
    }

    /// A page for people: its status, its security policy, and its text.
    pub(crate) async fn page(&self, path: &str) -> (StatusCode, String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = self.server.router().oneshot(request).await.unwrap();
        let status = response.status();
        let policy = response.headers().get("content-security-policy");
        let policy = policy.map(|policy| policy.to_str().unwrap().to_owned()).unwrap_or_default();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, policy, String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// Registers a person.
    pub(crate) async fn register(&self, name: &str) -> User<'_> {
        let body = json!({ "auth": { "type": "m.login.dummy" }, "username": name, "password": "correct horse" });
        let (status, answer) =
            self.request(Method::POST, "/_matrix/client/v3/register", None, &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        self.user(&answer)
    }

    /// Registers an administrator.
    pub(crate) async fn administrator(&self, name: &str) -> User<'_> {
        let user = self.register(name).await;
        let id = user.id.as_str().try_into().unwrap();
        self.server.app().accounts.set_admin(id, true).await.unwrap();
        user
    }

    /// Somebody who was logged in before.
    pub(crate) fn session(&self, id: &str, token: &str) -> User<'_> {
        let device = String::new();
        User { server: self, id: id.to_owned(), token: token.to_owned(), device }
    }

    /// The user of an answer to `/register` or `/login`.
    pub(crate) fn user(&self, answer: &Value) -> User<'_> {
        let text = |key: &str| {
            answer[key].as_str().unwrap_or_else(|| panic!("{key} in {answer}")).to_owned()
        };
        User {
            server: self,
            id: text("user_id"),
            token: text("access_token"),
            device: text("device_id"),
        }
    }
}

/// Someone who is logged in.
pub(crate) struct User<'a> {
    server: &'a TestServer,
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) device: String,
}

impl User<'_> {
    /// Makes a request; `path` is what follows `/_matrix/client/`.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        self.server
            .request(method, &format!("/_matrix/client/{path}"), Some(&self.token), &body)
            .await
    }

    /// Makes a request that must succeed.
    pub(crate) async fn must(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method.clone(), path, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    }

    /// A request that must be refused: its status and errcode.
    pub(crate) async fn refused(&self, method: Method, path: &str, body: Value) -> (u16, String) {
        let (status, answer) = self.ask(method.clone(), path, body).await;
        assert!(!status.is_success(), "{method} {path}: {status} {answer}");
        (status.as_u16(), answer["errcode"].as_str().unwrap_or_default().to_owned())
    }

    /// Creates a room.
    pub(crate) async fn create_room(&self, body: Value) -> String {
        let answer = self.must(Method::POST, "v3/createRoom", body).await;
        answer["room_id"].as_str().unwrap().to_owned()
    }
}
