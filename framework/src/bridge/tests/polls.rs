//! Polls, both ways.

use serde_json::{Value, json};

use super::{eventually, last, stage::What, staged::Staged};

const START: &str = "org.matrix.msc3381.poll.start";
const RESPONSE: &str = "org.matrix.msc3381.poll.response";
const END: &str = "org.matrix.msc3381.poll.end";

fn options(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn poll(id: &str) -> What {
    What::Poll { id: id.into(), options: options(&["a", "b"]) }
}

fn vote(poll: &str, choice: &str) -> What {
    What::Vote { poll: poll.into(), choices: options(&[choice]) }
}

/// A poll as clients start it.
fn started() -> Value {
    let answer = |id: &str, text: &str| json!({ "id": id, "org.matrix.msc1767.text": text });
    json!({
        "org.matrix.msc1767.text": "Tea?",
        START: {
            "kind": "org.matrix.msc3381.poll.disclosed", "max_selections": 1,
            "question": { "org.matrix.msc1767.text": "Tea?" },
            "answers": [answer("x1", "Yes"), answer("x2", "No")],
        },
    })
}

fn about(event: &str) -> Value {
    json!({ "rel_type": "m.reference", "event_id": event })
}

fn response(event: &str, answers: &[&str]) -> Value {
    json!({ "m.relates_to": about(event), RESPONSE: { "answers": answers } })
}

#[tokio::test]
async fn a_poll_of_the_network_is_one_on_matrix_with_its_votes_and_its_end() {
    let (world, _ann, room, _bridge) = Staged::new().await.opened().await;
    world.stage.tell("c", "bob", poll("p"));
    world.stage.tell("c", "eve", vote("p", "a"));
    world.stage.tell("c", "bob", vote("p", "b"));
    world.stage.tell("c", "eve", vote("p", "b"));
    world.stage.tell("c", "bob", What::End { poll: "p".into() });
    eventually("its end", || !world.events(&room, END).is_empty()).await;
    let start = world.events(&room, START).remove(0);
    assert_eq!(start["content"][START]["answers"][1]["id"], "b");
    let votes: Vec<_> = world
        .events(&room, RESPONSE)
        .into_iter()
        .map(|event| {
            assert_eq!(event["content"]["m.relates_to"]["event_id"], start["event_id"]);
            let sender = event["sender"].as_str().unwrap().to_owned();
            (sender, event["content"][RESPONSE]["answers"][0].as_str().unwrap().to_owned())
        })
        .collect();
    let by = |who: &str, what: &str| (format!("@stage_{who}:hs.example"), what.to_owned());
    assert_eq!(votes, [by("eve", "a"), by("bob", "b"), by("eve", "b")]);
    let end = last(&world.homeserver.timeline(&room), END);
    assert_eq!(end["content"]["m.poll.results"], json!({ "a": 0, "b": 2 }));
    assert_eq!(end["sender"], start["sender"]);
}

#[tokio::test]
async fn where_nobody_knows_who_voted_one_message_says_how_it_stands() {
    let (world, _ann, room, _bridge) = Staged::new().await.opened().await;
    let results = |a: u64, ended: bool| What::Results {
        poll: "p".into(),
        counts: vec![("a".into(), a)],
        ended,
    };
    world.stage.tell("c", "bob", poll("p"));
    world.stage.tell("c", "bob", results(1, false));
    world.stage.tell("c", "bob", results(2, false));
    world.stage.tell("c", "bob", results(5, true));
    eventually("its end", || !world.events(&room, END).is_empty()).await;
    let said = world.homeserver.messages(&room);
    let bot = "@stagebot:hs.example".to_owned();
    assert_eq!(said, [(bot, "The poll has ended:\n- Option a: 5\n- Option b: 0".to_owned())]);
    assert_eq!(world.events(&room, END).len(), 1);
}

#[tokio::test]
async fn a_poll_from_matrix_is_one_on_the_network_under_the_networks_names() {
    let (world, ann, room, bridge) = Staged::new().await.opened().await;
    world.log_in(&bridge, &ann, "annie").await;
    let event = ann.send(&room, START, &started()).unwrap();
    ann.send(&room, RESPONSE, &response(&event, &["x2", "x1", "unknown"])).unwrap();
    ann.send(
        &room,
        "m.poll.response",
        &json!({ "m.relates_to": about(&event), "m.selections": [] }),
    )
    .unwrap();
    let wanted = ["poll Tea?: Yes, No", "vote s1: 2", "vote s1: "];
    eventually("poll and votes", || world.stage.asked() == wanted).await;
    // What was voted on the network is shown under Matrix's names.
    world.stage.tell("c", "bob", vote("s1", "1"));
    let by_bob = |event: &Value| event["sender"] == "@stage_bob:hs.example";
    let answers = || {
        let votes = world.events(&room, RESPONSE);
        votes.into_iter().find(by_bob).map(|event| event["content"][RESPONSE]["answers"].clone())
    };
    eventually("Bob's vote", || answers() == Some(json!(["x1"]))).await;
    ann.send(&room, END, &json!({ "m.relates_to": about(&event), END: {} })).unwrap();
    eventually("its end", || world.stage.asked().last().is_some_and(|asked| asked == "end s1"))
        .await;
    // It comes back, and is not said again.
    world.stage.tell("c", "annie", What::End { poll: "s1".into() });
    world.stage.tell("c", "bob", What::Say { id: "m".into(), text: "after".into() });
    eventually("what came after", || world.homeserver.messages(&room).len() == 1).await;
    assert_eq!(world.events(&room, END).len(), 1);
}

#[tokio::test]
async fn ones_own_vote_is_not_shown_twice() {
    let (world, ann, room, bridge) = Staged::new().await.opened().await;
    world.log_in(&bridge, &ann, "annie").await;
    world.stage.tell("c", "bob", poll("p"));
    eventually("the poll", || !world.events(&room, START).is_empty()).await;
    let event = world.events(&room, START)[0]["event_id"].as_str().unwrap().to_owned();
    ann.send(&room, RESPONSE, &response(&event, &["a"])).unwrap();
    eventually("her vote", || world.stage.asked() == ["vote p: a"]).await;
    // A settled vote is known; the next thing told is behind the commit that says so.
    ann.say(&room, "voted").unwrap();
    eventually("her words", || world.stage.asked().len() == 2).await;
    world.stage.tell("c", "annie", vote("p", "a"));
    world.stage.tell("c", "bob", What::Say { id: "m".into(), text: "after".into() });
    let after = || world.homeserver.messages(&room).iter().any(|(_, text)| text == "after");
    eventually("what came after", after).await;
    assert_eq!(world.events(&room, RESPONSE).len(), 1, "only hers");
}

#[tokio::test]
async fn a_relay_has_no_vote_and_strangers_close_no_polls() {
    let (world, ann, room, _bridge) = Staged::new().await.opened().await;
    world.stage.tell("c", "bob", poll("p"));
    eventually("the poll", || !world.events(&room, START).is_empty()).await;
    let event = world.events(&room, START)[0]["event_id"].as_str().unwrap().to_owned();
    ann.send(&room, RESPONSE, &response(&event, &["a"])).unwrap();
    ann.send(&room, END, &json!({ "m.relates_to": about(&event), END: {} })).unwrap();
    ann.say(&room, "hello").unwrap();
    eventually("the next message", || world.stage.asked() == ["ann: hello"]).await;
}

#[tokio::test]
async fn a_poll_with_too_many_answers_is_refused_on_one_side_and_text_on_the_other() {
    let (world, ann, room, _bridge) = Staged::new().await.opened().await;
    let many: Vec<String> = (0..21).map(|number| number.to_string()).collect();
    world.stage.tell("c", "bob", What::Poll { id: "p".into(), options: many });
    eventually("its words", || world.homeserver.messages(&room).len() == 1).await;
    assert!(world.homeserver.messages(&room)[0].1.starts_with("Which?\n- Option 0\n"));
    let mut content = started();
    let answer = content[START]["answers"][0].clone();
    content[START]["answers"] = vec![answer; 4].into();
    ann.send(&room, START, &content).unwrap();
    let told = || {
        let said = world.homeserver.messages(&room);
        said.iter().any(|(_, text)| text.contains("polls of at most 3 answers"))
    };
    eventually("a notice", told).await;
    assert!(world.stage.asked().is_empty());
}

#[test]
fn polls_and_votes_come_once_wherever_the_bridge_is_killed() {
    crate::testing::pump::run(async {
        let (world, ann, room, bridge) = Staged::new().await.opened().await;
        world.log_in(&bridge, &ann, "annie").await;
        world.kill(Some(bridge)).await;
        world.stage.tell("c", "bob", poll("p"));
        world.stage.tell("c", "eve", vote("p", "a"));
        world.stage.tell("c", "eve", vote("p", "b"));
        world.stage.tell("c", "bob", What::End { poll: "p".into() });
        let event = ann.send(&room, START, &started()).unwrap();
        ann.send(&room, RESPONSE, &response(&event, &["x1"])).unwrap();
        ann.send(&room, RESPONSE, &response(&event, &["x2"])).unwrap();
        world.crash(40).await;
        let _bridge = world.start().await;
        let wanted = ["poll Tea?: Yes, No", "vote s1: 1", "vote s1: 2"];
        eventually("what she did", || world.stage.asked() == wanted).await;
        eventually("the end", || !world.events(&room, END).is_empty()).await;
        let by_eve = |event: &Value| event["sender"] == "@stage_eve:hs.example";
        let votes: Vec<_> = world
            .events(&room, RESPONSE)
            .into_iter()
            .filter(by_eve)
            .map(|event| event["content"][RESPONSE]["answers"][0].clone())
            .collect();
        assert_eq!(votes, ["a", "b"]);
        assert_eq!(world.events(&room, END).len(), 1);
        let starts = world.events(&room, START);
        assert_eq!(starts.iter().filter(|event| event["sender"] != "@ann:hs.example").count(), 1);
    });
}
