//! What is said, beside plain text: answers, what is forwarded, mentions, a server's own emoji, polls, what Discord itself says; and what is
//! taken away by the dozen.

use serde_json::{Value, json};

use crate::{
    fake::{CHANNEL, Fake, GUILD, OTHER},
    fake_server::MODERATORS,
    texts,
    world::World,
};
use landbridge_framework::testing::eventually;

/// A text with marks, as clients send it.
fn marked(body: &str, html: &str) -> Value {
    json!({ "msgtype": "m.text", "body": body, "format": "org.matrix.custom.html", "formatted_body": html })
}

/// Sends that, and waits for the body by which the bridge hands it on.
async fn handed_on(world: &World, content: &Value) -> Value {
    let before = world.fake.sent().len();
    world.user.send(&world.room, "m.room.message", content).unwrap();
    eventually("what was said", || world.fake.sent().len() > before).await;
    world.fake.sent().last().unwrap().clone()
}

#[tokio::test]
async fn answers_are_answers_on_both_sides() {
    let world = World::opened().await;
    let question = world.fake.say(CHANNEL, "ann", "Where?");
    eventually("the question", || texts(&world.said()) == ["Where?"]).await;
    let event = world.event_of("Where?");
    let answer = json!({
        "msgtype": "m.text", "body": "Here.",
        "m.relates_to": { "m.in_reply_to": { "event_id": event } },
    });
    // By a webhook, which can't answer, a box says what it is about.
    let sent = handed_on(&world, &answer).await;
    assert_eq!(sent["content"], "Here.");
    assert_eq!(sent["embeds"][0]["author"]["name"], "↪ ann");
    let link = format!("https://discord.com/channels/{GUILD}/{CHANNEL}/{question}");
    assert_eq!(sent["embeds"][0]["author"]["url"], link);
    assert_eq!(sent["embeds"][0]["description"], "Where?");
    // And back.
    let here = world.fake.state().messages[CHANNEL].last().unwrap()["id"].clone();
    let thanks = json!({
        "author": Fake::user("ann"), "content": "Thanks.", "type": 19,
        "message_reference": { "type": 0, "message_id": here, "channel_id": CHANNEL, "guild_id": GUILD },
    });
    world.fake.post(CHANNEL, thanks);
    eventually("the answer to it", || texts(&world.said()).contains(&"Thanks.")).await;
    let answered = &world.find("Thanks.")["content"]["m.relates_to"]["m.in_reply_to"]["event_id"];
    assert_eq!(*answered, world.event_of("Here."));
}

#[tokio::test]
async fn the_bot_answers_where_it_speaks_itself() {
    let world = World::opened().await;
    world.fake.faults(|faults| faults.no_webhooks = true);
    let question = world.fake.say(CHANNEL, "ann", "Where?");
    eventually("the question", || texts(&world.said()) == ["Where?"]).await;
    let answer = json!({
        "msgtype": "m.text", "body": "Here.",
        "m.relates_to": { "m.in_reply_to": { "event_id": world.event_of("Where?") } },
    });
    let sent = handed_on(&world, &answer).await;
    assert_eq!(sent["content"], "**bob**: Here.");
    assert_eq!(sent["message_reference"]["message_id"], question);
}

#[tokio::test]
async fn what_is_forwarded_is_quoted_with_its_files() {
    let world = World::opened().await;
    let file = json!({
        "id": "71", "filename": "plan.zip", "size": 16, "content_type": "application/zip",
        "url": world.fake.file("attachments/601/71/plan.zip"),
    });
    let forwarded = json!({
        "author": Fake::user("ann"), "content": "",
        "message_reference": { "type": 1, "message_id": "900", "channel_id": OTHER, "guild_id": GUILD },
        "message_snapshots": [{ "message": { "type": 0, "content": "the **plan**", "attachments": [file] } }],
    });
    world.fake.post(CHANNEL, forwarded);
    eventually("both parts", || world.said().len() == 2).await;
    assert_eq!(texts(&world.said()), ["Forwarded from #other\n> the plan", "plan.zip"]);
    let event = world.find("plan.zip");
    assert_eq!(event["content"]["msgtype"], "m.file");
    let path = world.picture(&event["content"]["url"]);
    assert_eq!(path.as_deref(), Some("attachments/601/71/plan.zip"));
}

