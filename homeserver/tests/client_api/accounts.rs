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
async fn several_devices_are_deleted_at_once_or_all_logged_out() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let mut others = Vec::new();
    for _ in 0..3 {
        let body = password("alice", "correct horse");
        others.push(server.request(Method::POST, LOGIN, None, &body).await.1);
    }
    let ids: Vec<_> = others.iter().map(|other| other["device_id"].clone()).collect();
    let path = "v3/delete_devices";
    let mut body = json!({ "devices": [ids[0], ids[1], "NONE"] });
    let (status, challenge) = alice.ask(Method::POST, path, body.clone()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    body["auth"] = password("alice", "correct horse");
    body["auth"]["session"] = challenge["session"].clone();
    assert_eq!(alice.must(Method::POST, path, body).await, json!({}));
    for wrong in [json!({}), json!({ "devices": "all" })] {
        let refused = alice.refused(Method::POST, path, wrong).await;
        assert_eq!(refused, (400, "M_BAD_JSON".to_owned()));
    }
    let left = alice.must(Method::GET, "v3/devices", Value::Null).await;
    let mut left: Vec<_> =
        left["devices"].as_array().unwrap().iter().map(|device| &device["device_id"]).collect();
    left.sort_by_key(ToString::to_string);
    let mut expected = [json!(alice.device), ids[2].clone()];
    expected.sort_by_key(Value::to_string);
    assert_eq!(left, expected.iter().collect::<Vec<_>>());

    assert_eq!(alice.must(Method::POST, "v3/logout/all", Value::Null).await, json!({}));
    for user in [alice, server.user(&others[2])] {
        let refused = user.refused(Method::GET, "v3/account/whoami", Value::Null).await;
        assert_eq!(refused, (401, "M_UNKNOWN_TOKEN".to_owned()));
    }
}

#[tokio::test]
async fn a_name_is_available_until_it_is_taken() {
    let server = TestServer::start().await;
    let ask = async |name: &str| {
        let path = format!("/_matrix/client/v3/register/available?username={name}");
        let (status, answer) = server.request(Method::GET, &path, None, &Value::Null).await;
        (status.as_u16(), answer)
    };
    assert_eq!(ask("alice").await, (200, json!({ "available": true })));
    server.register("alice").await;
    for (name, code) in [("alice", "M_USER_IN_USE"), ("%20", "M_INVALID_USERNAME")] {
        let (status, answer) = ask(name).await;
        assert_eq!((status, answer["errcode"].as_str()), (400, Some(code)), "{name}");
    }
}

#[tokio::test]
async fn a_profile_is_replaced_as_a_whole() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let (path, shown) = (
        format!("unstable/com.beeper.msc4437/profile/{}", alice.id),
        format!("v3/profile/{}", alice.id),
    );
    alice.must(Method::PUT, &format!("{shown}/m.tz"), json!({ "m.tz": "UTC" })).await;
    let whole = json!({ "displayname": "Alice", "org.example.field": [1] });
    assert_eq!(alice.must(Method::PUT, &path, whole.clone()).await, json!({}));
    assert_eq!(bob.must(Method::GET, &shown, Value::Null).await, whole);
    let merged = json!({ "displayname": "A.", "org.example.field": [1] });
    alice.must(Method::PATCH, &shown, json!({ "displayname": "A." })).await;
    assert_eq!(bob.must(Method::GET, &shown, Value::Null).await, merged);
    for (method, path) in [(Method::PUT, &path), (Method::PATCH, &shown)] {
        let refused = bob.refused(method.clone(), path, json!({ "displayname": "B" })).await;
        assert_eq!(refused, (403, "M_FORBIDDEN".to_owned()));
        let refused = alice.refused(method, path, json!({ "avatar_url": 1 })).await;
        assert_eq!(refused.0, 400, "{refused:?}");
    }
    assert_eq!(bob.must(Method::GET, &shown, Value::Null).await, merged);
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

#[tokio::test]
async fn account_data_is_its_owners_alone() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room(json!({})).await;
    for path in [
        format!("v3/user/{}/account_data/org.example.kind", alice.id),
        format!("v3/user/{}/rooms/{room}/account_data/org.example.kind", alice.id),
    ] {
        let missing = alice.refused(Method::GET, &path, Value::Null).await;
        assert_eq!(missing, (404, "M_NOT_FOUND".to_owned()));
        let content = json!({ "a": [1, { "b": null }] });
        assert_eq!(alice.must(Method::PUT, &path, content.clone()).await, json!({}));
        assert_eq!(alice.must(Method::GET, &path, Value::Null).await, content);
        let forbidden = (403, "M_FORBIDDEN".to_owned());
        assert_eq!(bob.refused(Method::GET, &path, Value::Null).await, forbidden);
        assert_eq!(bob.refused(Method::PUT, &path, json!({})).await, forbidden);
        let refused = alice.refused(Method::PUT, &path, json!([1])).await;
        assert_eq!(refused, (400, "M_BAD_JSON".to_owned()));
        assert_eq!(alice.must(Method::GET, &path, Value::Null).await, content);
    }
}

