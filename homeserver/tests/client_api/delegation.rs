//! A matrix-authentication-service that signs people in in the server's stead.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Form, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{Method, StatusCode};
use landbridge_homeserver::config::{Delegation, Secret};
use serde_json::{Value, json};

use super::support::{Later, TestServer};

const SECRET: &str = "shared-with-mas";

/// What the service answers, and how often it was asked.
#[derive(Default)]
struct Service {
    tokens: Mutex<Value>,
    asked: AtomicUsize,
    /// Whether it has lost its metadata.
    broken: AtomicBool,
}

async fn introspect(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    Form(form): Form<Vec<(String, String)>>,
) -> (StatusCode, Json<Value>) {
    if headers["authorization"] != format!("Bearer {SECRET}") {
        return (StatusCode::UNAUTHORIZED, Json(json!({})));
    }
    service.asked.fetch_add(1, Ordering::SeqCst);
    let token = form.iter().find(|(name, _)| name == "token").map(|(_, token)| token.clone());
    let known = service.tokens.lock().unwrap()[token.unwrap_or_default()].clone();
    let answer = if known.is_null() { json!({ "active": false }) } else { known };
    (StatusCode::OK, Json(answer))
}

async fn start(clock: Arc<Later>) -> (TestServer, Arc<Service>) {
    let service = Arc::<Service>::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/", listener.local_addr().unwrap());
    let metadata = json!({
        "issuer": "https://auth.test/", "token_endpoint": "https://auth.test/oauth2/token",
        "authorization_endpoint": "https://auth.test/authorize",
        "registration_endpoint": "https://auth.test/oauth2/registration",
        "revocation_endpoint": "https://auth.test/oauth2/revoke",
        "response_types_supported": ["code"], "response_modes_supported": ["query", "fragment"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "account_management_uri": "https://auth.test/account/",
    });
    let router = Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(move |State(service): State<Arc<Service>>| async move {
                if service.broken.load(Ordering::SeqCst) {
                    (StatusCode::BAD_GATEWAY, Json(Value::Null))
                } else {
                    (StatusCode::OK, Json(metadata))
                }
            }),
        )
        .route("/oauth2/introspect", post(introspect))
        .with_state(Arc::clone(&service));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let server = TestServer::start_with_at(
        |config| {
            config.public_base_url = Some("https://hs.test".to_owned());
            let secret = Secret::new(SECRET);
            config.oauth.delegation = Some(Delegation { endpoint, secret });
        },
        clock,
    )
    .await;
    (server, service)
}

async fn mas(server: &TestServer, path: &str, body: Value) -> u16 {
    let path = format!("/_synapse/mas/{path}");
    server.request(Method::POST, &path, Some(SECRET), &body).await.0.as_u16()
}

async fn whoami(server: &TestServer, token: &str) -> (u16, Value) {
    let path = "/_matrix/client/v3/account/whoami";
    let (status, answer) = server.request(Method::GET, path, Some(token), &Value::Null).await;
    (status.as_u16(), answer)
}

fn active(device: &str) -> Value {
    json!({ "active": true, "username": "alice", "expires_in": 300,
        "scope": format!("openid urn:matrix:client:api:* urn:matrix:client:device:{device}") })
}

