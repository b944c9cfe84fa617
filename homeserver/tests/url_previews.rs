//! Previews of links, of pages that a small web server in this process serves.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::get;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use landbridge_homeserver::{Config, Server};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// A picture of one pixel.
const GIF: &[u8] = b"GIF89a\x03\x00\x02\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x00\x00\x00\x00\x00,\x00\x00\x00\x00\x03\x00\x02\x00\x00\x02\x03D\x02\x05\x00;";

struct World {
    server: Server,
    token: String,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        config.listen.http.clear();
        config.registration.open = true;
        config.rate_limits.enabled = false;
        config.accounts.password_memory_kib = 8;
        config.accounts.password_passes = 1;
        config.outbound.allowed_addresses = vec!["127.0.0.1/32".parse().unwrap()];
        change(&mut config);
        let server = Server::start(config).await.unwrap();
        let mut world = Self { server, token: String::new(), _folder: folder };
        let body = json!({ "username": "bob", "password": "correct horse", "auth": { "type": "m.login.dummy" } });
        let register = "/_matrix/client/v3/register";
        let (_, answer) = world.ask(Method::POST, register, Body::from(body.to_string())).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["access_token"].as_str().unwrap().clone_into(&mut world.token);
        world
    }

    async fn ask(&self, method: Method, path: &str, body: Body) -> (StatusCode, Vec<u8>) {
        let mut request = Request::builder().method(method).uri(path);
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        let response = self.server.router().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes().to_vec())
    }

    async fn preview_at(&self, path: &str, url: &str) -> (u16, Value) {
        let url: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
        let (status, body) =
            self.ask(Method::GET, &format!("{path}?url={url}"), Body::empty()).await;
        (status.as_u16(), serde_json::from_slice(&body).unwrap())
    }

    async fn preview(&self, url: &str) -> (u16, Value) {
        self.preview_at("/_matrix/client/v1/media/preview_url", url).await
    }

    async fn refused(&self, url: &str) -> (u16, String) {
        let (status, answer) = self.preview(url).await;
        (status, answer["errcode"].as_str().unwrap_or_default().to_owned())
    }
}

