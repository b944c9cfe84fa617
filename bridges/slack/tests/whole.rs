//! The whole bridge between a homeserver (in memory, or a real one: `LANDBRIDGE_TEST_HOMESERVER`) and a Slack of the test's own, which speaks the
//! Web API and Socket Mode over sockets: what crosses, and what comes of broken connections and lost answers.

#![allow(clippy::unwrap_used, reason = "a failing test may panic")]

#[path = "whole/begun.rs"]
mod begun;
#[path = "whole/channels.rs"]
mod channels;
#[path = "whole/files.rs"]
mod files;
#[path = "whole/kept.rs"]
mod kept;
#[path = "whole/messages.rs"]
mod messages;
#[path = "whole/own.rs"]
mod own;
#[path = "whole/people.rs"]
mod people;
#[path = "whole/slack.rs"]
mod slack;
#[path = "whole/web.rs"]
mod web;
#[path = "whole/web_api.rs"]
mod web_api;

use landbridge_database::{Database, testing::TestDatabase};
use landbridge_framework::{
    Bridge, BridgeConfig,
    config::PortalConfig,
    control::{ControlError, GroupWanted},
    login::StepKind,
    permissions::Level,
    testing::{Faults, TestHomeserver, TestUser, eventually},
};
use landbridge_registration::Registration;
use landbridge_slack::{Slack, SlackConfig, config::Secret};
use serde_json::{Value, json};
use slack::Workspace;

const SERVER: &str = "hs.example";

/// A bridge with everything around it.
struct World {
    slack: Workspace,
    homeserver: TestHomeserver,
    ann: TestUser,
    config: BridgeConfig,
    network: SlackConfig,
    registration: Registration,
    database: Database,
    _files: TestDatabase,
}

impl World {
    async fn new() -> Self {
        Self::with(|_, _| {}).await
    }

    /// With another configuration.
    async fn with(change: impl FnOnce(&mut BridgeConfig, &mut SlackConfig)) -> Self {
        // reqwest wants TLS to be possible, even where nothing uses it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = BridgeConfig::for_network("slack");
        config.permissions.insert("*".into(), Level::User);
        config.backfill.on_create = 0;
        config.portals = vec![PortalConfig {
            remote_id: "T01-C01".into(),
            invite: vec!["@ann:hs.example".into()],
            ..PortalConfig::default()
        }];
        let slack = Workspace::start().await;
        let mut network = SlackConfig {
            app_token: Some(Secret::new("xapp-test")),
            bot_tokens: vec![Secret::new("xoxb-test")],
            api_url: slack.base.clone(),
            ..SlackConfig::default()
        };
        change(&mut config, &mut network);
        let (homeserver, registration) =
            TestHomeserver::start(SERVER, "slack", &mut config, Faults::new(3));
        let ann = homeserver.user("@ann:hs.example");
        let files = TestDatabase::new();
        let database = files.open().await.unwrap();
        Self { slack, homeserver, ann, config, network, registration, database, _files: files }
    }

    async fn start(&self) -> Bridge<Slack> {
        let bridge = Bridge::<Slack>::builder(
            self.network.clone(),
            self.config.clone(),
            SERVER,
            self.registration.clone(),
            self.homeserver.carrier(),
            self.database.clone(),
        );
        let bridge = bridge.start().await.unwrap();
        self.homeserver.attach(bridge.appservice_router());
        bridge
    }

    /// With Ann in the room of the channel, and the bridge connected.
    async fn opened(&self) -> (TestUser, String, Bridge<Slack>) {
        let (ann, room, bridge) = self.entered().await;
        eventually("a connection", || self.slack.connections() == 1).await;
        (ann, room, bridge)
    }

