//! Talking to the bot over the simulated homeserver, with the engine's side played by the test.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use landbridge_registration::{Registration, Token};
use serde_json::json;

use super::*;
use crate::control::{
    About, ConnectorCommand, Contact, DeadLetter, FlowInfo, GroupInfo, GroupKind, GroupWanted,
    LoginInfo, PortalInfo, Trace,
};
use crate::kv::MemoryKv;
use crate::login::tests::{demo_flows, finish};
use crate::login::{LoginProcess, Logins};
use crate::matrix::MatrixConfig;
use crate::permissions::Level;
use crate::testing::{Faults, Kind, SimHomeserver, SimUser};

/// Remembers what it was asked to do.
#[derive(Default)]
pub(crate) struct Fake {
    done: Mutex<Vec<String>>,
    portal: Mutex<Option<PortalInfo>>,
}

impl Fake {
    fn did(&self, what: impl Into<String>) {
        self.done.lock().unwrap().push(what.into());
    }
}

#[async_trait]
impl Control for Fake {
    fn about(&self) -> About {
        About {
            network_id: "sim".into(),
            network_name: "Sim".into(),
            network_url: "https://sim.example".into(),
            network_icon: None,
            command_prefix: "!sim".into(),
            bot: "@simbot:hs".into(),
        }
    }
    fn level(&self, user: &str) -> Level {
        match user {
            "@admin:hs" => Level::Admin,
            "@alice:hs" => Level::User,
            "@troll:hs" => Level::Block,
            _ => Level::Relay,
        }
    }
    fn login_flows(&self) -> Vec<FlowInfo> {
        demo_flows()
            .flows()
            .iter()
            .map(|f| FlowInfo { id: f.id.into(), title: f.title.into() })
            .collect()
    }
    async fn start_login(
        &self,
        user: &str,
        flow: &str,
        relogin: Option<&str>,
    ) -> Result<LoginProcess, ControlError> {
        let flows: Logins<_> = demo_flows();
        let flow = flows.get(flow).ok_or_else(|| ControlError::NotFound("no such flow".into()))?;
        Ok(flow.start(crate::login::tests::network(), user.into(), relogin.map(Into::into), finish))
    }
    async fn logins(&self, user: &str) -> Result<Vec<LoginInfo>, ControlError> {
        Ok(match user {
            "@admin:hs" => vec![
                LoginInfo {
                    id: "a1".into(),
                    name: "Boss".into(),
                    state: "connected".into(),
                    reason: None,
                    system: false,
                },
                LoginInfo {
                    id: "bot".into(),
                    name: "The bot".into(),
                    state: "connected".into(),
                    reason: None,
                    system: true,
                },
            ],
            _ => Vec::new(),
        })
    }
    async fn logout(&self, user: &str, login: &str) -> Result<(), ControlError> {
        self.did(format!("logout {user} {login}"));
        Ok(())
    }
    async fn set_puppet(&self, user: &str, token: Option<&str>) -> Result<(), ControlError> {
        self.did(format!("puppet {user} {token:?}"));
        Ok(())
    }
    async fn resolve(
        &self,
        _: &str,
        _: Option<&str>,
        query: &str,
    ) -> Result<Option<Contact>, ControlError> {
        Ok((query == "bob").then(|| Contact {
            id: "b0b".into(),
            name: Some("Bob".into()),
            ..Contact::default()
        }))
    }
    async fn search(
        &self,
        _: &str,
        _: Option<&str>,
        query: &str,
    ) -> Result<Vec<Contact>, ControlError> {
        Ok(self.resolve("", None, query).await?.into_iter().collect())
    }
    async fn start_chat(
        &self,
        user: &str,
        _: Option<&str>,
        remote: &str,
    ) -> Result<String, ControlError> {
        self.did(format!("chat {user} {remote}"));
        Ok("!dm:hs".into())
    }
    async fn open_portal(
        &self,
        user: &str,
        _: Option<&str>,
        chat: &str,
    ) -> Result<String, ControlError> {
        self.did(format!("open {user} {chat}"));
        Ok("!portal:hs".into())
    }
    fn group_kinds(&self) -> Vec<GroupKind> {
        let name = crate::handlers::GroupField::from_to(1, 20);
        vec![
            GroupKind { id: "group", title: "small group", name, ..GroupKind::default() },
            GroupKind { id: "channel", title: "channel", ..GroupKind::default() },
        ]
    }
    async fn create_group(
        &self,
        user: &str,
        _: Option<&str>,
        wanted: GroupWanted,
    ) -> Result<GroupInfo, ControlError> {
        let (name, members) = (wanted.name.unwrap_or_default(), wanted.members.join(","));
        self.did(format!("group {user} {} {name} {members}", wanted.kind));
        let room_id = wanted.room.unwrap_or_else(|| "!group:hs".into());
        let failed = vec![("sh1".into(), "shy".into())];
        Ok(GroupInfo { id: "g1".into(), room_id, failed })
    }
    async fn portal(&self, _: &str) -> Result<Option<PortalInfo>, ControlError> {
        Ok(self.portal.lock().unwrap().clone())
    }
    async fn bridge(
        &self,
        user: &str,
        _: &str,
        _: Option<&str>,
        chat: &str,
    ) -> Result<PortalInfo, ControlError> {
        self.did(format!("bridge {user} {chat}"));
        Ok(PortalInfo { remote_id: chat.into(), ..PortalInfo::default() })
    }
    async fn unbridge(&self, user: &str, _: &str) -> Result<(), ControlError> {
        self.did(format!("unbridge {user}"));
        Ok(())
    }
    async fn delete_portal(&self, user: &str, _: &str) -> Result<(), ControlError> {
        self.did(format!("delete {user}"));
        Ok(())
    }
    async fn set_relay(
        &self,
        user: &str,
        _: &str,
        login: Option<&str>,
    ) -> Result<(), ControlError> {
        self.did(format!("relay {user} {login:?}"));
        Ok(())
    }
    async fn sync(&self, user: &str, _: &str) -> Result<(), ControlError> {
        self.did(format!("sync {user}"));
        Ok(())
    }
    async fn dead_letters(&self, _: u32) -> Result<Vec<DeadLetter>, ControlError> {
        Ok(vec![DeadLetter {
            id: 7,
            queue: "remote".into(),
            portal: None,
            what: "message".into(),
            error: "it makes no sense".into(),
            at_ms: 0,
        }])
    }
    async fn replay_dead_letter(&self, id: i64) -> Result<bool, ControlError> {
        Ok(id == 7)
    }
    async fn drop_dead_letter(&self, id: i64) -> Result<bool, ControlError> {
        Ok(id == 7)
    }
    async fn trace(&self, query: &str) -> Result<Option<Trace>, ControlError> {
        let hop = |name: &str, at_ms| crate::control::Hop { name: name.into(), at_ms, note: None };
        Ok((query == "$e1").then(|| Trace {
            id: "t".into(),
            state: "sent".into(),
            event_id: Some("$e1".into()),
            remote_id: Some("m1".into()),
            hops: vec![hop("received", 100), hop("sent", 150)],
        }))
    }
    fn connector_commands(&self) -> Vec<ConnectorCommand> {
        vec![
            ConnectorCommand { name: "whois", help: "Look somebody up.", level: Level::Relay },
            ConnectorCommand { name: "install", help: "Get a link.", level: Level::Admin },
        ]
    }
    async fn run_command(
        &self,
        _: &str,
        _: &str,
        _: &str,
        name: &str,
        args: &[String],
    ) -> Result<String, ControlError> {
        Ok(format!("**{name}** {}", args.join(",")))
    }
}