#[tokio::test]
async fn who_has_a_token_of_the_service_is_let_in() {
    let clock = Arc::new(Later::default());
    let (server, service) = start(Arc::clone(&clock)).await;
    let path = "/_matrix/client/v1/auth_metadata";
    let (_, metadata) = server.request(Method::GET, path, None, &Value::Null).await;
    assert_eq!(metadata["issuer"], "https://auth.test/");
    *service.tokens.lock().unwrap() = json!({
        "good": active("PHONE"),
        "narrow": { "active": true, "username": "alice", "scope": "openid" },
        "compat": { "active": true, "username": "alice", "scope": "urn:matrix:client:api:*", "device_id": "LAPTOP" },
        "admin": { "active": true, "username": "alice", "scope": "urn:matrix:client:api:* urn:synapse:admin:*" },
        "nobody": { "active": true, "username": "bob", "scope": "urn:matrix:client:api:*" },
    });
    assert_eq!(whoami(&server, "good").await.0, 401, "the service has not made the account yet");
    assert_eq!(mas(&server, "provision_user", json!({ "localpart": "alice" })).await, 201);
    assert_eq!(whoami(&server, "good").await.0, 401, "nor the device");
    let device = |id: &str| json!({ "localpart": "alice", "device_id": id });
    assert_eq!(mas(&server, "upsert_device", device("PHONE")).await, 201);
    assert_eq!(mas(&server, "upsert_device", device("LAPTOP")).await, 201);
    let (status, me) = whoami(&server, "good").await;
    assert_eq!(status, 200, "{me}");
    assert_eq!((&me["user_id"], &me["device_id"]), (&json!("@alice:hs.test"), &json!("PHONE")));
    let asked = service.asked.load(Ordering::SeqCst);
    assert_eq!(whoami(&server, "good").await.0, 200);
    assert_eq!(service.asked.load(Ordering::SeqCst), asked, "it is remembered");
    assert_eq!(whoami(&server, "compat").await.1["device_id"], "LAPTOP");
    for bad in ["narrow", "nobody", "made up"] {
        assert_eq!(whoami(&server, bad).await.0, 401, "{bad}");
    }
    let admin = "/_synapse/admin/v1/users/@alice:hs.test/admin";
    for is_administrator in [false, true] {
        // That is for the service to say, each time anew; what is noted here makes no difference.
        let alice = ruma::UserId::parse("@alice:hs.test").unwrap();
        server.server.app().accounts.set_admin(&alice, is_administrator).await.unwrap();
        for (token, status) in [("good", 403), ("admin", 200)] {
            let answer = server.request(Method::GET, admin, Some(token), &Value::Null).await;
            assert_eq!(answer.0.as_u16(), status, "{token}");
        }
    }
    // Signed out there: the device goes, and with it the token, remembered or not.
    assert_eq!(mas(&server, "delete_device", device("PHONE")).await, 204);
    assert_eq!(whoami(&server, "good").await.0, 401);
    // What is remembered is believed for two minutes.
    assert_eq!(whoami(&server, "compat").await.0, 200);
    *service.tokens.lock().unwrap() = json!({});
    assert_eq!(whoami(&server, "compat").await.0, 200);
    clock.pass(121);
    assert_eq!(whoami(&server, "compat").await.0, 401);
}

#[tokio::test]
async fn the_service_keeps_accounts_and_devices() {
    let (server, _) = start(Arc::default()).await;
    let alice = json!({ "localpart": "alice" });
    let provision = json!({ "localpart": "alice", "set_displayname": "Alice", "set_emails": ["a@example.com"] });
    assert_eq!(mas(&server, "provision_user", provision).await, 201);
    let both = json!({ "localpart": "alice", "set_displayname": "A", "unset_displayname": true });
    assert_eq!(mas(&server, "provision_user", both).await, 400);
    assert_eq!(mas(&server, "provision_user", alice.clone()).await, 200);
    let get = async |path: &str| {
        let path = format!("/_synapse/mas/{path}");
        let (status, answer) = server.request(Method::GET, &path, Some(SECRET), &Value::Null).await;
        (status.as_u16(), answer)
    };
    let (status, found) = get("query_user?localpart=alice").await;
    assert_eq!(status, 200);
    assert_eq!(
        found,
        json!({ "user_id": "@alice:hs.test", "display_name": "Alice", "avatar_url": null,
        "is_suspended": false, "is_deactivated": false })
    );
    assert_eq!(get("query_user?localpart=bob").await.0, 404);
    assert_eq!(get("is_localpart_available?localpart=bob").await.0, 200);
    for (name, errcode) in [("alice", "M_USER_IN_USE"), ("not%20allowed", "M_INVALID_USERNAME")] {
        let (status, refusal) = get(&format!("is_localpart_available?localpart={name}")).await;
        assert_eq!((status, &refusal["errcode"]), (400, &json!(errcode)));
    }
    let renamed = json!({ "localpart": "alice", "displayname": "Alicia" });
    assert_eq!(mas(&server, "set_displayname", renamed).await, 200);
    assert_eq!(get("query_user?localpart=alice").await.1["display_name"], "Alicia");
    assert_eq!(mas(&server, "unset_displayname", alice.clone()).await, 200);
    assert_eq!(get("query_user?localpart=alice").await.1["display_name"], Value::Null);

    let devices = json!({ "localpart": "alice", "devices": ["A", "B"] });
    assert_eq!(mas(&server, "sync_devices", devices).await, 200);
    let name = json!({ "localpart": "alice", "device_id": "B", "display_name": "Phone" });
    assert_eq!(mas(&server, "upsert_device", name.clone()).await, 200);
    assert_eq!(mas(&server, "update_device_display_name", name).await, 200);
    let devices = json!({ "localpart": "alice", "devices": ["B", "C"] });
    assert_eq!(mas(&server, "sync_devices", devices).await, 200);
    let user = ruma::UserId::parse("@alice:hs.test").unwrap();
    let app = server.server.app();
    let list = app.devices.list(&user).await.unwrap();
    let list: Vec<_> =
        list.iter().map(|d| (d.device_id.as_str(), d.display_name.as_deref())).collect();
    assert_eq!(list, [("B", Some("Phone")), ("C", None)]);
    let owner = async || app.threepids.owner("email", "A@example.com").await.unwrap();
    assert_eq!(owner().await.as_deref(), Some(&*user));
    let none = json!({ "localpart": "alice", "unset_emails": true });
    assert_eq!(mas(&server, "provision_user", none).await, 200);
    assert_eq!(owner().await, None);

    assert_eq!(
        mas(&server, "delete_user", json!({ "localpart": "alice", "erase": false })).await,
        200
    );
    assert_eq!(get("query_user?localpart=alice").await.1["is_deactivated"], true);
    assert!(app.devices.list(&user).await.unwrap().is_empty());
    assert_eq!(mas(&server, "reactivate_user", alice.clone()).await, 200);
    assert_eq!(get("query_user?localpart=alice").await.1["is_deactivated"], false);
    for path in ["delete_user", "reactivate_user", "allow_cross_signing_reset", "unset_displayname"]
    {
        assert_eq!(
            mas(&server, path, json!({ "localpart": "bob", "erase": false })).await,
            404,
            "{path}"
        );
    }
    // Nobody else may do any of that.
    for (token, status) in [(Some("guessed"), 403), (None, 401)] {
        let path = "/_synapse/mas/delete_user";
        let (answer, _) = server.request(Method::POST, path, token, &alice).await;
        assert_eq!(answer.as_u16(), status);
    }
}