    /// With Ann in the room of the channel, however Slack tells of what happens there.
    async fn entered(&self) -> (TestUser, String, Bridge<Slack>) {
        let bridge = self.start().await;
        let room_named = || {
            let named = |room: &String| {
                self.homeserver
                    .state(room, "m.room.name", "")
                    .is_some_and(|state| state["name"] == "general")
            };
            self.homeserver.all_rooms().into_iter().find(named)
        };
        eventually("the channel's room", || room_named().is_some()).await;
        let room = room_named().unwrap();
        let ann = self.ann.clone();
        eventually("an invitation", || ann.join(&room)).await;
        eventually("the app in the channel", || self.slack.called("conversations.join") > 0).await;
        (ann, room, bridge)
    }

    /// With Ann in a room of her own, in which she has all power, and which is bridged to the other channel.
    async fn plumbed(&self) -> (TestUser, String, Bridge<Slack>) {
        let (ann, _, bridge) = self.opened().await;
        let room = self.ruled().await;
        bridge.control().bridge(ann.id(), &room, None, "T01-C02").await.unwrap();
        eventually("the app in the channel", || self.slack.called("conversations.join") > 1).await;
        (ann, room, bridge)
    }

    /// A room of Ann's own, in which she has all power, and which the bot may bridge.
    async fn ruled(&self) -> String {
        let bot = format!("@slackbot:{SERVER}");
        let room = self.ann.create_room(&json!({ "invite": [bot] })).unwrap();
        let joined = || self.homeserver.membership(&room, &bot).as_deref() == Some("join");
        eventually("the bot in it", joined).await;
        let mut levels = self.homeserver.state(&room, "m.room.power_levels", "").unwrap();
        levels["users"][&bot] = 90.into();
        self.ann.set_state(&room, "m.room.power_levels", "", &levels).unwrap();
        room
    }

    /// Ann brings her own account.
    async fn log_in(&self, ann: &TestUser, bridge: &Bridge<Slack>) {
        let control = bridge.control();
        if let Some(token) = ann.puppet_token() {
            control.set_puppet(ann.id(), Some(token)).await.unwrap();
        }
        let mut login = control.start_login(ann.id(), "token", None).await.unwrap();
        let step = login.next().await;
        login.answer(step.number, [("token".to_owned(), slack::PERSON.to_owned())].into()).unwrap();
        let end = login.next().await;
        assert!(matches!(end.kind, StepKind::Done(_)), "{end:?}");
        eventually("their conversations", || self.slack.called("users.conversations") > 0).await;
    }

    /// Somebody of Slack's on Matrix.
    fn ghost(user: &str) -> String {
        // Capitals are written as user IDs can have them (Client-Server API, "Mapping from other character sets").
        let capital = |c: char| {
            if c.is_ascii_uppercase() {
                format!("_{}", c.to_ascii_lowercase())
            } else {
                c.to_string()
            }
        };
        let name: String = format!("T01-{user}").chars().map(capital).collect();
        format!("@slack_{name}:{SERVER}")
    }

    /// The picture of the stand-in's that one on Matrix is, if it is one.
    fn picture(&self, mxc: &Value) -> Option<String> {
        let (_, bytes) = self.ann.download(mxc.as_str()?)?;
        let name = bytes.strip_prefix(kept::picture("").as_slice())?;
        Some(String::from_utf8(name.to_vec()).unwrap())
    }

    /// Whether a state of a room is so.
    fn has_state(&self, room: &str, kind: &str, field: &str, value: &str) -> bool {
        self.homeserver.state(room, kind, "").is_some_and(|content| content[field] == value)
    }

    /// What ghosts said in a room, oldest first.
    fn said(&self, room: &str) -> Vec<String> {
        let ghosts = |sender: &str| sender.starts_with("@slack_");
        let all = self.homeserver.messages(room).into_iter();
        all.filter(|(sender, _)| ghosts(sender)).map(|(_, body)| body).collect()
    }

    /// The last event of a type.
    fn last(&self, room: &str, kind: &str) -> Value {
        let timeline = self.homeserver.timeline(room);
        timeline.into_iter().rev().find(|event| event["type"] == kind).unwrap_or_default()
    }

    /// The event of the message with this text.
    fn event_of(&self, room: &str, body: &str) -> Value {
        let timeline = self.homeserver.timeline(room);
        timeline.into_iter().find(|event| event["content"]["body"] == body).unwrap_or_default()
    }
}