pub(crate) struct World {
    pub(crate) hs: SimHomeserver,
    commands: Commands,
    pub(crate) fake: Arc<Fake>,
    pub(crate) kv: Arc<MemoryKv>,
    pub(crate) matrix: Matrix,
    pub(crate) faults: Faults,
}

impl World {
    pub(crate) fn new() -> Self {
        let registration = Registration::parse(
            "id: sim\nurl: http://x\nas_token: as-token-long-enough-to-be-fine-here\nhs_token: hs-token-long-enough-to-be-fine-here\n\
             sender_localpart: simbot\nnamespaces:\n  users: [{ exclusive: true, regex: \"@sim_.*:hs\" }]\n  aliases: []\n  rooms: []\n",
        )
        .unwrap();
        let faults = Faults::new(1);
        let hs = SimHomeserver::new("hs", registration, Kind::Ours, faults.clone());
        let config = MatrixConfig::new(
            "hs",
            "sim",
            Token::new("as-token-long-enough-to-be-fine-here"),
            "simbot",
        );
        let kv = Arc::new(MemoryKv::default());
        let matrix = Matrix::new(config, hs.carrier(), kv.clone());
        let fake = Arc::new(Fake::default());
        let commands = Commands::new(fake.clone(), matrix.clone(), kv.clone());
        Self { hs, commands, fake, kv, matrix, faults }
    }

