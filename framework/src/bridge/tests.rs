//! Whole bridges, between the simulated homeserver and the simulated network.

mod albums;
mod beacons;
mod chats;
mod doubt;
mod emoji;
mod groups;
mod polls;
mod readback;
mod stage;
mod staged;
mod vanish;
mod warm;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use landbridge_database::{Database, testing::TestDatabase};
use landbridge_registration::Registration;
use serde_json::{Value, json};

use crate::{
    clock::{Clock, SystemClock},
    config::PortalConfig,
    handlers::{Reacted, RelayStyle, RemoveCaps, Removed},
    permissions::Level,
    prelude::*,
    testing::{Faults, Kind, SimError, SimEvent, SimHomeserver, SimNetwork, SimSession, SimUser},
};

/// The simulated network: its relay, and people's own accounts.
struct Sim(Arc<SimNetwork>);
struct Session(SimSession);

impl Network for Sim {
    const ID: &'static str = "sim";
    type Config = ();
    type PortalId = String;
    type UserId = String;
    type MessageId = String;
    type LoginId = String;
    type LoginMeta = ();
    type PortalMeta = ();
    type GhostMeta = ();
    type MessageMeta = ();
    type Raw = SimEvent;
    type Client = Session;

    fn info((): &()) -> NetworkInfo {
        NetworkInfo { name: "Sim", url: "https://sim.example", icon: None }
    }
    fn handlers(h: Handlers<Self>) -> Handlers<Self> {
        h.text(TextCaps { max_len: 100 }, Idempotency::Reconcile, send)
            .edit(EditCaps::default(), edit)
            .remove(RemoveCaps::default(), remove)
            .react(ReactCaps::default(), react)
            .relay(RelayStyle::Prefix)
            .history(Past)
            .reconcile(Past)
    }
    fn logins(logins: Logins<Self>) -> Logins<Self> {
        logins.flow("name", "By name", |mut io: LoginIo<Self>| async move {
            #[derive(serde::Deserialize)]
            struct Name {
                name: String,
            }
            let Name { name } = io.ask(Form::new().text("name", "Name")).await?;
            Ok(NewLogin::new(&*name, &*name, ()).user(name.clone()))
        })
    }
    fn system_logins((): &()) -> Vec<NewLogin<Self>> {
        vec![NewLogin::new("relay", "The relay", ()).user("relay".into())]
    }
    async fn start((): (), runtime: Runtime) -> Result<Self, StartError> {
        runtime.shared.get().map(Self).ok_or_else(|| StartError("no network".into()))
    }
    async fn connect(&self, login: Login<Self>) -> Result<Session, ConnectError> {
        Ok(Session(self.0.connect(&login.id).await?))
    }
    fn decode(
        &self,
        _: &Login<Self>,
        raw: &SimEvent,
    ) -> Result<Vec<RemoteEvent<Self>>, DecodeError> {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1000 + raw.seq());
        let (user, body) = match raw {
            SimEvent::Message { message, .. } if message.text == "panic" => panic!("on purpose"),
            SimEvent::Message { message, .. } => {
                let echo = message.key.clone().map(EchoOf::nonce);
                let said: Message<Self> = Message::text(&*message.id, &*message.text).echo(echo);
                (message.user.clone(), Body::from(said))
            }
            SimEvent::Edit { message, .. } => {
                let new = Message::text(&*message.id, &*message.text);
                let target = message.id.clone();
                (message.user.clone(), Body::Edit { target, version: message.edits, new })
            }
            SimEvent::Remove { id, user, .. } => {
                let target = MessageRef::whole(&**id);
                (user.clone(), Body::Remove { target, for_me_only: false })
            }
        };
        let key = raw.seq().to_string();
        let portal = PortalKey::shared(raw.chat());
        Ok(vec![RemoteEvent::new(portal, Sender::User(user), at, key, body)])
    }
}