#[tokio::test]
async fn what_matrix_says_is_said_in_slack() {
    let world = World::new().await;
    let (ann, room, _bridge) = world.opened().await;
    let slack = &world.slack;
    let event = ann.say(&room, "hello *Slack*").unwrap();
    eventually("a message", || slack.texts() == ["hello *Slack*"]).await;
    let message = slack.messages().remove(0);
    assert_eq!(message["username"], "ann");
    assert_eq!(message["metadata"]["event_type"], "landbridge_message");
    let ts = message["ts"].as_str().unwrap().to_owned();
    ann.edit(&room, &event, "hullo").unwrap();
    eventually("its edit", || slack.texts() == ["hullo"]).await;
    let reaction = ann.react(&room, &event, "👍").unwrap();
    eventually("a reaction", || slack.messages()[0]["reactions"][0]["name"] == "+1").await;
    ann.redact(&room, &reaction).unwrap();
    eventually("its end", || slack.messages()[0]["reactions"] == json!([])).await;
    // In the message's thread.
    let content = json!({ "msgtype": "m.text", "body": "below", "m.relates_to": {
        "rel_type": "m.thread", "event_id": event, "is_falling_back": true,
        "m.in_reply_to": { "event_id": event } } });
    ann.send(&room, "m.room.message", &content).unwrap();
    eventually("a reply", || slack.texts() == ["hullo", "below"]).await;
    assert_eq!(slack.messages()[1]["thread_ts"], ts.as_str());
    ann.redact(&room, &event).unwrap();
    eventually("its deletion", || slack.texts() == ["below"]).await;
    assert!(world.said(&room).is_empty(), "nothing of it comes back: {:?}", world.said(&room));
}

#[tokio::test]
async fn what_slack_says_is_said_on_matrix() {
    let world = World::new().await;
    let (_ann, room, _bridge) = world.opened().await;
    let slack = &world.slack;
    let ts = slack.say("U01", json!({ "text": "hi <@U02> :wave:" }));
    eventually("a message", || world.said(&room) == ["hi @Ben 👋"]).await;
    let event = world.event_of(&room, "hi @Ben 👋");
    let sender = event["sender"].as_str().unwrap();
    assert_eq!(world.homeserver.profile(sender)["displayname"], "Alice");
    slack.change(&ts, "hey");
    eventually("an edit", || world.said(&room) == ["hey"]).await;
    slack.react("U02", &ts, "parrot", true);
    eventually("a reaction", || {
        world.last(&room, "m.reaction")["content"]["m.relates_to"]["event_id"] == event["event_id"]
    })
    .await;
    slack.say("U02", json!({ "text": "below", "thread_ts": ts }));
    eventually("a reply", || world.said(&room).len() == 2).await;
    let reply = world.event_of(&room, "below");
    assert_eq!(reply["content"]["m.relates_to"]["rel_type"], "m.thread");
    assert_eq!(reply["content"]["m.relates_to"]["event_id"], event["event_id"]);
    // One message, seen in both.
    let both = json!({ "text": "both", "thread_ts": ts, "subtype": "thread_broadcast" });
    let both = slack.say("U02", both);
    eventually("both views", || world.said(&room).iter().filter(|it| *it == "both").count() == 2)
        .await;
    slack.change(&both, "all");
    eventually("both edits", || world.said(&room).iter().filter(|it| *it == "all").count() == 2)
        .await;
    slack.delete(&both);
    eventually("both gone", || !world.said(&room).contains(&"all".to_owned())).await;
    slack.emit(&json!({ "type": "pin_added", "user": "U01", "channel_id": "C01",
        "item": { "type": "message", "message": { "ts": ts } }, "event_ts": "4100000000.000001" }));
    eventually("a pin", || {
        let pins = world.homeserver.state(&room, "m.room.pinned_events", "");
        pins.is_some_and(|pins| pins["pinned"] == json!([event["event_id"]]))
    })
    .await;
    eventually("every event acknowledged", || slack.unacknowledged() == 0).await;
}

