//! The requests an intent makes, counted and looked at from the homeserver's side; and the appservice router.

use std::sync::Mutex;

use axum::Router;
use axum::extract::Request as AxumRequest;
use axum::response::IntoResponse;
use futures::StreamExt;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::kv::MemoryKv;

type Log = Arc<Mutex<Vec<String>>>;
type Script = Arc<dyn Fn(&str, &str) -> (u16, Value) + Send + Sync>;

/// A homeserver that answers by a script of (method, path) and writes down what it was asked.
fn homeserver(
    script: impl Fn(&str, &str) -> (u16, Value) + Send + Sync + 'static,
) -> (Matrix, Log) {
    with_kv(script, Arc::new(MemoryKv::default()))
}

fn with_kv(
    script: impl Fn(&str, &str) -> (u16, Value) + Send + Sync + 'static,
    kv: Arc<MemoryKv>,
) -> (Matrix, Log) {
    let log: Log = Arc::default();
    let script: Script = Arc::new(script);
    let seen = log.clone();
    let router = Router::new().fallback(move |request: AxumRequest| {
        let (seen, script) = (seen.clone(), script.clone());
        async move {
            let auth = request.headers().get("authorization").unwrap().to_str().unwrap().to_owned();
            assert_eq!(auth, "Bearer secret");
            let path = request.uri().path_and_query().unwrap().to_string();
            let method = request.method().to_string();
            let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
            seen.lock()
                .unwrap()
                .push(format!("{method} {path} {}", String::from_utf8_lossy(&body)));
            let (status, answer) = script(&method, &path);
            (StatusCode::from_u16(status).unwrap(), axum::Json(answer)).into_response()
        }
    });
    let config = MatrixConfig::new("hs.example", "irc", Token::new("secret"), "ircbot");
    (Matrix::new(config, Arc::new(RouterCarrier::new(router)), kv), log)
}

fn take(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock().unwrap())
}

fn fine(_: &str, path: &str) -> (u16, Value) {
    if path.contains("/join/") {
        return (200, json!({ "room_id": "!r:hs.example" }));
    }
    (200, json!({ "event_id": "$e", "content_uri": "mxc://hs.example/abc" }))
}

#[tokio::test]
async fn a_warm_send_is_one_request_also_after_a_restart() {
    let kv = Arc::new(MemoryKv::default());
    let (matrix, log) = with_kv(fine, kv.clone());
    let ghost = matrix.ghost("@irc_a:hs.example");
    let content = json!({ "msgtype": "m.text", "body": "x" });
    ghost.ensure_joined("!r:hs.example").await.unwrap();
    assert_eq!(take(&log).len(), 2);
    ghost.ensure_joined("!r:hs.example").await.unwrap();
    ghost.send("!r:hs.example", "m.room.message", "t/1", &content, Some(5)).await.unwrap();
    assert_eq!(
        take(&log),
        vec![
            "PUT /_matrix/client/v3/rooms/%21r%3Ahs.example/send/m.room.message/t%2F1\
             ?user_id=%40irc_a%3Ahs.example&ts=5 {\"body\":\"x\",\"msgtype\":\"m.text\"}"
        ]
    );
    let (matrix, log) = with_kv(fine, kv);
    let ghost = matrix.ghost("@irc_a:hs.example");
    ghost.ensure_joined("!r:hs.example").await.unwrap();
    assert!(take(&log).is_empty());
}

#[tokio::test]
async fn a_ghost_is_invited_where_it_may_not_join() {
    let tries = Mutex::new(0);
    let (matrix, log) = homeserver(move |_, path| {
        if path.contains("/join/") {
            let mut tries = tries.lock().unwrap();
            *tries += 1;
            if *tries == 1 {
                return (403, json!({ "errcode": "M_FORBIDDEN", "error": "not invited" }));
            }
        }
        if path.ends_with("/register") {
            return (400, json!({ "errcode": "M_USER_IN_USE" }));
        }
        fine("", path)
    });
    matrix.ghost("@irc_a:hs.example").ensure_joined("!r:hs.example").await.unwrap();
    let asked: Vec<String> = take(&log)
        .iter()
        .map(|l| l.split(['?', ' ']).nth(1).unwrap().rsplit('/').next().unwrap().to_owned())
        .collect();
    assert_eq!(asked, ["register", "%21r%3Ahs.example", "invite", "%21r%3Ahs.example"]);
}