impl Client for Session {
    type Net = Sim;
    async fn run(&self, inbox: Inbox<Sim>, stop: CancellationToken) -> Exit {
        inbox.state(LoginState::Connected);
        while let Some(Ok(event)) = stop.run_until_cancelled(self.0.next()).await {
            let seq = event.seq();
            if inbox.put(seq.to_string(), event).await.is_err() || self.0.ack(seq).await.is_err() {
                break;
            }
        }
        if stop.is_cancelled() { Exit::Stopped } else { Exit::Lost(NetError::temporary("gone")) }
    }
    async fn chat(&self, key: &PortalKey<Sim>) -> Result<ChatInfo<Sim>, NetError> {
        Ok(ChatInfo::named(format!("Chat {}", key.id)))
    }
    async fn user(&self, id: &String) -> Result<UserInfo, NetError> {
        Ok(UserInfo::named(id.to_uppercase()))
    }
}

type Answer<T> = Result<T, SendError>;
async fn send(Via(c): Via<Sim>, In(at, _): In<Sim>, Key(k): Key, t: Text) -> Answer<Sent<Sim>> {
    Ok(Sent::now(c.0.send(&at.id, t.body.text(), &k.as_nonce(32)).await?))
}
async fn edit(Via(c): Via<Sim>, e: Edited<Sim>) -> Answer<Done> {
    c.0.edit(&e.target.id, e.body.text()).await.map(|()| Done).map_err(SendError::from)
}
async fn remove(Via(c): Via<Sim>, r: Removed<Sim>) -> Answer<Done> {
    c.0.remove(&r.target.id).await.map(|()| Done).map_err(SendError::from)
}
async fn react(Via(c): Via<Sim>, In(at, _): In<Sim>, Key(k): Key, r: Reacted<Sim>) -> Answer<Done> {
    // The simulated network has no reactions: they are told in words.
    let text = format!("{} {}", if r.set { "set" } else { "unset" }, r.emoji.id());
    c.0.send(&at.id, &text, &k.as_nonce(32)).await.map(|_| Done).map_err(SendError::from)
}

struct Past;
impl History<Sim> for Past {
    async fn page(
        &self,
        client: &Session,
        at: &PortalKey<Sim>,
        query: crate::PageQuery<Sim>,
    ) -> Result<crate::Page<Sim>, NetError> {
        let events = client.0.history(&at.id, query.anchor.as_deref(), query.limit).await;
        let events = events.map_err(NetError::temporary)?;
        let raw = events.into_iter().map(|event| (event.seq().to_string().into(), event)).collect();
        Ok(crate::Page { raw, next: crate::Next::Done })
    }
}
impl Reconcile<Sim> for Past {
    async fn find(
        &self,
        client: &Session,
        _: &PortalKey<Sim>,
        key: &IdempotencyKey,
    ) -> Result<Option<String>, NetError> {
        match client.0.find(&key.as_nonce(32)).await {
            Ok(found) => Ok(found),
            Err(SimError::Refused(why)) => Err(NetError::permanent(why)),
            Err(error) => Err(NetError::temporary(error)),
        }
    }
}

/// A bridge with everything around it.
struct World {
    network: SimNetwork,
    homeserver: SimHomeserver,
    registration: Registration,
    config: crate::BridgeConfig,
    clock: Arc<Moved>,
    database: Database,
    _files: TestDatabase,
}

/// The time, so many milliseconds later.
#[derive(Default)]
struct Moved(AtomicI64);
impl Clock for Moved {
    fn now_ms(&self) -> i64 {
        SystemClock.now_ms() + self.0.load(Ordering::SeqCst)
    }
}

impl World {
    async fn new() -> Self {
        Self::on(Kind::Ours).await
    }