#[tokio::test]
async fn a_device_has_the_name_that_it_was_given() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let path = format!("v3/devices/{}", alice.device);
    alice.must(Method::PUT, &path, json!({ "display_name": "Telephone" })).await;
    let shown = alice.must(Method::GET, &path, Value::Null).await;
    assert_eq!(
        (&shown["device_id"], &shown["display_name"]),
        (&json!(alice.device), &json!("Telephone"))
    );
    let missing = (404, "M_NOT_FOUND".to_owned());
    for (user, path) in [(&bob, path.as_str()), (&alice, "v3/devices/NONE")] {
        assert_eq!(user.refused(Method::GET, path, Value::Null).await, missing);
        let body = json!({ "display_name": "x" });
        assert_eq!(user.refused(Method::PUT, path, body).await, missing);
    }
    let long = json!({ "display_name": "x".repeat(2_000) });
    assert_eq!(alice.refused(Method::PUT, &path, long).await, (413, "M_TOO_LARGE".to_owned()));
}

#[tokio::test]
async fn a_new_account_has_no_third_party_identifiers() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let none = json!({ "threepids": [] });
    assert_eq!(alice.must(Method::GET, "v3/account/3pid", Value::Null).await, none);
    let path = "/_matrix/client/v3/account/3pid";
    let (status, _) = server.request(Method::GET, path, None, &Value::Null).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn whoever_comes_after_an_erasure_reads_nothing_of_it() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = bob.create_room(json!({ "preset": "public_chat" })).await;
    let join = format!("v3/join/{room}");
    alice.must(Method::POST, &join, json!({})).await;
    let message = |n: u8| format!("v3/rooms/{room}/send/m.room.message/{n}");
    let said = json!({ "msgtype": "m.text", "body": "my secret" });
    let sent = alice.must(Method::PUT, &message(1), said).await;
    let id = sent["event_id"].as_str().unwrap();
    let edit = json!({ "msgtype": "m.text", "body": "* my secret word",
        "m.new_content": { "msgtype": "m.text", "body": "my secret word" },
        "m.relates_to": { "rel_type": "m.replace", "event_id": id } });
    alice.must(Method::PUT, &message(2), edit).await;
    bob.must(Method::PUT, &message(1), json!({ "msgtype": "m.text", "body": "I hear" })).await;
    let auth = json!({ "type": "m.login.password", "password": "correct horse",
        "identifier": { "type": "m.id.user", "user": alice.id } });
    let path = "v3/account/deactivate";
    alice.must(Method::POST, path, json!({ "auth": auth, "erase": true })).await;
    carol.must(Method::POST, &join, json!({})).await;

    let search = json!({ "search_categories": { "room_events": { "search_term": "secret" } } });
    for (who, sees) in [(&bob, true), (&carol, false)] {
        let mut told = Vec::new();
        for path in [
            format!("v3/rooms/{room}/event/{id}"),
            format!("v3/rooms/{room}/messages?dir=b&limit=50"),
            format!("v3/rooms/{room}/context/{id}"),
            format!("v1/rooms/{room}/relations/{id}"),
            "v3/sync".to_owned(),
        ] {
            told.push((path.clone(), who.must(Method::GET, &path, Value::Null).await));
        }
        told.push(("search".to_owned(), who.must(Method::POST, "v3/search", search.clone()).await));
        for (path, answer) in told {
            assert_eq!(
                answer.to_string().contains("my secret"),
                sees,
                "{} {path}: {answer}",
                who.id
            );
        }
    }
    let event = format!("v3/rooms/{room}/event/{id}");
    let event = carol.must(Method::GET, &event, Value::Null).await;
    assert_eq!((&event["content"], &event["sender"]), (&json!({}), &json!(alice.id)));
    let messages = format!("v3/rooms/{room}/messages?dir=b&limit=50");
    let messages = carol.must(Method::GET, &messages, Value::Null).await;
    assert!(messages.to_string().contains("I hear"), "others are not erased: {messages}");
}
