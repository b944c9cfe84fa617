//! One-time links and the data folder's administration, over the server's HTTP interface.

use axum::body::{Body, to_bytes};
use http::{Method, Request, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::{Config, Server, admin::local::TOKEN_FILE};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

struct Test {
    server: Server,
    _folder: tempfile::TempDir,
}

impl Test {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: folder.path().join("data"), ..Config::default() };
        config.listen.http.clear();
        config.accounts.password_memory_kib = 8;
        let server = Server::start(config).await.unwrap();
        std::fs::write(folder.path().join("data").join(TOKEN_FILE), format!("{TOKEN}\n")).unwrap();
        Self { server, _folder: folder }
    }

    async fn call(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.server.router().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn admin(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        let (status, text) = self.call(request.body(Body::from(body.to_string())).unwrap()).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    async fn choose(&self, token: &str, password: &str, again: &str) -> (StatusCode, String) {
        let form = format!("token={token}&username=x&password={password}&again={again}");
        let request = Request::post(welcome::PATH)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.call(request.body(Body::from(form)).unwrap()).await
    }

    async fn logs_in(&self, password: &str) -> bool {
        let identifier = json!({"type": "m.id.user", "user": "boss"});
        let body =
            json!({"type": "m.login.password", "identifier": identifier, "password": password});
        let request =
            Request::post("/_matrix/client/v3/login").body(Body::from(body.to_string())).unwrap();
        self.call(request).await.0 == StatusCode::OK
    }
}

const BOSS: &str = "/_landbridge/admin/v1/users/@boss:localhost";

#[tokio::test]
async fn a_link_sets_the_password_once() {
    let test = Test::new().await;
    let (status, _) = test
        .admin(Method::PUT, BOSS, "wrong-wrong-wrong-wrong-wrong-wrong", json!({"admin": true}))
        .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, made) = test.admin(Method::PUT, BOSS, TOKEN, json!({"admin": true})).await;
    assert_eq!((status, &made["created"]), (StatusCode::OK, &json!(true)));
    let (_, link) = test.admin(Method::POST, &format!("{BOSS}/link"), TOKEN, json!({})).await;
    let (_, other) = test.admin(Method::POST, &format!("{BOSS}/link"), TOKEN, json!({})).await;
    let path = link["path"].as_str().unwrap();
    let token = path.split_once('=').unwrap().1;

    let (status, html) = test.call(Request::get(path).body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    assert!(html.contains("@boss:localhost"));
    let (status, html) = test.choose(token, "correct-horse", "correct-hors").await;
    assert!(status == StatusCode::BAD_REQUEST && html.contains("differ"), "{html}");
    let (status, html) = test.choose(token, "short", "short").await;
    assert!(status == StatusCode::BAD_REQUEST && html.contains("at least"), "{html}");
    let (status, html) = test.choose(token, "correct-horse", "correct-horse").await;
    assert_eq!(status, StatusCode::OK, "{html}");
    assert!(test.logs_in("correct-horse").await);

    for used in [token, other["path"].as_str().unwrap().split_once('=').unwrap().1, "", "x"] {
        let (status, _) = test.choose(used, "another-horse", "another-horse").await;
        assert_eq!(
            status,
            StatusCode::NOT_FOUND,
            "a used link, and those made beside it, are no longer good"
        );
    }
    assert!(test.logs_in("correct-horse").await);
}

#[tokio::test]
async fn the_folders_owner_administers_accounts() {
    let test = Test::new().await;
    let password = json!({"password": "correct-horse"});
    test.admin(Method::PUT, BOSS, TOKEN, password).await;
    let (_, users) =
        test.admin(Method::GET, "/_landbridge/admin/v1/users?search=boss", TOKEN, json!({})).await;
    assert_eq!(users["users"][0]["user_id"], "@boss:localhost");
    assert_eq!(users["users"][0]["has_password"], true);
    let (status, _) =
        test.admin(Method::PUT, "/_landbridge/admin/v1/users/@a:elsewhere", TOKEN, json!({})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) =
        test.admin(Method::POST, &format!("{BOSS}/deactivate"), TOKEN, json!({})).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!test.logs_in("correct-horse").await);
    let (status, _) = test.admin(Method::POST, &format!("{BOSS}/link"), TOKEN, json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[test]
fn nothing_given_becomes_markup() {
    let html = form("@a:b", "\"><script>", Some("<b>"));
    assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
}
