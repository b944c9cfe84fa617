//! What the server says to its users (Client-Server API, "Server Notices").

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{TestServer, User};

const SEND: &str = "/_synapse/admin/v1/send_server_notice";

async fn send(
    server: &TestServer,
    by: &User<'_>,
    txn: Option<&str>,
    body: Value,
) -> (StatusCode, Value) {
    let (method, path) = match txn {
        Some(txn) => (Method::PUT, format!("{SEND}/{txn}")),
        None => (Method::POST, SEND.to_owned()),
    };
    server.request(method, &path, Some(&by.token), &body).await
}

fn notice(user: &str) -> Value {
    json!({ "user_id": user, "content": { "msgtype": "m.text", "body": "hello" } })
}

/// The one room that a user is invited to.
async fn invited(user: &User<'_>) -> String {
    let answer = user.must(Method::GET, "v3/sync", Value::Null).await;
    let rooms = answer["rooms"]["invite"].as_object().unwrap();
    assert_eq!(rooms.len(), 1, "{answer}");
    let (id, room) = rooms.iter().next().unwrap();
    assert_eq!(room["invite_state"]["events"][0]["sender"], "@_server:hs.test");
    id.clone()
}

#[tokio::test]
async fn notices_come_in_one_room_whose_invite_cannot_be_rejected() {
    let server = TestServer::start().await;
    let admin = server.administrator("admin").await;
    let alice = server.register("alice").await;
    let (status, answer) = send(&server, &admin, None, notice(&alice.id)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let room = invited(&alice).await;
    let forbidden = (403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM".to_owned());
    let leave = format!("v3/rooms/{room}/leave");
    assert_eq!(alice.refused(Method::POST, &leave, json!({})).await, forbidden);
    let member = format!("v3/rooms/{room}/state/m.room.member/{}", alice.id);
    let body = json!({ "membership": "leave" });
    assert_eq!(alice.refused(Method::PUT, &member, body).await, forbidden);

    // Even who is suspended may listen; nobody answers.
    let suspend = format!("v1/admin/suspend/{}", alice.id);
    admin.must(Method::PUT, &suspend, json!({ "suspended": true })).await;
    alice.must(Method::POST, &format!("v3/join/{room}"), json!({})).await;
    admin.must(Method::PUT, &suspend, json!({ "suspended": false })).await;
    let event = format!("v3/rooms/{room}/event/{}", answer["event_id"].as_str().unwrap());
    let event = alice.must(Method::GET, &event, Value::Null).await;
    assert_eq!(event["content"]["body"], "hello");
    let say = format!("v3/rooms/{room}/send/m.room.message/1");
    let body = json!({ "msgtype": "m.text", "body": "hi" });
    assert_eq!(alice.refused(Method::PUT, &say, body).await.1, "M_FORBIDDEN");
    let tags = format!("v3/user/{}/rooms/{room}/tags", alice.id);
    let tags = alice.must(Method::GET, &tags, Value::Null).await;
    assert_eq!(tags, json!({ "tags": { "m.server_notice": {} } }));

    // Whoever has left is invited to the same room again, also after a restart.
    alice.must(Method::POST, &leave, json!({})).await;
    let (id, tokens) = (alice.id.clone(), (admin.token.clone(), alice.token.clone()));
    drop((admin, alice));
    let server = server.restart().await;
    let [admin, alice] = [tokens.0, tokens.1].map(|token| server.session(&id, &token));
    let (_, first) = send(&server, &admin, Some("1"), notice(&id)).await;
    let (_, again) = send(&server, &admin, Some("1"), notice(&id)).await;
    assert!(first["event_id"].is_string());
    assert_eq!(first, again);
    assert_eq!(invited(&alice).await, room);
}

#[tokio::test]
async fn only_administrators_send_notices_and_only_to_users_of_this_server() {
    let server = TestServer::start().await;
    let admin = server.administrator("admin").await;
    let alice = server.register("alice").await;
    let (status, answer) = send(&server, &alice, None, Value::Null).await;
    assert_eq!((status.as_u16(), answer["errcode"].as_str()), (403, Some("M_FORBIDDEN")));
    for (body, status, code) in [
        (json!({ "content": {} }), 400, "M_MISSING_PARAM"),
        (json!({ "user_id": alice.id }), 400, "M_MISSING_PARAM"),
        (json!({ "user_id": alice.id, "content": [] }), 400, "M_BAD_JSON"),
        (notice("@alice:elsewhere.test"), 400, "M_INVALID_PARAM"),
        (notice("@nobody:hs.test"), 404, "M_NOT_FOUND"),
    ] {
        let (got, answer) = send(&server, &admin, None, body.clone()).await;
        assert_eq!((got.as_u16(), answer["errcode"].as_str()), (status, Some(code)), "{body}");
    }
    // Nobody logs in as the server.
    send(&server, &admin, None, notice(&alice.id)).await;
    let login = json!({ "type": "m.login.password", "password": "",
        "identifier": { "type": "m.id.user", "user": "_server" } });
    let path = "/_matrix/client/v3/login";
    let (status, _) = server.request(Method::POST, path, None, &login).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}
