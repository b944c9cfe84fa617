//! People's own accounts.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use landbridge_framework::{
    login::{Display, StepKind},
    testing::{eventually, login_becomes, own_logins},
};
use landbridge_telegram_peer::{CODE, Faults, Place};

use crate::rig::{ALICE, BOB, BOBS_GHOST, BOT, CAROL, DC, DIRECT, LOBBY, Rig};

const ALICES_GHOST: &str = "@telegram_1001:hs.example";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn direct_chats_go_both_ways() {
    let rig = Rig::start().await;
    rig.log_in("+15550001").await;
    eventually("Alice is connected", || rig.peer.world().is_connected(ALICE)).await;
    let hi = rig.peer.world().say(BOB, DIRECT, "hi Alice");
    let room = rig.direct_room(BOBS_GHOST).await;
    eventually("Bob's words are there", || rig.heard(&room).contains(&"hi Alice".to_owned())).await;
    rig.ann.say(&room, "hi Bob").expect("Ann may speak");
    eventually("Ann's words are Alice's", || rig.said_by(DIRECT, ALICE) == ["hi Bob"]).await;
    // Telegram doesn't say of which chat a deleted direct message was.
    rig.peer.world().delete_direct(BOB, hi);
    eventually("Bob's words are taken back", || !rig.events(&room, "m.room.redaction").is_empty())
        .await;
    assert_eq!(rig.said_by(DIRECT, ALICE), ["hi Bob"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_found_and_written_to_first() {
    let rig = Rig::start().await;
    rig.log_in("+15550001").await;
    eventually("Alice is connected", || rig.peer.world().is_connected(ALICE)).await;
    let control = rig.control();
    // Telegram has the connection before the account may be used.
    login_becomes(&*control, rig.ann.id(), |login| !login.system, "connected").await;
    let found = control.search(rig.ann.id(), None, "bob").await.expect("it is searched");
    assert_eq!(found.len(), 1, "{found:?}");
    let nobody = control.resolve(rig.ann.id(), None, "+15559999").await.expect("it is looked up");
    assert!(nobody.is_none(), "{nobody:?}");
    let bob = control.resolve(rig.ann.id(), None, "+15550002").await.expect("it is looked up");
    let bob = bob.expect("it is Bob's number");
    assert_eq!(bob.id, found[0].id);
    control.start_chat(rig.ann.id(), None, &bob.id).await.expect("he may be written to");
    let room = rig.direct_room(BOBS_GHOST).await;
    rig.ann.say(&room, "hi Bob").expect("Ann may speak");
    eventually("Ann's words are Alice's", || rig.said_by(DIRECT, ALICE) == ["hi Bob"]).await;
    rig.peer.world().say(BOB, DIRECT, "hi Alice");
    eventually("Bob's words are in the same room", || rig.heard(&room) == ["hi Alice"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buttons_are_numbered_and_pressed() {
    let rig = Rig::start().await;
    rig.log_in("+15550001").await;
    eventually("Alice is connected", || rig.peer.world().is_connected(ALICE)).await;
    rig.peer.world().ask(BOB, DIRECT, "Tea?", &[("Yes", "tea"), ("Coffee", "coffee")]);
    let room = rig.direct_room(BOBS_GHOST).await;
    let asked = "Tea?\n1. Yes\n2. Coffee".to_owned();
    eventually("the question is there", || rig.heard(&room).contains(&asked)).await;
    // What was said since doesn't hide it.
    rig.peer.world().say(BOB, DIRECT, "well?");
    eventually("the rest is there", || rig.heard(&room).contains(&"well?".to_owned())).await;
    for (said, answered) in [
        ("!telegram press 2", "you chose coffee"),
        ("!telegram press 3", "has 2 of them"),
        ("!telegram press", "Say which"),
    ] {
        rig.ann.say(&room, said).expect("Ann may speak");
        eventually("the press is answered", || {
            rig.heard(&room).iter().any(|body| body.contains(answered))
        })
        .await;
    }
    assert!(rig.said_by(DIRECT, ALICE).is_empty(), "commands are not sent on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_may_be_read_as_an_export() {
    let rig = Rig::start().await;
    rig.log_in("+15550001").await;
    eventually("Alice is connected", || rig.peer.world().is_connected(ALICE)).await;
    rig.peer.world().say(BOB, DIRECT, "hi Alice");
    let room = rig.direct_room(BOBS_GHOST).await;
    let command = async |what: &str, answer: &str| {
        rig.ann.say(&room, what).expect("Ann may speak");
        eventually(answer, || rig.heard(&room).iter().any(|body| body.contains(answer))).await;
    };
    command("!telegram takeout", "as Telegram's apps do").await;
    command("!telegram takeout begin", "From now on").await;
    // A new chat's room comes with its past.
    rig.peer.world().person(CAROL, "Carol", "+15550003");
    rig.peer.world().say(CAROL, Place::Direct(ALICE, CAROL), "hi");
    eventually("history is asked for", || rig.peer.world().calls("InvokeWithTakeout") > 0).await;
    command("!telegram takeout end", "is ended").await;
    assert_eq!(rig.peer.world().calls("FinishTakeoutSession"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_asked_for_and_proven() {
    let rig = Rig::start().await;
    rig.peer.world().password(BOB, "correct horse");
    let control = rig.control();
    let mut login =
        control.start_login(rig.ann.id(), "phone", None).await.expect("the flow is there");
    let answer = |id: &str, what: &str| [(id.to_owned(), what.to_owned())].into();
    let step = login.next().await;
    login.answer(step.number, answer("phone", "+15550002")).expect("a question");
    let step = login.next().await;
    login.answer(step.number, answer("code", CODE)).expect("a question");
    let step = login.next().await;
    let StepKind::Ask(form) = &step.kind else {
        panic!("a password is asked for: {:?}", step.kind)
    };
    assert!(form.instructions.contains("the usual"), "the hint is shown: {}", form.instructions);
    login.answer(step.number, answer("password", "wrong horse")).expect("a question");
    let step = login.next().await;
    let StepKind::Ask(form) = &step.kind else { panic!("it is asked for again: {:?}", step.kind) };
    assert!(form.instructions.contains("wrong"), "{}", form.instructions);
    login.answer(step.number, answer("password", "correct horse")).expect("a question");
    let done = login.next().await;
    assert!(matches!(done.kind, StepKind::Done(_)), "{:?}", done.kind);
    eventually("Bob is connected", || rig.peer.world().is_connected(BOB)).await;
}

/// As Pyrogram writes sessions down: data centre, application, test servers, key, account, bot.
fn session_string(key: &[u8; 256], who: i64) -> String {
    let mut bytes = vec![DC];
    bytes.extend(7_u32.to_be_bytes());
    bytes.push(0);
    bytes.extend(key);
    bytes.extend(who.to_be_bytes());
    bytes.push(0);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_programs_session_logs_in() {
    let rig = Rig::start().await;
    let session = session_string(&rig.peer.foreign_session(BOB), BOB);
    let control = rig.control();
    let log_in = async |session: &str| {
        let mut login =
            control.start_login(rig.ann.id(), "session", None).await.expect("the flow is there");
        let step = login.next().await;
        let given = [("session".to_owned(), session.to_owned())].into();
        login.answer(step.number, given).expect("a question");
        login.next().await.kind
    };
    let nonsense = log_in("nonsense").await;
    assert!(matches!(nonsense, StepKind::Failed(_)), "{nonsense:?}");
    let done = log_in(&session).await;
    assert!(matches!(done, StepKind::Done(_)), "{done:?}");
    login_becomes(&*control, rig.ann.id(), |login| !login.system, "connected").await;
    rig.peer.world().say(ALICE, DIRECT, "hi Bob");
    let room = rig.direct_room(ALICES_GHOST).await;
    eventually("Alice's words", || rig.heard(&room) == ["hi Bob"]).await;
    rig.ann.say(&room, "hi Alice").expect("Ann may speak");
    eventually("Ann's words are Bob's", || rig.said_by(DIRECT, BOB) == ["hi Alice"]).await;
    // One that Telegram has ended is none any more.
    let own = own_logins(&*control, rig.ann.id()).await.remove(0);
    control.logout(rig.ann.id(), &own.id).await.expect("it is hers");
    eventually("Bob is not connected", || !rig.peer.world().is_connected(BOB)).await;
    let ended = log_in(&session).await;
    assert!(matches!(ended, StepKind::Failed(_)), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_qr_code_logs_in_when_it_is_scanned() {
    let rig = Rig::start().await;
    let mut login =
        rig.control().start_login(rig.ann.id(), "qr", None).await.expect("the flow is there");
    let step = login.next().await;
    let StepKind::Show(Display::Qr(url)) = &step.kind else {
        panic!("a code is shown: {:?}", step.kind)
    };
    let token = url.strip_prefix("tg://login?token=").expect("a link of Telegram's");
    let token = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, token)
        .expect("base64");
    assert!(rig.peer.world().scan(&token, BOB));
    let done = login.next().await;
    assert!(matches!(done.kind, StepKind::Done(_)), "{:?}", done.kind);
    eventually("Bob is connected", || rig.peer.world().is_connected(BOB)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_from_elsewhere_is_shown_once() {
    let rig = Rig::start().await;
    let room = rig.lobby().await;
    rig.log_in("+15550001").await;
    eventually("Alice is connected", || rig.peer.world().is_connected(ALICE)).await;
    // From Telegram's own app; seen by the bot and by the account itself.
    rig.peer.world().say(ALICE, LOBBY, "from my phone");
    rig.peer.world().say(BOB, LOBBY, "and from mine");
    eventually("both are there", || rig.homeserver.messages(&room).len() >= 2).await;
    let bodies: Vec<String> =
        rig.homeserver.messages(&room).into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, ["from my phone", "and from mine"]);
    // With an account of one's own nobody is relayed.
    rig.ann.say(&room, "as myself").expect("Ann may speak");
    eventually("Ann is Alice", || {
        rig.said_by(LOBBY, ALICE).last().is_some_and(|text| text == "as myself")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_differences_no_longer_hold_comes_from_history() {
    let mut rig = Rig::start().await;
    let room = rig.lobby().await;
    rig.log_in("+15550001").await;
    eventually("Alice is connected", || rig.peer.world().is_connected(ALICE)).await;
    rig.peer.world().say(BOB, DIRECT, "d 0");
    rig.peer.world().say(BOB, LOBBY, "c 0");
    let direct = rig.direct_room(BOBS_GHOST).await;
    eventually("the first are there", || {
        rig.heard(&direct).contains(&"d 0".to_owned())
            && rig.heard(&room).contains(&"c 0".to_owned())
    })
    .await;
    rig.kill().await;
    for number in 1..=150 {
        rig.peer.world().say(BOB, DIRECT, &format!("d {number}"));
        rig.peer.world().say(BOB, LOBBY, &format!("c {number}"));
    }
    rig.peer.world().faults = Faults { difference: Some(10), ..Faults::default() };
    rig.go().await;
    for (room, letter) in [(&direct, "d"), (&room, "c")] {
        eventually("all of them are there", || rig.heard(room).len() >= 151).await;
        let wanted: Vec<String> = (0..=150).map(|number| format!("{letter} {number}")).collect();
        assert_eq!(rig.heard(room), wanted);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_telegram_ended_is_told() {
    let rig = Rig::start().await;
    rig.log_in("+15550001").await;
    eventually("Alice is connected", || rig.peer.world().is_connected(ALICE)).await;
    {
        let mut world = rig.peer.world();
        world.sign_out_all();
        world.cut_connections();
    }
    let control = rig.control();
    let ann = rig.ann.id();
    let own = login_becomes(&*control, ann, |login| !login.system, "bad_credentials").await;
    assert!(own.reason.unwrap_or_default().contains("ended the session"));
    // Its token signs the bot in again.
    eventually("the bot is connected", || rig.peer.world().is_connected(BOT)).await;
    login_becomes(&*control, ann, |login| login.system, "connected").await;
    let room = rig.lobby().await;
    rig.peer.world().say(BOB, LOBBY, "still there?");
    eventually("Bob's words", || rig.heard(&room) == ["still there?"]).await;
}
