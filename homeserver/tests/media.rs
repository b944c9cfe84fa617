//! The content repository at the server's door.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use axum::body::Body;
use axum::response::Response;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use landbridge_homeserver::{Config, Server};
use serde_json::{Value, json};
use tower::ServiceExt as _;

struct World {
    server: Server,
    token: String,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new(unauthenticated: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        config.listen.http.clear();
        config.registration.open = true;
        config.rate_limits.enabled = false;
        config.accounts.password_memory_kib = 8;
        config.accounts.password_passes = 1;
        config.media.max_upload_bytes = 100_000;
        config.media.unauthenticated = unauthenticated;
        let server = Server::start(config).await.unwrap();
        let mut world = Self { server, token: String::new(), _folder: folder };
        let body = json!({ "username": "bob", "password": "correct horse", "auth": { "type": "m.login.dummy" } });
        let answer =
            world.json(Method::POST, "/_matrix/client/v3/register", &body.to_string(), &[]).await.1;
        answer["access_token"].as_str().unwrap().clone_into(&mut world.token);
        world
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "no-token") && !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers.iter().filter(|(name, _)| *name != "no-token") {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        self.server.router().oneshot(request).await.unwrap()
    }

    async fn json(
        &self,
        method: Method,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, Value) {
        let response = self.call(method, path, body, headers).await;
        let status = response.status();
        (status, serde_json::from_str(&text(response).await).unwrap_or(Value::Null))
    }

    /// Uploads a picture of 16 by 8 pixels.
    async fn picture(&self) -> String {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let picture = image::DynamicImage::new_rgb8(16, 8);
        picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        let path = "/_matrix/media/v3/upload?filename=x.png";
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "image/png")
            .body(Body::from(bytes.into_inner()));
        let answer = self.server.router().oneshot(request.unwrap()).await.unwrap();
        let answer: Value = serde_json::from_str(&text(answer).await).unwrap();
        answer["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned()
    }

