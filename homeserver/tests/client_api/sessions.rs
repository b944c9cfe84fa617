//! Sessions as the spec has them: tokens that end, log-in tokens, registration tokens, guests, and what a new password ends.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use landbridge_homeserver::clock::Clock;
use landbridge_homeserver::config::Secret;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::support::{Later, TestServer, User};

const CLIENT: &str = "/_matrix/client/v3";

async fn post(server: &TestServer, path: &str, body: Value) -> (u16, Value) {
    let path = format!("{CLIENT}/{path}");
    let (status, answer) = server.request(Method::POST, &path, None, &body).await;
    (status.as_u16(), answer)
}

fn password(user: &str, password: &str) -> Value {
    json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": user }, "password": password })
}

async fn log_in<'a>(server: &'a TestServer, name: &str) -> User<'a> {
    let (status, answer) = post(server, "login", password(name, "correct horse")).await;
    assert_eq!(status, 200, "{answer}");
    server.user(&answer)
}

#[tokio::test]
async fn a_token_that_ended_is_a_soft_logout_until_it_is_refreshed() {
    let clock = Arc::new(Later::default());
    let server = TestServer::start_at(Arc::clone(&clock) as Arc<dyn Clock>).await;
    server.register("alice").await;
    let mut body = password("alice", "correct horse");
    body["refresh_token"] = json!(true);
    let (_, answer) = post(&server, "login", body).await;
    let alice = server.user(&answer);
    alice.must(Method::GET, "v3/account/whoami", Value::Null).await;
    let lifetime_ms = answer["expires_in_ms"].as_i64().unwrap();
    clock.pass(lifetime_ms / 1_000 + 1);
    let (status, refusal) = alice.ask(Method::GET, "v3/account/whoami", Value::Null).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        (&refusal["errcode"], &refusal["soft_logout"]),
        (&json!("M_UNKNOWN_TOKEN"), &json!(true))
    );
    let (status, next) =
        post(&server, "refresh", json!({ "refresh_token": answer["refresh_token"] })).await;
    assert_eq!(status, 200, "{next}");
    let token = next["access_token"].as_str().unwrap();
    let path = format!("{CLIENT}/account/whoami");
    let (status, me) = server.request(Method::GET, &path, Some(token), &Value::Null).await;
    assert_eq!((status, &me["device_id"]), (StatusCode::OK, &answer["device_id"]));
    // A refresh token that is used up is none any more, and neither is one that nobody gave out.
    for token in [answer["refresh_token"].clone(), json!("nonsense")] {
        let (status, refusal) = post(&server, "refresh", json!({ "refresh_token": token })).await;
        assert_eq!((status, refusal["errcode"].as_str()), (401, Some("M_UNKNOWN_TOKEN")));
    }
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_unless_it_shall_not() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let second = log_in(&server, "alice").await;
    let change = |old: &str, new: &str, others: bool| json!({ "new_password": new, "logout_devices": others, "auth": password("alice", old) });
    let path = "v3/account/password";
    let refused = alice.refused(Method::POST, path, change("wrong", "another one", true)).await;
    assert_eq!(refused, (401, "M_FORBIDDEN".to_owned()));
    let refused = alice.refused(Method::POST, path, change("correct horse", "short", true)).await;
    assert_eq!(refused, (400, "M_WEAK_PASSWORD".to_owned()));
    alice.must(Method::POST, path, change("correct horse", "another one", false)).await;
    second.must(Method::GET, "v3/account/whoami", Value::Null).await;
    alice.must(Method::POST, path, change("another one", "correct horse", true)).await;
    let gone = second.refused(Method::GET, "v3/account/whoami", Value::Null).await;
    assert_eq!(gone, (401, "M_UNKNOWN_TOKEN".to_owned()));
    alice.must(Method::GET, "v3/account/whoami", Value::Null).await;
    log_in(&server, "alice").await;
}

#[tokio::test]
async fn a_login_token_logs_in_once_and_not_late() {
    let clock = Arc::new(Later::default());
    let server = TestServer::start_at(Arc::clone(&clock) as Arc<dyn Clock>).await;
    let alice = server.register("alice").await;
    let (_, flows) =
        server.request(Method::GET, &format!("{CLIENT}/login"), None, &Value::Null).await;
    let flows = flows["flows"].as_array().unwrap().clone();
    assert!(
        flows
            .iter()
            .any(|flow| *flow == json!({ "type": "m.login.token", "get_login_token": true }))
    );
    let get = "v1/login/get_token";
    let (status, challenge) = alice.ask(Method::POST, get, json!({})).await;
    assert_eq!(
        (status, &challenge["flows"][0]["stages"]),
        (StatusCode::UNAUTHORIZED, &json!(["m.login.password"]))
    );
    let token = async || {
        let body = json!({ "auth": password("alice", "correct horse") });
        let answer = alice.must(Method::POST, get, body).await;
        assert!(answer["expires_in_ms"].as_i64().unwrap() > 0);
        json!({ "type": "m.login.token", "token": answer["login_token"] })
    };
    let first = token().await;
    let (status, answer) = post(&server, "login", first.clone()).await;
    assert_eq!((status, answer["user_id"].as_str()), (200, Some(alice.id.as_str())));
    let (status, answer) = post(&server, "login", first).await;
    assert_eq!((status, answer["errcode"].as_str()), (403, Some("M_FORBIDDEN")));
    let late = token().await;
    clock.pass(3 * 60);
    assert_eq!(post(&server, "login", late).await.0, 403);
}