/// A web server of this machine; counts how often its page is fetched.
async fn web() -> (SocketAddr, Arc<AtomicUsize>) {
    let fetched = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fetched);
    let page = move || {
        count.fetch_add(1, Ordering::SeqCst);
        async {
            Html(
                r#"<html><head><title>Not this</title><meta property="og:title" content="The &quot;Rock&quot;">
                <meta property="og:image" content="pictures/a.gif"><meta property="og:image:width" content="900">
                <meta property="og:site_name" content="Films"></head><body><p>Text</p></body></html>"#,
            )
        }
    };
    let picture = || async { ([(header::CONTENT_TYPE, "image/gif")], GIF).into_response() };
    let described = || async {
        Html(r#"<link type="application/json+oembed" href="/oembed"><title>Fallback</title>"#)
    };
    let router = Router::new()
        .route("/page", get(page))
        .route("/pictures/a.gif", get(picture))
        .route("/described", get(described))
        .route(
            "/oembed",
            get(|| async { r#"{"title": "By JSON", "thumbnail_url": "javascript:x"}"# }),
        )
        .route("/plain", get(|| async { "nothing to see" }))
        .route(
            "/endless",
            get(|| async { Html(format!("<title>Long</title>{}", " ".repeat(3 << 20))) }),
        )
        .route("/loop", get(|| async { Redirect::to("/loop") }))
        .route(
            "/to/{*target}",
            get(|Path(target): Path<String>| async move { Redirect::to(&target) }),
        )
        .route(
            "/broken",
            get(|| async { Response::builder().status(500).body(Body::empty()).unwrap() }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, fetched)
}

#[tokio::test]
async fn a_page_is_told_with_its_picture_and_fetched_once() {
    let (web, fetched) = web().await;
    let world = World::new(|_| {}).await;
    let url = format!("http://{web}/page#part");
    let both = [world.preview(&url), world.preview(&url)];
    let both = futures::future::join_all(both).await;
    let (status, told) = &both[0];
    assert_eq!((*status, told), (200, &both[1].1));
    assert_eq!(told["og:title"], "The \"Rock\"");
    assert_eq!(told["og:site_name"], "Films");
    assert_eq!(told["og:image:type"], "image/gif");
    assert_eq!(told["matrix:image:size"], GIF.len());
    assert_eq!((&told["og:image:width"], &told["og:image:height"]), (&json!(3), &json!(2)));
    let old =
        world.preview_at("/_matrix/media/v3/preview_url", &format!("http://{web}/page")).await;
    assert_eq!(old.1, *told);
    assert_eq!(fetched.load(Ordering::SeqCst), 1);

    let mxc = told["og:image"].as_str().unwrap().strip_prefix("mxc://").unwrap();
    let path = format!("/_matrix/client/v1/media/download/{mxc}");
    let (status, bytes) = world.ask(Method::GET, &path, Body::empty()).await;
    assert_eq!((status, &*bytes), (StatusCode::OK, GIF));
}

#[tokio::test]
async fn pages_of_all_kinds_have_an_answer() {
    let (web, _) = web().await;
    let world = World::new(|config| config.url_previews.max_page_bytes = 1 << 20).await;
    let at = |path: &str| format!("http://{web}{path}");
    assert_eq!(world.preview(&at("/plain")).await, (200, json!({})));
    assert_eq!(world.preview(&at("/endless")).await, (200, json!({ "og:title": "Long" })));
    assert_eq!(world.preview(&at("/described")).await, (200, json!({ "og:title": "By JSON" })));
    let picture = world.preview(&at("/pictures/a.gif")).await.1;
    assert_eq!((&picture["og:title"], &picture["og:image:width"]), (&json!("a.gif"), &json!(3)));
    let redirected = world.preview(&at("/to//page")).await.1;
    assert_eq!(redirected["og:title"], "The \"Rock\"", "{redirected}");
    for path in ["/broken", "/none", "/loop"] {
        assert_eq!(world.refused(&at(path)).await, (404, "M_NOT_FOUND".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn nothing_leads_to_what_only_the_server_can_reach() {
    let (web, fetched) = web().await;
    let port = web.port();
    let forbidden = (403, "M_FORBIDDEN".to_owned());
    let world = World::new(|_| {}).await;
    // One address of the machine is allowed, the next is not, by itself, by a redirect, in another spelling.
    for url in [
        format!("http://127.0.0.2:{port}/page"),
        format!("http://{web}/to/http://127.0.0.2:{port}/page"),
        format!("http://{web}/to//to/http://127.0.0.2:{port}/page"),
        format!("http://0x7f000002:{port}/page"),
        format!("http://[::ffff:127.0.0.2]:{port}/page"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        format!("http://user:secret@{web}/page"),
    ] {
        assert_eq!(world.refused(&url).await, forbidden, "{url}");
    }
    let closed = World::new(|config| config.outbound.allowed_addresses.clear()).await;
    // A name is no way around it.
    for host in ["127.0.0.1", "localhost"] {
        assert_eq!(closed.refused(&format!("http://{host}:{port}/page")).await, forbidden);
    }
    assert_eq!(fetched.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn settings_and_bad_requests_are_heeded() {
    let (web, _) = web().await;
    let url = format!("http://{web}/page");
    let off = World::new(|config| config.url_previews.enabled = false).await;
    assert_eq!(off.refused(&url).await, (404, "M_UNRECOGNIZED".to_owned()));
    let denied =
        World::new(|config| config.url_previews.denied_hosts = vec!["127.*".to_owned()]).await;
    assert_eq!(denied.refused(&url).await, (403, "M_FORBIDDEN".to_owned()));
    let other =
        World::new(|config| config.url_previews.allowed_hosts = vec!["*.org".to_owned()]).await;
    assert_eq!(other.refused(&url).await, (403, "M_FORBIDDEN".to_owned()));
    let invalid = (400, "M_INVALID_PARAM".to_owned());
    for url in ["file:///etc/passwd", "nonsense", "http://", "ftp://x/", &"http://x/".repeat(500)] {
        assert_eq!(other.refused(url).await, invalid, "{url}");
    }
    let path = "/_matrix/client/v1/media/preview_url";
    let (status, body) = other.ask(Method::GET, path, Body::empty()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["errcode"], "M_MISSING_PARAM");
}
