//! What an application service may do that others may not.

use http::{Method, StatusCode};
use landbridge_registration::Registration;
use serde_json::{Value, json};

use super::support::TestServer;

const REGISTER: &str = "/_matrix/client/v3/register";

async fn with_bridge(msc4190: bool) -> TestServer {
    let server = TestServer::start().await;
    let registration = format!(
        "id: toy\nurl: null\nas_token: as-secret-as-secret-as-secret\nhs_token: hs-secret-hs-secret-hs-secret\n\
         sender_localpart: toybot\nrate_limited: false\nio.element.msc4190: {msc4190}\nnamespaces:\n  users:\n  \
         - regex: '@toy_.*:hs\\.test'\n    exclusive: true\n  aliases:\n  - regex: '#toy_.*:hs\\.test'\n    \
         exclusive: true\n"
    );
    let registration = Registration::parse(&registration).unwrap();
    server.server.app().appservices.register(registration).unwrap();
    server
}

async fn bridge(
    server: &TestServer,
    method: Method,
    path: &str,
    body: Value,
) -> (StatusCode, Value) {
    server.request(method, path, Some("as-secret-as-secret-as-secret"), &body).await
}

fn ghost(name: &str, inhibit_login: bool) -> Value {
    json!({ "type": "m.login.application_service", "username": name, "inhibit_login": inhibit_login })
}

#[tokio::test]
async fn a_service_registers_its_users_and_acts_as_them() {
    let server = with_bridge(false).await;
    let (status, answer) = bridge(&server, Method::POST, REGISTER, ghost("toy_1", true)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(answer["access_token"].is_null());
    let (_, answer) = bridge(&server, Method::POST, REGISTER, ghost("toy_1", true)).await;
    assert_eq!(answer["errcode"], "M_USER_IN_USE");
    let (_, answer) = bridge(&server, Method::POST, REGISTER, ghost("other", true)).await;
    assert_eq!(answer["errcode"], "M_EXCLUSIVE");
    let body = json!({ "auth": { "type": "m.login.dummy" }, "username": "toy_2", "password": "correct horse" });
    let (_, answer) = server.request(Method::POST, REGISTER, None, &body).await;
    assert_eq!(answer["errcode"], "M_EXCLUSIVE");

    let whoami = "/_matrix/client/v3/account/whoami";
    let (_, answer) = bridge(&server, Method::GET, whoami, Value::Null).await;
    assert_eq!(answer["user_id"], "@toybot:hs.test");
    let (_, answer) =
        bridge(&server, Method::GET, &format!("{whoami}?user_id=@toy_1:hs.test"), Value::Null)
            .await;
    assert_eq!(answer["user_id"], "@toy_1:hs.test");
    let (status, _) =
        bridge(&server, Method::GET, &format!("{whoami}?user_id=@toy_9:hs.test"), Value::Null)
            .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let unknown = format!("{whoami}?user_id=@toy_1:hs.test&device_id=NONE");
    let (status, answer) = bridge(&server, Method::GET, &unknown, Value::Null).await;
    assert_eq!(
        (status, answer["errcode"].as_str()),
        (StatusCode::BAD_REQUEST, Some("M_UNKNOWN_DEVICE"))
    );
}

#[tokio::test]
async fn a_service_that_manages_devices_gets_none_by_logging_in() {
    let server = with_bridge(true).await;
    let (status, answer) = bridge(&server, Method::POST, REGISTER, ghost("toy_1", false)).await;
    assert_eq!(
        (status, answer["errcode"].as_str()),
        (StatusCode::BAD_REQUEST, Some("M_APPSERVICE_LOGIN_UNSUPPORTED"))
    );
    let (status, _) = bridge(&server, Method::POST, REGISTER, ghost("toy_1", true)).await;
    assert_eq!(status, StatusCode::OK, "nothing was created by what was refused");
    let device = "/_matrix/client/v3/devices/D1?user_id=@toy_1:hs.test";
    let rename = || json!({ "display_name": "Bridge" });
    assert_eq!(bridge(&server, Method::PUT, device, rename()).await.0, StatusCode::CREATED);
    assert_eq!(bridge(&server, Method::PUT, device, rename()).await.0, StatusCode::OK);
    let whoami =
        "/_matrix/client/v3/account/whoami?user_id=@toy_1:hs.test&org.matrix.msc3202.device_id=D1";
    assert_eq!(bridge(&server, Method::GET, whoami, Value::Null).await.1["device_id"], "D1");
    assert_eq!(bridge(&server, Method::DELETE, device, Value::Null).await.0, StatusCode::OK);
    assert_eq!(
        bridge(&server, Method::GET, whoami, Value::Null).await.1["errcode"],
        "M_UNKNOWN_DEVICE"
    );
}

#[tokio::test]
async fn a_service_says_when_its_events_were_sent_and_owns_its_aliases() {
    let server = with_bridge(false).await;
    let create = json!({ "room_alias_name": "toy_room" });
    let (status, answer) =
        bridge(&server, Method::POST, "/_matrix/client/v3/createRoom", create.clone()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let room = answer["room_id"].as_str().unwrap();
    let alice = server.register("alice").await;
    assert_eq!(alice.refused(Method::POST, "v3/createRoom", create).await.1, "M_EXCLUSIVE");
    let send = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/1?ts=1234567");
    let (_, answer) =
        bridge(&server, Method::PUT, &send, json!({ "body": "old", "msgtype": "m.text" })).await;
    let event =
        format!("/_matrix/client/v3/rooms/{room}/event/{}", answer["event_id"].as_str().unwrap());
    let (_, event) = bridge(&server, Method::GET, &event, Value::Null).await;
    assert_eq!(event["origin_server_ts"], 1_234_567, "{event}");
}
