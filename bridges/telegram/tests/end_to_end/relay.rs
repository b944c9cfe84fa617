//! The bot relays between a room and a supergroup.

use landbridge_framework::testing::eventually;

use crate::rig::{BOB, BOT, LOBBY, Rig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_changed_and_taken_back_on_matrix_is_so_on_telegram() {
    let rig = Rig::start().await;
    let room = rig.lobby().await;
    let event = rig.ann.say(&room, "hello").expect("Ann may speak");
    eventually("the text is there", || {
        rig.said_by(LOBBY, BOT).first().is_some_and(|text| text.ends_with("hello"))
    })
    .await;
    rig.ann.edit(&room, &event, "good morning").expect("Ann may edit");
    eventually("the new text is there", || {
        let said = rig.peer.world().said(LOBBY);
        said.first().is_some_and(|said| said.edited && said.text.ends_with("good morning"))
    })
    .await;
    let reaction = rig.ann.react(&room, &event, "👍").expect("Ann may react");
    eventually("the reaction is there", || {
        let said = rig.peer.world().said(LOBBY);
        said.first().is_some_and(|said| said.reactions == [(BOT, "👍".to_owned())])
    })
    .await;
    rig.ann.redact(&room, &reaction).expect("Ann may take it back");
    eventually("the reaction is gone", || {
        let said = rig.peer.world().said(LOBBY);
        said.first().is_some_and(|said| said.reactions.is_empty())
    })
    .await;
    rig.ann.redact(&room, &event).expect("Ann may delete");
    eventually("the message is gone", || rig.peer.world().said(LOBBY).is_empty()).await;
    assert!(rig.heard(&room).is_empty(), "nothing of it came back: {:?}", rig.heard(&room));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_changed_and_taken_back_on_telegram_is_so_on_matrix() {
    let rig = Rig::start().await;
    let room = rig.lobby().await;
    let first = rig.peer.world().say(BOB, LOBBY, "hi");
    eventually("the text is there", || rig.heard(&room) == ["hi"]).await;
    let (sender, _) = rig.homeserver.messages(&room).remove(0);
    assert_eq!(sender, "@telegram_1002:hs.example");
    assert_eq!(
        rig.homeserver.profile(&sender)["displayname"].as_str().map(|name| name.contains("Bob")),
        Some(true)
    );
    rig.peer.world().edit(5000, first, "hi there");
    eventually("the new text is there", || rig.heard(&room) == ["hi there"]).await;
    rig.peer.world().delete(5000, first);
    eventually("it is redacted", || !rig.events(&room, "m.room.redaction").is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_texts_are_several_messages_and_go_together() {
    let rig = Rig::start().await;
    let room = rig.lobby().await;
    let text = "0123456789 ".repeat(600);
    let event = rig.ann.say(&room, text.trim()).expect("Ann may speak");
    eventually("both messages are there", || rig.said_by(LOBBY, BOT).len() == 2).await;
    assert!(rig.said_by(LOBBY, BOT).iter().all(|text| text.encode_utf16().count() <= 4096));
    rig.ann.redact(&room, &event).expect("Ann may delete");
    eventually("both are gone", || rig.said_by(LOBBY, BOT).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_over_in_chunks() {
    let rig = Rig::start().await;
    let room = rig.lobby().await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    rig.peer.world().send_file(BOB, LOBBY, "notes.bin", &bytes);
    eventually("the file is there", || {
        rig.events(&room, "m.room.message").iter().any(|event| {
            event["content"]["msgtype"] == "m.file" && event["content"]["url"].is_string()
        })
    })
    .await;
    let event = rig.events(&room, "m.room.message").remove(0);
    assert_eq!(event["content"]["info"]["size"], 3_000_000);
    assert_eq!(event["content"]["body"], "notes.bin");
    assert_eq!(rig.homeserver.uploads(), 1);
    assert!(rig.peer.world().calls("GetFile") >= 6, "a chunk is half a MiB");
}
