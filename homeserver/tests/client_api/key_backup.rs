//! Backups of room keys.

use http::{Method, StatusCode};
use landbridge_homeserver::storage::key_backup;
use serde_json::{Value, json};

use super::support::{TestServer, User};

const ROOM: &str = "!attic:hs.test";

fn auth_data(key: &str) -> Value {
    json!({ "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": { "public_key": key } })
}

fn key(first_message_index: u32, forwarded_count: u32, is_verified: bool) -> Value {
    json!({ "first_message_index": first_message_index, "forwarded_count": forwarded_count,
        "is_verified": is_verified, "session_data": { "ciphertext": "c" } })
}

async fn backup(user: &User<'_>) -> String {
    let answer = user.must(Method::POST, "v3/room_keys/version", auth_data("k")).await;
    answer["version"].as_str().unwrap().to_owned()
}

fn session(room: &str, session: &str, version: &str) -> String {
    format!("v3/room_keys/keys/{room}/{session}?version={version}")
}

#[tokio::test]
async fn the_newest_version_is_the_current_one() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let none = alice.refused(Method::GET, "v3/room_keys/version", Value::Null).await;
    assert_eq!(none, (404, "M_NOT_FOUND".to_owned()));
    let (first, second) = (backup(&alice).await, backup(&alice).await);
    assert_ne!(first, second);
    let info = alice.must(Method::GET, "v3/room_keys/version", Value::Null).await;
    let expected = json!({ "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2",
        "auth_data": { "public_key": "k" }, "count": 0, "etag": "0", "version": second });
    assert_eq!(info, expected);
    let of = |version: &str| format!("v3/room_keys/version/{version}");
    assert_eq!(alice.must(Method::GET, &of(&first), Value::Null).await["version"], json!(first));
    assert_eq!(bob.refused(Method::GET, &of(&first), Value::Null).await.0, 404);

    alice.must(Method::PUT, &of(&first), auth_data("other")).await;
    let info = alice.must(Method::GET, &of(&first), Value::Null).await;
    assert_eq!(info["auth_data"]["public_key"], "other");
    let mut wrong = auth_data("k");
    wrong["version"] = json!(second);
    let refused = alice.refused(Method::PUT, &of(&first), wrong).await;
    assert_eq!(refused, (400, "M_INVALID_PARAM".to_owned()));
    let algorithm = json!({ "algorithm": "org.other", "auth_data": {} });
    let refused = alice.refused(Method::PUT, &of(&first), algorithm).await;
    assert_eq!(refused, (400, "M_INVALID_PARAM".to_owned()));
    let no_object = json!({ "algorithm": "a", "auth_data": "text" });
    let refused = alice.refused(Method::POST, "v3/room_keys/version", no_object).await;
    assert_eq!(refused, (400, "M_BAD_JSON".to_owned()));
    for name in ["", "NaN", "null", ".a", "a b", "ä", &"a.".repeat(128)] {
        let named = json!({ "algorithm": name, "auth_data": {} });
        let refused = alice.refused(Method::POST, "v3/room_keys/version", named).await;
        assert_eq!(refused, (400, "M_INVALID_PARAM".to_owned()), "{name}");
    }

    alice.must(Method::DELETE, &of(&second), Value::Null).await;
    alice.must(Method::DELETE, &of(&second), Value::Null).await;
    assert_eq!(alice.refused(Method::GET, &of(&second), Value::Null).await.0, 404);
    assert_eq!(alice.refused(Method::PUT, &of(&second), auth_data("k")).await.0, 404);
    let info = alice.must(Method::GET, "v3/room_keys/version", Value::Null).await;
    assert_eq!(info["version"], json!(first), "the one before is the newest again");
    for never in ["99", "0", "nonsense"] {
        let refused = alice.refused(Method::DELETE, &of(never), Value::Null).await;
        assert_eq!(refused, (404, "M_NOT_FOUND".to_owned()), "{never}");
    }
    assert_ne!(backup(&alice).await, second, "a version is never given twice");
}