#[tokio::test]
async fn a_refused_send_is_not_repeated_and_ends_our_belief() {
    let (matrix, log) = homeserver(|_, path| {
        if path.contains("/send/") {
            return (403, json!({ "errcode": "M_FORBIDDEN", "error": "not in the room" }));
        }
        fine("", path)
    });
    let ghost = matrix.ghost("@irc_a:hs.example");
    ghost.ensure_joined("!r:hs.example").await.unwrap();
    take(&log);
    let error =
        ghost.send("!r:hs.example", "m.room.message", "t", &json!({}), None).await.unwrap_err();
    assert!(error.is_forbidden() && !error.maybe_done() && !error.is_temporary());
    assert_eq!(take(&log).len(), 1);
    ghost.ensure_joined("!r:hs.example").await.unwrap();
    assert_eq!(take(&log).len(), 2);
}

#[tokio::test]
async fn errors_say_when_to_try_again_and_what_may_be_done() {
    let (matrix, _) = homeserver(|_, path| match path {
        p if p.contains("slow") => {
            (429, json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1500 }))
        }
        p if p.contains("gate") => (502, json!("proxy")),
        _ => (200, json!(["not", "an", "object"])),
    });
    let bot = matrix.bot();
    let slow = bot.send("!r", "slow", "t", &json!({}), None).await.unwrap_err();
    assert_eq!(slow.retry_after(), Some(Duration::from_millis(1500)));
    assert!(slow.is_temporary() && !slow.maybe_done());
    let gate = bot.send("!r", "gate", "t", &json!({}), None).await.unwrap_err();
    assert!(gate.is_temporary() && gate.maybe_done());
    let odd = bot.send("!r", "odd", "t", &json!({}), None).await.unwrap_err();
    assert!(odd.maybe_done() && !odd.is_temporary());
}

/// Never answers.
struct Silent;

