//! What administrators do to accounts, and what those may still do (Client-Server API, "Account moderation").

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{TestServer, User};

fn message() -> Value {
    json!({ "msgtype": "m.text", "body": "hello" })
}

async fn moderate(admin: &User<'_>, what: &str, user: &str, on: bool) {
    let path = format!("v1/admin/{what}/{user}");
    let key = if what == "lock" { "locked" } else { "suspended" };
    let answer = admin.must(Method::PUT, &path, json!({ key: on })).await;
    assert_eq!(answer, json!({ key: on }));
    assert_eq!(admin.must(Method::GET, &path, Value::Null).await, json!({ key: on }));
}

#[tokio::test]
async fn only_administrators_moderate_and_only_others() {
    let server = TestServer::start().await;
    let admin = server.administrator("admin").await;
    let second = server.administrator("second").await;
    let alice = server.register("alice").await;
    for (what, key) in [("lock", "locked"), ("suspend", "suspended")] {
        let path = |user: &str| format!("v1/admin/{what}/{user}");
        let body = || json!({ key: true });
        let refused = |code: &str, status: u16| (status, code.to_owned());
        // Who may not ask learns nothing of who exists.
        for user in [admin.id.as_str(), "@nobody:hs.test", "@alice:elsewhere.test"] {
            let got = alice.refused(Method::GET, &path(user), Value::Null).await;
            assert_eq!(got, refused("M_FORBIDDEN", 403));
            let got = alice.refused(Method::PUT, &path(user), body()).await;
            assert_eq!(got, refused("M_FORBIDDEN", 403));
        }
        for (user, answer) in [
            (admin.id.as_str(), refused("M_FORBIDDEN", 403)),
            (second.id.as_str(), refused("M_FORBIDDEN", 403)),
            ("@nobody:hs.test", refused("M_NOT_FOUND", 404)),
            ("@alice:elsewhere.test", refused("M_INVALID_PARAM", 400)),
        ] {
            assert_eq!(admin.refused(Method::PUT, &path(user), body()).await, answer, "{user}");
        }
        let got = admin.refused(Method::PUT, &path(&alice.id), json!({ key: "yes" })).await;
        assert_eq!(got, refused("M_BAD_JSON", 400));
        assert_eq!(
            admin.must(Method::GET, &path(&alice.id), Value::Null).await,
            json!({ key: false })
        );
    }
    let capabilities = |answer: Value| answer["capabilities"]["m.account_moderation"].clone();
    let path = "v3/capabilities";
    let theirs = capabilities(admin.must(Method::GET, path, Value::Null).await);
    assert_eq!(theirs, json!({ "lock": true, "suspend": true }));
    assert_eq!(capabilities(alice.must(Method::GET, path, Value::Null).await), Value::Null);
}

