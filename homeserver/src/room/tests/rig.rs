//! A server's rooms on a database of their own, and short ways to speak to them.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use landbridge_database::{Database, testing::TestDatabase};
use ruma::{
    CanonicalJsonObject, OwnedUserId, RoomVersionId, UserId, events::TimelineEventType, server_name,
};
use serde_json::{Value, value::RawValue};

use crate::{
    clock::Clock,
    commit::Committer,
    event::ServerKey,
    feed::Feed,
    room::{
        CreateRoom, Draft, InterestSource, Invitee, MissingEvents, NoAppservices, NoOtherServers,
        Preset, Room, RoomDeps, RoomError, RoomLimits, Rooms, Sent, TxnKey,
    },
    storage::{SCHEMA, rooms, server},
};

/// Every look at it is a millisecond later.
#[derive(Default)]
pub(super) struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        1_700_000_000_000 + self.0.fetch_add(1, Ordering::Relaxed)
    }
}

pub(super) struct Rig {
    pub(super) test: Arc<TestDatabase>,
    pub(super) db: Database,
    pub(super) feed: Feed,
    pub(super) committer: Committer,
    pub(super) rooms: Rooms,
}

/// What a test may want otherwise.
pub(super) struct Options {
    pub(super) interest: Arc<dyn InterestSource>,
    pub(super) missing: Arc<dyn MissingEvents>,
    pub(super) limits: RoomLimits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interest: Arc::new(NoAppservices),
            missing: Arc::new(NoOtherServers),
            limits: RoomLimits::default(),
        }
    }
}

impl Rig {
    pub(super) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(super) async fn with(options: Options) -> Self {
        Self::open(Arc::new(TestDatabase::new()), options).await
    }

    pub(super) async fn open(test: Arc<TestDatabase>, options: Options) -> Self {
        let db = test.open().await.unwrap();
        db.migrate(&SCHEMA).await.unwrap();
        let feed = Feed::new(1, server::stream(&db).await.unwrap().head, []);
        let committer = Committer::start(db.clone(), feed.clone(), vec![]).await.unwrap();
        let deps = RoomDeps {
            db: db.clone(),
            committer: committer.clone(),
            clock: Arc::new(TestClock::default()),
            key: ServerKey::new(server_name!("here.example"), "1", &[7; 32]).unwrap(),
            numbers: rooms::numbers(&db).await.unwrap(),
            interest: options.interest,
            missing: options.missing,
            limits: options.limits,
        };
        Self { test, db, feed, committer, rooms: Rooms::new(deps) }
    }

    /// The same database after a restart; everything in memory is gone.
    pub(super) async fn reopen(self) -> Self {
        let Self { test, db, rooms, feed, committer } = self;
        drop((rooms, feed, committer));
        db.close().await;
        drop(db);
        Self::open(test, Options::default()).await
    }

    pub(super) async fn room(&self, version: RoomVersionId) -> Room {
        self.rooms.create(request(version, Preset::PublicChat)).await.unwrap()
    }
}

pub(super) fn user(name: &str) -> OwnedUserId {
    UserId::parse(format!("@{name}:here.example")).unwrap()
}

pub(super) fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

pub(super) fn request(version: RoomVersionId, preset: Preset) -> CreateRoom {
    CreateRoom::new(invitee("alice"), version, preset)
}

pub(super) fn invitee(name: &str) -> Invitee {
    Invitee { user: user(name), profile: CanonicalJsonObject::new() }
}

pub(super) fn text(body: &str) -> Box<RawValue> {
    raw(&serde_json::json!({ "msgtype": "m.text", "body": body }))
}

pub(super) fn txn(id: &str) -> TxnKey {
    TxnKey {
        scope: "@alice:here.example|DEV".to_owned(),
        path: format!("PUT /send/{id}"),
        id: id.to_owned(),
    }
}

/// Everyday requests.
impl Room {
    pub(super) async fn say(&self, name: &str, body: &str) -> Result<Sent, RoomError> {
        self.send(Draft::message(user(name), TimelineEventType::RoomMessage, text(body))).await
    }

    pub(super) async fn set(
        &self,
        name: &str,
        kind: &str,
        key: &str,
        content: &Value,
    ) -> Result<Sent, RoomError> {
        self.send(Draft::state(user(name), kind.into(), key, raw(content))).await
    }

    /// Gives `target` a membership, as `name`.
    pub(super) async fn member(
        &self,
        name: &str,
        target: &str,
        membership: &str,
    ) -> Result<Sent, RoomError> {
        let content = serde_json::json!({ "membership": membership });
        self.set(name, "m.room.member", user(target).as_str(), &content).await
    }
}
