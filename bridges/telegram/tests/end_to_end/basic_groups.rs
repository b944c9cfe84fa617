//! Basic groups: everybody in them has numbers of their own for what is said there.

use grammers_tl_types as tl;
use landbridge_framework::testing::eventually;
use landbridge_telegram_peer::{Passed, Place, Sent};
use serde_json::{Value, json};

use crate::rig::{ALICE, BOB, BOBS_GHOST, CAROL, CAROLS_GHOST, Rig};

const CIRCLE: Place = Place::Group(CIRCLE_ID);
const CIRCLE_ID: i64 = 450;
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\ncircle";

impl Rig {
    /// The room of a basic group of Alice's with Bob, who has said "welcome" there.
    async fn circle(&self) -> String {
        {
            let mut world = self.peer.world();
            world.person(CAROL, "Carol", "+15550003");
            // What Bob and Carol say to each other has numbers, too: Bob's are not Alice's.
            world.say(BOB, Place::Direct(BOB, CAROL), "psst");
            world.own_group(CIRCLE_ID, "Circle", ALICE, &[BOB]);
            world.say(BOB, CIRCLE, "welcome");
        }
        let room = self.room_named("Circle").await;
        eventually("Bob's words are there", || self.heard(&room) == ["welcome"]).await;
        eventually("Ann has Alice's power", || self.levels(&room)["users"][self.ann.id()] == 95)
            .await;
        room
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_changed_and_taken_back_in_a_group_is_so_on_both_sides() {
    let rig = Rig::with_alice().await;
    let room = rig.circle().await;
    let numbered = |who: i64, number: i32| {
        let number = rig.peer.world().number_of(ALICE, who, number);
        number.expect("Alice has it, too")
    };
    // From Telegram: an answer, a change, a reaction, a pin, and all of it taken back.
    let welcome = rig.event_of(&room, "welcome").expect("it is there");
    let number = {
        let mut world = rig.peer.world();
        let first = world.numbers(BOB, CIRCLE_ID)[0];
        assert_ne!(world.number_of(ALICE, BOB, first), Some(first), "they count apart");
        let sent = Sent { text: "evrybody".into(), reply_to: Some(first), ..Sent::default() };
        world.send(BOB, CIRCLE, sent)
    };
    eventually("the answer is there", || rig.event_of(&room, "evrybody").is_some()).await;
    let answer = rig.last(&room, "m.room.message");
    assert_eq!(answer["content"]["m.relates_to"]["m.in_reply_to"]["event_id"], welcome);
    rig.peer.world().edit_direct(BOB, number, "everybody");
    eventually("it is changed", || {
        rig.last(&room, "m.room.message")["content"]["m.new_content"]["body"] == "everybody"
    })
    .await;
    let thumb = tl::types::ReactionEmoji { emoticon: "👍".into() };
    rig.peer.world().react(BOB, CIRCLE, number, vec![thumb.into()]).expect("it is there");
    eventually("Bob has reacted", || {
        let reaction = rig.last(&room, "m.reaction")["content"]["m.relates_to"].clone();
        reaction["event_id"] == answer["event_id"] && reaction["key"] == "👍"
    })
    .await;
    rig.peer.world().pin_direct(BOB, number, true);
    let pinned = || rig.state(&room, "m.room.pinned_events")["pinned"].clone();
    eventually("it is pinned", || pinned() == json!([answer["event_id"]])).await;

    // From Matrix the same.
    let about = json!({
        "msgtype": "m.text", "body": "thnaks",
        "m.relates_to": { "m.in_reply_to": { "event_id": answer["event_id"] } },
    });
    let event = rig.ann.send(&room, "m.room.message", &about).expect("Ann may answer");
    eventually("Ann's answer is there", || rig.said_by(CIRCLE, ALICE) == ["thnaks"]).await;
    let last = || rig.peer.world().said(CIRCLE).pop().expect("there is one");
    assert_eq!(last().reply_to, Some(numbered(BOB, number)));
    let edit = json!({
        "msgtype": "m.text", "body": "* thanks",
        "m.new_content": { "msgtype": "m.text", "body": "thanks" },
        "m.relates_to": { "rel_type": "m.replace", "event_id": event },
    });
    rig.ann.send(&room, "m.room.message", &edit).expect("Ann may edit");
    eventually("it is changed", || rig.said_by(CIRCLE, ALICE) == ["thanks"]).await;
    rig.ann.react(&room, &welcome, "🎉").expect("Ann may react");
    eventually("Alice has reacted", || {
        let said = rig.peer.world().said(CIRCLE);
        said[0].reactions == [(ALICE, "🎉".to_owned())]
    })
    .await;
    let pins = json!({ "pinned": [answer["event_id"], event] });
    rig.ann.set_state(&room, "m.room.pinned_events", "", &pins).expect("Ann may pin");
    eventually("it is pinned", || last().pinned).await;
    rig.ann.redact(&room, &event).expect("Ann may take it back");
    eventually("it is gone", || rig.said_by(CIRCLE, ALICE).is_empty()).await;

    // Telegram doesn't say in which chat what is deleted was.
    rig.peer.world().delete_direct(BOB, number);
    let is_gone = |redaction: &Value| {
        let named = [&redaction["redacts"], &redaction["content"]["redacts"]];
        named.contains(&&answer["event_id"])
    };
    eventually("Bob's is gone, too", || rig.events(&room, "m.room.redaction").iter().any(is_gone))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_types_and_has_read_in_a_group_is_seen() {
    let rig = Rig::with_alice().await;
    let room = rig.circle().await;
    let typing = tl::enums::SendMessageAction::SendMessageTypingAction;
    rig.peer.world().act(BOB, CIRCLE, &typing);
    eventually("Bob types", || rig.ann.seen_typing(&room) == [BOBS_GHOST]).await;
    rig.ann.typing(&room);
    let has = |passed: Passed| rig.peer.world().has_passed(&passed);
    eventually("Alice types", || has(Passed::Typing(ALICE, CIRCLE, true))).await;
    let welcome = rig.event_of(&room, "welcome").expect("it is there");
    rig.ann.read(&room, &welcome);
    let number = rig.peer.world().numbers(ALICE, CIRCLE_ID)[0];
    eventually("Alice has read it", || has(Passed::Read(ALICE, CIRCLE, number))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_looks_the_same_on_both_sides() {
    let rig = Rig::with_alice().await;
    let room = rig.circle().await;
    let name = || rig.state(&room, "m.room.name")["name"].clone();
    let topic = || rig.state(&room, "m.room.topic")["topic"].clone();
    let picture = || rig.bytes(&rig.state(&room, "m.room.avatar")["url"]);
    rig.peer.world().entitle(BOB, CIRCLE, "Chess");
    eventually("it has the new name", || name() == "Chess").await;
    assert_eq!(rig.last(&room, "m.room.name")["sender"], BOBS_GHOST);
    rig.peer.world().describe(CIRCLE, "for beginners");
    eventually("it says the new words", || topic() == "for beginners").await;
    rig.peer.world().picture(BOB, CIRCLE, Some(PICTURE));
    eventually("it has the new picture", || picture().as_deref() == Some(PICTURE)).await;
    rig.peer.world().picture(BOB, CIRCLE, None);
    eventually("it has none", || picture().is_none()).await;

    let shown = || rig.peer.world().shown(CIRCLE);
    let set = |kind: &str, content: Value| {
        rig.ann.set_state(&room, kind, "", &content).expect("Ann may change it");
    };
    set("m.room.name", json!({ "name": "Go" }));
    eventually("it has Ann's name", || shown().title == "Go").await;
    set("m.room.topic", json!({ "topic": "for masters" }));
    eventually("it says Ann's words", || shown().about == "for masters").await;
    let mxc = rig.ann.upload("image/png", PICTURE).expect("an upload");
    set("m.room.avatar", json!({ "url": mxc }));
    eventually("it has Ann's picture", || shown().picture.as_deref() == Some(PICTURE)).await;
    set("m.room.avatar", json!({}));
    eventually("it has none again", || shown().picture.is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_and_goes_in_a_group_does_so_on_matrix() {
    let rig = Rig::with_alice().await;
    let room = rig.circle().await;
    assert!(rig.is(&room, BOBS_GHOST, "join"));
    rig.peer.world().bring(BOB, CIRCLE, CAROL);
    eventually("Bob has brought Carol", || rig.is(&room, CAROLS_GHOST, "join")).await;
    rig.peer.world().remove(CAROL, CIRCLE, CAROL);
    eventually("Carol has gone", || rig.is(&room, CAROLS_GHOST, "leave")).await;
    assert_eq!(rig.last(&room, "m.room.member")["sender"], CAROLS_GHOST);
    rig.peer.world().appoint(CIRCLE_ID, BOB, true);
    eventually("Bob is an administrator", || rig.levels(&room)["users"][BOBS_GHOST] == 50).await;
    rig.peer.world().appoint(CIRCLE_ID, BOB, false);
    eventually("Bob is none any more", || {
        rig.levels(&room)["users"][BOBS_GHOST].as_i64().unwrap_or(0) == 0
    })
    .await;
    // Whoever has brought somebody may put them out, though the room doesn't let him.
    rig.peer.world().bring(BOB, CIRCLE, CAROL);
    eventually("Bob has brought Carol back", || rig.is(&room, CAROLS_GHOST, "join")).await;
    rig.peer.world().remove(BOB, CIRCLE, CAROL);
    eventually("Bob has put her out", || rig.is(&room, CAROLS_GHOST, "leave")).await;
    // The account's own owner, too, who sees nothing of it meanwhile.
    rig.peer.world().remove(ALICE, CIRCLE, ALICE);
    eventually("Ann has gone with Alice", || rig.is(&room, rig.ann.id(), "leave")).await;
    rig.peer.world().say(BOB, CIRCLE, "she is gone");
    rig.peer.world().bring(BOB, CIRCLE, ALICE);
    eventually("Ann is called back", || !rig.is(&room, rig.ann.id(), "leave")).await;
    rig.peer.world().say(BOB, CIRCLE, "welcome back");
    eventually("a word to her", || rig.heard(&room).last().is_some_and(|t| t == "welcome back"))
        .await;
    assert!(!rig.heard(&room).contains(&"she is gone".to_owned()));
    assert!(rig.peer.world().shown(CIRCLE).members.contains(&ALICE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_called_and_put_out_of_a_groups_room_is_so_on_telegram() {
    let rig = Rig::with_alice().await;
    let room = rig.circle().await;
    let members = || rig.peer.world().shown(CIRCLE).members;
    assert!(rig.ann.invite(&room, CAROLS_GHOST));
    eventually("Carol is called", || members().contains(&CAROL)).await;
    eventually("and has come", || rig.is(&room, CAROLS_GHOST, "join")).await;
    rig.settled(&room, CIRCLE, "hi").await;
    assert!(rig.ann.kick(&room, BOBS_GHOST));
    eventually("Bob is put out", || !members().contains(&BOB)).await;
    rig.settled(&room, CIRCLE, "bye Bob").await;
    assert!(rig.ann.invite(&room, BOBS_GHOST));
    eventually("Bob is called", || members().contains(&BOB)).await;
    eventually("and has come back", || rig.is(&room, BOBS_GHOST, "join")).await;
    rig.settled(&room, CIRCLE, "hi Bob").await;
    // Basic groups know no bans: he is put out, and may be called again when the room lets him.
    assert!(rig.ann.ban(&room, BOBS_GHOST));
    eventually("Bob is put out again", || !members().contains(&BOB)).await;
    rig.settled(&room, CIRCLE, "bye again").await;
    assert!(rig.is(&room, BOBS_GHOST, "ban"), "he stays shut out here");
    assert!(rig.ann.unban(&room, BOBS_GHOST));
    assert!(rig.ann.invite(&room, BOBS_GHOST));
    eventually("Bob is called again", || members().contains(&BOB)).await;
    assert!(rig.ann.leave(&room));
    eventually("Alice has gone with Ann", || !members().contains(&ALICE)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_everybody_may_do_in_a_group_is_power_levels() {
    let rig = Rig::with_alice().await;
    let room = rig.circle().await;
    eventually("everybody may speak", || rig.levels(&room)["events_default"] == 0).await;
    let rights = || rig.peer.world().rights(CIRCLE);
    let quiet = tl::types::ChatBannedRights { send_messages: true, pin_messages: true, ..rights() };
    rig.peer.world().permit(CIRCLE, &quiet);
    eventually("only administrators may", || {
        let levels = rig.levels(&room);
        levels["events_default"] == 50 && levels["events"]["m.room.pinned_events"] == 50
    })
    .await;
    rig.change_levels(&room, |levels| levels["events_default"] = json!(0));
    eventually("everybody may speak again", || !rights().send_messages).await;
    assert!(rights().pin_messages, "nothing else is changed");
    // What comes back of it changes levels, too, and levels are replaced as a whole.
    eventually("so may their stickers", || rig.levels(&room)["events"]["m.sticker"] == 0).await;
    let administrators = || rig.peer.world().shown(CIRCLE).administrators;
    rig.change_levels(&room, |levels| levels["users"][BOBS_GHOST] = json!(50));
    eventually("Bob is an administrator", || administrators().contains(&BOB)).await;
    rig.change_levels(&room, |levels| levels["users"][BOBS_GHOST] = json!(0));
    eventually("Bob is none any more", || administrators().is_empty()).await;
}