#[tokio::test]
async fn what_was_missed_comes_first_and_in_order() {
    let world = World::new().await;
    let (_ann, room, bridge) = world.opened().await;
    let slack = &world.slack;
    let thread = slack.say("U01", json!({ "text": "0" }));
    eventually("the first", || world.said(&room) == ["0"]).await;
    // The connection breaks, and what is said then nobody hears.
    slack.cut();
    for number in 1..=3 {
        slack.say("U01", json!({ "text": number.to_string() }));
    }
    slack.say("U02", json!({ "text": "4", "thread_ts": thread }));
    slack.mend();
    eventually("a new connection", || slack.connections() == 1).await;
    slack.say("U01", json!({ "text": "5" }));
    eventually("all of it", || world.said(&room) == ["0", "1", "2", "3", "4", "5"]).await;
    // The same when the bridge itself is away, with an edit and a deletion of what it missed.
    drop(bridge);
    world.homeserver.detach();
    let changed = slack.say("U01", json!({ "text": "6" }));
    let deleted = slack.say("U01", json!({ "text": "never" }));
    slack.change(&changed, "six");
    slack.change(&thread, "zero");
    slack.delete(&deleted);
    slack.react("U02", &changed, "+1", true);
    let _bridge = world.start().await;
    eventually("what it missed", || world.said(&room) == ["zero", "1", "2", "3", "4", "5", "six"])
        .await;
    let six = world.event_of(&room, "six");
    eventually("the reaction to it", || {
        world.last(&room, "m.reaction")["content"]["m.relates_to"]["event_id"] == six["event_id"]
    })
    .await;
}

#[tokio::test]
async fn somebody_who_logs_in_speaks_for_themselves() {
    let world = World::new().await;
    let (ann, room, bridge) = world.opened().await;
    let slack = &world.slack;
    world.log_in(&ann, &bridge).await;
    ann.say(&room, "mine").unwrap();
    eventually("a message of their own", || slack.texts() == ["mine"]).await;
    let message = slack.messages().remove(0);
    assert_eq!((&message["user"], &message["username"]), (&json!("U07"), &Value::Null));
    // A direct message gets a room of theirs.
    slack.emit(&json!({ "type": "message", "channel": "D01", "channel_type": "im", "user": "U02",
        "text": "psst", "ts": "4000000500.000001", "event_ts": "4000000500.000001" }));
    let direct = || {
        let all = world.homeserver.all_rooms().into_iter();
        all.filter(|it| *it != room).find(|it| world.said(it) == ["psst"])
    };
    eventually("the direct message", || direct().is_some()).await;
    let direct = direct().unwrap();
    eventually("an invitation to it", || ann.join(&direct)).await;
    ann.say(&direct, "yes?").unwrap();
    eventually("the answer", || slack.texts() == ["mine", "yes?"]).await;
    assert_eq!(slack.messages()[1]["channel"], "D01");
    // What they say in Slack is said once, though the app hears it, too.
    slack.say("U07", json!({ "text": "from Slack" }));
    slack.say("U01", json!({ "text": "end" }));
    eventually("all of it", || world.said(&room) == ["end"]).await;
    let all = world.homeserver.messages(&room);
    let all: Vec<(&str, &str)> = all.iter().map(|(who, what)| (&**who, &**what)).collect();
    let alice = world.event_of(&room, "end")["sender"].clone();
    let expected = [(ann.id(), "mine"), (ann.id(), "from Slack"), (alice.as_str().unwrap(), "end")];
    assert_eq!(all, expected, "it is their own account that says it on Matrix");
    assert_eq!(slack.texts(), ["mine", "yes?", "from Slack", "end"], "and it doesn't come back");
}

#[tokio::test]
async fn what_never_came_is_found_although_a_later_message_did() {
    let world = World::new().await;
    let (_ann, room, _bridge) = world.opened().await;
    let slack = &world.slack;
    slack.say("U01", json!({ "text": "0" }));
    eventually("the first", || world.said(&room) == ["0"]).await;
    slack.say_unheard("U01", "late");
    slack.say("U01", json!({ "text": "1" }));
    eventually("the next", || world.said(&room) == ["0", "1"]).await;
    slack.cut();
    slack.mend();
    eventually("the one between", || world.said(&room) == ["0", "1", "late"]).await;
}

