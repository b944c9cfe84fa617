//! What is bridged: whole servers, as things are said in them, and rooms one by one, by the bot's commands.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    fake::{CHANNEL, FORUM, GUILD, OTHER},
    texts,
    world::World,
};
use landbridge_framework::testing::eventually;

/// The permission to see a channel, as overwrites have it.
const VIEW: &str = "1024";

impl World {
    /// The room of that name, if there is one.
    fn named(&self, name: &str) -> Option<String> {
        let all = self.homeserver.all_rooms().into_iter();
        let mut named = all.filter(|it| self.has_state(it, "m.room.name", "name", &name.into()));
        named.next()
    }

    /// What the bridge answers its homeserver that asks for the room of an address.
    async fn ask_for(&self, alias: &str) -> StatusCode {
        let (router, token) = self.appservice();
        let alias: String = url::form_urlencoded::byte_serialize(alias.as_bytes()).collect();
        let request = Request::builder().uri(format!("/_matrix/app/v1/rooms/{alias}"));
        let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status()
    }

    /// What the bot answers to a command in a room.
    async fn answer(&self, room: &str, command: &str) -> String {
        let answers = || {
            let mut all = self.homeserver.messages(room);
            all.retain(|(who, _)| who == "@discordbot:hs.example");
            all
        };
        let before = answers().len();
        self.user.say(room, command).unwrap();
        eventually(command, || answers().len() > before).await;
        answers().pop().unwrap().1
    }
}

#[tokio::test]
async fn a_whole_server_is_bridged_as_things_are_said_in_it() {
    let mut world = World::with(|bridge, network| {
        bridge.portals.clear();
        network.whole_guilds = vec![GUILD.into()];
        network.closed_channels = vec![OTHER.into()];
    })
    .await;
    world.connected().await;
    assert!(world.homeserver.all_rooms().is_empty(), "nothing is said yet");
    world.fake.say(OTHER, "ann", "unheard");
    world.fake.say(CHANNEL, "ann", "hello");
    eventually("the channel's room", || world.named("#general").is_some()).await;
    world.room = world.named("#general").unwrap();
    eventually("what was said", || texts(&world.said()) == ["hello"]).await;
    assert!(world.named("#other").is_none(), "that one is closed");
    // Everybody may enter it, as long as everybody sees the channel.
    let rule = |room: &str, rule: &str| {
        world.has_state(room, "m.room.join_rules", "join_rule", &rule.into())
    };
    assert!(rule(&world.room, "public") && world.user.join(&world.room));
    let space = || world.named("Testers");
    eventually("the server", || space().is_some_and(|space| rule(&space, "public"))).await;
    let hidden = json!([{ "id": GUILD, "type": 0, "allow": "0", "deny": VIEW }]);
    world.fake.change(CHANNEL, "permission_overwrites", hidden);
    eventually("it is hidden", || rule(&world.room, "invite")).await;
    world.fake.change(CHANNEL, "permission_overwrites", json!([]));
    eventually("it is not hidden any more", || rule(&world.room, "public")).await;
    world.user.say(&world.room, "hello Ann").unwrap();
    eventually("his words", || world.heard() == [("bob".to_owned(), "hello Ann".to_owned())]).await;

    // Whoever looks for a channel's address finds its room, also before anything is said there.
    assert_eq!(world.ask_for("#discord_602:hs.example").await, StatusCode::OK);
    let forum = world.named("forum").unwrap();
    assert!(world.user.join(&forum));
    for nothing in ["#discord_601:hs.example", "#discord_999:hs.example", "#discord_x:hs.example"] {
        assert_eq!(world.ask_for(nothing).await, StatusCode::NOT_FOUND, "{nothing}");
    }
    // A channel that comes later is bridged, too.
    let new = json!({
        "id": "620", "type": 0, "guild_id": GUILD, "name": "news", "position": 1, "permission_overwrites": [],
    });
    world.fake.state().channels.insert("620".into(), new.clone());
    world.fake.dispatch("CHANNEL_CREATE", &new);
    world.fake.say("620", "ann", "first");
    eventually("the new channel's room", || world.named("#news").is_some()).await;
}

#[tokio::test]
async fn channels_are_found_and_bridged_by_the_bots_commands() {
    let mut world = World::with(|bridge, _| bridge.portals.clear()).await;
    // Another of the same name.
    let second = json!({
        "id": "620", "type": 0, "guild_id": GUILD, "name": "general", "position": 1, "permission_overwrites": [],
    });
    world.fake.state().channels.insert("620".into(), second.clone());
    world.fake.dispatch("CHANNEL_CREATE", &second);
    world.open(FORUM).await;
    // By now the server is known.
    let (room, other) = (world.ruled().await, world.ruled().await);
    let servers = world.answer(&room, "!discord servers").await;
    assert!(servers.contains("Testers") && servers.contains(GUILD), "{servers}");
    let nowhere = world.answer(&room, "!discord channels Elsewhere").await;
    assert!(nowhere.contains("no such server"), "{nowhere}");
    let several = world.answer(&room, "!discord bridge #general").await;
    assert!(several.contains("several channels") && several.contains("(620)"), "{several}");
    let none = world.answer(&room, "!discord bridge #nothing").await;
    assert!(!none.contains("bridged to"), "{none}");

    let done = world.answer(&room, "!discord bridge Testers/#other").await;
    let channels = world.answer(&other, "!discord channels Testers").await;
    let line = |name: &str| channels.lines().find(|line| line.contains(name)).map(str::to_owned);
    assert!(line("#other").is_some_and(|line| line.contains("(bridged)")), "{done} {channels}");
    assert!(line("#forum").is_some_and(|line| line.contains(FORUM)), "{channels}");
    world.room.clone_from(&room);
    world.fake.say(OTHER, "ann", "hello");
    eventually("her words", || texts(&world.said()).contains(&"hello")).await;
    world.user.say(&room, "hello Ann").unwrap();
    let heard = || texts(&world.fake.heard(OTHER)) == ["hello Ann"];
    eventually("his words", heard).await;
    // Threads have rooms of their own where that is asked for.
    world.answer(&room, "!discord threads rooms").await;
    let began = world.fake.say(OTHER, "ann", "root");
    let thread = world.fake.begin_thread(OTHER, &began, "Details");
    world.fake.say(thread["id"].as_str().unwrap(), "ann", "in it");
    eventually("the thread's room", || world.named("Details").is_some()).await;

    world.answer(&room, "!discord unbridge").await;
    let before = world.said().len();
    world.fake.say(OTHER, "ann", "unheard");
    world
        .answer(&other, &format!("!discord bridge https://discord.com/channels/{GUILD}/{CHANNEL}"))
        .await;
    world.fake.say(CHANNEL, "ann", "heard");
    let heard = || texts(&world.homeserver.messages(&other)).contains(&"heard");
    eventually("what is bridged", heard).await;
    assert_eq!(world.said().len(), before, "{:?}", world.said());
    world.user.say(&room, "to nobody").unwrap();
    world.user.say(&other, "to Ann").unwrap();
    eventually("his words", || texts(&world.heard()) == ["to Ann"]).await;
    assert_eq!(texts(&world.fake.heard(OTHER)), ["hello Ann"]);
    let wrong: Vec<Value> = world.fake.bodies("POST", "/messages");
    assert!(wrong.is_empty(), "all of it went by webhooks: {wrong:?}");
}