#[tokio::test]
async fn the_newest_word_of_the_service_says_whose_an_address_is() {
    let (server, _) = start(Arc::default()).await;
    let app = server.server.app();
    for name in ["alice", "bob"] {
        let provision = json!({ "localpart": name, "set_emails": ["A@example.com"] });
        assert_eq!(mas(&server, "provision_user", provision).await, 201);
        let owner = app.threepids.owner("email", "a@example.com").await.unwrap();
        assert_eq!(owner.unwrap().localpart(), name);
    }
    // More than an account may have is no reason to be asked for ever.
    let many: Vec<String> = (0..30).map(|n| format!("{n}@example.com")).collect();
    let provision = json!({ "localpart": "alice", "set_emails": many });
    assert_eq!(mas(&server, "provision_user", provision).await, 200);
    let alice = ruma::UserId::parse("@alice:hs.test").unwrap();
    assert_eq!(app.threepids.list(&alice).await.unwrap().len(), 20);
}

#[tokio::test]
async fn what_the_service_does_is_not_done_here() {
    let (server, service) = start(Arc::default()).await;
    mas(&server, "provision_user", json!({ "localpart": "alice" })).await;
    mas(&server, "upsert_device", json!({ "localpart": "alice", "device_id": "PHONE" })).await;
    *service.tokens.lock().unwrap() = json!({ "good": active("PHONE") });
    let auth = json!({ "type": "m.login.dummy" });
    for (method, path, body) in [
        (Method::GET, "login", Value::Null),
        (
            Method::POST,
            "login",
            json!({ "type": "m.login.password", "user": "alice", "password": "x" }),
        ),
        (
            Method::POST,
            "register",
            json!({ "auth": auth, "username": "bob", "password": "a long password" }),
        ),
        (Method::POST, "refresh", json!({ "refresh_token": "x" })),
        (Method::POST, "logout", json!({})),
        (Method::POST, "logout/all", json!({})),
    ] {
        let path = format!("/_matrix/client/v3/{path}");
        let (status, refusal) = server.request(method, &path, Some("good"), &body).await;
        assert_eq!(
            (status.as_u16(), &refusal["errcode"]),
            (404, &json!("M_UNRECOGNIZED")),
            "{path}"
        );
    }
    for page in ["/_landbridge/sign-in", "/_landbridge/account"] {
        let (status, _) = server.request(Method::GET, page, None, &Value::Null).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    // Cross-signing keys are replaced once the service has said so.
    let keys = |key: &str| {
        let id = format!("ed25519:{key}");
        json!({ "master_key": { "user_id": "@alice:hs.test", "usage": ["master"], "keys": { id: key } } })
    };
    let path = "/_matrix/client/v3/keys/device_signing/upload";
    let (first, second) = (keys(&"A".repeat(43)), keys(&format!("{}E", "B".repeat(42))));
    let upload = async |body: &Value| server.request(Method::POST, path, Some("good"), body).await;
    assert_eq!(upload(&first).await.0, StatusCode::OK);
    let (status, challenge) = upload(&second).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let url = "https://auth.test/account/?action=org.matrix.cross_signing_reset";
    assert_eq!(challenge["params"]["m.oauth"]["url"], url);
    assert_eq!(
        mas(&server, "allow_cross_signing_reset", json!({ "localpart": "alice" })).await,
        200
    );
    assert_eq!(upload(&second).await.0, StatusCode::OK);
    assert_eq!(upload(&first).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_is_no_token_is_not_asked_about_again_and_again() {
    let clock = Arc::new(Later::default());
    let (server, service) = start(Arc::clone(&clock)).await;
    let asked = || service.asked.load(Ordering::SeqCst);
    let (one, other) = tokio::join!(whoami(&server, "made up"), whoami(&server, "made up"));
    assert_eq!((one.0, other.0, asked()), (401, 401, 1));
    assert_eq!((whoami(&server, "made up").await.0, asked()), (401, 1));
    assert_eq!((whoami(&server, "another").await.0, asked()), (401, 2));
    clock.pass(11);
    assert_eq!((whoami(&server, "made up").await.0, asked()), (401, 3));
}

#[tokio::test]
async fn a_device_of_the_same_name_is_another() {
    let (server, service) = start(Arc::default()).await;
    mas(&server, "provision_user", json!({ "localpart": "alice" })).await;
    let device = json!({ "localpart": "alice", "device_id": "PHONE" });
    mas(&server, "upsert_device", device.clone()).await;
    *service.tokens.lock().unwrap() = json!({ "good": active("PHONE") });
    assert_eq!(whoami(&server, "good").await.0, 200);
    *service.tokens.lock().unwrap() = json!({});
    assert_eq!(mas(&server, "delete_device", device.clone()).await, 204);
    assert_eq!(mas(&server, "upsert_device", device).await, 201);
    assert_eq!(whoami(&server, "good").await.0, 401);
}

#[tokio::test]
async fn metadata_that_was_good_is_told_while_there_is_none() {
    let clock = Arc::new(Later::default());
    let (server, service) = start(Arc::clone(&clock)).await;
    let path = "/_matrix/client/v1/auth_metadata";
    let issuer = async || {
        let (status, told) = server.request(Method::GET, path, None, &Value::Null).await;
        (status.as_u16(), told["issuer"].clone())
    };
    assert_eq!(issuer().await, (200, json!("https://auth.test/")));
    service.broken.store(true, Ordering::SeqCst);
    clock.pass(11 * 60);
    assert_eq!(issuer().await, (200, json!("https://auth.test/")));
    // It is the service's own, not what this server would say of itself.
    let own = "/.well-known/oauth-authorization-server";
    let (status, _) = server.request(Method::GET, own, None, &Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_service_locks_accounts_and_shows_its_secret_in_the_header() {
    let (server, _) = start(Arc::default()).await;
    assert_eq!(mas(&server, "provision_user", json!({ "localpart": "bob" })).await, 201);
    let (app, bob) = (server.server.app(), ruma::UserId::parse("@bob:hs.test").unwrap());
    for locked in [true, false] {
        let lock = json!({ "localpart": "bob", "locked": locked });
        assert_eq!(mas(&server, "provision_user", lock).await, 200);
        assert_eq!(app.accounts.get(&bob).await.unwrap().unwrap().locked, locked);
    }
    // The secret is not taken from where proxies log it.
    let path = format!("/_synapse/mas/query_user?localpart=bob&access_token={SECRET}");
    let (status, _) = server.request(Method::GET, &path, None, &Value::Null).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    for path in [
        "/_matrix/client/v3/register/available?username=carol",
        "/_matrix/client/v1/register/m.login.registration_token/validity?token=x",
    ] {
        let (status, _) = server.request(Method::GET, path, None, &Value::Null).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn without_an_answer_nobody_is_signed_out() {
    let server = TestServer::start_with(|config| {
        // Nothing listens there.
        let (endpoint, secret) = ("http://127.0.0.1:1/".to_owned(), Secret::new(SECRET));
        config.oauth.delegation = Some(Delegation { endpoint, secret });
    })
    .await;
    assert_eq!(whoami(&server, "token").await.0, 503);
    let path = "/_matrix/client/v1/auth_metadata";
    let (status, _) = server.request(Method::GET, path, None, &Value::Null).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}
