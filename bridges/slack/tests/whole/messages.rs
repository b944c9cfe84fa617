//! What is said, beside plain text: mentions, the workspace's own emoji, what apps and links show, huddles, answers.

use serde_json::{Value, json};

use crate::World;
use landbridge_framework::testing::eventually;
use landbridge_slack::config::Replies;

/// A text with marks, as clients send it.
fn marked(body: &str, html: &str) -> Value {
    json!({ "msgtype": "m.text", "body": body, "format": "org.matrix.custom.html", "formatted_body": html })
}

#[tokio::test]
async fn mentions_are_mentions_on_matrix() {
    let world = World::new().await;
    let (_ann, room, _bridge) = world.opened().await;
    let text = "<@U02> <#C01> <#C02> <!subteam^S01> <!here> <!channel>";
    world.slack.say("U01", json!({ "text": text }));
    let body = "@Ben #general #random @devs @here @room";
    eventually("what she said", || world.said(&room) == [body]).await;
    let content = world.event_of(&room, body)["content"].clone();
    assert_eq!(content["m.mentions"], json!({ "user_ids": [World::ghost("U02")], "room": true }));
    let html = content["formatted_body"].as_str().unwrap();
    let pill = format!("<a href=\"https://matrix.to/#/{}\">@Ben</a>", World::ghost("U02"));
    assert!(html.contains(&pill), "{html}");
    assert!(html.contains(&format!("<a href=\"https://matrix.to/#/{room}")), "{html}");
    // A link where there is a room, words where there is none; a group is words.
    assert!(html.contains("#general</a> #random <strong>@devs</strong>"), "{html}");
}

#[tokio::test]
async fn mentions_are_mentions_in_slack() {
    let world = World::new().await;
    let (ann, room, _bridge) = world.opened().await;
    let slack = &world.slack;
    let html = format!(
        "<a href=\"https://matrix.to/#/{}\">Ben</a> in <a href=\"https://matrix.to/#/{room}\">here</a>, \
         <a href=\"https://matrix.to/#/@carl:hs.example\">carl</a>",
        World::ghost("U02"),
    );
    ann.send(&room, "m.room.message", &marked("Ben in here, carl", &html)).unwrap();
    eventually("a message", || slack.texts().len() == 1).await;
    let message = slack.messages().remove(0);
    let text = message["text"].as_str().unwrap();
    assert!(text.starts_with("<@U02> in <#C01>, "), "{text}");
    let words = &message["blocks"][0]["elements"][0]["elements"];
    assert_eq!(words[0], json!({ "type": "user", "user_id": "U02" }));
    assert_eq!(words[2], json!({ "type": "channel", "channel_id": "C01" }));
    let call = json!({ "msgtype": "m.text", "body": "@room: tea", "m.mentions": { "room": true } });
    ann.send(&room, "m.room.message", &call).unwrap();
    eventually("a call", || slack.texts().last().unwrap() == "<!channel>: tea").await;
    // What only looks like one is none.
    ann.say(&room, "<!channel> <@U02>").unwrap();
    eventually("words", || slack.texts().last().unwrap() == "&lt;!channel&gt; &lt;@U02&gt;").await;
}

