//! A whole server with a service in the same process that takes, refuses, or is away.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::put;
use http::StatusCode;
use landbridge_registration::{Blueprint, Registration};
use ruma::events::TimelineEventType;
use ruma::{CanonicalJsonObject, RoomVersionId, UserId, user_id};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::room::{CreateRoom, Draft, Invitee, Preset, Room};
use crate::{Config, Server};

/// A service that writes down what it is sent.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<Log>>, Arc<watch::Sender<()>>);

#[derive(Default)]
struct Log {
    seen: Vec<(String, Bytes)>,
    taken: Vec<(String, Bytes)>,
    /// Answers to give before taking transactions again.
    answers: VecDeque<StatusCode>,
}

impl Service {
    fn router(&self) -> Router {
        async fn transaction(
            State(service): State<Service>,
            Path(id): Path<String>,
            body: Bytes,
        ) -> (StatusCode, &'static str) {
            let mut log = lock(&service.0);
            log.seen.push((id.clone(), body.clone()));
            let answer = log.answers.pop_front().unwrap_or(StatusCode::OK);
            if answer == StatusCode::OK {
                log.taken.push((id, body));
            }
            service.1.send_replace(());
            (answer, "{}")
        }
        Router::new()
            .route("/_matrix/app/v1/transactions/{id}", put(transaction))
            .with_state(self.clone())
    }

    fn refuse(&self, answers: &[StatusCode]) {
        lock(&self.0).answers.extend(answers);
    }

    /// Waits until `done` holds of what was taken and seen.
    async fn until(&self, done: impl Fn(&Log) -> bool) {
        let mut news = self.1.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            while !done(&lock(&self.0)) {
                news.changed().await.unwrap();
            }
        });
        assert!(waited.await.is_ok(), "it never came: {:?}", self.bodies());
    }

    /// Everything that was sent, taken or not.
    fn seen(&self) -> Vec<(String, Bytes)> {
        lock(&self.0).seen.clone()
    }

    fn bodies(&self) -> Vec<String> {
        lock(&self.0).bodies()
    }

    fn events(&self) -> Vec<Value> {
        lock(&self.0).events()
    }
}

impl Log {
    /// The bodies of all taken events, in order.
    fn bodies(&self) -> Vec<String> {
        let body = |event: &Value| Some(event["content"]["body"].as_str()?.to_owned());
        self.events().iter().filter_map(body).collect()
    }

    fn events(&self) -> Vec<Value> {
        self.taken.iter().flat_map(|(_, body)| list(body, "events")).collect()
    }
}

fn list(body: &[u8], key: &str) -> Vec<Value> {
    let body: Value = serde_json::from_slice(body).unwrap();
    body[key].as_array().cloned().unwrap_or_default()
}

fn config(folder: &std::path::Path) -> Config {
    let mut config = Config { data_dir: folder.to_owned(), ..Config::default() };
    config.listen.http.clear();
    config
}

fn registration() -> Registration {
    Blueprint::new("irc", None, "ircbot")
        .user("@_irc_", true)
        .encryption()
        .generate(&mut rand::rng())
        .unwrap()
}

fn invitee(user: &UserId) -> Invitee {
    Invitee { user: user.to_owned(), profile: CanonicalJsonObject::new() }
}

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

fn ghost() -> &'static UserId {
    user_id!("@_irc_alice:localhost")
}

fn bob() -> &'static UserId {
    user_id!("@bob:localhost")
}

async fn room_of(server: &Server, creator: &UserId, invited: &[&UserId]) -> Room {
    let request = CreateRoom {
        name: Some("Rust".to_owned()),
        invites: invited.iter().map(|user| invitee(user)).collect(),
        ..CreateRoom::new(invitee(creator), RoomVersionId::V12, Preset::PublicChat)
    };
    server.app().rooms.create(request).await.unwrap()
}

async fn say(room: &Room, user: &UserId, body: &str) {
    let content = raw(&json!({ "msgtype": "m.text", "body": body }));
    room.send(Draft::message(user.to_owned(), TimelineEventType::RoomMessage, content))
        .await
        .unwrap();
}