#[tokio::test]
async fn a_device_is_not_named_like_a_cross_signing_key() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let key = "nqOvzeuGWT/sRx3h7+MHoInYj3Uk2LD/unI9kDYcHwk";
    let master = json!({ "user_id": alice.id, "usage": ["master"], "keys": { format!("ed25519:{key}"): key } });
    alice
        .must(Method::POST, "v3/keys/device_signing/upload", json!({ "master_key": master }))
        .await;
    let mut body = password("alice", "correct horse");
    body["device_id"] = json!(key);
    let (status, answer) = post(&server, "login", body).await;
    assert_eq!((status, answer["errcode"].as_str()), (403, Some("M_FORBIDDEN")));
}

#[tokio::test]
async fn registration_tokens_let_people_register() {
    let server = TestServer::start_with(|config| {
        config.registration.open = false;
        config.registration.tokens = vec![Secret::new("sesame")];
    })
    .await;
    let valid = async |server: &TestServer, token: &str| {
        let path = format!(
            "/_matrix/client/v1/register/m.login.registration_token/validity?token={token}"
        );
        server.request(Method::GET, &path, None, &Value::Null).await
    };
    assert_eq!(valid(&server, "sesame").await, (StatusCode::OK, json!({ "valid": true })));
    assert_eq!(valid(&server, "other").await, (StatusCode::OK, json!({ "valid": false })));
    let body = json!({ "username": "alice", "password": "correct horse" });
    let (status, challenge) = post(&server, "register", body.clone()).await;
    assert_eq!(
        (status, &challenge["flows"]),
        (401, &json!([{ "stages": ["m.login.registration_token"] }]))
    );
    let attempt = |token: &str| {
        let mut body = body.clone();
        body["auth"] = json!({ "type": "m.login.registration_token", "token": token, "session": challenge["session"] });
        body
    };
    let (status, answer) = post(&server, "register", attempt("other")).await;
    assert_eq!((status, answer["errcode"].as_str()), (401, Some("M_FORBIDDEN")));
    assert_eq!(post(&server, "register", attempt("sesame")).await.0, 200);
    // A session authorises one registration.
    let mut again = attempt("sesame");
    again["username"] = json!("bob");
    again["auth"]["type"] = Value::Null;
    assert_eq!(post(&server, "register", again).await.0, 401);
    let closed = TestServer::start_with(|config| config.registration.open = false).await;
    assert_eq!(valid(&closed, "sesame").await.0, StatusCode::FORBIDDEN);
    assert_eq!(post(&closed, "register", body).await.0, 403);
}