#[tokio::test]
async fn a_key_is_replaced_by_a_better_one_only() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let version = backup(&alice).await;
    let path = session(ROOM, "s%2F1", &version);
    let mut etag = String::new();
    // Each key, and whether it is better than the best before it.
    for (index, forwarded, verified, better) in [
        (10, 5, false, true),
        (11, 0, false, false),
        (10, 6, false, false),
        (10, 5, false, false),
        (10, 4, false, true),
        (9, 9, false, true),
        (20, 9, true, true),
        (0, 0, false, false),
        (20, 8, true, true),
        (19, 10, true, true),
        (20, 0, true, false),
    ] {
        let before = alice.ask(Method::GET, &path, Value::Null).await.1;
        let new = key(index, forwarded, verified);
        let answer = alice.must(Method::PUT, &path, new.clone()).await;
        assert_eq!(answer["count"], 1);
        assert_eq!(answer["etag"] != json!(etag), better, "{new}");
        etag = answer["etag"].as_str().unwrap().to_owned();
        let kept = alice.must(Method::GET, &path, Value::Null).await;
        assert_eq!(kept, if better { new } else { before });
    }
    let info = alice.must(Method::GET, "v3/room_keys/version", Value::Null).await;
    assert_eq!((&info["etag"], &info["count"]), (&json!(etag), &json!(1)));
}

#[tokio::test]
async fn keys_are_put_read_and_deleted_by_session_room_and_whole() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let version = backup(&alice).await;
    let all = format!("v3/room_keys/keys?version={version}");
    let room = |room: &str| format!("v3/room_keys/keys/{room}?version={version}");
    assert_eq!(alice.must(Method::GET, &all, Value::Null).await, json!({ "rooms": {} }));
    assert_eq!(alice.must(Method::GET, &room(ROOM), Value::Null).await, json!({ "sessions": {} }));
    let missing = session(ROOM, "a", &version);
    assert_eq!(
        alice.refused(Method::GET, &missing, Value::Null).await,
        (404, "M_NOT_FOUND".to_owned())
    );
    let k = || key(0, 0, true);
    let rooms = json!({ "rooms": { ROOM: { "sessions": { "a": k(), "b": k() } },
        "!b:hs.test": { "sessions": { "a\"\\": k() } } } });
    let answer = alice.must(Method::PUT, &all, rooms.clone()).await;
    assert_eq!(answer, json!({ "count": 3, "etag": "1" }));
    assert_eq!(alice.must(Method::GET, &all, Value::Null).await, rooms);
    let more = json!({ "sessions": { "b": k(), "c": k() } });
    assert_eq!(alice.must(Method::PUT, &room(ROOM), more).await["count"], 4);
    let sessions = alice.must(Method::GET, &room(ROOM), Value::Null).await;
    assert_eq!(sessions, json!({ "sessions": { "a": k(), "b": k(), "c": k() } }));

    let answer = alice.must(Method::DELETE, &session(ROOM, "a", &version), Value::Null).await;
    assert_eq!(answer, json!({ "count": 3, "etag": "3" }));
    let answer = alice.must(Method::DELETE, &session(ROOM, "a", &version), Value::Null).await;
    assert_eq!(answer, json!({ "count": 3, "etag": "3" }), "nothing changed");
    assert_eq!(alice.must(Method::DELETE, &room(ROOM), Value::Null).await["count"], 1);
    assert_eq!(alice.must(Method::DELETE, &all, Value::Null).await["count"], 0);
    assert_eq!(alice.must(Method::GET, &all, Value::Null).await, json!({ "rooms": {} }));
}

