//! Chats that are begun from Matrix: people are found, and written to first.

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{SERVER, World};
use landbridge_framework::{Bridge, control::GroupWanted, testing::eventually};
use landbridge_slack::Slack;

const SECRET: &str = "a-secret-of-many-characters";

impl World {
    /// A room of Ann's own with the bridge's bot.
    async fn office(&self) -> String {
        let bot = format!("@slackbot:{SERVER}");
        let room = self.ann.create_room(&json!({ "invite": [bot], "is_direct": true })).unwrap();
        let is_there = || self.homeserver.membership(&room, &bot).as_deref() == Some("join");
        eventually("the bot in it", is_there).await;
        room
    }

    /// What the bot answers to a command.
    pub(crate) async fn answer(&self, office: &str, command: &str) -> String {
        let answers = || {
            let mut all = self.homeserver.messages(office);
            all.retain(|(who, _)| who.starts_with("@slackbot:"));
            all
        };
        let before = answers().len();
        self.ann.say(office, command).unwrap();
        eventually(command, || answers().len() > before).await;
        answers().pop().unwrap().1
    }

    /// The room of the chat with somebody that the bot has opened, with Ann in it.
    async fn opened_by(&self, answer: &str) -> String {
        let (_, room) = answer.split_once("https://matrix.to/#/").expect(answer);
        eventually("an invitation", || self.ann.join(room)).await;
        room.to_owned()
    }

