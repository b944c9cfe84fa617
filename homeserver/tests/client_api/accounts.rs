//! Accounts, sessions, profiles.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::TestServer;

const LOGIN: &str = "/_matrix/client/v3/login";

fn password(user: &str, password: &str) -> Value {
    json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": user }, "password": password })
}

#[tokio::test]
async fn a_session_lives_until_its_logout_and_over_a_restart() {
    let server = TestServer::start().await;
    let token = server.register("alice").await.token;
    let server = server.restart().await;
    let me = |token: String| {
        let server = &server;
        async move {
            server
                .request(
                    Method::GET,
                    "/_matrix/client/v3/account/whoami",
                    Some(&token),
                    &Value::Null,
                )
                .await
        }
    };
    let (status, answer) = me(token.clone()).await;
    assert_eq!((status, answer["user_id"].as_str()), (StatusCode::OK, Some("@alice:hs.test")));
    server.request(Method::POST, "/_matrix/client/v3/logout", Some(&token), &Value::Null).await;
    let (status, answer) = me(token).await;
    assert_eq!(
        (status, answer["errcode"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("M_UNKNOWN_TOKEN"))
    );
}

#[tokio::test]
async fn tokens_and_passwords_are_nowhere_in_the_data() {
    let server = TestServer::start().await;
    let token = server.register("alice").await.token;
    server.server.stop().await;
    for file in
        std::fs::read_dir(server.data()).unwrap().flatten().filter(|file| file.path().is_file())
    {
        let bytes = std::fs::read(file.path()).unwrap();
        for secret in [token.as_str(), "correct horse"] {
            assert!(
                !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
                "{:?}",
                file.path()
            );
        }
    }
}

#[tokio::test]
async fn a_refreshed_pair_replaces_the_old_one_once_it_is_used() {
    let server = TestServer::start().await;
    server.register("alice").await;
    let mut body = password("alice", "correct horse");
    body["refresh_token"] = json!(true);
    let (_, first) = server.request(Method::POST, LOGIN, None, &body).await;
    assert!(first["expires_in_ms"].is_u64(), "{first}");
    let refresh = |token: Value| {
        let server = &server;
        let body = json!({ "refresh_token": token });
        async move { server.request(Method::POST, "/_matrix/client/v3/refresh", None, &body).await }
    };
    // The first answer is lost: the same refresh token works again.
    let (status, _) = refresh(first["refresh_token"].clone()).await;
    assert_eq!(status, StatusCode::OK);
    let (status, second) = refresh(first["refresh_token"].clone()).await;
    assert_eq!(status, StatusCode::OK);
    let whoami = |token: Value| {
        let server = &server;
        async move {
            let path = "/_matrix/client/v3/account/whoami";
            server.request(Method::GET, path, token.as_str(), &Value::Null).await.0
        }
    };
    assert_eq!(whoami(first["access_token"].clone()).await, StatusCode::OK);
    assert_eq!(whoami(second["access_token"].clone()).await, StatusCode::OK);
    assert_eq!(whoami(first["access_token"].clone()).await, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(first["refresh_token"].clone()).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(second["refresh_token"].clone()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn deleting_a_device_asks_for_its_owners_password() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let (_, answer) =
        server.request(Method::POST, LOGIN, None, &password("ALICE", "correct horse")).await;
    let second = server.user(&answer);
    let path = format!("v3/devices/{}", second.device);
    let (status, challenge) = alice.ask(Method::DELETE, &path, Value::Null).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(challenge["flows"][0]["stages"][0], "m.login.password");
    let auth = |user: &str, password: &str| {
        json!({ "auth": { "type": "m.login.password", "session": challenge["session"], "password": password,
            "identifier": { "type": "m.id.user", "user": user } } })
    };
    let refused = alice.refused(Method::DELETE, &path, auth(&alice.id, "wrong")).await;
    assert_eq!(refused, (401, "M_FORBIDDEN".to_owned()));
    let refused = alice.refused(Method::DELETE, &path, auth(&bob.id, "correct horse")).await;
    assert_eq!(refused, (403, "M_FORBIDDEN".to_owned()));
    alice.must(Method::DELETE, &path, auth(&alice.id, "correct horse")).await;
    assert_eq!(
        second.refused(Method::GET, "v3/account/whoami", Value::Null).await.1,
        "M_UNKNOWN_TOKEN"
    );
}

#[tokio::test]
async fn a_new_name_reaches_the_rooms() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    let name = format!("v3/profile/{}/displayname", alice.id);
    alice.must(Method::PUT, &name, json!({ "displayname": "Alice" })).await;
    assert_eq!(
        alice.must(Method::GET, &name, Value::Null).await,
        json!({ "displayname": "Alice" })
    );
    let member = format!("v3/rooms/{room}/state/m.room.member/{}", alice.id);
    let reached = async {
        while alice.must(Method::GET, &member, Value::Null).await["displayname"] != "Alice" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reached)
        .await
        .expect("the name reaches the room");
}

#[tokio::test]
async fn custom_fields_have_limits() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let field = |name: &str| format!("v3/profile/{}/{name}", alice.id);
    alice.must(Method::PUT, &field("m.tz"), json!({ "m.tz": "Europe/Berlin" })).await;
    let big = json!({ "org.big": "x".repeat(70_000) });
    assert_eq!(alice.refused(Method::PUT, &field("org.big"), big).await.1, "M_PROFILE_TOO_LARGE");
    let long = "x".repeat(256);
    let body = Value::Object(serde_json::Map::from_iter([(long.clone(), json!(1))]));
    assert_eq!(alice.refused(Method::PUT, &field(&long), body).await.1, "M_KEY_TOO_LARGE");
    let profile = alice.must(Method::GET, &format!("v3/profile/{}", alice.id), Value::Null).await;
    assert_eq!(profile, json!({ "m.tz": "Europe/Berlin" }));
}

#[tokio::test]
async fn a_deactivated_user_is_gone_from_rooms_and_stays_out() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room(json!({ "preset": "public_chat" })).await;
    bob.must(Method::POST, &format!("v3/join/{room}"), json!({})).await;
    let auth = json!({ "auth": { "type": "m.login.password", "password": "correct horse",
        "identifier": { "type": "m.id.user", "user": bob.id } } });
    bob.must(Method::POST, "v3/account/deactivate", auth).await;
    let (status, answer) =
        server.request(Method::POST, LOGIN, None, &password("bob", "correct horse")).await;
    assert_eq!(
        (status, answer["errcode"].as_str()),
        (StatusCode::FORBIDDEN, Some("M_USER_DEACTIVATED"))
    );
    let member = format!("v3/rooms/{room}/state/m.room.member/{}", bob.id);
    let gone = async {
        while alice.must(Method::GET, &member, Value::Null).await["membership"] != "leave" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the user leaves the room");
    let body = json!({ "auth": { "type": "m.login.dummy" }, "username": "bob", "password": "another one" });
    let (_, answer) =
        server.request(Method::POST, "/_matrix/client/v3/register", None, &body).await;
    assert_eq!(answer["errcode"], "M_USER_IN_USE");
}
