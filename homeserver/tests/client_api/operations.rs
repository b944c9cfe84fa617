//! What operators and other servers ask: health, metrics, the server's key.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use hmac::{Hmac, Mac as _};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use landbridge_database::{Database, Options};
use serde_json::{Value, json};
use sha1::Sha1;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use super::support::{Later, TestServer};

async fn text(server: &TestServer, path: &str, token: Option<&str>) -> (StatusCode, String) {
    // As if it came through a proxy: whoever is on the machine itself needs no token.
    let mut request = Request::builder().uri(path).header("x-forwarded-for", "192.0.2.1");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Body::empty()).unwrap();
    let answer = server.server.router().oneshot(request).await.unwrap();
    let status = answer.status();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn operators_see_that_it_works_and_how_much() {
    let server = TestServer::start().await;
    for path in ["/health", "/_landbridge/live", "/_landbridge/ready"] {
        assert_eq!(text(&server, path, None).await, (StatusCode::OK, "OK".to_owned()), "{path}");
    }
    let admin = server.administrator("admin").await;
    let alice = server.register("alice").await;
    assert_eq!(text(&server, "/metrics", None).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(text(&server, "/metrics", Some(&alice.token)).await.0, StatusCode::FORBIDDEN);
    let (status, metrics) = text(&server, "/metrics", Some(&admin.token)).await;
    assert_eq!(status, StatusCode::OK);
    assert!(metrics.contains("/_matrix/client/v3/register"), "{metrics}");
}

#[tokio::test]
async fn the_servers_key_is_signed_by_itself() {
    let server = TestServer::start().await;
    let path = "/_matrix/key/v2/server";
    let (status, answer) = server.request(Method::GET, path, None, &Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["server_name"], "hs.test");
    let keys = answer["verify_keys"].as_object().unwrap();
    let (id, key) = keys.iter().next().unwrap();
    assert_eq!(id, server.server.app().key.id());
    assert_eq!(key["key"], json!(server.server.app().key.public()));
    let mut signed: ruma::CanonicalJsonObject = serde_json::from_value(answer.clone()).unwrap();
    let public = ruma::serde::Base64::parse(key["key"].as_str().unwrap()).unwrap();
    let known = [("hs.test".to_owned(), [(id.clone(), public)].into())].into();
    ruma::signatures::verify_json(&known, &signed).unwrap();
    signed.insert("valid_until_ts".to_owned(), ruma::CanonicalJsonValue::Null);
    assert!(ruma::signatures::verify_json(&known, &signed).is_err());
}

fn mac(fields: &[&str]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(b"shared").unwrap();
    mac.update(fields.join("\0").as_bytes());
    mac.finalize().into_bytes().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

#[tokio::test]
async fn who_knows_the_shared_secret_makes_administrators() {
    let server = TestServer::start().await;
    let path = "/_synapse/admin/v1/register";
    let nonce = async || {
        let (status, answer) = server.request(Method::GET, path, None, &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["nonce"].as_str().unwrap().to_owned()
    };
    let register = async |nonce: &str, mac: &str| {
        let body = json!({ "nonce": nonce, "username": "root", "password": "correct horse", "admin": true, "mac": mac });
        let (status, answer) = server.request(Method::POST, path, None, &body).await;
        (status.as_u16(), answer)
    };
    let first = nonce().await;
    assert_eq!(register(&first, &mac(&[&first, "root", "correct horse", "notadmin"])).await.0, 403);
    // A nonce is good for one attempt.
    assert_eq!(register(&first, &mac(&[&first, "root", "correct horse", "admin"])).await.0, 400);
    let second = nonce().await;
    let (status, answer) =
        register(&second, &mac(&[&second, "root", "correct horse", "admin"])).await;
    assert_eq!(status, 200, "{answer}");
    let root = server.user(&answer);
    assert_eq!(root.id, "@root:hs.test");
    let alice = server.register("alice").await;
    let rights = |user: &str| format!("/_synapse/admin/v1/users/{user}/admin");
    let ask = async |token: &str, method: Method, user: &str, body: Value| {
        let (status, answer) = server.request(method, &rights(user), Some(token), &body).await;
        (status.as_u16(), answer)
    };
    let is = |admin: bool| (200, json!({ "admin": admin }));
    assert_eq!(ask(&root.token, Method::GET, &root.id, Value::Null).await, is(true));
    assert_eq!(ask(&root.token, Method::GET, &alice.id, Value::Null).await, is(false));
    assert_eq!(ask(&alice.token, Method::GET, &alice.id, Value::Null).await.0, 403);
    let yes = json!({ "admin": true });
    assert_eq!(ask(&alice.token, Method::PUT, &alice.id, yes.clone()).await.0, 403);
    assert_eq!(ask(&root.token, Method::PUT, "@nobody:hs.test", yes.clone()).await.0, 404);
    assert_eq!(ask(&root.token, Method::PUT, &root.id, json!({ "admin": false })).await.0, 400);
    assert_eq!(ask(&root.token, Method::PUT, &alice.id, yes).await.0, 200);
    assert_eq!(ask(&alice.token, Method::GET, &root.id, Value::Null).await, is(true));
}

/// Services hold each other in many ways; if they did so in a circle, the connections of each server would stay open as long as the
/// process runs.
#[test]
fn a_server_that_is_gone_lets_go_of_its_database() {
    for stopped in [true, false] {
        let clock = Arc::new(Later::default());
        let left = Arc::downgrade(&clock);
        let runtime = Runtime::new().unwrap();
        let (_test, url) = runtime.block_on(async {
            let server = TestServer::start_at(clock).await;
            server.register("alice").await.create_room(json!({})).await;
            if stopped {
                server.server.stop().await;
            }
            server.leave()
        });
        drop(runtime);
        // Every service with the database has the clock, or another service that has it.
        assert_eq!(left.strong_count(), 0, "stopped: {stopped}");
        // On SQLite nobody else may open it for as long as anybody has it.
        let again =
            async { Database::open(&url, &Options::default()).await.unwrap().close().await };
        Runtime::new().unwrap().block_on(again);
    }
}