async fn member(room: &Room, sender: &UserId, user: &UserId, membership: &str) {
    let content = raw(&json!({ "membership": membership }));
    let draft =
        Draft::state(sender.to_owned(), TimelineEventType::RoomMember, user.as_str(), content);
    room.send(draft).await.unwrap();
}

struct World {
    server: Server,
    service: Service,
    registration: Registration,
    folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(config(folder.path())).await.unwrap();
        let world =
            Self { server, service: Service::default(), registration: registration(), folder };
        world.register();
        world.attach();
        world
    }

    fn register(&self) {
        self.server.app().appservices.register(self.registration.clone()).unwrap();
    }

    fn attach(&self) {
        self.server.app().appservices.attach("irc", self.service.router()).unwrap();
    }

    /// The same server after a restart. The service is away until it is attached again.
    async fn restart(&mut self) {
        self.server.stop().await;
        self.server = Server::start(config(self.folder.path())).await.unwrap();
        self.register();
    }
}

#[tokio::test]
async fn a_service_hears_of_its_rooms_and_of_no_others() {
    let world = World::new().await;
    let (ours, theirs) =
        (room_of(&world.server, ghost(), &[]).await, room_of(&world.server, bob(), &[]).await);
    member(&ours, bob(), bob(), "join").await;
    say(&theirs, bob(), "private").await;
    say(&ours, bob(), "hello").await;
    world.service.until(|log| log.bodies() == ["hello"]).await;
    let events = world.service.events();
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[0], "m.room.member", "it hears of the room from its user's join on");
    assert!(events.iter().all(|event| event["room_id"] == ours.id().as_str()));
    assert!(events.iter().all(|event| event["age"].is_i64() && event["unsigned"]["age"].is_i64()));
    world.server.stop().await;
}