#[tokio::test]
async fn a_stage_is_completed_on_its_fallback_page() {
    let server = TestServer::start_with(|config| {
        config.registration.open = false;
        config.registration.tokens = vec![Secret::new("sesame")];
    })
    .await;
    let mut body = json!({ "username": "alice", "password": "correct horse" });
    let (_, challenge) = post(&server, "register", body.clone()).await;
    let session = challenge["session"].as_str().unwrap();
    let page = async |method: Method, stage: &str, form: String| {
        let query = if form.is_empty() { format!("?session={session}") } else { String::new() };
        let request = Request::builder()
            .method(method)
            .uri(format!("{CLIENT}/auth/{stage}/fallback/web{query}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form));
        let answer = server.server.router().oneshot(request.unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    };
    let stage = "m.login.registration_token";
    let (status, form) = page(Method::GET, stage, String::new()).await;
    assert!(status == 200 && form.contains(session) && form.contains("name=\"token\""), "{form}");
    assert_eq!(page(Method::GET, "m.login.nonsense", String::new()).await.0, 404);
    let (_, answer) = page(Method::POST, stage, format!("session={session}&token=other")).await;
    assert!(answer.contains("not right") && !answer.contains("onAuthDone"), "{answer}");
    body["auth"] = json!({ "session": session });
    assert_eq!(post(&server, "register", body.clone()).await.0, 401);
    let (status, answer) =
        page(Method::POST, stage, format!("session={session}&token=sesame")).await;
    assert!(status == 200 && answer.contains("onAuthDone"), "{answer}");
    assert_eq!(post(&server, "register", body).await.0, 200);
}

#[tokio::test]
async fn guests_go_when_a_room_lets_them_no_more_and_may_become_users() {
    let server = TestServer::start_with(|config| config.registration.guests = true).await;
    let alice = server.register("alice").await;
    let (status, answer) = post(&server, "register?kind=guest", json!({})).await;
    assert_eq!(status, 200, "{answer}");
    let guest = server.user(&answer);
    let access = |access: &str| json!([{ "type": "m.room.guest_access", "content": { "guest_access": access } }]);
    let closed = alice
        .create_room(json!({ "preset": "public_chat", "initial_state": access("forbidden") }))
        .await;
    let room = alice
        .create_room(json!({ "preset": "public_chat", "initial_state": access("can_join") }))
        .await;
    let refused = guest.refused(Method::POST, &format!("v3/join/{closed}"), json!({})).await;
    assert_eq!(refused, (403, "M_GUEST_ACCESS_FORBIDDEN".to_owned()));
    let member = format!("v3/rooms/{closed}/state/m.room.member/{}", guest.id);
    let refused = guest.refused(Method::PUT, &member, json!({ "membership": "join" })).await;
    assert_eq!(refused, (403, "M_GUEST_ACCESS_FORBIDDEN".to_owned()));
    guest.must(Method::POST, &format!("v3/join/{room}"), json!({})).await;
    let refused = guest.refused(Method::POST, "v3/createRoom", json!({})).await;
    assert_eq!(refused, (403, "M_GUEST_ACCESS_FORBIDDEN".to_owned()));
    let name = format!("v3/profile/{}/displayname", guest.id);
    guest.must(Method::PUT, &name, json!({ "displayname": "G" })).await;
    guest.must(Method::DELETE, &name, Value::Null).await;
    let avatar = format!("v3/profile/{}/avatar_url", guest.id);
    for method in [Method::PUT, Method::DELETE] {
        let refused = guest.refused(method, &avatar, json!({ "avatar_url": "mxc://a/b" })).await;
        assert_eq!(refused.1, "M_GUEST_ACCESS_FORBIDDEN");
    }

    let rule = format!("v3/rooms/{room}/state/m.room.guest_access");
    alice.must(Method::PUT, &rule, json!({ "guest_access": "forbidden" })).await;
    let member = format!("v3/rooms/{room}/state/m.room.member/{}", guest.id);
    let gone = async {
        while alice.must(Method::GET, &member, Value::Null).await["membership"] != "leave" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the guest leaves the room");

    let localpart = guest.id[1..].split(':').next().unwrap();
    let upgrade = |name: &str, token: &str| {
        json!({ "auth": { "type": "m.login.dummy" }, "username": name, "password": "correct horse",
            "guest_access_token": token })
    };
    let (status, answer) = post(&server, "register", upgrade("other", &guest.token)).await;
    assert_eq!((status, answer["errcode"].as_str()), (403, Some("M_FORBIDDEN")));
    let (status, _) = post(&server, "register", upgrade(localpart, &alice.token)).await;
    assert_eq!(status, 403);
    let (status, answer) = post(&server, "register", upgrade(localpart, &guest.token)).await;
    assert_eq!((status, answer["user_id"].as_str()), (200, Some(guest.id.as_str())), "{answer}");
    let user = server.user(&answer);
    let me = user.must(Method::GET, "v3/account/whoami", Value::Null).await;
    assert_eq!(me["is_guest"], false);
    user.must(Method::POST, "v3/createRoom", json!({})).await;
    let old = guest.refused(Method::GET, "v3/account/whoami", Value::Null).await;
    assert_eq!(old.1, "M_UNKNOWN_TOKEN");
    log_in(&server, localpart).await;
}

#[tokio::test]
async fn a_deactivated_account_leaves_nothing_behind() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let data = format!("v3/user/{}/account_data/org.test", alice.id);
    alice.must(Method::PUT, &data, json!({ "secret": 1 })).await;
    let openid = format!("v3/user/{}/openid/request_token", alice.id);
    let openid = alice.must(Method::POST, &openid, json!({})).await;
    let (status, challenge) = alice.ask(Method::POST, "v3/account/deactivate", json!({})).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{challenge}");
    let body = json!({ "auth": password("alice", "correct horse"), "erase": true });
    let answer = alice.must(Method::POST, "v3/account/deactivate", body).await;
    // There was nothing to unbind.
    assert_eq!(answer, json!({ "id_server_unbind_result": "success" }));
    assert_eq!(alice.refused(Method::GET, "v3/sync", Value::Null).await.1, "M_UNKNOWN_TOKEN");
    let refused = bob.refused(Method::GET, &format!("v3/profile/{}", alice.id), Value::Null).await;
    assert_eq!(refused, (404, "M_NOT_FOUND".to_owned()));
    let path = format!(
        "/_matrix/federation/v1/openid/userinfo?access_token={}",
        openid["access_token"].as_str().unwrap()
    );
    assert_eq!(
        server.request(Method::GET, &path, None, &Value::Null).await.0,
        StatusCode::UNAUTHORIZED
    );
    let user = alice.id.as_str().try_into().unwrap();
    let kept = server.server.app().account_data.get(user, None, "org.test").await.unwrap();
    assert_eq!(kept, None);
}