/// The pictures in a text.
fn pictures(event: &Value) -> Vec<String> {
    let html = event["content"]["formatted_body"].as_str().unwrap();
    html.split("src=\"").skip(1).map(|it| it.split('"').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_workspaces_own_emoji_are_so_on_both_sides() {
    let world = World::new().await;
    let (ann, room, _bridge) = world.opened().await;
    let slack = &world.slack;
    let ts = slack.say("U01", json!({ "text": "so :parrot:" }));
    eventually("what she said", || world.said(&room) == ["so :parrot:"]).await;
    let event = world.event_of(&room, "so :parrot:");
    let parrot = pictures(&event).remove(0);
    assert_eq!(world.picture(&parrot.as_str().into()).as_deref(), Some("parrot.png"));
    slack.react("U02", &ts, "parrot", true);
    let key = || world.last(&room, "m.reaction")["content"]["m.relates_to"]["key"].clone();
    eventually("a reaction", || key() == parrot.as_str()).await;
    slack.react("U02", &ts, "parrot", false);
    eventually("its end", || key().is_null()).await;
    // By picture, and by name.
    let html = format!("<img data-mx-emoticon src=\"{parrot}\" alt=\":parrot:\">!");
    ann.send(&room, "m.room.message", &marked(":parrot:!", &html)).unwrap();
    eventually("her words", || slack.texts().len() == 2).await;
    assert_eq!(slack.texts()[1], ":parrot:!");
    let words = slack.messages()[1]["blocks"][0]["elements"][0]["elements"].clone();
    assert_eq!(words[0], json!({ "type": "emoji", "name": "parrot" }));
    let id = event["event_id"].as_str().unwrap();
    let reactions = || slack.messages()[0]["reactions"].clone();
    for key in [parrot.as_str(), ":parrot:"] {
        let reaction = ann.react(&room, id, key).unwrap();
        eventually("a reaction", || reactions()[0]["name"] == "parrot").await;
        ann.redact(&room, &reaction).unwrap();
        eventually("its end", || reactions() == json!([])).await;
    }
    // Another name of the same.
    slack.say("U01", json!({ "text": "or :polly:" }));
    eventually("what she said then", || world.said(&room).len() == 2).await;
    let other = pictures(&world.event_of(&room, "or :polly:")).remove(0);
    assert_eq!(world.picture(&other.as_str().into()).as_deref(), Some("parrot.png"));
}

#[tokio::test]
async fn what_apps_and_links_show_is_shown() {
    let world = World::new().await;
    let (_ann, room, _bridge) = world.opened().await;
    let slack = &world.slack;
    let plain = |text: &str| json!({ "type": "plain_text", "text": text });
    slack.say("U01", json!({ "text": "fallback", "blocks": [
        { "type": "header", "text": plain("Lunch") },
        { "type": "section", "text": { "type": "mrkdwn", "text": "*Soup* or salad" }, "fields": [plain("one"), plain("two")] },
        { "type": "divider" },
        { "type": "context", "elements": [{ "type": "mrkdwn", "text": "by _Ben_" }] },
        { "type": "actions", "elements": [{ "type": "button", "text": plain("Order"), "url": "https://example.org/o" }] },
    ] }));
    slack.say("U01", json!({ "text": "", "attachments": [{
        "pretext": "New ticket", "author_name": "Ann", "title": "#12 Broken", "title_link": "https://example.org/12",
        "text": "It *fails*", "fields": [{ "title": "Priority", "value": "High" }], "footer": "Tracker",
    }] }));
    slack.say("U01", json!({ "text": "look", "attachments": [{
        "is_msg_unfurl": true, "is_share": true, "channel_id": "C02", "author_name": "Ben", "text": "the words",
        "from_url": "https://test.slack.com/archives/C02/p1",
    }] }));
    eventually("all three", || world.said(&room).len() == 3).await;
    let said = world.said(&room);
    for words in
        ["Lunch", "Soup or salad", "one", "two", "---", "by Ben", "Order", "https://example.org/o"]
    {
        assert!(said[0].contains(words), "{words}: {said:?}");
    }
    let ticket = "New ticket\n> Ann\n> #12 Broken (https://example.org/12)\n> It fails\n> Priority\n> High\n> Tracker";
    assert_eq!(said[1], ticket);
    let shared = "look\n> Ben in #random\n> the words\n> Original message (https://test.slack.com/archives/C02/p1)";
    assert_eq!(said[2], shared);
    // What Slack finds behind a link comes later, with the same words. Whoever edits then says it with what was found.
    let link = "https://example.org/page";
    let message = json!({ "text": format!("<{link}>"), "attachments": [{
        "from_url": link, "original_url": link, "title": "A page", "text": "Worth reading" }] });
    slack.say("U01", message);
    eventually("the link", || world.said(&room).len() == 4).await;
    let preview = world.event_of(&room, link)["content"]["com.beeper.linkpreviews"][0].clone();
    assert_eq!((&preview["matched_url"], &preview["og:title"]), (&json!(link), &json!("A page")));
}

#[tokio::test]
async fn a_huddle_can_be_joined_while_it_lasts() {
    let world = World::new().await;
    let (_ann, room, _bridge) = world.opened().await;
    let slack = &world.slack;
    let huddle = json!({ "subtype": "huddle_thread", "text": "", "room": { "channels": ["C01"], "has_ended": false } });
    let ts = slack.say("U01", huddle);
    let join = "A huddle started: join it in Slack (https://app.slack.com/huddle/T01/C01)";
    eventually("its beginning", || world.said(&room) == [join]).await;
    assert_eq!(world.event_of(&room, join)["content"]["msgtype"], "m.notice");
    slack.alter(&ts, |message, _| message["room"]["has_ended"] = true.into());
    eventually("its end", || world.said(&room) == ["A huddle happened"]).await;
    slack.say("U02", json!({ "subtype": "me_message", "text": "waves" }));
    eventually("what he does", || world.said(&room).len() == 2).await;
    assert_eq!(world.event_of(&room, "waves")["content"]["msgtype"], "m.emote");
}

#[tokio::test]
async fn answers_are_seen_in_the_channel_where_that_is_chosen() {
    let world = World::with(|_, network| network.replies = Replies::Broadcast).await;
    let (ann, room, _bridge) = world.opened().await;
    let slack = &world.slack;
    let ts = slack.say("U01", json!({ "text": "Where?" }));
    eventually("the question", || world.said(&room) == ["Where?"]).await;
    let event = world.event_of(&room, "Where?")["event_id"].clone();
    let answer = json!({ "msgtype": "m.text", "body": "Here.",
        "m.relates_to": { "m.in_reply_to": { "event_id": event } } });
    ann.send(&room, "m.room.message", &answer).unwrap();
    eventually("the answer", || slack.texts().last().unwrap() == "Here.").await;
    let asked = slack.asked("chat.postMessage").remove(0);
    assert_eq!((&asked["thread_ts"], &asked["reply_broadcast"]), (&json!(ts), &json!(true)));
    // An answer to it in Slack is part of the same thread.
    slack.say("U01", json!({ "text": "Thanks.", "thread_ts": ts }));
    eventually("her thanks", || world.said(&room).len() == 2).await;
    assert_eq!(world.event_of(&room, "Thanks.")["content"]["m.relates_to"]["event_id"], event);
}
