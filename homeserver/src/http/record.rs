//! What the tests ask of servers and what they are answered, written down, so that `tests/run coverage` can say which
//! tests exercise which endpoint, and hold the answers against the spec's OpenAPI data.
//!
//! It is part of every router that is built for tests, so that no test has to do anything for it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::{Method, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::json;

/// Names the file. Nothing is written without it.
const VARIABLE: &str = "LANDBRIDGE_TEST_EXCHANGES";

/// Answers of one status that an endpoint of one server has written down; property tests make very many.
const ANSWERS: u32 = 16;

/// The longest body that is written down.
const LONGEST: u64 = 256 << 10;

/// Answers of one kind: method, route and status.
type Kind = (Method, Arc<str>, StatusCode);

struct Recorder {
    file: File,
    /// The test binary.
    program: String,
    written: Mutex<HashMap<Kind, u32>>,
}

/// Writes down what this router answers, if the environment names a file for it.
///
/// # Panics
///
/// When the file can't be written: the tests would seem to exercise nothing.
pub fn recorded<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    let Some(path) = std::env::var_os(VARIABLE) else { return router };
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let file = file.expect("the file of LANDBRIDGE_TEST_EXCHANGES can be written");
    let recorder = Recorder { file, program: program(), written: Mutex::default() };
    router.layer(from_fn_with_state(Arc::new(recorder), record))
}

/// The name of the running test binary, without cargo's hash.
fn program() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    stem.rsplit_once('-').map_or(stem, |(name, _)| name).to_owned()
}

async fn record(State(recorder): State<Arc<Recorder>>, request: Request, next: Next) -> Response {
    let Some(route) = request.extensions().get::<MatchedPath>().cloned() else {
        return next.run(request).await;
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route: Arc<str> = route.as_str().into();
    let response = next.run(request).await;
    if recorder.is_enough(&method, &route, response.status()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_json = kind.is_some_and(|kind| kind.contains("json"));
    let short = body.size_hint().exact().is_some_and(|length| length <= LONGEST);
    let (text, body) = if is_json && short {
        // In memory already: its length is known.
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes);
        let bytes = bytes.unwrap_or_default();
        (Some(String::from_utf8_lossy(&bytes).into_owned()), Body::from(bytes))
    } else {
        (None, body)
    };
    recorder.write(&json!({
        "test": recorder.test(),
        "method": method.as_str(),
        "route": &*route,
        "path": path,
        "status": parts.status.as_u16(),
        "type": kind,
        "body": text,
    }));
    Response::from_parts(parts, body)
}

impl Recorder {
    /// Whether such answers were written down often enough; counts this one.
    fn is_enough(&self, method: &Method, route: &Arc<str>, status: StatusCode) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let count = written.entry((method.clone(), Arc::clone(route), status)).or_default();
        *count += 1;
        *count > ANSWERS
    }

    /// The binary and the test that runs, by whose name the test harness calls its threads. Tests with several threads
    /// are known by their binary alone.
    fn test(&self) -> String {
        let thread = std::thread::current();
        match thread.name() {
            None | Some("main" | "tokio-rt-worker") => self.program.clone(),
            Some(name) => format!("{} {name}", self.program),
        }
    }

    /// One write a line, so that those of several processes don't mix.
    fn write(&self, exchange: &serde_json::Value) {
        let written = (&self.file).write_all(format!("{exchange}\n").as_bytes());
        written.expect("the file of LANDBRIDGE_TEST_EXCHANGES can be written");
    }
}