#[tokio::test]
async fn mentions_are_mentions_on_matrix() {
    let world = World::opened().await;
    world.fake.say(CHANNEL, "eve", "hi");
    eventually("her words", || texts(&world.said()) == ["hi"]).await;
    let (ann, eve) = (Fake::user("ann"), Fake::user("eve"));
    let id = eve["id"].as_str().unwrap();
    let text = format!("<@{id}> <@&{MODERATORS}> <#{CHANNEL}> <#{OTHER}> @here");
    let message = json!({
        "author": ann, "content": text, "mentions": [eve], "mention_roles": [MODERATORS],
        "mention_everyone": true,
    });
    world.fake.post(CHANNEL, message);
    let body = "@eve @Moderators #general #other @here";
    eventually("what she said", || texts(&world.said()).contains(&body)).await;
    let content = world.find(body)["content"].clone();
    assert_eq!(content["m.mentions"]["user_ids"], json!([World::ghost("eve")]));
    assert_eq!(content["m.mentions"]["room"], true);
    let html = content["formatted_body"].as_str().unwrap();
    let pill = format!("<a href=\"https://matrix.to/#/{}\">@eve</a>", World::ghost("eve"));
    assert!(html.contains(&pill), "{html}");
    assert!(html.contains("<span data-mx-color=\"#0080ff\">@Moderators</span>"), "{html}");
    // A link where there is a room, words where there is none.
    assert!(html.contains(&format!("<a href=\"https://matrix.to/#/{}", world.room)), "{html}");
    assert!(html.ends_with("#general</a> #other @here"), "{html}");
}

#[tokio::test]
async fn only_whom_matrix_mentions_is_notified() {
    let world = World::opened().await;
    world.fake.say(CHANNEL, "eve", "hi");
    eventually("her words", || texts(&world.said()) == ["hi"]).await;
    let (eve, id) = (World::ghost("eve"), Fake::user("eve")["id"].clone());
    let id = id.as_str().unwrap();
    let html = format!(
        "<a href=\"https://matrix.to/#/{eve}\">eve</a> in <a href=\"https://matrix.to/#/{}\">here</a>",
        world.room
    );
    let sent = handed_on(&world, &marked("eve in here", &html)).await;
    assert_eq!(sent["content"], format!("<@{id}> in <#{CHANNEL}>"));
    assert_eq!(sent["allowed_mentions"], json!({ "parse": [], "users": [id] }));
    // What only looks like a mention calls nobody, and neither does @room: it is not switched on.
    let text = format!("<@{id}> <@&{MODERATORS}> @everyone");
    let mut content = json!({ "msgtype": "m.text", "body": text, "m.mentions": { "room": true } });
    let sent = handed_on(&world, &content).await;
    assert_eq!(sent["allowed_mentions"], json!({ "parse": [], "users": [] }));
    assert_eq!(sent["content"], format!("\\<@{id}> \\<@&{MODERATORS}> @everyone"));
    content["body"] = "@room".into();
    let sent = handed_on(&world, &content).await;
    assert_eq!(sent["allowed_mentions"]["parse"], json!([]));
}

#[tokio::test]
async fn everybody_is_called_by_who_may_where_it_is_switched_on() {
    let mut world = World::with(|bridge, network| {
        bridge.portals.clear();
        network.relay.everyone = true;
    })
    .await;
    let call = json!({ "msgtype": "m.text", "body": "@room: tea", "m.mentions": { "room": true } });
    world.open(CHANNEL).await;
    let sent = handed_on(&world, &call).await;
    assert_eq!(sent["allowed_mentions"]["parse"], json!([]), "he has no power here");
    world.plumb(OTHER).await;
    let sent = handed_on(&world, &call).await;
    assert_eq!(sent["content"], "@everyone: tea");
    assert_eq!(sent["allowed_mentions"]["parse"], json!(["everyone"]));
}

