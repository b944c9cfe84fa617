//! What was before: the past of a chat, and what happened in it; and what ends.

use grammers_tl_types as tl;
use landbridge_framework::{
    config::BackfillConfig,
    testing::{eventually, own_logins},
};
use landbridge_telegram_peer::{Place, Sent};
use serde_json::{Value, json};

use crate::rig::{
    ALICE, BOB, BOBS_GHOST, BOT, CAROL, CAROLS_GHOST, CLUB, CLUB_ID, DIRECT, LOBBY, Rig,
};

/// A supergroup with the bot, which is not bridged.
const CAFE: Place = Place::Channel(CAFE_ID);
const CAFE_ID: i64 = 5300;

impl Rig {
    /// What is said in a room by whomever.
    fn bodies(&self, room: &str) -> Vec<String> {
        self.homeserver.messages(room).into_iter().map(|(_, body)| body).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chats_come_with_their_past() {
    let rig = Rig::start().await;
    let thumb = tl::types::ReactionEmoji { emoticon: "👍".into() };
    {
        let mut world = rig.peer.world();
        world.own_channel(CLUB_ID, "Club", ALICE, &[BOB]);
        let first = world.say(BOB, CLUB, "e4");
        let answer = Sent { text: "e5".into(), reply_to: Some(first), ..Sent::default() };
        world.send(ALICE, CLUB, answer);
        let gone = world.say(BOB, CLUB, "never mind");
        let last = world.say(BOB, CLUB, "Nf4");
        world.delete(CLUB_ID, gone);
        world.edit(CLUB_ID, last, "Nf3");
        world.react(ALICE, CLUB, last, vec![thumb.into()]).expect("it is there");
        // Their numbers are each one's own.
        world.say(BOB, CLUB, "check your chat");
        world.say(BOB, Place::Direct(BOB, BOT), "to the bot");
        world.say(BOB, DIRECT, "your turn");
        world.say(ALICE, DIRECT, "Nc6");
    }
    rig.become_alice().await;
    let club = rig.room_named("Club").await;
    eventually("the club's past", || rig.bodies(&club) == ["e4", "e5", "Nf3", "check your chat"])
        .await;
    let senders: Vec<String> =
        rig.homeserver.messages(&club).into_iter().map(|(sender, _)| sender).collect();
    assert_eq!(senders, [BOBS_GHOST, rig.ann.id(), BOBS_GHOST, BOBS_GHOST]);
    let event = |body: &str| rig.event_of(&club, body).expect("it is there");
    let answer =
        rig.events(&club, "m.room.message").into_iter().find(|it| it["content"]["body"] == "e5");
    let answer = answer.expect("it is there")["content"]["m.relates_to"]["m.in_reply_to"].clone();
    assert_eq!(answer["event_id"], event("e4"));
    let has_reacted = || {
        let all = rig.events(&club, "m.reaction");
        all.iter().any(|it| {
            it["sender"] == rig.ann.id()
                && it["content"]["m.relates_to"]["event_id"] == event("Nf3")
        })
    };
    eventually("Alice's reaction", has_reacted).await;
    let there =
        || rig.homeserver.all_rooms().into_iter().find(|room| rig.heard(room) == ["your turn"]);
    eventually("the direct chat", || there().is_some()).await;
    let direct = there().expect("it was found");
    eventually("Ann is in the room", || rig.ann.join(&direct)).await;
    eventually("the direct chat's past", || rig.bodies(&direct) == ["your turn", "Nc6"]).await;
    // What comes now is behind it, and what is done about the past is done.
    rig.peer.world().say(BOB, DIRECT, "Bb5");
    eventually("what comes now", || rig.bodies(&direct) == ["your turn", "Nc6", "Bb5"]).await;
    rig.ann.redact(&direct, &rig.event_of(&direct, "Nc6").expect("it is there")).expect("hers");
    eventually("Alice's move is taken back", || rig.said_by(DIRECT, ALICE).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_still_comes_where_the_homeserver_takes_it() {
    let mut rig = Rig::prepare().await;
    rig.bridge_config.backfill =
        BackfillConfig { on_create: 2, older: 3, page: 2, ..BackfillConfig::default() };
    let said = ["one", "two", "three", "four", "five", "six"];
    {
        let mut world = rig.peer.world();
        world.own_channel(CLUB_ID, "Club", ALICE, &[BOB]);
        for words in said {
            world.say(BOB, CLUB, words);
        }
    }
    rig.go().await;
    rig.become_alice().await;
    let club = rig.room_named("Club").await;
    let there = if rig.homeserver.imports_history() { &said[1..] } else { &said[4..] };
    eventually("the club's past", || rig.bodies(&club) == there).await;
    rig.peer.world().say(BOB, CLUB, "seven");
    let now = [there, &["seven"]].concat();
    eventually("what comes now is behind it", || rig.bodies(&club) == now).await;
    let event = rig.event_of(&club, there[0]).expect("it is there");
    rig.ann.react(&club, &event, "👍").expect("Ann is in the room");
    let reacted = || {
        let said = rig.peer.world().said(CLUB);
        said.iter().any(|it| it.text == there[0] && it.reactions == [(ALICE, "👍".to_owned())])
    };
    eventually("a reaction to the past is one there", reacted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_in_a_chat_is_said() {
    let rig = Rig::with_alice().await;
    let (direct, _) = rig.chat_with_bob().await;
    let room = rig.club().await;
    rig.peer.world().person(CAROL, "Carol", "+15550003");
    let told = async |room: &str, place: Place, action: tl::enums::MessageAction, words: &str| {
        rig.peer.world().happens(BOB, place, action);
        eventually(words, || rig.heard(room).iter().any(|body| body == words)).await;
        let said = rig.last(room, "m.room.message");
        (said["sender"].clone(), said["content"]["msgtype"].clone())
    };
    let call = || tl::types::InputGroupCall { id: 1, access_hash: 7 }.into();
    let began = tl::types::MessageActionGroupCall { call: call(), duration: None };
    let (by, kind) = told(&room, CLUB, began.into(), "Video chat started").await;
    assert_eq!((by, kind), (json!(BOBS_GHOST), json!("m.notice")));
    let ended = tl::types::MessageActionGroupCall { call: call(), duration: Some(60) };
    told(&room, CLUB, ended.into(), "Video chat ended (1 minute)").await;
    let missed = tl::types::MessageActionPhoneCall {
        video: true,
        call_id: 1,
        reason: Some(tl::enums::PhoneCallDiscardReason::Missed),
        duration: None,
    };
    told(&direct, DIRECT, missed.into(), "Video call missed").await;
    let (by, _) =
        told(&direct, DIRECT, tl::enums::MessageAction::ScreenshotTaken, "Took a screenshot").await;
    assert_eq!(by, BOBS_GHOST);
    // Whoever joins by a link is a member.
    let by_link = tl::types::MessageActionChatJoinedByLink { inviter_id: ALICE };
    rig.peer.world().happens(CAROL, CLUB, by_link.into());
    eventually("Carol has come", || rig.is(&room, CAROLS_GHOST, "join")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_out_is_signed_out_on_telegram() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let control = rig.control();
    let login = own_logins(&*control, rig.ann.id()).await.remove(0);
    control.logout(rig.ann.id(), &login.id).await.expect("it is hers");
    assert!(own_logins(&*control, rig.ann.id()).await.is_empty());
    eventually("Alice is not connected", || !rig.peer.world().is_connected(ALICE)).await;
    assert_eq!(rig.peer.world().calls("LogOut"), 1);
    // The bot isn't in the club: nobody speaks there for her.
    rig.ann.say(&room, "anybody?").expect("Ann may speak");
    rig.peer.world().say(BOB, CLUB, "unheard");
    let lobby = rig.lobby().await;
    rig.ann.say(&lobby, "by the bot").expect("Ann may speak");
    eventually("the bot speaks for her", || rig.said_by(LOBBY, BOT).len() == 1).await;
    assert!(rig.said_by(CLUB, ALICE).is_empty());
    assert!(!rig.heard(&room).contains(&"unheard".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_is_bridged_and_left_by_the_bots_commands() {
    let rig = Rig::start().await;
    rig.peer.world().channel(CAFE_ID, "Cafe", &[BOT, BOB]);
    let bot = "@telegrambot:hs.example";
    let room = rig.ann.create_room(&json!({ "invite": [bot] })).expect("Ann may make rooms");
    eventually("the bot has come", || rig.is(&room, bot, "join")).await;
    let mut levels: Value = rig.levels(&room);
    levels["users"][bot] = json!(90);
    rig.ann.set_state(&room, "m.room.power_levels", "", &levels).expect("she made it");
    let answered = async |said: &str| {
        let before = rig.heard(&room).len();
        rig.ann.say(&room, said).expect("Ann may speak");
        eventually(said, || rig.heard(&room).len() > before).await;
        rig.heard(&room).pop().expect("an answer")
    };
    let nowhere = answered("!telegram bridge c5999").await;
    assert!(nowhere.contains("chat"), "{nowhere}");
    rig.peer.world().say(BOB, CAFE, "before it is bridged");
    let lobby = rig.lobby().await;
    rig.peer.world().say(BOB, LOBBY, "first");
    eventually("the bot has heard it", || rig.heard(&lobby) == ["first"]).await;
    answered("!telegram bridge c5300").await;
    rig.peer.world().say(BOB, CAFE, "hello");
    eventually("Bob's words are there", || rig.heard(&room).contains(&"hello".to_owned())).await;
    rig.ann.say(&room, "hello Bob").expect("Ann may speak");
    eventually("Ann's are there", || {
        rig.said_by(CAFE, BOT).iter().any(|text| text.ends_with("hello Bob"))
    })
    .await;
    answered("!telegram unbridge").await;
    let heard = rig.heard(&room);
    rig.peer.world().say(BOB, CAFE, "unheard");
    rig.peer.world().say(BOB, LOBBY, "heard");
    eventually("what is bridged", || rig.heard(&lobby).contains(&"heard".to_owned())).await;
    assert_eq!(rig.heard(&room), heard);
}
