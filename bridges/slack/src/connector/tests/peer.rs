//! A Slack that answers as it is told, and remembers what it was asked.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

/// One answer: status, seconds to wait, body.
type Answer = (u16, Option<u64>, Value);

#[derive(Default)]
struct Memory {
    answers: HashMap<String, VecDeque<Answer>>,
    asked: Vec<(String, Value, String)>,
    file: Option<(String, Vec<u8>)>,
}

/// See the module.
pub(super) struct Peer {
    pub(super) base: String,
    memory: Arc<Mutex<Memory>>,
}

impl Peer {
    pub(super) async fn start() -> Self {
        let memory = Arc::new(Mutex::new(Memory::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/api", listener.local_addr().unwrap());
        let router = Router::new().fallback(serve).with_state(memory.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, memory }
    }

    fn push(&self, method: &str, answer: Answer) {
        let mut memory = self.memory.lock().unwrap();
        memory.answers.entry(method.to_owned()).or_default().push_back(answer);
    }

    /// The next call of a method succeeds.
    pub(super) fn answer(&self, method: &str, mut body: Value) {
        body["ok"] = true.into();
        self.push(method, (200, None, body));
    }

    /// The next call of a method is refused.
    pub(super) fn refuse(&self, method: &str, code: &str) {
        self.push(method, (200, None, json!({ "ok": false, "error": code })));
    }

    /// The next call of a method is told to wait.
    pub(super) fn limited(&self, method: &str, seconds: u64) {
        let body = json!({ "ok": false, "error": "ratelimited" });
        self.push(method, (429, Some(seconds), body));
    }

    /// The next call of a method fails.
    pub(super) fn fail(&self, method: &str, status: u16) {
        self.push(method, (status, None, json!({})));
    }

    /// What is at the address of files.
    pub(super) fn file(&self, mime: &str, bytes: &[u8]) {
        self.memory.lock().unwrap().file = Some((mime.to_owned(), bytes.to_vec()));
    }

    /// What the last call of a method asked.
    pub(super) fn asked(&self, method: &str) -> Value {
        let memory = self.memory.lock().unwrap();
        let last = memory.asked.iter().rev().find(|(asked, ..)| asked == method);
        last.unwrap_or_else(|| panic!("{method} was not called")).1.clone()
    }

    /// The authorisation of the last call of a method.
    pub(super) fn token(&self, method: &str) -> String {
        let memory = self.memory.lock().unwrap();
        memory.asked.iter().rev().find(|(asked, ..)| asked == method).unwrap().2.clone()
    }

    /// How often a method was called.
    pub(super) fn count(&self, method: &str) -> usize {
        self.memory.lock().unwrap().asked.iter().filter(|(asked, ..)| asked == method).count()
    }
}

async fn serve(
    State(memory): State<Arc<Mutex<Memory>>>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body: Bytes = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let token = headers.get(header::AUTHORIZATION).map(|it| it.to_str().unwrap().to_owned());
    let mut memory = memory.lock().unwrap();
    if path.starts_with("/files/") {
        let (mime, bytes) = memory.file.take().unwrap();
        return ([(header::CONTENT_TYPE, mime)], bytes).into_response();
    }
    let method = path.trim_start_matches("/api/").to_owned();
    let asked = serde_json::from_slice(&body).unwrap_or_else(|_| {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let pairs: Map<String, Value> =
            pairs.map(|(key, value)| (key.into_owned(), value.into_owned().into())).collect();
        Value::Object(pairs)
    });
    memory.asked.push((method.clone(), asked, token.unwrap_or_default()));
    let answer = memory.answers.get_mut(&method).and_then(VecDeque::pop_front);
    let missing = || (200, None, json!({ "ok": false, "error": "method_not_expected" }));
    let (status, wait, body) = answer.unwrap_or_else(missing);
    let mut response = axum::Json(body).into_response();
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some(wait) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, wait.into());
    }
    response
}
