//! A bridge with everything around it: a homeserver of the testing kit's, and a Discord of our own.

use std::{collections::BTreeMap, time::Duration};

use landbridge_database::{Database, Options};
use landbridge_discord::{Discord, DiscordConfig, config::Secret};
use landbridge_framework::{
    Bridge, BridgeConfig,
    config::PortalConfig,
    login::StepKind,
    permissions::Level,
    testing::{Faults, TestHomeserver, TestUser, eventually},
};
use landbridge_registration::Registration;
use serde_json::Value;

use crate::fake::{CHANNEL, Fake, GUILD, TOKEN};

const SERVER: &str = "hs.example";

/// How long the bot may take to connect on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) struct World {
    pub(crate) fake: Fake,
    pub(crate) homeserver: TestHomeserver,
    pub(crate) user: TestUser,
    pub(crate) room: String,
    registration: Registration,
    bridge_config: BridgeConfig,
    network: DiscordConfig,
    database: Database,
    bridge: Option<Bridge<Discord>>,
    _folder: tempfile::TempDir,
}

impl World {
    /// With a room for the channel, in which somebody is.
    pub(crate) async fn opened() -> Self {
        Self::opened_for(CHANNEL, |_| {}).await
    }

    /// The same for another channel, with another configuration.
    pub(crate) async fn opened_for(channel: &str, change: impl FnOnce(&mut BridgeConfig)) -> Self {
        let set_up = |bridge: &mut BridgeConfig, _: &mut DiscordConfig| {
            bridge.portals[0].remote_id = channel.into();
            change(bridge);
        };
        let mut world = Self::with(set_up).await;
        let homeserver = world.homeserver.clone();
        eventually("the room", || !homeserver.all_rooms().is_empty()).await;
        let user = world.user.clone();
        let in_it = || homeserver.all_rooms().into_iter().find(|room| user.join(room));
        eventually("an invitation", || in_it().is_some()).await;
        world.room = in_it().unwrap();
        world
    }