    pub(crate) async fn room(&self, users: &[&SimUser]) -> String {
        let ids: Vec<&str> = users.iter().map(|u| u.id()).collect();
        let levels = json!({ "users": { "@simbot:hs": 100, "@mod:hs": 50 } });
        let body = json!({ "invite": ids, "power_level_content_override": levels });
        let room = self.matrix.bot().create_room(&body).await.unwrap();
        for user in users {
            assert!(user.join(&room));
        }
        room
    }

    /// Says something and gives what the bot answered.
    async fn say(&self, user: &SimUser, room: &str, text: &str) -> String {
        let said = || {
            let all = self.hs.messages(room).into_iter();
            all.filter(|(sender, _)| sender == "@simbot:hs")
                .map(|(_, body)| body)
                .collect::<Vec<_>>()
        };
        let before = said().len();
        let id = user.say(room, text).unwrap();
        let event = json!({ "event_id": id, "content": { "msgtype": "m.text", "body": text } });
        self.commands.handle(room, user.id(), &event).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        said()[before..].join("|")
    }

    pub(crate) fn done(&self) -> Vec<String> {
        std::mem::take(&mut self.fake.done.lock().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn the_bot_answers_where_it_is_meant_and_whom_it_may() {
    let world = World::new();
    let (alice, mallory, troll) =
        (world.hs.user("@alice:hs"), world.hs.user("@mallory:hs"), world.hs.user("@troll:hs"));
    let own = world.room(&[&alice]).await;
    let shared = world.room(&[&alice, &mallory, &troll]).await;
    assert!(world.say(&alice, &own, "help").await.contains("I bridge Sim"));
    assert!(world.say(&alice, &own, "nonsense").await.contains("I don't know nonsense"));
    assert_eq!(world.say(&alice, &shared, "help").await, "");
    assert_eq!(world.say(&alice, &shared, "!simple help").await, "");
    assert!(world.say(&alice, &shared, "!sim help").await.contains("login"));
    assert_eq!(world.say(&troll, &shared, "!sim help").await, "");
    let help = world.say(&mallory, &shared, "!sim help").await;
    assert!(help.contains("ping") && !help.contains("dead-letters") && !help.contains("logout"));
    assert!(world.say(&mallory, &shared, "!sim logout x").await.contains("You may not"));
    assert_eq!(world.say(&alice, &own, "whois a b").await, "whois a,b");
    assert!(world.say(&alice, &own, "install").await.contains("may not use install"));
    let help = world.say(&alice, &own, "help").await;
    assert!(help.contains("whois") && !help.contains("install"), "{help}");
    assert!(world.done().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_repeated_event_is_answered_once() {
    let world = World::new();
    let alice = world.hs.user("@alice:hs");
    let room = world.room(&[&alice]).await;
    let event = json!({ "event_id": "$x", "content": { "msgtype": "m.text", "body": "ping" } });
    for _ in 0..3 {
        world.commands.handle(&room, "@alice:hs", &event).await;
    }
    assert_eq!(world.hs.messages(&room).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn plumbing_needs_power_in_the_room() {
    let world = World::new();
    let (alice, moderator) = (world.hs.user("@alice:hs"), world.hs.user("@admin:hs"));
    let room = world.room(&[&alice, &moderator]).await;
    assert!(world.say(&alice, &room, "!sim bridge #chan").await.contains("power level 50"));
    assert!(world.say(&moderator, &room, "!sim bridge #chan").await.contains("bridged to #chan"));
    assert_eq!(world.done(), ["bridge @admin:hs #chan"]);
    assert!(world.say(&moderator, &room, "!sim unbridge").await.contains("only in a bridged room"));
    *world.fake.portal.lock().unwrap() =
        Some(PortalInfo { remote_id: "#chan".into(), waiting: 2, ..PortalInfo::default() });
    assert!(world.say(&moderator, &room, "!sim bridge #other").await.contains("bridged already"));
    assert!(world.say(&alice, &room, "!sim id").await.contains("This room is #chan. 2 events"));
    world.say(&moderator, &room, "!sim set-relay").await;
    world.say(&moderator, &room, "!sim unset-relay").await;
    world.say(&moderator, &room, "!sim unbridge").await;
    assert_eq!(
        world.done(),
        ["relay @admin:hs Some(\"a1\")", "relay @admin:hs None", "unbridge @admin:hs"]
    );
}

#[tokio::test(start_paused = true)]
async fn people_letters_and_ways() {
    let world = World::new();
    let admin = world.hs.user("@admin:hs");
    let room = world.room(&[&admin]).await;
    assert!(world.say(&admin, &room, "start-chat bob").await.contains("!dm:hs"));
    assert!(world.say(&admin, &room, "start-chat carl").await.contains("nobody called carl"));
    assert!(world.say(&admin, &room, "search bob").await.contains("b0b Bob"));
    assert!(world.say(&admin, &room, "dead-letters").await.contains("it makes no sense"));
    assert!(world.say(&admin, &room, "dead-letters replay 7").await.contains("tried again"));
    assert!(world.say(&admin, &room, "dead-letters drop 8").await.contains("no dead letter"));
    let way = world.say(&admin, &room, "trace https://matrix.to/#/!r:hs/$e1?via=hs").await;
    assert!(way.contains("It is sent") && way.contains("after 50 ms: sent"), "{way}");
    assert!(world.say(&admin, &room, "logout").await.contains("Logged out of a1"));
    assert!(world.say(&admin, &room, "login-matrix secret-token").await.contains("shown as yours"));
    assert_eq!(world.done()[2], "puppet @admin:hs Some(\"secret-token\")");
    assert!(!world.hs.messages(&room).iter().any(|(_, body)| body.contains("secret-token")));
}

#[tokio::test(start_paused = true)]
async fn a_login_is_a_conversation() {
    let world = World::new();
    let alice = world.hs.user("@alice:hs");
    let room = world.room(&[&alice]).await;
    assert!(world.say(&alice, &room, "login").await.contains("password: Password"));
    assert!(world.say(&alice, &room, "login password").await.contains("Your name?"));
    assert!(world.say(&alice, &room, "alice").await.contains("Password?"));
    let answer = world.say(&alice, &room, "hunter2").await;
    assert!(answer.contains("You are logged in as alice"), "{answer}");
    assert!(
        !world.hs.messages(&room).iter().any(|(_, body)| body.contains("hunter2")),
        "the secret was redacted"
    );
    assert!(world.say(&alice, &room, "cancel").await.contains("nothing to end"));
    assert!(pending::interrupted(&*world.kv).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_qr_code_is_a_picture_that_goes_when_it_is_scanned() {
    let world = World::new();
    let alice = world.hs.user("@alice:hs");
    let room = world.room(&[&alice]).await;
    assert!(world.say(&alice, &room, "login qr").await.contains("sim:scan"));
    let pictures = || {
        let events = world.hs.timeline(&room).into_iter();
        events.filter(|event| event["content"]["msgtype"] == "m.image").collect::<Vec<_>>()
    };
    let shown = pictures();
    assert_eq!(shown.len(), 1);
    assert!(shown[0]["content"]["url"].as_str().unwrap().starts_with("mxc://"));
    assert_eq!(
        (shown[0]["content"]["info"]["mimetype"].as_str(), world.hs.uploads()),
        (Some("image/png"), 1)
    );
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(world.hs.messages(&room).last().unwrap().1.contains("You are logged in as Scanned"));
    assert!(pictures().is_empty(), "whoever sees it later can't use it");
}

#[tokio::test(start_paused = true)]
async fn logins_end_by_word_by_silence_and_by_restart() {
    let world = World::new();
    let alice = world.hs.user("@alice:hs");
    let room = world.room(&[&alice]).await;
    world.say(&alice, &room, "login password").await;
    assert!(world.say(&alice, &room, "cancel").await.contains("ended"));
    world.say(&alice, &room, "login password").await;
    tokio::time::sleep(Duration::from_mins(11)).await;
    assert!(world.hs.messages(&room).last().unwrap().1.contains("said nothing"));
    world.say(&alice, &room, "login password").await;
    // The bridge dies and comes back.
    let World { hs, commands, kv, matrix, fake, .. } = world;
    drop(commands);
    let commands = Commands::new(fake, matrix, kv.clone());
    commands.resume().await;
    assert!(hs.messages(&room).last().unwrap().1.contains("start it again"));
    assert!(pending::interrupted(&*kv).await.unwrap().is_empty());
}