#[tokio::test]
async fn a_servers_own_emoji_are_so_on_both_sides() {
    let world = World::opened().await;
    let first = world.fake.say(CHANNEL, "ann", "so <:blob:800> and <a:dance:801>");
    let body = "so :blob: and :dance:";
    eventually("what she said", || texts(&world.said()) == [body]).await;
    let html = world.find(body)["content"]["formatted_body"].as_str().unwrap().to_owned();
    let pictures: Vec<&str> =
        html.split("src=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let paths: Vec<Option<String>> =
        pictures.iter().map(|mxc| world.picture(&(*mxc).into())).collect();
    assert_eq!(paths, [Some("emojis/800.png".into()), Some("emojis/801.gif".into())]);
    let react = |kind: &str| {
        let reaction = json!({
            "user_id": "10999", "channel_id": CHANNEL, "guild_id": GUILD, "message_id": first,
            "emoji": { "id": "800", "name": "blob" },
        });
        world.fake.dispatch(kind, &reaction);
    };
    react("MESSAGE_REACTION_ADD");
    let reactions = || {
        let all = world.homeserver.timeline(&world.room).into_iter();
        let all = all.filter(|event| event["type"] == "m.reaction");
        all.filter_map(|event| event["content"]["m.relates_to"]["key"].as_str().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    eventually("a reaction", || reactions() == [pictures[0]]).await;
    react("MESSAGE_REACTION_REMOVE");
    eventually("its end", || reactions().is_empty()).await;
    // By picture, and by name.
    let html = format!("<img data-mx-emoticon src=\"{}\" alt=\":dance:\"> :blob:", pictures[1]);
    let sent = handed_on(&world, &marked(":dance: :blob:", &html)).await;
    assert_eq!(sent["content"], "<a:dance:801> <:blob:800>");
    let event = world.event_of(body);
    let reaction = world.user.react(&world.room, &event, pictures[0]).unwrap();
    let path = format!("/messages/{first}/reactions/blob%3A800/@me");
    eventually("his reaction", || world.asked("PUT", &path) == 1).await;
    world.user.redact(&world.room, &reaction).unwrap();
    eventually("its end", || world.asked("DELETE", &path) == 1).await;
}

#[tokio::test]
async fn what_moderators_take_away_is_gone() {
    let world = World::opened().await;
    let ids: Vec<String> =
        ["one", "two", "three"].iter().map(|text| world.fake.say(CHANNEL, "ann", text)).collect();
    eventually("all three", || world.said().len() == 3).await;
    for (user, emoji) in [("10998", "👍"), ("10999", "🎉")] {
        let reaction = json!({
            "user_id": user, "channel_id": CHANNEL, "guild_id": GUILD, "message_id": ids[2],
            "emoji": { "id": null, "name": emoji },
        });
        world.fake.dispatch("MESSAGE_REACTION_ADD", &reaction);
    }
    let reactions = || {
        let all = world.homeserver.timeline(&world.room).into_iter();
        all.filter(|it| it["type"] == "m.reaction" && it["content"]["m.relates_to"].is_object())
            .count()
    };
    eventually("two reactions", || reactions() == 2).await;
    let all = json!({ "channel_id": CHANNEL, "guild_id": GUILD, "message_id": ids[2] });
    world.fake.dispatch("MESSAGE_REACTION_REMOVE_ALL", &all);
    eventually("no reactions", || reactions() == 0).await;
    let bulk = json!({ "ids": ids[..2], "channel_id": CHANNEL, "guild_id": GUILD });
    world.fake.dispatch("MESSAGE_DELETE_BULK", &bulk);
    eventually("the third alone", || texts(&world.said()) == ["three"]).await;
}

#[tokio::test]
async fn polls_come_with_votes_and_result() {
    let world = World::opened().await;
    let answer = |id: u64, text: &str| json!({ "answer_id": id, "poll_media": { "text": text } });
    let mut poll = json!({
        "question": { "text": "Tea?" }, "answers": [answer(1, "Yes"), answer(2, "No")],
        "expiry": "2026-01-02T00:00:00+00:00", "allow_multiselect": false, "layout_type": 1,
    });
    let message = json!({ "author": Fake::user("ann"), "content": "", "poll": poll });
    let id = world.fake.post(CHANNEL, message);
    let start = "org.matrix.msc3381.poll.start";
    let events = |kind: &str| {
        let all = world.homeserver.timeline(&world.room).into_iter();
        all.filter(|event| event["type"] == kind).collect::<Vec<Value>>()
    };
    eventually("the poll", || world.count(start) == 1).await;
    let event = events(start).remove(0);
    assert_eq!(event["sender"], World::ghost("ann"));
    assert_eq!(event["content"][start]["question"]["org.matrix.msc1767.text"], "Tea?");
    let vote = |kind: &str, user: &str, answer: u64| {
        let voted = json!({
            "user_id": user, "channel_id": CHANNEL, "guild_id": GUILD, "message_id": id, "answer_id": answer,
        });
        world.fake.dispatch(kind, &voted);
    };
    let response = "org.matrix.msc3381.poll.response";
    let answers = || {
        let chosen = |event: &Value| event["content"][response]["answers"].clone();
        events(response).iter().map(chosen).collect::<Vec<_>>()
    };
    vote("MESSAGE_POLL_VOTE_ADD", "10998", 1);
    vote("MESSAGE_POLL_VOTE_ADD", "10999", 2);
    eventually("both votes", || answers() == [json!(["1"]), json!(["2"])]).await;
    vote("MESSAGE_POLL_VOTE_REMOVE", "10999", 2);
    eventually("one taken back", || answers().len() == 3 && answers()[2] == json!([])).await;
    // It ends: the message is changed, and another one says how it came out.
    poll["results"] = json!({
        "is_finalized": true,
        "answer_counts": [{ "id": 1, "count": 1, "me_voted": false }, { "id": 2, "count": 0, "me_voted": false }],
    });
    let ended = json!({
        "id": id, "channel_id": CHANNEL, "guild_id": GUILD, "author": Fake::user("ann"), "content": "",
        "type": 0, "timestamp": "2026-01-01T00:00:00+00:00", "attachments": [], "embeds": [], "mentions": [],
        "poll": poll,
    });
    world.fake.dispatch("MESSAGE_UPDATE", &ended);
    let field = |name: &str, value: &str| json!({ "name": name, "value": value, "inline": false });
    let result = json!({
        "author": Fake::user("ann"), "content": "", "type": 46,
        "message_reference": { "type": 0, "message_id": id, "channel_id": CHANNEL },
        "embeds": [{ "type": "poll_result", "fields": [
            field("poll_question_text", "Tea?"), field("victor_answer_text", "Yes"),
            field("victor_answer_votes", "1"), field("total_votes", "1"),
        ] }],
    });
    world.fake.post(CHANNEL, result);
    let words = "The poll Tea? has ended: Yes won with 1 of 1 votes.";
    eventually("the result in words", || texts(&world.said()).contains(&words)).await;
    let ends = events("org.matrix.msc3381.poll.end");
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert_eq!(ends[0]["content"]["m.relates_to"]["event_id"], event["event_id"]);
    assert_eq!(ends[0]["content"]["m.poll.results"], json!({ "1": 1, "2": 0 }));
}

#[tokio::test]
async fn what_discord_says_itself_is_said() {
    let world = World::opened().await;
    let by = |kind: u64, content: &str| json!({ "author": Fake::user("ann"), "type": kind, "content": content });
    for (kind, content) in [(7, ""), (8, "3"), (10, ""), (4, "lounge"), (27, "Talk show")] {
        world.fake.post(CHANNEL, by(kind, content));
    }
    let mut call = by(3, "");
    call["call"] = json!({ "participants": ["10317"], "ended_timestamp": null });
    world.fake.post(CHANNEL, call);
    let mut flagged = by(24, "");
    flagged["embeds"] = json!([{
        "type": "auto_moderation_message", "description": "bad word",
        "fields": [{ "name": "rule_name", "value": "Words" }],
    }]);
    world.fake.post(CHANNEL, flagged);
    let expected = [
        "joined the server",
        "boosted the server 3 times",
        "boosted the server, which is on level 2 now",
        "changed the name of the channel to lounge",
        "started a stage: Talk show",
        "started a call",
        "Auto-moderation has flagged a message by the rule Words\n> bad word",
    ];
    eventually("all of it", || texts(&world.said()) == expected).await;
    assert_eq!(world.find(expected[0])["content"]["msgtype"], "m.emote");
    assert_eq!(world.find(expected[6])["content"]["msgtype"], "m.notice");
}

#[tokio::test]
async fn a_place_is_a_link_to_a_map() {
    let world = World::opened().await;
    let place = json!({
        "msgtype": "m.location", "body": "The big tower", "geo_uri": "geo:51.5,-0.125",
        "org.matrix.msc3488.location": { "uri": "geo:51.5,-0.125", "description": "The tower" },
    });
    let sent = handed_on(&world, &place).await;
    let url = "https://www.openstreetmap.org/?mlat=51.5&mlon=-0.125#map=15/51.5/-0.125";
    let text = sent["content"].as_str().unwrap();
    assert!(text.contains(&format!("]({url})")), "{text}");
}