    async fn on(kind: Kind) -> Self {
        let faults = Faults::new(7);
        let mut config = crate::BridgeConfig::for_network("sim");
        config.permissions.insert("*".into(), Level::User);
        config.homeserver_is_durable = Some(kind == Kind::Ours);
        config.double_puppet.automatic = false;
        let registration =
            config.registration("sim", "hs.example", None, &mut rand::rng()).unwrap();
        let homeserver =
            SimHomeserver::new("hs.example", registration.clone(), kind, faults.clone());
        let files = TestDatabase::new();
        let database = files.open().await.unwrap();
        Self {
            network: SimNetwork::new(faults),
            homeserver,
            registration,
            config,
            clock: Arc::default(),
            database,
            _files: files,
        }
    }

    async fn start(&self) -> crate::Bridge<Sim> {
        let bridge = crate::Bridge::<Sim>::builder(
            (),
            self.config.clone(),
            "hs.example",
            self.registration.clone(),
            self.homeserver.carrier(),
            self.database.clone(),
        )
        .share(self.network.clone())
        .clock(self.clock.clone())
        .start()
        .await
        .unwrap();
        self.homeserver.attach(bridge.appservice_router());
        bridge
    }

    /// A user in the room of a portal that is configured.
    async fn with_room(
        config: impl FnOnce(&mut crate::BridgeConfig),
    ) -> (Self, SimUser, String, crate::Bridge<Sim>) {
        Self::with_room_on(Kind::Ours, config).await
    }

    async fn with_room_on(
        kind: Kind,
        config: impl FnOnce(&mut crate::BridgeConfig),
    ) -> (Self, SimUser, String, crate::Bridge<Sim>) {
        Self::on(kind).await.opened(config).await
    }

    async fn opened(
        mut self,
        config: impl FnOnce(&mut crate::BridgeConfig),
    ) -> (Self, SimUser, String, crate::Bridge<Sim>) {
        let ann = "@ann:hs.example".to_owned();
        self.config.portals = vec![PortalConfig {
            remote_id: "c".into(),
            invite: vec![ann.clone()],
            ..PortalConfig::default()
        }];
        config(&mut self.config);
        let bridge = self.start().await;
        let homeserver = self.homeserver.clone();
        eventually("the configured room", || homeserver.all_rooms().len() == 1).await;
        let room = self.homeserver.all_rooms().remove(0);
        let user = self.homeserver.user(&ann);
        eventually("an invitation", || user.join(&room)).await;
        (self, user, room, bridge)
    }

    fn said(&self, room: &str) -> Vec<(String, String)> {
        self.homeserver.messages(room)
    }
    fn heard(&self) -> Vec<String> {
        self.network.messages("c").into_iter().map(|message| message.text).collect()
    }
}

/// Waits, in virtual time, until something holds.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..4000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came: {what}");
}

fn last(timeline: &[Value], kind: &str) -> Value {
    timeline.iter().rev().find(|event| event["type"] == kind).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_chat_gets_a_room_with_its_history_before_what_made_it() {
    let mut world = World::new().await;
    world.config.backfill.on_create = 10;
    world.network.say("c", "bob", "one");
    world.network.say("c", "eve", "two");
    let _bridge = world.start().await;
    world.network.say("c", "bob", "three");
    eventually("three messages", || {
        world.homeserver.all_rooms().iter().any(|room| world.said(room).len() >= 3)
    })
    .await;
    let room = world.homeserver.all_rooms().remove(0);
    let texts: Vec<_> = world.said(&room).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["one", "two", "three"]);
    assert_eq!(world.said(&room)[1].0, "@sim_eve:hs.example");
    assert_eq!(world.homeserver.profile("@sim_eve:hs.example")["displayname"], "EVE");
    let state = world.homeserver.state(&room, "m.bridge", "landbridge://sim/c").unwrap();
    assert_eq!(state["protocol"]["id"], "sim");
}

