//! Files, both ways.

use serde_json::{Value, json};

use crate::World;
use landbridge_framework::testing::eventually;

#[tokio::test]
async fn files_come_with_what_is_said_of_them() {
    let world = World::new().await;
    let (_ann, room, _bridge) = world.opened().await;
    let slack = &world.slack;
    let mut picture = slack.file("F01", "cat.png", "image/png");
    picture["original_w"] = 20.into();
    picture["original_h"] = 10.into();
    let film = slack.file("F02", "dog.mp4", "video/mp4");
    let mut elsewhere = slack.file("F03", "plan.gdoc", "application/vnd.google");
    elsewhere["mode"] = "external".into();
    elsewhere["is_external"] = true.into();
    elsewhere["url_private"] = "https://docs.example.org/plan".into();
    let ts = slack.say(
        "U01",
        json!({ "subtype": "file_share", "text": "Look:", "files": [picture, film, elsewhere] }),
    );
    eventually("all three", || world.said(&room).len() == 3).await;
    let all = world.homeserver.timeline(&room);
    let contents: Vec<&Value> = all
        .iter()
        .filter(|event| event["type"] == "m.room.message")
        .map(|event| &event["content"])
        .collect();
    let types: Vec<&Value> = contents.iter().map(|it| &it["msgtype"]).collect();
    assert_eq!(types[..2], ["m.image", "m.video"]);
    assert_eq!(
        (&contents[0]["body"], &contents[0]["filename"]),
        (&json!("Look:"), &json!("cat.png"))
    );
    assert_eq!(contents[0]["info"]["w"], 20);
    assert_eq!(world.picture(&contents[0]["url"]).as_deref(), Some("cat.png"));
    assert_eq!(world.picture(&contents[1]["url"]).as_deref(), Some("dog.mp4"));
    let link = contents[2]["body"].as_str().unwrap();
    assert!(link.contains("plan.gdoc") && link.contains("https://docs.example.org/plan"), "{link}");
    // One of them is taken off.
    slack.alter(&ts, |message, _| {
        message["files"][1] = json!({ "id": "F02", "mode": "tombstone" });
    });
    eventually("a file less", || world.said(&room)[1].contains("deleted")).await;
    slack.delete(&ts);
    eventually("none", || world.said(&room).is_empty()).await;
}

#[tokio::test]
async fn voice_clips_come_with_their_waveform() {
    let world = World::new().await;
    let (_ann, room, _bridge) = world.opened().await;
    let slack = &world.slack;
    let mut voice = slack.file("F01", "audio_message.m4a", "audio/mp4");
    voice["subtype"] = "slack_audio".into();
    voice["duration_ms"] = 2000.into();
    voice["audio_wave_samples"] = json!([0, 50, 100]);
    slack.say("U01", json!({ "subtype": "file_share", "text": "", "files": [voice] }));
    eventually("the clip", || world.said(&room) == ["audio_message.m4a"]).await;
    let content = world.event_of(&room, "audio_message.m4a")["content"].clone();
    assert_eq!(
        (&content["msgtype"], &content["info"]["mimetype"]),
        (&json!("m.audio"), &json!("audio/mp4"))
    );
    assert_eq!(content["org.matrix.msc3245.voice"], json!({}));
    let audio = &content["org.matrix.msc1767.audio"];
    assert_eq!(*audio, json!({ "duration": 2000, "waveform": [0, 508, 1020] }));
    assert_eq!(world.picture(&content["url"]).as_deref(), Some("audio_message.m4a"));
}

#[tokio::test]
async fn files_and_galleries_go_to_slack() {
    let world = World::new().await;
    let (ann, room, _bridge) = world.opened().await;
    let slack = &world.slack;
    let bytes = |name: &str| slack.inside().contents.get(name).cloned().unwrap_or_default();
    let names = || {
        let messages = slack.messages();
        let files = messages.iter().filter_map(|message| message["files"].as_array()).flatten();
        files.map(|file| file["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mxc = ann.upload("image/png", b"a picture").unwrap();
    let content = json!({ "msgtype": "m.image", "body": "*Look*", "filename": "cat.png", "url": mxc,
        "info": { "mimetype": "image/png" } });
    let event = ann.send(&room, "m.room.message", &content).unwrap();
    eventually("the picture", || names() == ["cat.png"]).await;
    assert_eq!(slack.texts(), ["*ann*: *Look*"]);
    let id = slack.messages()[0]["files"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(bytes(&id), b"a picture");
    // In its thread.
    let sound = ann.upload("audio/ogg", b"a sound").unwrap();
    let content = json!({ "msgtype": "m.audio", "body": "voice", "url": sound, "info": { "mimetype": "audio/ogg" },
        "org.matrix.msc3245.voice": {}, "m.relates_to": { "rel_type": "m.thread", "event_id": event } });
    ann.send(&room, "m.room.message", &content).unwrap();
    eventually("the voice", || names() == ["cat.png", "voice.ogg"]).await;
    let messages = slack.messages();
    assert_eq!(messages[1]["thread_ts"], messages[0]["ts"]);
    // Several at once are as many messages, and go together.
    let item = |name: &str| {
        json!({ "itemtype": "m.image", "msgtype": "m.image", "body": name, "url": mxc,
        "info": { "mimetype": "image/png" } })
    };
    let gallery = json!({ "msgtype": "dm.filament.gallery", "body": "Holidays",
        "itemtypes": [item("a.png"), item("b.png")] });
    let event = ann.send(&room, "m.room.message", &gallery).unwrap();
    eventually("both", || names()[2..] == ["a.png", "b.png"]).await;
    assert!(slack.texts()[2].contains("Holidays"), "{:?}", slack.texts());
    ann.redact(&room, &event).unwrap();
    eventually("neither", || names() == ["cat.png", "voice.ogg"]).await;
    assert!(world.said(&room).is_empty(), "nothing of it comes back: {:?}", world.said(&room));
}