#[tokio::test]
async fn a_lost_answer_doubles_nothing() {
    let world = World::new().await;
    let (ann, room, _bridge) = world.opened().await;
    let slack = &world.slack;
    slack.lose_answers(1);
    ann.say(&room, "one").unwrap();
    ann.say(&room, "two").unwrap();
    eventually("both", || slack.texts().len() >= 2).await;
    // What is doubled would have come before the second.
    assert_eq!(slack.texts(), ["one", "two"]);
    assert_eq!(slack.called("chat.postMessage"), 2);
    assert!(slack.called("conversations.history") > 0, "it was looked for");
    slack.limit(1);
    ann.say(&room, "three").unwrap();
    eventually("what had to wait", || slack.texts() == ["one", "two", "three"]).await;
    assert!(world.said(&room).is_empty(), "nothing of it comes back: {:?}", world.said(&room));
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_acknowledged() {
    let world = World::new().await;
    let (_ann, room, _bridge) = world.opened().await;
    let slack = &world.slack;
    // The history can't be read after a new connection: nothing is taken before what came before it.
    slack.cut();
    slack.say("U01", json!({ "text": "missed" }));
    slack.refuse_history(true);
    slack.mend();
    eventually("a new connection", || slack.connections() == 1).await;
    slack.say("U01", json!({ "text": "live" }));
    eventually("it was tried", || slack.called("conversations.history") > 0).await;
    assert!(slack.unacknowledged() > 0 && world.said(&room).is_empty());
    slack.refuse_history(false);
    eventually("both, in order", || world.said(&room) == ["missed", "live"]).await;
}

#[tokio::test]
async fn conversations_and_channels_are_begun_from_matrix() {
    let world = World::new().await;
    let (ann, _, bridge) = world.opened().await;
    let slack = &world.slack;
    let control = bridge.control();
    let group = |kind: &str, name: Option<&str>| GroupWanted {
        kind: kind.into(),
        name: name.map(str::to_owned),
        topic: name.map(|_| "of friends".into()),
        members: vec!["T01-U01".into(), "T01-U02".into()],
        ..GroupWanted::default()
    };
    let refused = control.create_group(ann.id(), None, group("group", None)).await;
    assert!(matches!(refused, Err(ControlError::NoLogin(_))), "{refused:?}");
    world.log_in(&ann, &bridge).await;

    let made = control.create_group(ann.id(), None, group("group", None)).await.unwrap();
    eventually("an invitation", || ann.join(&made.room_id)).await;
    ann.say(&made.room_id, "hello").unwrap();
    eventually("her words", || slack.texts() == ["hello"]).await;
    assert_eq!(made.id, format!("T01-{}", slack.messages()[0]["channel"].as_str().unwrap()));
    // These people have one conversation, however often it is begun.
    let again = control.create_group(ann.id(), None, group("group", None)).await.unwrap();
    assert_eq!((&again.id, &again.room_id), (&made.id, &made.room_id));

    // The answer is lost: the channel is found, not made again.
    slack.lose_answers(1);
    let wanted = group("private", Some("Our Circle"));
    let made = control.create_group(ann.id(), None, wanted.clone()).await.unwrap();
    assert_eq!(made.failed.len(), 1, "{made:?}");
    let all = slack.made();
    let circle = all.values().filter(|it| it["name"] == "our-circle").collect::<Vec<_>>();
    assert_eq!(circle.len(), 1);
    assert_eq!(
        (&circle[0]["topic"], &circle[0]["is_private"]),
        (&json!("of friends"), &json!(true))
    );
    assert_eq!(circle[0]["users"], "U01,U02");
    // Another of that name is refused.
    let taken = control.create_group(ann.id(), None, wanted).await;
    assert!(matches!(taken, Err(ControlError::Denied(_))), "{taken:?}");
}