#[tokio::test]
async fn messages_edits_and_deletions_go_both_ways() {
    let (world, ann, room, _bridge) = World::with_room(|_| {}).await;
    let event = ann.say(&room, "hello").unwrap();
    eventually("a relayed message", || world.heard() == ["ann: hello"]).await;
    ann.edit(&room, &event, "hullo").unwrap();
    eventually("its edit", || world.heard() == ["ann: hullo"]).await;
    ann.redact(&room, &event).unwrap();
    eventually("its deletion", || world.heard().is_empty()).await;

    let id = world.network.say("c", "bob", "moin");
    eventually("a message", || world.said(&room).iter().any(|(_, text)| text == "moin")).await;
    world.network.change(&id, "moin moin").unwrap();
    let edited = || {
        let message = last(&world.homeserver.timeline(&room), "m.room.message");
        message["content"]["m.new_content"]["body"] == "moin moin"
    };
    eventually("an edit", edited).await;
    world.network.delete(&id);
    let redacted = || last(&world.homeserver.timeline(&room), "m.room.redaction") != Value::Null;
    eventually("a redaction", redacted).await;
    // What the relay sent comes back from the network, and is not said again.
    assert!(!world.said(&room).iter().any(|(_, text)| text.starts_with("ann: ")));
}

#[tokio::test]
async fn in_relay_one_reaction_stands_for_all() {
    let (world, ann, room, _bridge) = World::with_room(|_| {}).await;
    let ben = world.homeserver.user("@ben:hs.example");
    assert!(
        ann.invite(&room, ben.id())
            || world.homeserver.user("@simbot:hs.example").invite(&room, ben.id())
    );
    assert!(ben.join(&room));
    world.network.say("c", "bob", "moin");
    eventually("a message", || world.said(&room).len() == 1).await;
    let event = last(&world.homeserver.timeline(&room), "m.room.message");
    let event = event["event_id"].as_str().unwrap().to_owned();
    let first = ann.react(&room, &event, "+1").unwrap();
    let second = ben.react(&room, &event, "+1").unwrap();
    eventually("one reaction", || world.heard().contains(&"set +1".to_owned())).await;
    ann.redact(&room, &first).unwrap();
    ann.say(&room, "between").unwrap();
    eventually("a message", || world.heard().contains(&"ann: between".to_owned())).await;
    assert!(!world.heard().contains(&"unset +1".to_owned()), "it stands for Ben still");
    ben.redact(&room, &second).unwrap();
    eventually("its end", || world.heard().contains(&"unset +1".to_owned())).await;
    assert_eq!(world.heard().iter().filter(|text| *text == "set +1").count(), 1);
}

#[tokio::test]
async fn what_is_refused_is_told_and_nothing_waits_behind_it() {
    let (world, ann, room, _bridge) = World::with_room(|_| {}).await;
    ann.say(&room, &"x".repeat(200)).unwrap();
    ann.say(&room, "short").unwrap();
    eventually("the next message", || world.heard() == ["ann: short"]).await;
    let told = || {
        world
            .said(&room)
            .iter()
            .any(|(by, text)| by == "@simbot:hs.example" && text.contains("at most 100"))
    };
    eventually("a notice", told).await;
}

#[tokio::test]
async fn a_command_in_a_portal_is_run_and_not_relayed() {
    let (world, ann, room, _bridge) = World::with_room(|_| {}).await;
    ann.say(&room, "!sim help").unwrap();
    ann.say(&room, "!simple words").unwrap();
    ann.say(&room, " !sim").unwrap();
    ann.say(&room, "after").unwrap();
    eventually("what is no command", || world.heard().contains(&"ann: after".to_owned())).await;
    assert_eq!(world.heard(), ["ann: !simple words", "ann: after"]);
    let answers = || {
        let said = world.said(&room).into_iter();
        said.filter(|(by, text)| by == "@simbot:hs.example" && text.contains("I bridge")).count()
    };
    eventually("two answers", || answers() == 2).await;
}

