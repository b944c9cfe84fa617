//! Application services at the server's door: who they may be, what they may do, and the extensions that
//! mautrix bridges use, by the wire forms of mautrix-go.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use landbridge_homeserver::{Config, Server};
use landbridge_registration::{Blueprint, Registration};
use serde_json::{Value, json};
use tower::ServiceExt as _;

struct World {
    server: Server,
    bridge: Registration,
    services: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        let services = folder.path().join("services");
        std::fs::create_dir(&services).unwrap();
        config.appservices.directory = Some(services.clone());
        config.listen.http.clear();
        config.registration.open = true;
        config.rate_limits.enabled = false;
        config.accounts.password_memory_kib = 8;
        config.accounts.password_passes = 1;
        let server = Server::start(config).await.unwrap();
        let bridge = Blueprint::new("irc", None, "ircbot")
            .user("@_irc_", true)
            .user("@irc-", true)
            .alias("#_irc_", true)
            .protocol("irc")
            .generate(&mut rand::rng())
            .unwrap();
        server.app().appservices.register(bridge.clone()).unwrap();
        Self { server, bridge, services, _folder: folder }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) })
            .unwrap();
        let response = self.server.router().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// A request of the bridge, which must succeed.
    async fn bridge(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, self.token(), body).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    fn token(&self) -> &str {
        self.bridge.as_token.expose()
    }

    async fn ghost(&self, name: &str) -> String {
        let body = json!({ "type": "m.login.application_service", "username": name, "inhibit_login": true });
        self.bridge(Method::POST, "/_matrix/client/v3/register", body).await;
        format!("@{name}:localhost")
    }

    async fn person(&self, name: &str) -> String {
        let body = json!({ "username": name, "password": "correct horse", "auth": { "type": "m.login.dummy" } });
        let (status, answer) =
            self.call(Method::POST, "/_matrix/client/v3/register", "", body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn room(&self, body: Value) -> String {
        let answer = self.bridge(Method::POST, "/_matrix/client/v3/createRoom", body).await;
        answer["room_id"].as_str().unwrap().to_owned()
    }

    /// The bodies of the room's messages, oldest first, as the bot pages through them.
    async fn history(&self, room: &str) -> Vec<String> {
        let mut bodies = Vec::new();
        let mut from = String::new();
        loop {
            let path = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=3{from}");
            let page = self.bridge(Method::GET, &path, Value::Null).await;
            for event in page["chunk"].as_array().unwrap() {
                bodies.extend(event["content"]["body"].as_str().map(str::to_owned));
            }
            match page["end"].as_str() {
                Some(end) => from = format!("&from={end}"),
                None => break,
            }
        }
        bodies.reverse();
        bodies
    }
}

fn said(sender: &str, ts: i64, id: &str, body: &str) -> Value {
    json!({
        "type": "m.room.message", "sender": sender, "origin_server_ts": ts, "event_id": id,
        "content": { "msgtype": "m.text", "body": body },
    })
}

#[tokio::test]
async fn namespaces_are_enforced_against_everyone() {
    let world = World::new().await;
    world.ghost("_irc_alice").await;
    let again = json!({ "type": "m.login.application_service", "username": "_irc_alice", "inhibit_login": true });
    let (status, answer) =
        world.call(Method::POST, "/_matrix/client/v3/register", world.token(), again).await;
    assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_USER_IN_USE")));
    let other =
        json!({ "type": "m.login.application_service", "username": "bob", "inhibit_login": true });
    let (_, answer) =
        world.call(Method::POST, "/_matrix/client/v3/register", world.token(), other).await;
    assert_eq!(answer["errcode"], "M_EXCLUSIVE");
    let thief = json!({ "username": "irc-eve", "password": "correct horse", "auth": { "type": "m.login.dummy" } });
    let (_, answer) = world.call(Method::POST, "/_matrix/client/v3/register", "", thief).await;
    assert_eq!(answer["errcode"], "M_EXCLUSIVE");
    let bob = world.person("bob").await;
    let room = world.room(json!({})).await;
    let alias = "/_matrix/client/v3/directory/room/%23_irc_rust:localhost";
    let (_, answer) = world.call(Method::PUT, alias, &bob, json!({ "room_id": room })).await;
    assert_eq!(answer["errcode"], "M_EXCLUSIVE");
    world.bridge(Method::PUT, alias, json!({ "room_id": room })).await;
}

#[tokio::test]
async fn a_service_acts_as_its_users_and_their_devices_alone() {
    let world = World::new().await;
    let ghost = world.ghost("_irc_alice").await;
    world.person("bob").await;
    let whoami = "/_matrix/client/v3/account/whoami";
    assert_eq!(
        world.bridge(Method::GET, whoami, Value::Null).await["user_id"],
        "@ircbot:localhost"
    );
    let answer = world.bridge(Method::GET, &format!("{whoami}?user_id={ghost}"), Value::Null).await;
    assert_eq!(answer["user_id"], ghost);
    for name in ["device_id", "org.matrix.msc3202.device_id"] {
        let path = format!("{whoami}?user_id={ghost}&{name}=NONE");
        let (status, answer) = world.call(Method::GET, &path, world.token(), Value::Null).await;
        assert_eq!(
            (status, &answer["errcode"]),
            (StatusCode::BAD_REQUEST, &json!("M_UNKNOWN_DEVICE"))
        );
    }
}

#[tokio::test]
async fn only_services_that_double_puppet_act_as_people() {
    let world = World::new().await;
    let ghost = world.ghost("_irc_alice").await;
    world.person("bob").await;
    let (plain, puppeting) = (separate("plain"), {
        let mut registration = separate("puppeting");
        registration.other.insert("org.landbridge.double_puppet".to_owned(), json!(true));
        registration
    });
    for registration in [&plain, &puppeting] {
        let path = world.services.join(format!("{}.yaml", registration.id));
        std::fs::write(path, registration.to_yaml()).unwrap();
    }
    world.server.app().appservices.reload().unwrap();
    let act = async |service: &Registration, user: &str| {
        let path = format!("/_matrix/client/v3/account/whoami?user_id={user}");
        world.call(Method::GET, &path, service.as_token.expose(), Value::Null).await.0
    };
    assert_eq!(act(&plain, "@bob:localhost").await, StatusCode::FORBIDDEN);
    assert_eq!(act(&puppeting, "@bob:localhost").await, StatusCode::OK);
    assert_eq!(act(&world.bridge, "@bob:localhost").await, StatusCode::OK, "it is of this process");
    for user in [&ghost, "@nobody:localhost", "@bob:elsewhere"] {
        assert_eq!(act(&puppeting, user).await, StatusCode::FORBIDDEN, "{user}");
    }
}

fn separate(id: &str) -> Registration {
    Blueprint::new(id, None, &format!("{id}bot")).generate(&mut rand::rng()).unwrap()
}

#[tokio::test]
async fn history_is_imported_before_and_after_what_is_there() {
    let world = World::new().await;
    let ghost = world.ghost("_irc_alice").await;
    let room = world.room(json!({ "preset": "private_chat" })).await;
    let path = format!("/_matrix/client/unstable/com.beeper.backfill/rooms/{room}/batch_send");
    let send = async |forward: bool, events: Value| {
        let body = json!({
            "forward_if_no_messages": true, "forward": forward, "send_notification": false, "events": events,
        });
        world.bridge(Method::POST, &path, body).await["event_ids"].clone()
    };
    let ids = send(
        false,
        json!([said(&ghost, 3000, "$c:localhost", "c"), said(&ghost, 4000, "$d:localhost", "d")]),
    )
    .await;
    assert_eq!(ids, json!(["$c:localhost", "$d:localhost"]));
    let live = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/1");
    world.bridge(Method::PUT, &live, json!({ "msgtype": "m.text", "body": "live" })).await;
    send(
        false,
        json!([said(&ghost, 1000, "$a:localhost", "a"), said(&ghost, 2000, "$b:localhost", "b")]),
    )
    .await;
    send(true, json!([said(&ghost, 9000, "$z:localhost", "z")])).await;
    // A repetition changes nothing and answers the same.
    let ids = send(
        false,
        json!([said(&ghost, 1000, "$a:localhost", "a"), said(&ghost, 2000, "$b:localhost", "b")]),
    )
    .await;
    assert_eq!(ids, json!(["$a:localhost", "$b:localhost"]));
    assert_eq!(world.history(&room).await, ["a", "b", "c", "d", "live", "z"]);
    let one = format!("/_matrix/client/v3/rooms/{room}/event/$a:localhost");
    let event = world.bridge(Method::GET, &one, Value::Null).await;
    assert_eq!((&event["sender"], &event["origin_server_ts"]), (&json!(ghost), &json!(1000)));
}

#[tokio::test]
async fn nobody_imports_for_strangers_or_state() {
    let world = World::new().await;
    let bob = world.person("bob").await;
    let room = world.room(json!({})).await;
    let path = format!("/_matrix/client/unstable/com.beeper.backfill/rooms/{room}/batch_send");
    let batch =
        json!({ "events": [said("@bob:localhost", 1, "$x:localhost", "I never said that")] });
    let (status, _) = world.call(Method::POST, &path, world.token(), batch.clone()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "bob is not in the room");
    let (status, _) = world.call(Method::POST, &path, &bob, batch).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "bob is no application service");
    let mut state = said("@ircbot:localhost", 1, "$y:localhost", "x");
    state["state_key"] = json!("");
    let (status, _) =
        world.call(Method::POST, &path, world.token(), json!({ "events": [state] })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_room_is_deleted_for_all_its_members() {
    let world = World::new().await;
    let ghost = world.ghost("_irc_alice").await;
    let bob = world.person("bob").await;
    let room = world
        .room(json!({
            "invite": [&ghost, "@bob:localhost"], "com.beeper.auto_join_invites": true,
            "preset": "private_chat", "room_alias_name": "_irc_rust",
        }))
        .await;
    let joined = async |token: &str, user: &str| {
        let path = format!("/_matrix/client/v3/joined_rooms{user}");
        world.call(Method::GET, &path, token, Value::Null).await.1["joined_rooms"]
            .as_array()
            .unwrap()
            .len()
    };
    let as_ghost = format!("?user_id={ghost}");
    assert_eq!(joined(world.token(), &as_ghost).await, 1, "the ghost joined with its invitation");
    let path = format!("/_matrix/client/unstable/com.beeper.yeet/rooms/{room}/delete");
    let (status, _) = world.call(Method::POST, &path, &bob, Value::Null).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    world.bridge(Method::POST, &path, Value::Null).await;
    assert_eq!(joined(world.token(), &as_ghost).await, 0);
    assert_eq!(joined(world.token(), "").await, 0);
    assert_eq!(joined(&bob, "").await, 0);
    let alias = "/_matrix/client/v3/directory/room/%23_irc_rust:localhost";
    let (status, _) = world.call(Method::GET, alias, &bob, Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let id = ruma::RoomId::parse(&room).unwrap();
    let gone = async {
        let app = world.server.app();
        while app.account_data.room(&id).await.unwrap().is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), gone).await.expect("the room goes");
}

#[tokio::test]
async fn a_membership_is_rolled_back_only_where_it_was() {
    let world = World::new().await;
    let bob = world.person("bob").await;
    let room = world.room(json!({ "preset": "private_chat", "invite": ["@bob:localhost"] })).await;
    let member = format!("/_matrix/client/v3/rooms/{room}/state/m.room.member/@bob:localhost");
    let rollback = json!({ "membership": "join", "com.beeper.member_rollback": true });
    let (status, _) = world.call(Method::PUT, &member, world.token(), rollback.clone()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "bob has never been inside");
    for what in ["join", "leave"] {
        let path = format!("/_matrix/client/v3/rooms/{room}/{what}");
        let (status, answer) = world.call(Method::POST, &path, &bob, json!({})).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    world.bridge(Method::PUT, &member, rollback).await;
    let joined =
        world.call(Method::GET, "/_matrix/client/v3/joined_rooms", &bob, Value::Null).await.1;
    assert_eq!(joined["joined_rooms"], json!([room]));
}

#[tokio::test]
async fn networks_are_looked_up_pinged_and_listed() {
    let world = World::new().await;
    let bob = world.person("bob").await;
    let ping = "/_matrix/client/v1/appservice/irc/ping";
    let (status, answer) =
        world.call(Method::POST, ping, world.token(), json!({ "transaction_id": "x" })).await;
    assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_URL_NOT_SET")));
    let service = Router::new().route("/_matrix/app/v1/ping", post(async || "{}")).route(
        "/_matrix/app/v1/thirdparty/protocol/irc",
        get(async || {
            axum::Json(json!({ "instances": [{ "network_id": "libera", "desc": "Libera" }] }))
        }),
    );
    world.server.app().appservices.attach("irc", service).unwrap();
    let (status, _) = world.call(Method::POST, ping, &bob, json!({})).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(
        world.bridge(Method::POST, ping, json!({ "transaction_id": "x" })).await["duration_ms"]
            .is_u64()
    );

    let protocols = "/_matrix/client/v3/thirdparty/protocols";
    let (_, answer) = world.call(Method::GET, protocols, &bob, Value::Null).await;
    assert_eq!(answer["irc"]["instances"][0]["instance_id"], "irc|libera");
    let (status, _) =
        world.call(Method::GET, "/_matrix/client/v3/thirdparty/user/mail", &bob, Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    let room = world.room(json!({ "preset": "public_chat", "name": "Rust" })).await;
    let list = format!("/_matrix/client/v3/directory/list/appservice/libera/{room}");
    world.bridge(Method::PUT, &list, json!({ "visibility": "public" })).await;
    let search = "/_matrix/client/v3/publicRooms";
    let network = json!({ "third_party_instance_id": "irc|libera" });
    let (_, answer) = world.call(Method::POST, search, &bob, network.clone()).await;
    assert_eq!(answer["chunk"][0]["room_id"], room);
    let (_, answer) = world.call(Method::POST, search, &bob, json!({})).await;
    assert_eq!(answer["chunk"], json!([]));
    world.bridge(Method::PUT, &list, json!({ "visibility": "private" })).await;
    let (_, answer) = world.call(Method::POST, search, &bob, network).await;
    assert_eq!(answer["chunk"], json!([]));
}

#[tokio::test]
async fn places_and_people_of_networks_are_looked_up_both_ways() {
    let world = World::new().await;
    let bob = world.person("bob").await;
    let place = json!({ "alias": "#_irc_rust:localhost", "protocol": "irc", "fields": { "channel": "#rust" } });
    let person =
        json!({ "userid": "@_irc_ann:localhost", "protocol": "irc", "fields": { "nick": "ann" } });
    // Answers where it is asked for what it knows, with the query that it is asked with.
    let knows = |thing: Value, key: &'static str, value: &'static str| {
        get(move |uri: http::Uri| {
            let query = uri.query().unwrap_or_default().as_bytes();
            let wanted = url::form_urlencoded::parse(query).any(|(k, v)| k == key && v == value);
            std::future::ready(axum::Json(if wanted { json!([thing]) } else { json!([]) }))
        })
    };
    let base = "/_matrix/app/v1/thirdparty";
    let service = Router::new()
        .route(
            &format!("{base}/protocol/irc"),
            get(async || {
                axum::Json(json!({ "instances": [], "user_fields": ["nick"], "icon": null }))
            }),
        )
        .route(&format!("{base}/location/irc"), knows(place.clone(), "channel", "#rust"))
        .route(&format!("{base}/user/irc"), knows(person.clone(), "nick", "ann"))
        .route(&format!("{base}/location"), knows(place.clone(), "alias", "#_irc_rust:localhost"))
        .route(&format!("{base}/user"), knows(person.clone(), "userid", "@_irc_ann:localhost"));
    world.server.app().appservices.attach("irc", service).unwrap();
    let ask = async |path: &str| {
        let path = format!("/_matrix/client/v3/thirdparty/{path}");
        let (status, answer) = world.call(Method::GET, &path, &bob, Value::Null).await;
        (status.as_u16(), answer)
    };
    // What the service left out of its protocol is there all the same.
    let protocol = json!({
        "instances": [], "user_fields": ["nick"], "location_fields": [], "icon": "", "field_types": {},
    });
    assert_eq!(ask("protocol/irc").await, (200, protocol));
    assert_eq!(ask("location/irc?channel=%23rust").await, (200, json!([place])));
    assert_eq!(ask("user/irc?nick=ann").await, (200, json!([person])));
    assert_eq!(ask("user/irc?nick=bob").await, (200, json!([])));
    assert_eq!(ask("location?alias=%23_irc_rust:localhost").await, (200, json!([place])));
    assert_eq!(ask("user?userid=@_irc_ann:localhost").await, (200, json!([person])));
    for (path, status, code) in [
        ("protocol/mail", 404, "M_NOT_FOUND"),
        ("location/mail", 404, "M_NOT_FOUND"),
        ("location?alias=%23other:localhost", 404, "M_NOT_FOUND"),
        ("user?userid=@other:localhost", 404, "M_NOT_FOUND"),
        ("location", 400, "M_MISSING_PARAM"),
        ("location?alias=rust", 400, "M_INVALID_PARAM"),
        ("user?userid=ann", 400, "M_INVALID_PARAM"),
    ] {
        let (got, answer) = ask(path).await;
        assert_eq!((got, answer["errcode"].as_str()), (status, Some(code)), "{path}: {answer}");
    }
}
