//! Both ends, and the bridge between them.

use landbridge_database::{Database, Options};
use landbridge_framework::{
    Bridge, BridgeConfig,
    config::PortalConfig,
    login::StepKind,
    permissions::Level,
    testing::{Faults, TestHomeserver, TestUser, eventually},
};
use landbridge_registration::Registration;
use landbridge_telegram::{
    Config, Telegram,
    config::{Secret, TestServer},
};
use landbridge_telegram_peer::{CODE, Peer, Place};
use serde_json::Value;

/// The relay's bot, two people and a supergroup.
pub(crate) const BOT: i64 = 1000;
pub(crate) const ALICE: i64 = 1001;
pub(crate) const BOB: i64 = 1002;
pub(crate) const LOBBY: Place = Place::Channel(LOBBY_ID);
pub(crate) const LOBBY_ID: i64 = 5000;
/// A supergroup that Alice has begun, without the bot, and its number; it is there where a test asks for its room.
pub(crate) const CLUB: Place = Place::Channel(CLUB_ID);
pub(crate) const CLUB_ID: i64 = 5100;
/// Between Alice and Bob.
pub(crate) const DIRECT: Place = Place::Direct(ALICE, BOB);
pub(crate) const BOBS_GHOST: &str = "@telegram_1002:hs.example";
/// Somebody whom tests bring in.
pub(crate) const CAROL: i64 = 1003;
pub(crate) const CAROLS_GHOST: &str = "@telegram_1003:hs.example";

/// The data centre that they all have.
pub(crate) const DC: u8 = 2;

const SERVER: &str = "hs.example";

pub(crate) struct Rig {
    pub(crate) peer: Peer,
    pub(crate) homeserver: TestHomeserver,
    pub(crate) ann: TestUser,
    pub(crate) config: Config,
    pub(crate) bridge_config: BridgeConfig,
    registration: Registration,
    database: Database,
    bridge: Option<Bridge<Telegram>>,
    _folder: tempfile::TempDir,
}

impl Rig {
    /// The bridge, connected, with the supergroup as a configured portal.
    pub(crate) async fn start() -> Self {
        let mut rig = Self::prepare().await;
        rig.go().await;
        rig
    }

    /// With Ann logged in as Alice, whose doings on Telegram are hers here.
    pub(crate) async fn with_alice() -> Self {
        let rig = Self::start().await;
        rig.become_alice().await;
        rig
    }

    pub(crate) async fn become_alice(&self) {
        if let Some(token) = self.ann.puppet_token() {
            let set = self.control().set_puppet(self.ann.id(), Some(token)).await;
            set.expect("it is her token");
        }
        self.log_in("+15550001").await;
        eventually("Alice is connected", || self.peer.world().is_connected(ALICE)).await;
    }