    /// What the provisioning API answers Ann's program.
    async fn provision(
        &self,
        bridge: &Bridge<Slack>,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (StatusCode, Value) {
        let uri = format!("/_matrix/provision/v3/{path}?user_id={}", self.ann.id());
        let request = Request::builder().method(method).uri(uri);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {SECRET}"));
        let request = request.body(Body::from(body.to_string())).unwrap();
        let answer = bridge.public_router().oneshot(request).await.unwrap();
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }
}

#[tokio::test]
async fn people_are_found_and_written_to_first() {
    let world = World::new().await;
    let (ann, _, bridge) = world.opened().await;
    let slack = &world.slack;
    let office = world.office().await;
    let refused = world.answer(&office, "start-chat Cleo").await;
    assert!(refused.contains("log in"), "{refused}");
    world.log_in(&ann, &bridge).await;

    // Whoever is there no more is not found.
    let found = world.answer(&office, "search cle").await;
    assert_eq!(found.lines().count(), 1, "{found}");
    assert!(found.contains("T01-U03") && found.contains("Cleo"), "{found}");
    for nobody in ["search nobody", "start-chat nobody", "start-chat nobody@example.org"] {
        let answer = world.answer(&office, nobody).await;
        assert!(answer.contains("There is nobody called"), "{answer}");
    }
    // By name, address, identifier and what the bridge calls her it is the same chat.
    let answer = world.answer(&office, "start-chat Cleo").await;
    let room = world.opened_by(&answer).await;
    for other in ["u03@example.org", "U03", "T01-U03"] {
        assert_eq!(world.answer(&office, &format!("start-chat {other}")).await, answer);
    }
    ann.say(&room, "hello Cleo").unwrap();
    eventually("her words", || slack.texts() == ["hello Cleo"]).await;
    let said = slack.messages().remove(0);
    let channel = said["channel"].as_str().unwrap().to_owned();
    assert_eq!((&said["user"], &slack.made()[&channel]["user"]), (&json!("U07"), &json!("U03")));
    slack.say("U03", json!({ "text": "hello Ann", "channel": channel, "channel_type": "im" }));
    eventually("the answer in the same room", || world.said(&room) == ["hello Ann"]).await;
    assert_eq!(world.event_of(&room, "hello Ann")["sender"], World::ghost("U03"));
}

#[tokio::test]
async fn whoever_is_called_into_a_direct_chat_is_written_to() {
    let world = World::new().await;
    let (ann, _, bridge) = world.opened().await;
    let slack = &world.slack;
    let ghost = World::ghost("U03");
    let membership = |room: &str| world.homeserver.membership(room, &ghost);
    let call = || ann.create_room(&json!({ "invite": [ghost], "is_direct": true })).unwrap();
    // Who has no account of their own can't.
    let vain = call();
    eventually("she doesn't come", || membership(&vain).as_deref() == Some("leave")).await;
    world.log_in(&ann, &bridge).await;
    let room = call();
    eventually("she comes", || membership(&room).as_deref() == Some("join")).await;
    ann.say(&room, "hello Cleo").unwrap();
    eventually("her words", || slack.texts() == ["hello Cleo"]).await;
    let channel = slack.messages()[0]["channel"].clone();
    slack.say("U03", json!({ "text": "hello Ann", "channel": channel, "channel_type": "im" }));
    eventually("the answer in the same room", || world.said(&room) == ["hello Ann"]).await;
    // There is one room for one chat.
    let second = call();
    eventually("she goes from another", || membership(&second).as_deref() == Some("leave")).await;
}

#[tokio::test]
async fn programs_find_people_and_begin_chats() {
    let world = World::with(|bridge, _| {
        bridge.provisioning.shared_secret = Some(SECRET.into());
    })
    .await;
    let (ann, _, bridge) = world.opened().await;
    let slack = &world.slack;
    world.log_in(&ann, &bridge).await;
    let nothing = Value::Null;
    let ask = async |method: &str, path: &str, body: &Value| {
        world.provision(&bridge, method, path, body).await
    };
    let (status, found) = ask("POST", "search_users", &json!({ "query": "LEO" })).await;
    assert_eq!((status, found["results"].as_array().unwrap().len()), (StatusCode::OK, 1));
    let cleo = found["results"][0].clone();
    assert_eq!((&cleo["id"], &cleo["name"]), (&json!("T01-U03"), &json!("Cleo")));
    assert_eq!(cleo["mxid"], World::ghost("U03"));
    let (_, same) = ask("GET", "resolve_identifier/u03@example.org", &nothing).await;
    assert_eq!((&same["id"], &same["dm_room_mxid"]), (&cleo["id"], &Value::Null));
    let (status, _) = ask("GET", "resolve_identifier/nobody@example.org", &nothing).await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    let (status, begun) = ask("POST", "create_dm/u03@example.org", &nothing).await;
    assert_eq!(status, StatusCode::OK, "{begun}");
    let room = begun["dm_room_mxid"].as_str().unwrap();
    eventually("an invitation", || ann.join(room)).await;
    ann.say(room, "hello Cleo").unwrap();
    eventually("her words", || slack.texts() == ["hello Cleo"]).await;
    // With Ben there has been a chat for long: it is that.
    let (_, begun) = ask("POST", "create_dm/T01-U02", &nothing).await;
    let old = begun["dm_room_mxid"].as_str().unwrap();
    eventually("an invitation", || ann.join(old)).await;
    ann.say(old, "hello Ben").unwrap();
    eventually("her words", || slack.texts().len() == 2).await;
    assert_eq!(slack.messages()[1]["channel"], "D01");
}

#[tokio::test]
async fn a_group_conversation_goes_both_ways() {
    let world = World::new().await;
    let (ann, _, bridge) = world.opened().await;
    let slack = &world.slack;
    world.log_in(&ann, &bridge).await;
    let wanted = GroupWanted {
        kind: "group".into(),
        members: vec!["T01-U01".into(), "T01-U03".into()],
        ..GroupWanted::default()
    };
    let made = bridge.control().create_group(ann.id(), None, wanted).await.unwrap();
    let room = &made.room_id;
    eventually("an invitation", || ann.join(room)).await;
    eventually("who is in it", || world.has_state(room, "m.room.name", "name", "Alice, Cleo"))
        .await;
    for ghost in [World::ghost("U01"), World::ghost("U03")] {
        let is_there = || world.homeserver.membership(room, &ghost).as_deref() == Some("join");
        eventually("both of them", is_there).await;
    }
    ann.say(room, "hello both").unwrap();
    eventually("her words", || slack.texts() == ["hello both"]).await;
    let said = slack.messages().remove(0);
    assert_eq!(said["user"], "U07");
    let channel = said["channel"].clone();
    slack.say("U03", json!({ "text": "hello you", "channel": channel, "channel_type": "mpim" }));
    eventually("the answer", || world.said(room) == ["hello you"]).await;
}