    /// Uploads a file and gives `SERVER/ID`.
    async fn upload(&self, kind: &str, name: &str, body: &str) -> String {
        let path = format!("/_matrix/media/v3/upload?filename={name}");
        let (status, answer) =
            self.json(Method::POST, &path, body, &[("content-type", kind)]).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned()
    }
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_file_comes_back_with_its_name_type_and_fences() {
    let world = World::new(false).await;
    let file = world.upload("text/plain", "a%20b.txt", "hello").await;
    let path = format!("/_matrix/client/v1/media/download/{file}");
    let response = world.call(Method::GET, &path, "", &[]).await;
    assert_eq!(response.headers()[header::CONTENT_DISPOSITION], "inline; filename=\"a b.txt\"");
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain");
    assert!(
        response.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .starts_with("sandbox;")
    );
    assert_eq!(response.headers()["cross-origin-resource-policy"], "cross-origin");
    let tag = response.headers()[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(text(response).await, "hello");
    let known = world.call(Method::GET, &path, "", &[("if-none-match", &tag)]).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    let named = world.call(Method::GET, &format!("{path}/other.bin"), "", &[]).await;
    assert_eq!(named.headers()[header::CONTENT_DISPOSITION], "inline; filename=other.bin");
    let page = world.upload("text/html", "x.html", "<script>").await;
    let page = world
        .call(Method::GET, &format!("/_matrix/client/v1/media/download/{page}"), "", &[])
        .await;
    assert_eq!(page.headers()[header::CONTENT_DISPOSITION], "attachment; filename=x.html");
}

#[tokio::test]
async fn parts_of_a_file_are_served() {
    let world = World::new(false).await;
    let file = world.upload("text/plain", "x", "0123456789").await;
    let path = format!("/_matrix/client/v1/media/download/{file}");
    let part = world.call(Method::GET, &path, "", &[("range", "bytes=2-4")]).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()[header::CONTENT_RANGE], "bytes 2-4/10");
    assert_eq!(text(part).await, "234");
    let beyond = world.call(Method::GET, &path, "", &[("range", "bytes=20-")]).await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
}

#[tokio::test]
async fn the_old_paths_are_frozen_unless_opened() {
    for open in [false, true] {
        let world = World::new(open).await;
        let file = world.upload("text/plain", "x", "hello").await;
        for version in ["v3", "r0", "v1"] {
            let path = format!("/_matrix/media/{version}/download/{file}");
            let status = world.call(Method::GET, &path, "", &[("no-token", "")]).await.status();
            let expected = if open { StatusCode::OK } else { StatusCode::NOT_FOUND };
            assert_eq!(status, expected, "{version}");
            let named = format!("{path}/name.txt");
            let status = world.call(Method::GET, &named, "", &[("no-token", "")]).await.status();
            assert_eq!(status, expected, "{version}");
        }
        let (status, config) = world.json(Method::GET, "/_matrix/media/v3/config", "", &[]).await;
        assert_eq!((status, &config["m.upload.size"]), (StatusCode::OK, &json!(100_000)));
        let picture = world.picture().await;
        let path = format!("/_matrix/media/v3/thumbnail/{picture}?width=4&height=4&method=scale");
        let status = world.call(Method::GET, &path, "", &[("no-token", "")]).await.status();
        assert_eq!(status, if open { StatusCode::OK } else { StatusCode::NOT_FOUND });
        let path = format!("/_matrix/client/v1/media/download/{file}");
        let (status, answer) = world.json(Method::GET, &path, "", &[("no-token", "")]).await;
        assert_eq!(
            (status, &answer["errcode"]),
            (StatusCode::UNAUTHORIZED, &json!("M_MISSING_TOKEN"))
        );
    }
}

#[tokio::test]
async fn what_is_too_large_foreign_or_unknown_is_refused() {
    let world = World::new(false).await;
    let (_, answer) = world.json(Method::GET, "/_matrix/client/v1/media/config", "", &[]).await;
    assert_eq!(answer["m.upload.size"], 100_000);
    let large = "x".repeat(100_001);
    let (status, answer) = world.json(Method::POST, "/_matrix/media/v3/upload", &large, &[]).await;
    assert_eq!(
        (status, &answer["errcode"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &json!("M_TOO_LARGE"))
    );
    for file in ["localhost/unknown", "elsewhere.example/abc", "localhost/..%2F..%2Fetc"] {
        let path = format!("/_matrix/client/v1/media/download/{file}");
        let (status, answer) = world.json(Method::GET, &path, "", &[]).await;
        assert_eq!(
            (status, &answer["errcode"]),
            (StatusCode::NOT_FOUND, &json!("M_NOT_FOUND")),
            "{file}"
        );
    }
}

#[tokio::test]
async fn an_upload_may_come_after_its_uri() {
    let world = World::new(false).await;
    let (_, answer) = world.json(Method::POST, "/_matrix/media/v1/create", "", &[]).await;
    assert!(answer["unused_expires_at"].is_i64());
    let file = answer["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap();
    let (download, upload) = (
        format!("/_matrix/client/v1/media/download/{file}"),
        format!("/_matrix/media/v3/upload/{file}"),
    );
    let (status, answer) =
        world.json(Method::GET, &format!("{download}?timeout_ms=0"), "", &[]).await;
    assert_eq!(
        (status, &answer["errcode"]),
        (StatusCode::GATEWAY_TIMEOUT, &json!("M_NOT_YET_UPLOADED"))
    );
    let (waited, filled) = tokio::join!(
        world.call(Method::GET, &download, "", &[]),
        world.json(Method::PUT, &upload, "late", &[]),
    );
    assert_eq!(filled, (StatusCode::OK, json!({})));
    assert_eq!(text(waited).await, "late");
    let (status, answer) = world.json(Method::PUT, &upload, "again", &[]).await;
    assert_eq!(
        (status, &answer["errcode"]),
        (StatusCode::CONFLICT, &json!("M_CANNOT_OVERWRITE_MEDIA"))
    );
}

#[tokio::test]
async fn thumbnails_ask_for_a_size_and_a_picture() {
    let world = World::new(false).await;
    let picture = world.picture().await;
    let path =
        format!("/_matrix/client/v1/media/thumbnail/{picture}?width=4&height=4&method=scale");
    let answer = world.call(Method::GET, &path, "", &[]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("image/"));
    let file = world.upload("image/png", "x.png", "no picture").await;
    let path = format!("/_matrix/client/v1/media/thumbnail/{file}");
    let (status, answer) =
        world.json(Method::GET, &format!("{path}?width=32&height=32"), "", &[]).await;
    assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_UNKNOWN")));
    for query in
        ["", "?width=32", "?width=0&height=1", "?width=-1&height=1", "?width=1&height=1&method=x"]
    {
        let (status, _) = world.json(Method::GET, &format!("{path}{query}"), "", &[]).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
    }
}