#[tokio::test]
async fn a_poison_event_is_set_aside_and_can_be_replayed() {
    let (world, _, room, bridge) = World::with_room(|_| {}).await;
    world.network.say("c", "bob", "panic");
    world.network.say("c", "bob", "calm");
    eventually("the next message", || world.said(&room).len() == 1).await;
    let letters = bridge.control().dead_letters(10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].error.contains("on purpose"), "{}", letters[0].error);
    assert!(bridge.control().replay_dead_letter(letters[0].id).await.unwrap());
    assert!(!bridge.control().drop_dead_letter(i64::MAX).await.unwrap());
}

#[tokio::test]
async fn nothing_is_said_twice_after_a_restart() {
    let (world, ann, room, bridge) = World::with_room(|_| {}).await;
    world.network.say("c", "bob", "one");
    eventually("the first", || world.said(&room).len() == 1).await;
    ann.say(&room, "two").unwrap();
    eventually("both", || world.said(&room).len() == 2 && world.heard().len() == 2).await;
    drop(bridge);
    world.network.say("c", "bob", "three");
    let _bridge = world.start().await;
    eventually("what was said meanwhile", || {
        world.said(&room).iter().any(|(_, text)| text == "three")
    })
    .await;
    ann.say(&room, "four").unwrap();
    eventually("the answer", || world.heard().contains(&"ann: four".to_owned())).await;
    assert_eq!(world.heard(), ["one", "ann: two", "three", "ann: four"]);
    let said: Vec<_> = world.said(&room).into_iter().map(|(_, text)| text).collect();
    assert_eq!(said, ["one", "two", "three", "four"]);
    assert_eq!(world.homeserver.all_rooms().len(), 1);
}

#[tokio::test]
async fn a_login_of_ones_own_speaks_for_oneself() {
    let (world, ann, room, bridge) = World::with_room(|_| {}).await;
    let control = bridge.control();
    let mut login = control.start_login(ann.id(), "name", None).await.unwrap();
    let step = login.next().await;
    login.answer(step.number, [("name".to_owned(), "annie".to_owned())].into()).unwrap();
    let done = login.next().await;
    assert!(matches!(done.kind, crate::login::StepKind::Done(_)), "{:?}", done.kind);
    for _ in 0..500 {
        let logins = control.logins(ann.id()).await.unwrap();
        if logins.iter().any(|login| login.id == "annie" && login.state == "connected") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ann.say(&room, "it is me").unwrap();
    eventually("her own words", || world.heard() == ["it is me"]).await;
    assert_eq!(world.network.messages("c")[0].user, "annie");
    control.logout(ann.id(), "annie").await.unwrap();
    ann.say(&room, "and now").unwrap();
    eventually("relayed words", || world.heard().contains(&"ann: and now".to_owned())).await;
}

#[tokio::test]
async fn where_a_message_is_can_be_asked() {
    let (world, ann, room, bridge) = World::with_room(|_| {}).await;
    let event = ann.say(&room, "hello").unwrap();
    eventually("a relayed message", || world.heard().len() == 1).await;
    for _ in 0..500 {
        let trace = bridge.control().trace(&event).await.unwrap();
        if trace.is_some_and(|trace| trace.state == "sent" && trace.hops.len() >= 4) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no trace of {event}");
}

#[tokio::test]
async fn a_room_is_left_alone_where_it_is_unbridged() {
    let (world, ann, room, bridge) = World::with_room(|_| {}).await;
    world.network.say("c", "bob", "hi");
    eventually("a message", || world.said(&room).len() == 1).await;
    bridge.control().unbridge(ann.id(), &room).await.unwrap();
    assert_eq!(world.homeserver.membership(&room, "@sim_bob:hs.example").as_deref(), Some("leave"));
    ann.say(&room, "nobody hears").unwrap();
    assert!(bridge.control().portal(&room).await.unwrap().is_none());
    // Another room can take the chat.
    let other = ann.create_room(&json!({ "invite": ["@simbot:hs.example"] })).unwrap();
    eventually("the bot", || {
        world.homeserver.membership(&other, "@simbot:hs.example").as_deref() == Some("join")
    })
    .await;
    assert!(world.heard().iter().all(|text| !text.contains("nobody hears")));
}