#[async_trait::async_trait]
impl Carrier for Silent {
    async fn call(
        &self,
        _: http::Request<Body>,
    ) -> Result<http::Response<ByteStream>, CarrierError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_in_time_and_may_have_been_done() {
    let config = MatrixConfig::new("hs", "irc", Token::new("secret"), "bot");
    let matrix = Matrix::new(config, Arc::new(Silent), Arc::new(MemoryKv::default()));
    let error = matrix.bot().send("!r", "m", "t", &json!({}), None).await.unwrap_err();
    assert!(error.is_transport() && error.maybe_done());
}

#[tokio::test]
async fn nothing_listens_is_surely_not_done() {
    let _ = rustls_provider();
    let client = HttpCarrier::client(Duration::from_secs(1)).unwrap();
    let carrier = HttpCarrier::new(client, url::Url::parse("http://127.0.0.1:1/").unwrap());
    let config = MatrixConfig::new("hs", "irc", Token::new("secret"), "bot");
    let matrix = Matrix::new(config, Arc::new(carrier), Arc::new(MemoryKv::default()));
    let error = matrix.bot().send("!r", "m", "t", &json!({}), None).await.unwrap_err();
    assert!(error.is_transport() && !error.maybe_done(), "{error}");
}

/// `reqwest` wants a TLS provider even for plain HTTP.
fn rustls_provider() -> Result<(), Arc<rustls::crypto::CryptoProvider>> {
    rustls::crypto::ring::default_provider().install_default()
}

#[tokio::test]
async fn a_profile_is_set_only_when_it_changed() {
    let (matrix, log) = homeserver(fine);
    let ghost = matrix.ghost("@irc_a:hs.example");
    ghost.set_displayname("Alice").await.unwrap();
    ghost.set_displayname("Alice").await.unwrap();
    assert_eq!(take(&log).len(), 2, "register and one PUT");
    ghost.set_displayname("Bob").await.unwrap();
    assert!(take(&log)[0].contains("displayname"));
}

#[tokio::test]
async fn puppets_use_their_own_token_and_no_masquerading() {
    let router = Router::new().fallback(|request: AxumRequest| async move {
        assert_eq!(request.headers()["authorization"], "Bearer theirs");
        assert!(request.uri().query().is_none());
        axum::Json(json!({ "user_id": "@p:hs" }))
    });
    let config = MatrixConfig::new("hs", "irc", Token::new("secret"), "bot");
    let matrix =
        Matrix::new(config, Arc::new(RouterCarrier::new(router)), Arc::new(MemoryKv::default()));
    let who = matrix.puppet("@p:hs", Some(Token::new("theirs"))).whoami().await.unwrap();
    assert_eq!(who.user_id, "@p:hs");
}

#[tokio::test]
async fn files_are_limited_on_the_way() {
    let (matrix, _) = homeserver(fine);
    let mut config = MatrixConfig::new("hs.example", "irc", Token::new("secret"), "ircbot");
    config.max_media_bytes = 10;
    let small = Matrix::new(config, matrix.inner.carrier.clone(), Arc::new(MemoryKv::default()));
    let stream = |n: usize| {
        futures::stream::iter((0..n).map(|_| Ok(bytes::Bytes::from_static(b"12345")))).boxed()
    };
    assert_eq!(
        small.bot().upload(stream(2), None, "text/plain", None).await.unwrap(),
        "mxc://hs.example/abc"
    );
    assert!(matches!(
        small.bot().upload(stream(3), None, "text/plain", None).await,
        Err(MatrixError::TooLarge { limit: 10 })
    ));
    for bad in ["http://x/y", "mxc://x", "mxc://x/../../y", "mxc://x/a?b"] {
        assert!(matches!(small.bot().download(bad).await, Err(MatrixError::Invalid(_))), "{bad}");
    }
}

/// Remembers transactions; fails on the first.
#[derive(Default)]
struct Sink {
    got: Mutex<Vec<(String, usize, usize)>>,
    failed: Mutex<bool>,
}

#[async_trait::async_trait]
impl appservice::TransactionSink for Sink {
    async fn transaction(
        &self,
        id: &str,
        txn: appservice::Transaction,
    ) -> Result<(), appservice::SinkError> {
        if !std::mem::replace(&mut *self.failed.lock().unwrap(), true) {
            return Err(appservice::SinkError("disk full at /secret/path".into()));
        }
        self.got.lock().unwrap().push((id.to_owned(), txn.events.len(), txn.ephemeral.len()));
        Ok(())
    }
    async fn user_exists(&self, user_id: &str) -> Result<bool, appservice::SinkError> {
        Ok(user_id == "@irc_a:hs")
    }
    async fn alias_exists(&self, _: &str) -> Result<bool, appservice::SinkError> {
        Ok(false)
    }
}

async fn ask(router: &Router, method: Method, uri: &str, token: &str, body: &str) -> (u16, Value) {
    use tower::ServiceExt;
    let request = http::Request::builder().method(method).uri(format!("/_matrix/app/v1{uri}"));
    let request = if token.is_empty() {
        request
    } else {
        request.header("authorization", format!("Bearer {token}"))
    };
    let answer = router
        .clone()
        .oneshot(request.body(axum::body::Body::from(body.to_owned())).unwrap())
        .await
        .unwrap();
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn the_appservice_router_answers_only_its_homeserver_and_only_after_the_sink() {
    let sink = Arc::new(Sink::default());
    let router = appservice::router(Token::new("hs"), sink.clone());
    let body = r#"{"events":[{"type":"m.room.message"}],"de.sorunome.msc2409.ephemeral":[{"type":"m.typing"}]}"#;
    let (status, answer) = ask(&router, Method::PUT, "/transactions/1", "", body).await;
    assert_eq!((status, answer["errcode"].as_str()), (401, Some("M_UNAUTHORIZED")));
    let (status, answer) = ask(&router, Method::PUT, "/transactions/1", "no", body).await;
    assert_eq!((status, answer["errcode"].as_str()), (403, Some("M_FORBIDDEN")));
    let (status, answer) = ask(&router, Method::PUT, "/transactions/1", "hs", body).await;
    assert_eq!(status, 500);
    assert!(!answer.to_string().contains("secret"));
    let (status, answer) = ask(&router, Method::PUT, "/transactions/1", "hs", body).await;
    assert_eq!((status, answer), (200, json!({})));
    assert_eq!(*sink.got.lock().unwrap(), vec![("1".to_owned(), 1, 1)]);
    let (status, answer) = ask(&router, Method::PUT, "/transactions/2", "hs", "{").await;
    assert_eq!((status, answer["errcode"].as_str()), (400, Some("M_NOT_JSON")));
    assert_eq!(ask(&router, Method::GET, "/users/@irc_a:hs", "hs", "").await.0, 200);
    assert_eq!(ask(&router, Method::GET, "/users/@irc_b:hs?access_token=hs", "", "").await.0, 404);
    assert_eq!(ask(&router, Method::GET, "/rooms/%23x:hs", "hs", "").await.0, 404);
    assert_eq!(ask(&router, Method::POST, "/ping", "hs", r#"{"transaction_id":"x"}"#).await.0, 200);
    assert_eq!(
        ask(&router, Method::GET, "/thirdparty/user", "hs", "").await.1["errcode"],
        "M_MISSING_PARAM"
    );
    assert_eq!(ask(&router, Method::GET, "/thirdparty/protocol/irc", "hs", "").await.0, 404);
    assert_eq!(
        ask(&router, Method::GET, "/nonsense", "hs", "").await.1["errcode"],
        "M_UNRECOGNIZED"
    );
    assert_eq!(ask(&router, Method::GET, "/ping", "hs", "").await.0, 405);
}