    /// With another configuration; not waiting for anything.
    pub(crate) async fn with(change: impl FnOnce(&mut BridgeConfig, &mut DiscordConfig)) -> Self {
        // The client wants TLS to be possible, even where nothing uses it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let fake = Fake::start().await;
        let mut bridge_config = BridgeConfig::for_network("discord");
        bridge_config.permissions.insert("*".into(), Level::User);
        bridge_config.double_puppet.automatic = false;
        bridge_config.portals = vec![PortalConfig {
            remote_id: CHANNEL.into(),
            invite: vec!["@bob:hs.example".into()],
            ..PortalConfig::default()
        }];
        let mut network = DiscordConfig {
            token: Secret(TOKEN.into()),
            api_url: format!("http://{}/api/v10/", fake.address),
            cdn_url: format!("http://{}/cdn/", fake.address),
            ..DiscordConfig::default()
        };
        change(&mut bridge_config, &mut network);
        let (homeserver, registration) =
            TestHomeserver::start(SERVER, "discord", &mut bridge_config, Faults::new(7));
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("bridge.db").display());
        let database = Database::open(&url, &Options::default()).await.unwrap();
        let user = homeserver.user("@bob:hs.example");
        let mut world = Self {
            fake,
            homeserver,
            user,
            room: String::new(),
            registration,
            bridge_config,
            network,
            database,
            bridge: None,
            _folder: folder,
        };
        world.start().await;
        world
    }

    pub(crate) async fn start(&mut self) {
        let bridge = Bridge::<Discord>::builder(
            self.network.clone(),
            self.bridge_config.clone(),
            SERVER,
            self.registration.clone(),
            self.homeserver.carrier(),
            self.database.clone(),
        )
        .start()
        .await
        .unwrap();
        self.homeserver.attach(bridge.appservice_router());
        self.bridge = Some(bridge);
    }

    /// Somebody asks for the room of a channel, once the bot is connected, and enters it.
    pub(crate) async fn open(&mut self, channel: &str) {
        self.connected().await;
        let control = self.bridge.as_ref().unwrap().control();
        self.room = control.open_portal(self.user.id(), None, channel).await.unwrap();
        eventually("an invitation", || self.user.join(&self.room)).await;
    }

    /// A room of the user's own, in which they have all power, is bridged to a channel, and becomes the world's.
    pub(crate) async fn plumb(&mut self, channel: &str) {
        self.connected().await;
        let room = self.ruled().await;
        let control = self.bridge.as_ref().unwrap().control();
        control.bridge(self.user.id(), &room, None, channel).await.unwrap();
        self.room = room;
    }

    /// A room of the user's own, in which they have all power, and which the bot may bridge.
    pub(crate) async fn ruled(&self) -> String {
        let bot = format!("@discordbot:{SERVER}");
        let room = self.user.create_room(&serde_json::json!({ "invite": [bot] })).unwrap();
        let joined = || self.homeserver.membership(&room, &bot).as_deref() == Some("join");
        eventually("the bot in it", joined).await;
        let mut levels = self.homeserver.state(&room, "m.room.power_levels", "").unwrap();
        levels["users"][&bot] = 90.into();
        self.user.set_state(&room, "m.room.power_levels", "", &levels).unwrap();
        room
    }

    /// What commands and programs may ask of the bridge.
    pub(crate) fn control(&self) -> std::sync::Arc<dyn landbridge_framework::control::Control> {
        self.bridge.as_ref().unwrap().control()
    }

    /// What answers the homeserver, and the token that it must have.
    pub(crate) fn appservice(&self) -> (axum::Router, String) {
        let token = self.registration.hs_token.expose().to_owned();
        (self.bridge.as_ref().unwrap().appservice_router(), token)
    }

    /// Waits until the bot is connected.
    pub(crate) async fn connected(&self) {
        let end = tokio::time::Instant::now() + PATIENCE;
        while self.bot_state().await != "connected" {
            assert!(tokio::time::Instant::now() < end, "the bot never connected");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends the bridge wherever it stands.
    pub(crate) fn stop(&mut self) {
        self.homeserver.detach();
        self.bridge = None;
    }

    /// Sender and text of what is said in the room.
    pub(crate) fn said(&self) -> Vec<(String, String)> {
        self.homeserver.messages(&self.room)
    }

    /// Name and text of what Discord got.
    pub(crate) fn heard(&self) -> Vec<(String, String)> {
        self.fake.heard(CHANNEL)
    }

    /// How many events of a type there are.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.homeserver.timeline(&self.room).iter().filter(|event| event["type"] == kind).count()
    }

    /// The event of a message.
    pub(crate) fn find(&self, body: &str) -> Value {
        let found = self.homeserver.timeline(&self.room);
        found.into_iter().find(|event| event["content"]["body"] == body).unwrap()
    }

    /// Its identifier.
    pub(crate) fn event_of(&self, body: &str) -> String {
        self.find(body)["event_id"].as_str().unwrap().to_owned()
    }

    /// How many requests of a method Discord got whose path has this in it.
    pub(crate) fn asked(&self, method: &str, path: &str) -> usize {
        let requests = self.fake.requests.lock().unwrap();
        let fits = |r: &&Value| r["method"] == method && r["path"].as_str().unwrap().contains(path);
        requests
            .iter()
            .filter(fits)
            .filter(|r| {
                !r["path"].as_str().unwrap().contains("/channels/") || path.contains("reactions")
            })
            .count()
    }

    /// Somebody of Discord's on Matrix.
    pub(crate) fn ghost(name: &str) -> String {
        let id = Fake::user(name)["id"].as_str().unwrap().to_owned();
        format!("@discord_{id}:{SERVER}")
    }

    /// Whether a state of the room is so.
    pub(crate) fn has_state(&self, room: &str, kind: &str, field: &str, value: &Value) -> bool {
        self.homeserver.state(room, kind, "").is_some_and(|content| content[field] == *value)
    }

    /// The file of the CDN's that a picture on Matrix is, if it is one.
    pub(crate) fn picture(&self, mxc: &Value) -> Option<String> {
        let (_, bytes) = self.user.download(mxc.as_str()?)?;
        let name = bytes.strip_prefix(crate::fake_rest::file("").as_slice())?;
        Some(String::from_utf8(name.to_vec()).unwrap())
    }

    /// The names of the files in a channel.
    pub(crate) fn files(&self, channel: &str) -> Vec<String> {
        let state = self.fake.state();
        let messages = state.messages.get(channel).into_iter().flatten();
        let files = messages.filter_map(|message| message["attachments"].as_array()).flatten();
        files.filter_map(|file| file["filename"].as_str().map(ToOwned::to_owned)).collect()
    }

    /// The room that is called so, once the user is in it.
    pub(crate) async fn enter(&self, name: &str) -> String {
        let named = |room: &String| {
            let state = self.homeserver.state(room, "m.room.name", "");
            state.is_some_and(|state| state["name"] == name)
        };
        let found = || self.homeserver.all_rooms().into_iter().find(named);
        eventually("the room", || found().is_some()).await;
        let room = found().unwrap();
        eventually("an invitation", || self.user.join(&room)).await;
        room
    }

    /// Somebody who manages channels gives a command on Discord; gives the answer.
    pub(crate) async fn command(&self, channel: &str, word: &str) -> String {
        let before = self.fake.state().answers.len();
        let id = self.fake.state().next_id().to_string();
        let asked = serde_json::json!({
            "id": id, "token": "t", "type": 2, "guild_id": GUILD, "channel_id": channel,
            "member": { "user": Fake::user("ann"), "permissions": "16" },
            "data": { "name": "matrix", "options": [{ "type": 1, "name": word }] },
        });
        self.fake.dispatch("INTERACTION_CREATE", &asked);
        eventually("an answer", || self.fake.state().answers.len() > before).await;
        let answer = self.fake.state().answers[before].clone();
        assert_eq!(answer["data"]["flags"], 64, "nobody else sees it");
        answer["data"]["content"].as_str().unwrap().to_owned()
    }

    /// Links the user by a code.
    pub(crate) async fn link(&self, code: &str) {
        let control = self.bridge.as_ref().unwrap().control();
        let mut login = control.start_login(self.user.id(), "code", None).await.unwrap();
        let step = login.next().await;
        assert!(matches!(step.kind, StepKind::Ask(_)));
        login.answer(step.number, BTreeMap::from([("code".into(), code.into())])).unwrap();
        let end = login.next().await;
        assert!(matches!(end.kind, StepKind::Done(_)), "{end:?}");
    }

    /// How the bot's connection stands.
    pub(crate) async fn bot_state(&self) -> String {
        let control = self.bridge.as_ref().unwrap().control();
        let logins = control.logins(self.user.id()).await.unwrap();
        logins.into_iter().find(|login| login.system).unwrap().state
    }
}