    pub(crate) async fn prepare() -> Self {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        // The client wants TLS to be possible, even where nothing uses it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let peer = Peer::start("seed").await.expect("a port is free");
        {
            let mut world = peer.world();
            world.bot(BOT, "Relay", "1000:relay");
            world.person(ALICE, "Alice", "+15550001");
            world.person(BOB, "Bob", "+15550002");
            world.channel(5000, "Lobby", &[BOT, ALICE, BOB]);
        }
        let config = Config {
            api_id: 1,
            api_hash: Secret("hash".into()),
            bot_token: Some(Secret("1000:relay".into())),
            test_server: Some(TestServer {
                address: peer.address(),
                dc: DC.into(),
                key_seed: Some(Secret("seed".into())),
            }),
            ..Config::default()
        };
        let mut bridge_config = BridgeConfig::for_network("telegram");
        bridge_config.permissions.insert("*".into(), Level::User);
        bridge_config.relay.default = true;
        bridge_config.portals = vec![PortalConfig {
            remote_id: "c5000".into(),
            invite: vec![format!("@ann:{SERVER}")],
            ..PortalConfig::default()
        }];
        let (homeserver, registration) =
            TestHomeserver::start(SERVER, "telegram", &mut bridge_config, Faults::new(1));
        let ann = homeserver.user(&format!("@ann:{SERVER}"));
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("bridge.db").display());
        let database = Database::open(&url, &Options::default()).await.expect("a database");
        Self {
            peer,
            homeserver,
            ann,
            config,
            bridge_config,
            registration,
            database,
            bridge: None,
            _folder: folder,
        }
    }

    /// Starts the bridge, and waits until it is connected.
    pub(crate) async fn go(&mut self) {
        let bridge = Bridge::<Telegram>::builder(
            self.config.clone(),
            self.bridge_config.clone(),
            SERVER,
            self.registration.clone(),
            self.homeserver.carrier(),
            self.database.clone(),
        );
        let bridge = bridge.start().await.expect("the bridge starts");
        self.homeserver.attach(bridge.appservice_router());
        self.bridge = Some(bridge);
        eventually("the bot is connected", || self.peer.world().is_connected(BOT)).await;
    }

    /// The bridge ends where it stands, as when it is killed.
    pub(crate) async fn kill(&mut self) {
        self.homeserver.detach();
        drop(self.bridge.take());
        // What was being written is written, or not.
        drop(self.database.begin().await.expect("the database outlives the bridge"));
    }

    /// The supergroup's room, with Ann in it.
    pub(crate) async fn lobby(&self) -> String {
        let mut found = None;
        eventually("the supergroup has a room", || {
            found = self.homeserver.rooms(self.ann.id()).into_iter().find(|room| {
                let name = self.homeserver.state(room, "m.room.name", "");
                name.is_some_and(|name| name["name"] == "Lobby")
            });
            found.is_some()
        })
        .await;
        let room = found.expect("it was found");
        eventually("Ann is in the room", || self.ann.join(&room)).await;
        room
    }

    /// Ann logs in as somebody, by phone and code.
    pub(crate) async fn log_in(&self, phone: &str) {
        let control = self.bridge.as_ref().expect("the bridge runs").control();
        let mut login =
            control.start_login(self.ann.id(), "phone", None).await.expect("the flow is there");
        let step = login.next().await;
        login
            .answer(step.number, [("phone".to_owned(), phone.to_owned())].into())
            .expect("a question");
        let step = login.next().await;
        login
            .answer(step.number, [("code".to_owned(), "00000".to_owned())].into())
            .expect("a question");
        let step = login.next().await;
        let StepKind::Ask(form) = &step.kind else {
            panic!("a wrong code is asked for again: {:?}", step.kind)
        };
        assert!(form.instructions.contains("wrong"), "{}", form.instructions);
        login
            .answer(step.number, [("code".to_owned(), CODE.to_owned())].into())
            .expect("a question");
        let done = login.next().await;
        assert!(matches!(done.kind, StepKind::Done(_)), "{:?}", done.kind);
    }

    pub(crate) fn control(&self) -> std::sync::Arc<dyn landbridge_framework::control::Control> {
        self.bridge.as_ref().expect("the bridge runs").control()
    }

    /// The room of that name, with Ann in it.
    pub(crate) async fn room_named(&self, name: &str) -> String {
        let room = self.found_room(name).await;
        eventually("Ann is in the room", || self.ann.join(&room)).await;
        room
    }

    pub(crate) async fn found_room(&self, name: &str) -> String {
        let mut found = None;
        eventually(name, || {
            found = self.homeserver.all_rooms().into_iter().find(|room| {
                let state = self.homeserver.state(room, "m.room.name", "");
                state.is_some_and(|state| state["name"] == name)
            });
            found.is_some()
        })
        .await;
        found.expect("it was found")
    }

    /// The room of Alice's own supergroup, in which Ann may do what Alice may.
    pub(crate) async fn club(&self) -> String {
        {
            let mut world = self.peer.world();
            world.own_channel(CLUB_ID, "Club", ALICE, &[BOB]);
            world.say(BOB, CLUB, "welcome");
        }
        let room = self.room_named("Club").await;
        eventually("Bob's words are there", || self.heard(&room) == ["welcome"]).await;
        eventually("Ann has Alice's power", || {
            self.state(&room, "m.room.power_levels")["users"][self.ann.id()] == 95
        })
        .await;
        room
    }

    /// The room of Alice's direct chat with Bob, and the number of what Bob has said there.
    pub(crate) async fn chat_with_bob(&self) -> (String, i32) {
        let number = self.peer.world().say(BOB, DIRECT, "hi Alice");
        let room = self.direct_room(BOBS_GHOST).await;
        eventually("Bob's words are there", || self.heard(&room) == ["hi Alice"]).await;
        (room, number)
    }

    /// The content of a state event without a key; null if there is none.
    pub(crate) fn state(&self, room: &str, kind: &str) -> Value {
        self.homeserver.state(room, kind, "").unwrap_or_default()
    }

    /// The bytes behind an address.
    pub(crate) fn bytes(&self, mxc: &Value) -> Option<Vec<u8>> {
        self.ann.download(mxc.as_str()?).map(|(_, bytes)| bytes)
    }

    /// The latest event of a room by others than Ann.
    pub(crate) fn last(&self, room: &str, kind: &str) -> Value {
        let mut events = self.events(room, kind);
        events.retain(|event| event["sender"] != self.ann.id());
        events.pop().unwrap_or_default()
    }

    /// The room of the direct chat with somebody, which Ann is in afterwards.
    pub(crate) async fn direct_room(&self, ghost: &str) -> String {
        let mut found = None;
        eventually("the direct chat has a room", || {
            found = self.homeserver.all_rooms().into_iter().find(|room| {
                let there = |user: &str| self.homeserver.membership(room, user);
                there(ghost).as_deref() == Some("join")
                    && there(self.ann.id()).is_some()
                    && self
                        .homeserver
                        .state(room, "m.room.name", "")
                        .is_none_or(|name| name["name"] != "Lobby")
            });
            found.is_some()
        })
        .await;
        let room = found.expect("it was found");
        eventually("Ann is in the room", || self.ann.join(&room)).await;
        room
    }

    /// The bodies of a room's messages by others than Ann, in order.
    pub(crate) fn heard(&self, room: &str) -> Vec<String> {
        let messages = self.homeserver.messages(room).into_iter();
        messages.filter(|(sender, _)| sender != self.ann.id()).map(|(_, body)| body).collect()
    }

    /// What was said on Telegram by somebody, in order.
    pub(crate) fn said_by(&self, place: Place, who: i64) -> Vec<String> {
        let said = self.peer.world().said(place);
        said.into_iter().filter(|said| said.from == who).map(|said| said.text).collect()
    }

    pub(crate) fn events(&self, room: &str, kind: &str) -> Vec<Value> {
        let timeline = self.homeserver.timeline(room);
        timeline.into_iter().filter(|event| event["type"] == kind).collect()
    }
}
