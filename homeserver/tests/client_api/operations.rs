//! What operators and other servers ask: health, metrics, the server's key.

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::support::TestServer;

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