#[tokio::test]
async fn an_invitation_carries_the_room_and_a_change_what_it_replaced() {
    let world = World::new().await;
    let room = room_of(&world.server, bob(), &[ghost()]).await;
    member(&room, bob(), ghost(), "leave").await;
    let left = |log: &Log| {
        log.taken
            .iter()
            .flat_map(|(_, body)| list(body, "events"))
            .any(|event| event["content"]["membership"] == "leave")
    };
    world.service.until(left).await;
    let events = world.service.events();
    let invite = events.iter().find(|event| event["content"]["membership"] == "invite").unwrap();
    let shown: Vec<_> = invite["unsigned"]["invite_room_state"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    for kind in ["m.room.create", "m.room.name", "m.room.join_rules", "m.room.member"] {
        assert!(shown.contains(&kind), "{kind} in {shown:?}");
    }
    let leave = events.iter().find(|event| event["content"]["membership"] == "leave").unwrap();
    assert_eq!(leave["unsigned"]["prev_content"]["membership"], "invite");
    assert_eq!(leave["unsigned"]["replaces_state"], invite["event_id"]);
    world.server.stop().await;
}

#[tokio::test]
async fn a_transaction_that_fails_comes_again_unchanged_and_before_the_next() {
    let world = World::new().await;
    let room = room_of(&world.server, ghost(), &[]).await;
    world.service.until(|log| !log.taken.is_empty()).await;
    world.service.refuse(&[
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::BAD_GATEWAY,
        StatusCode::FORBIDDEN,
    ]);
    for at in 0..20 {
        say(&room, ghost(), &at.to_string()).await;
    }
    let expected: Vec<_> = (0..20).map(|at| at.to_string()).collect();
    world.service.until(|log| log.bodies().len() >= 20).await;
    assert_eq!(world.service.bodies(), expected);
    let seen = world.service.seen();
    let failed: Vec<_> = seen
        .iter()
        .filter(|(id, _)| seen.iter().filter(|(other, _)| id == other).count() > 1)
        .collect();
    assert_eq!(failed.len(), 4, "three failures and the success");
    assert!(failed.windows(2).all(|pair| pair[0] == pair[1]));
    world.server.stop().await;
}

#[tokio::test]
async fn what_was_closed_or_queued_survives_a_restart_with_its_ids() {
    let mut world = World::new().await;
    let room = room_of(&world.server, ghost(), &[]).await;
    world.service.until(|log| !log.taken.is_empty()).await;
    world.service.refuse(&[StatusCode::INTERNAL_SERVER_ERROR; 1000]);
    for at in 0..250 {
        say(&room, ghost(), &at.to_string()).await;
    }
    world.service.until(|log| log.answers.len() < 1000).await;
    let id = room.id().to_owned();
    drop(room);
    world.restart().await;
    lock(&world.service.0).answers.clear();
    let room = world.server.app().rooms.get(&id).await.unwrap();
    say(&room, ghost(), "250").await;
    world.attach();
    world.service.until(|log| log.bodies().len() >= 251).await;
    assert_eq!(world.service.bodies(), (0..=250).map(|at| at.to_string()).collect::<Vec<_>>());
    let seen = world.service.seen();
    for (id, body) in &seen {
        assert!(seen.iter().all(|(other, bytes)| other != id || bytes == body), "{id} changed");
        assert!(list(body, "events").len() <= 100);
    }
    world.server.stop().await;
}

#[tokio::test]
async fn nothing_is_delivered_twice_after_it_was_taken() {
    let mut world = World::new().await;
    let room = room_of(&world.server, ghost(), &[]).await;
    for at in 0..10 {
        say(&room, ghost(), &at.to_string()).await;
    }
    world.service.until(|log| log.bodies().len() >= 10).await;
    drop(room);
    // What was taken is forgotten with the next commit, or by itself soon after.
    let left = || async {
        let tables = ["SELECT 1 FROM appservice_txn", "SELECT 1 FROM appservice_queue"];
        let db = &world.server.app().db;
        let mut rows = 0;
        for table in tables {
            rows += db.fetch(table, Vec::new()).await.unwrap().len();
        }
        rows
    };
    tokio::time::timeout(Duration::from_secs(20), async {
        while left().await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    world.restart().await;
    world.attach();
    let room = room_of(&world.server, ghost(), &[]).await;
    say(&room, ghost(), "last").await;
    world.service.until(|log| log.bodies().last().is_some_and(|body| body == "last")).await;
    assert_eq!(world.service.bodies().len(), 11);
    world.server.stop().await;
}

#[tokio::test]
async fn to_device_messages_go_with_their_addressee_and_only_once_taken() {
    let world = World::new().await;
    let app = world.server.app();
    app.devices.create(ghost(), "DEV".into(), None).await.unwrap();
    world.service.refuse(&[StatusCode::INTERNAL_SERVER_ERROR]);
    let content = raw(&json!({ "secret": 1 }));
    let messages = [(ghost().to_owned(), [("*".to_owned(), content)].into())].into();
    app.to_device
        .send(bob(), "m.room_key", messages, "scope".into(), "request".into())
        .await
        .unwrap();
    let has = |log: &Log| log.taken.iter().any(|(_, body)| !list(body, "to_device").is_empty());
    world.service.until(has).await;
    let seen = world.service.seen();
    let (_, body) = seen.iter().find(|(_, body)| !list(body, "to_device").is_empty()).unwrap();
    let message = &list(body, "to_device")[0];
    assert_eq!(message, &list(body, "de.sorunome.msc2409.to_device")[0]);
    assert_eq!(
        (&message["to_user_id"], &message["to_device_id"]),
        (&json!(ghost()), &json!("DEV"))
    );
    assert_eq!((&message["sender"], &message["type"]), (&json!(bob()), &json!("m.room_key")));
    let body: Value = serde_json::from_slice(body).unwrap();
    assert!(
        body["org.matrix.msc3202.device_one_time_keys_count"][ghost().as_str()]["DEV"].is_object()
    );
    tokio::time::timeout(Duration::from_secs(20), async {
        while !app.db.fetch("SELECT 1 FROM to_device", Vec::new()).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("it is deleted once it was taken");
    world.server.stop().await;
}

#[tokio::test]
async fn typing_is_told_with_its_room() {
    let world = World::new().await;
    let room = room_of(&world.server, ghost(), &[]).await;
    member(&room, bob(), bob(), "join").await;
    world.server.app().typing.start(room.nid(), bob(), None);
    let typing = |log: &Log| {
        log.taken.iter().flat_map(|(_, body)| list(body, "ephemeral")).any(|event| {
            event
                == json!({"type": "m.typing", "room_id": room.id(), "content": {"user_ids": [bob()]}})
        })
    };
    world.service.until(typing).await;
    world.server.stop().await;
}
