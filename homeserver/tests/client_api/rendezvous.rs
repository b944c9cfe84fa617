//! Where two devices meet when one signs the other in by a QR code.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use landbridge_homeserver::clock::Clock;
use landbridge_homeserver::config::Rate;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::support::{Later, TestServer};

const OLD: &str = "/_matrix/client/unstable/org.matrix.msc4108/rendezvous";
const NEW: &str = "/_matrix/client/unstable/io.element.msc4388/rendezvous";

struct Got {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    fn refused(&self) -> (u16, String) {
        (self.status, self.json()["errcode"].as_str().unwrap().to_owned())
    }
}

async fn ask(
    server: &TestServer,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Got {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let answer = server.server.router().oneshot(request).await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    Got { status, headers, body: String::from_utf8(bytes.to_vec()).unwrap() }
}

/// Sends a text in the way of 2024.
async fn send(
    server: &TestServer,
    method: Method,
    path: &str,
    more: &[(&str, &str)],
    text: &str,
) -> Got {
    let length = text.len().to_string();
    let mut headers = vec![("content-type", "text/plain"), ("content-length", &length)];
    headers.extend(more);
    ask(server, method, path, &headers, text).await
}

/// Makes a session in the way of 2024 and gives its path.
async fn make(server: &TestServer) -> (String, Got) {
    let got = send(server, Method::POST, OLD, &[], "hello").await;
    assert_eq!(got.status, 201, "{}", got.body);
    let url = got.json()["url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix("https://m.hs.test").unwrap_or_else(|| panic!("{url}"));
    (path.to_owned(), got)
}

async fn server() -> TestServer {
    TestServer::start_with(|config| {
        config.public_base_url = Some("https://m.hs.test/".to_owned());
        config.accounts.rendezvous_without_account = true;
    })
    .await
}

#[tokio::test]
async fn two_devices_write_in_turn() {
    let server = server().await;
    let (path, made) = make(&server).await;
    let first = made.header("etag").to_owned();
    assert!(first.starts_with('"') && first.ends_with('"'), "{first}");
    assert_eq!(made.header("access-control-expose-headers"), "ETag");
    assert_eq!(made.header("pragma"), "no-cache");
    assert!(made.header("cache-control").contains("no-store"));
    assert_ne!(made.header("expires"), made.header("last-modified"));

    let got = ask(&server, Method::GET, &path, &[], "").await;
    assert_eq!((got.status, got.body.as_str(), got.header("etag")), (200, "hello", first.as_str()));
    assert_eq!(got.header("content-type"), "text/plain");
    let same = ask(&server, Method::GET, &path, &[("if-none-match", &first)], "").await;
    assert_eq!((same.status, same.body.as_str(), same.header("etag")), (304, "", first.as_str()));

    // The same text is another payload.
    let sent = send(&server, Method::PUT, &path, &[("if-match", &first)], "hello").await;
    assert_eq!(sent.status, 202, "{}", sent.body);
    let second = sent.header("etag").to_owned();
    assert_ne!(first, second);
    let got = ask(&server, Method::GET, &path, &[("if-none-match", &first)], "").await;
    assert_eq!((got.status, got.header("etag")), (200, second.as_str()));
    let late = send(&server, Method::PUT, &path, &[("if-match", &first)], "late").await;
    assert_eq!((late.status, late.header("etag")), (412, second.as_str()));
    assert_eq!(late.json()["errcode"], "M_UNKNOWN");
    assert_eq!(late.json()["org.matrix.msc4108.errcode"], "M_CONCURRENT_WRITE");
    let got = ask(&server, Method::GET, &path, &[], "").await;
    assert_eq!(got.body, "hello");

    assert_eq!(ask(&server, Method::DELETE, &path, &[], "").await.status, 204);
    let gone = (404, "M_NOT_FOUND".to_owned());
    assert_eq!(ask(&server, Method::DELETE, &path, &[], "").await.refused(), gone);
    assert_eq!(ask(&server, Method::GET, &path, &[], "").await.refused(), gone);
    let put = send(&server, Method::PUT, &path, &[("if-match", &second)], "x").await;
    assert_eq!(put.refused(), gone);
}

#[tokio::test]
async fn payloads_are_short_texts() {
    let server = server().await;
    let (path, made) = make(&server).await;
    let tag = made.header("etag").to_owned();
    let missing = (400, "M_MISSING_PARAM".to_owned());
    let invalid = (400, "M_INVALID_PARAM".to_owned());
    for (method, at) in [(Method::POST, OLD), (Method::PUT, path.as_str())] {
        let with = async |headers: &[(&str, &str)], body: &str| {
            let mut all = vec![("if-match", tag.as_str())];
            all.extend(headers);
            ask(&server, method.clone(), at, &all, body).await.refused()
        };
        assert_eq!(with(&[("content-type", "text/plain")], "x").await, missing);
        assert_eq!(with(&[("content-length", "1")], "x").await, missing);
        let html = [("content-type", "text/html"), ("content-length", "1")];
        assert_eq!(with(&html, "x").await, invalid);
        let long = "x".repeat(4_097);
        let (text, large) = (("content-type", "text/plain"), (413, "M_TOO_LARGE".to_owned()));
        assert_eq!(with(&[text, ("content-length", "4097")], &long).await, large);
        assert_eq!(with(&[text, ("content-length", "1")], &long).await, large, "a lie");
    }
    assert_eq!(send(&server, Method::POST, OLD, &[], &"x".repeat(4_096)).await.status, 201);
    assert_eq!(send(&server, Method::PUT, &path, &[], "x").await.refused(), missing);
    for bad in ["*", "W/\"1\"", "1", "\"1\", \"2\""] {
        let got = send(&server, Method::PUT, &path, &[("if-match", bad)], "x").await;
        assert_eq!(got.refused(), invalid, "{bad}");
    }
}

#[tokio::test]
async fn sessions_end_by_themselves_and_are_not_for_everybody_to_make() {
    let clock = Arc::new(Later::default());
    let change = |config: &mut landbridge_homeserver::Config| {
        config.public_base_url = Some("https://m.hs.test".to_owned());
        config.rate_limits.enabled = true;
        config.rate_limits.login = Rate { per_second: 0.000_1, burst: 3 };
    };
    let server = TestServer::start_with_at(change, Arc::clone(&clock) as Arc<dyn Clock>).await;
    let (path, _) = make(&server).await;
    clock.pass(119);
    assert_eq!(ask(&server, Method::GET, &path, &[], "").await.status, 200);
    clock.pass(181);
    assert_eq!(ask(&server, Method::GET, &path, &[], "").await.status, 404);
    make(&server).await;
    make(&server).await;
    let limited = send(&server, Method::POST, OLD, &[], "x").await;
    assert_eq!(limited.refused(), (429, "M_LIMIT_EXCEEDED".to_owned()));
}

async fn call(server: &TestServer, method: Method, path: &str, body: Value) -> (u16, Value) {
    let (status, answer) = server.request(method, path, None, &body).await;
    (status.as_u16(), answer)
}

#[tokio::test]
async fn sessions_speak_json_too() {
    let server = server().await;
    let (status, made) = call(&server, Method::POST, NEW, json!({ "data": "" })).await;
    assert_eq!(status, 200, "{made}");
    let expires = made["expires_in_ms"].as_i64().unwrap();
    assert!((120_000..=300_000).contains(&expires), "{expires}");
    let path = format!("{NEW}/{}", made["id"].as_str().unwrap());
    let first = made["sequence_token"].as_str().unwrap();
    let (_, got) = call(&server, Method::GET, &path, Value::Null).await;
    assert_eq!((&got["data"], &got["sequence_token"]), (&json!(""), &json!(first)));

    let write = |token: &str, data: &str| json!({ "sequence_token": token, "data": data });
    let once = format!("{path}/t1");
    let (status, sent) = call(&server, Method::PUT, &once, write(first, "one")).await;
    assert_eq!(status, 200, "{sent}");
    let second = sent["sequence_token"].as_str().unwrap();
    assert_ne!(first, second);
    let again = call(&server, Method::PUT, &once, write(first, "two")).await;
    assert_eq!(again, (200, sent.clone()), "what was done is not done again");
    let (status, late) =
        call(&server, Method::PUT, &format!("{path}/t2"), write(first, "late")).await;
    assert_eq!((status, &late["errcode"]), (409, &json!("IO_ELEMENT_MSC4388_CONCURRENT_WRITE")));
    let (status, _) =
        call(&server, Method::PUT, &format!("{path}/t2"), write(second, "late")).await;
    assert_eq!(status, 409, "nor is what was refused");
    let (status, _) = call(&server, Method::PUT, &format!("{path}/t!"), write(second, "x")).await;
    assert_eq!(status, 400);
    let (_, got) = call(&server, Method::GET, &path, Value::Null).await;
    assert_eq!((&got["data"], &got["sequence_token"]), (&json!("one"), &json!(second)));

    // As clients began: without transactions, the same once more is taken for a retry.
    let (status, sent) = call(&server, Method::PUT, &path, write(second, "three")).await;
    assert_eq!(status, 200);
    assert_eq!(call(&server, Method::PUT, &path, write(second, "three")).await, (200, sent));
    assert_eq!(call(&server, Method::PUT, &path, write(second, "four")).await.0, 409);

    assert_eq!(call(&server, Method::DELETE, &path, Value::Null).await.0, 200);
    for (method, body) in [
        (Method::GET, Value::Null),
        (Method::DELETE, Value::Null),
        (Method::PUT, write(second, "x")),
    ] {
        let (status, gone) = call(&server, method, &path, body).await;
        assert_eq!((status, &gone["errcode"]), (404, &json!("M_NOT_FOUND")));
    }
}

#[tokio::test]
async fn json_sessions_are_short_and_not_for_show() {
    let server = server().await;
    let large = json!({ "data": "x".repeat(4_097) });
    let (status, answer) = call(&server, Method::POST, NEW, large).await;
    assert_eq!((status, &answer["errcode"]), (413, &json!("M_TOO_LARGE")));
    for bad in [json!({}), json!({ "data": 1 }), json!({ "data": null })] {
        let (status, answer) = call(&server, Method::POST, NEW, bad).await;
        assert_eq!((status, &answer["errcode"]), (400, &json!("M_BAD_JSON")));
    }
    let (_, made) = call(&server, Method::POST, NEW, json!({ "data": "x" })).await;
    let path = format!("{NEW}/{}", made["id"].as_str().unwrap());
    let put = json!({ "sequence_token": made["sequence_token"], "data": "x".repeat(4_097) });
    assert_eq!(call(&server, Method::PUT, &path, put.clone()).await.0, 413);
    assert_eq!(call(&server, Method::PUT, &format!("{path}/t"), put).await.0, 413);
    let fetched =
        [("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors"), ("sec-fetch-site", "cross-site")];
    assert_eq!(ask(&server, Method::GET, &path, &fetched, "").await.status, 200);
    for shown in [
        ("sec-fetch-dest", "document"),
        ("sec-fetch-dest", "image"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-user", "?1"),
        ("sec-fetch-site", "none"),
    ] {
        let got = ask(&server, Method::GET, &path, &[shown], "").await;
        assert_eq!(got.refused(), (403, "M_FORBIDDEN".to_owned()), "{shown:?}");
    }
}

#[tokio::test]
async fn who_has_no_account_begins_json_sessions_only_where_the_settings_say_so() {
    let open = server().await;
    let (status, answer) = call(&open, Method::GET, NEW, Value::Null).await;
    assert_eq!((status, answer), (200, json!({ "create_available": true })));
    let (status, _) = open.request(Method::GET, NEW, Some("made up"), &Value::Null).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let closed = TestServer::start().await;
    let (status, answer) = call(&closed, Method::GET, NEW, Value::Null).await;
    assert_eq!((status, answer), (200, json!({ "create_available": false })));
    let (status, answer) = call(&closed, Method::POST, NEW, json!({ "data": "x" })).await;
    assert_eq!((status, &answer["errcode"]), (403, &json!("M_FORBIDDEN")));
    let alice = closed.register("alice").await;
    let path = "unstable/io.element.msc4388/rendezvous";
    let answer = alice.must(Method::GET, path, Value::Null).await;
    assert_eq!(answer, json!({ "create_available": true }));
    let made = alice.must(Method::POST, path, json!({ "data": "x" })).await;
    let path = format!("{NEW}/{}", made["id"].as_str().unwrap());
    assert_eq!(call(&closed, Method::GET, &path, Value::Null).await.0, 200);
}