#[tokio::test]
async fn only_the_newest_backup_takes_keys() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let none = alice.refused(Method::PUT, &session(ROOM, "a", "1"), key(0, 0, true)).await;
    assert_eq!(none, (404, "M_NOT_FOUND".to_owned()));
    let old = backup(&alice).await;
    alice.must(Method::PUT, &session(ROOM, "a", &old), key(0, 0, true)).await;
    let new = backup(&alice).await;
    let (status, answer) = alice.ask(Method::PUT, &session(ROOM, "b", &old), key(0, 0, true)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(answer["errcode"], "M_WRONG_ROOM_KEYS_VERSION");
    assert_eq!(answer["current_version"], json!(new));
    alice.must(Method::GET, &session(ROOM, "a", &old), Value::Null).await;
    assert_eq!(alice.refused(Method::GET, &session(ROOM, "a", &new), Value::Null).await.0, 404);
    let unknown = alice.refused(Method::PUT, &session(ROOM, "b", "77"), key(0, 0, true)).await;
    assert_eq!(unknown, (404, "M_NOT_FOUND".to_owned()));
    alice.must(Method::DELETE, &session(ROOM, "a", &old), Value::Null).await;
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let version = backup(&alice).await;
    let path = session(ROOM, "a", &version);
    let with = |field: &str, value: Value| {
        let mut key = key(0, 0, true);
        key[field] = value;
        key
    };
    for (field, value) in [
        ("first_message_index", json!(-1)),
        ("forwarded_count", json!("1")),
        ("is_verified", json!(1)),
        ("session_data", json!("text")),
    ] {
        let refused = alice.refused(Method::PUT, &path, with(field, value)).await;
        assert_eq!(refused, (400, "M_BAD_JSON".to_owned()), "{field}");
    }
    let large = with("session_data", json!({ "ciphertext": "x".repeat(20_000) }));
    assert_eq!(alice.refused(Method::PUT, &path, large).await, (413, "M_TOO_LARGE".to_owned()));
    let no_version =
        alice.refused(Method::PUT, &format!("v3/room_keys/keys/{ROOM}/a"), key(0, 0, true)).await;
    assert_eq!(no_version, (400, "M_MISSING_PARAM".to_owned()));
    let no_room =
        alice.refused(Method::PUT, &session("attic", "a", &version), key(0, 0, true)).await;
    assert_eq!(no_room, (400, "M_INVALID_PARAM".to_owned()));
    let (status, _) = server
        .request(Method::GET, "/_matrix/client/v3/room_keys/version", None, &Value::Null)
        .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn large_backups_are_read_and_deleted_whole() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let version = backup(&alice).await;
    let all = format!("v3/room_keys/keys?version={version}");
    // More than are read or deleted at once, and the rooms' bounds lie within pages.
    let rooms: serde_json::Map<String, Value> = (0..5)
        .map(|room| {
            let sessions: serde_json::Map<String, Value> =
                (0..500).map(|n| (format!("{n:03}"), key(n, 0, false))).collect();
            (format!("!room{room}:hs.test"), json!({ "sessions": sessions }))
        })
        .collect();
    let body = json!({ "rooms": rooms });
    assert_eq!(alice.must(Method::PUT, &all, body.clone()).await["count"], 2500);
    assert_eq!(alice.must(Method::GET, &all, Value::Null).await, body);
    assert_eq!(alice.must(Method::DELETE, &all, Value::Null).await["count"], 0);
    assert_eq!(alice.must(Method::GET, &all, Value::Null).await, json!({ "rooms": {} }));
}

#[tokio::test]
async fn backups_outlive_a_restart_and_deleted_ones_lose_their_keys() {
    let server = TestServer::start().await;
    let (version, token) = {
        let alice = server.register("alice").await;
        let version = backup(&alice).await;
        alice.must(Method::PUT, &session(ROOM, "a", &version), key(1, 2, true)).await;
        (version, alice.token)
    };
    let server = server.restart().await;
    let path = format!("/_matrix/client/{}", session(ROOM, "a", &version));
    let (_, kept) = server.request(Method::GET, &path, Some(&token), &Value::Null).await;
    assert_eq!(kept, key(1, 2, true));
    let path = format!("/_matrix/client/v3/room_keys/version/{version}");
    server.request(Method::DELETE, &path, Some(&token), &Value::Null).await;
    let db = &server.server.app().db;
    let user: &ruma::UserId = "@alice:hs.test".try_into().unwrap();
    let gone = async {
        while key_backup::deleted(db).await.unwrap().is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let page = key_backup::page(db, user, version.parse().unwrap(), None, ("", ""), 1);
        assert_eq!(page.await.unwrap(), []);
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), gone).await.expect("keys go away");
}