#[tokio::test]
async fn who_is_locked_out_keeps_the_session_and_gets_no_other() {
    let server = TestServer::start().await;
    let admin = server.administrator("admin").await;
    let alice = server.register("alice").await;
    let login = json!({ "type": "m.login.password", "password": "correct horse", "refresh_token": true,
        "identifier": { "type": "m.id.user", "user": "alice" } });
    let path = "/_matrix/client/v3/login";
    let (_, second) = server.request(Method::POST, path, None, &login).await;
    moderate(&admin, "lock", &alice.id, true).await;
    for path in ["v3/sync", "v3/account/whoami", "v3/capabilities"] {
        let (status, answer) = alice.ask(Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer["errcode"], "M_USER_LOCKED", "{path}");
        assert_eq!(answer["soft_logout"], true);
    }
    let (status, answer) = server.request(Method::POST, path, None, &login).await;
    assert_eq!(
        (status, answer["errcode"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("M_USER_LOCKED"))
    );
    let body = json!({ "refresh_token": second["refresh_token"] });
    let (status, answer) =
        server.request(Method::POST, "/_matrix/client/v3/refresh", None, &body).await;
    assert_eq!(
        (status, answer["errcode"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("M_USER_LOCKED"))
    );
    // A wrong password says nothing of the lock.
    let mut wrong = login.clone();
    wrong["password"] = json!("wrong");
    let (_, answer) = server.request(Method::POST, path, None, &wrong).await;
    assert_eq!(answer["errcode"], "M_FORBIDDEN");

    moderate(&admin, "lock", &alice.id, false).await;
    alice.must(Method::GET, "v3/account/whoami", Value::Null).await;
    moderate(&admin, "lock", &alice.id, true).await;
    alice.must(Method::POST, "v3/logout", json!({})).await;
    moderate(&admin, "lock", &alice.id, false).await;
    let gone = alice.refused(Method::GET, "v3/account/whoami", Value::Null).await;
    assert_eq!(gone.1, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn suspended_users_look_on_leave_and_take_back_what_they_said() {
    let server = TestServer::start().await;
    let admin = server.administrator("admin").await;
    let alice = server.register("alice").await;
    let room = admin.create_room(json!({ "preset": "public_chat" })).await;
    let other = admin.create_room(json!({ "preset": "public_chat" })).await;
    alice.must(Method::POST, &format!("v3/join/{room}"), json!({})).await;
    let send = |txn: &str| format!("v3/rooms/{room}/send/m.room.message/{txn}");
    let said = alice.must(Method::PUT, &send("1"), message()).await["event_id"].clone();
    let theirs = admin.must(Method::PUT, &send("1"), message()).await["event_id"].clone();
    moderate(&admin, "suspend", &alice.id, true).await;
    let name = format!("v3/profile/{}/displayname", alice.id);
    let member = format!("v3/rooms/{room}/state/m.room.member/{}", alice.id);
    let redact = |event: &Value, txn: &str| {
        format!("v3/rooms/{room}/redact/{}/{txn}", event.as_str().unwrap())
    };
    for (method, path, body) in [
        (Method::PUT, send("2"), message()),
        (Method::PUT, format!("v3/rooms/{room}/state/m.room.topic"), json!({ "topic": "x" })),
        (Method::PUT, member.clone(), json!({ "membership": "join", "displayname": "x" })),
        (Method::POST, format!("v3/join/{other}"), json!({})),
        (Method::POST, format!("v3/rooms/{other}/join"), json!({})),
        (Method::POST, format!("v3/knock/{other}"), json!({})),
        (Method::POST, "v3/createRoom".to_owned(), json!({})),
        (Method::POST, format!("v3/rooms/{room}/invite"), json!({ "user_id": "@bob:hs.test" })),
        (Method::PUT, name.clone(), json!({ "displayname": "x" })),
        (Method::PUT, redact(&theirs, "a"), json!({})),
        (
            Method::PUT,
            format!("v3/rooms/{room}/send/m.room.redaction/b"),
            json!({ "redacts": theirs }),
        ),
    ] {
        let refused = alice.refused(method.clone(), &path, body).await;
        assert_eq!(refused, (403, "M_USER_SUSPENDED".to_owned()), "{method} {path}");
    }
    alice.must(Method::GET, "v3/sync", Value::Null).await;
    alice.must(Method::GET, &format!("v3/rooms/{room}/messages?dir=b"), Value::Null).await;
    alice.must(Method::GET, &format!("v3/profile/{}", alice.id), Value::Null).await;
    alice.must(Method::PUT, &redact(&said, "c"), json!({})).await;
    alice.must(Method::PUT, &member, json!({ "membership": "leave" })).await;
    let login = json!({ "type": "m.login.password", "password": "correct horse",
        "identifier": { "type": "m.id.user", "user": "alice" } });
    let (status, answer) =
        server.request(Method::POST, "/_matrix/client/v3/login", None, &login).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let refused =
        server.user(&answer).refused(Method::POST, &format!("v3/join/{other}"), json!({})).await;
    assert_eq!(refused.1, "M_USER_SUSPENDED");
    moderate(&admin, "suspend", &alice.id, false).await;
    alice.must(Method::POST, &format!("v3/join/{other}"), json!({})).await;
}

#[tokio::test]
async fn whois_tells_a_users_own_sessions_and_administrators_all() {
    let server = TestServer::start().await;
    let admin = server.administrator("admin").await;
    let alice = server.register("alice").await;
    let path = |user: &str| format!("v3/admin/whois/{user}");
    for asker in [&alice, &admin] {
        let answer = asker.must(Method::GET, &path(&alice.id), Value::Null).await;
        assert_eq!(answer["user_id"], alice.id.as_str());
        let connection = &answer["devices"][&alice.device]["sessions"][0]["connections"][0];
        assert!(connection["last_seen"].is_u64(), "{answer}");
    }
    let refused = alice.refused(Method::GET, &path(&admin.id), Value::Null).await;
    assert_eq!(refused, (403, "M_FORBIDDEN".to_owned()));
    let refused = admin.refused(Method::GET, &path("@nobody:hs.test"), Value::Null).await;
    assert_eq!(refused, (404, "M_NOT_FOUND".to_owned()));
    let refused = admin.refused(Method::GET, &path("@a:elsewhere.test"), Value::Null).await;
    assert_eq!(refused, (400, "M_INVALID_PARAM".to_owned()));
}

#[tokio::test]
async fn who_is_suspended_sends_nothing_later_either() {
    let server = TestServer::start().await;
    let admin = server.administrator("admin").await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    moderate(&admin, "suspend", &alice.id, true).await;
    for path in ["state/m.room.topic/", "send/m.room.message/1"] {
        let path = format!("v3/rooms/{room}/{path}?org.matrix.msc4140.delay=100000");
        let got = alice.refused(Method::PUT, &path, json!({ "topic": "x" })).await;
        assert_eq!(got, (403, "M_USER_SUSPENDED".to_owned()), "{path}");
    }
    moderate(&admin, "suspend", &alice.id, false).await;
    let path = format!("v3/rooms/{room}/state/m.room.topic/?org.matrix.msc4140.delay=100000");
    alice.must(Method::PUT, &path, json!({ "topic": "x" })).await;
}
