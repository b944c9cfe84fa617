//! Every construct of Discord's markup and every event that is bridged, both ways, from files: what Discord says and what Matrix gets of it,
//! what Matrix says and what Discord gets. A file's two sides stand around a line of dashes; events are JSON.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

use std::{fs, path::PathBuf};

use landbridge_discord::{
    Discord,
    convert::from_matrix::{Manner, write},
    decode::decode,
    ids::{Id, Person},
    raw::{Raw, Scene},
};
use landbridge_framework::{
    MessageRef, RemoteId,
    event::{
        Body, Content, Emoji, MediaKind, MediaPart, Membership, Message, Part, Presence,
        RemoteEvent, Sender,
    },
    format::{Rich, RoomTarget, Style, UserTarget, from_content, to_content},
};
use serde_json::{Map, Value, json};

fn files(folder: &str) -> Vec<(String, String)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let mut files: Vec<(String, String)> = fs::read_dir(path)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Compares all files of a folder, and says of each that differs how.
fn compare(folder: &str, at_least: usize, convert: impl Fn(&str) -> String) {
    let files = files(folder);
    assert!(files.len() >= at_least, "{folder} has only {} files", files.len());
    let mut wrong = Vec::new();
    for (name, text) in files {
        let (given, expected) = text.split_once("\n-----\n").unwrap();
        let got = convert(&given.replace("\\r", "\r"));
        if got != expected.strip_suffix('\n').unwrap() {
            wrong.push(format!(
                "{name}\n  given    {given:?}\n  expected {expected:?}\n  got      {got:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {folder} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Stands for the framework: users, rooms and emoji of Discord as Matrix's.
fn for_matrix(rich: &Rich) -> Rich {
    let mut rich = rich.clone();
    rich.resolve_users(|user| match user {
        UserTarget::Remote(id) => Some(UserTarget::Matrix(format!("@discord_{id}:example.org"))),
        UserTarget::Matrix(_) => Some(user.clone()),
    });
    rich.resolve_rooms(|room| match room {
        RoomTarget::Remote(id) => Some(RoomTarget::Matrix(format!("!{id}:example.org"))),
        RoomTarget::Matrix(_) => Some(room.clone()),
    });
    rich.resolve_emoji(|style, _| match style {
        Style::RemoteEmoji { id, .. } => {
            Some(Style::Emoji { mxc: format!("mxc://example.org/emoji_{id}") })
        }
        other => Some(other.clone()),
    });
    rich
}

/// And the other way.
fn for_discord(rich: &Rich) -> Rich {
    let mut rich = rich.clone();
    rich.resolve_users(|user| {
        let UserTarget::Matrix(mxid) = user else { return Some(user.clone()) };
        let id = mxid.strip_prefix("@discord_").and_then(|rest| rest.split(':').next());
        Some(id.map_or(user.clone(), |id| UserTarget::Remote(id.into())))
    });
    rich.resolve_rooms(|room| {
        let RoomTarget::Matrix(id) = room else { return Some(room.clone()) };
        let id = id.strip_prefix('!').and_then(|rest| rest.split(':').next());
        Some(id.map_or(room.clone(), |id| RoomTarget::Remote(id.into())))
    });
    rich.resolve_emoji(|style, _| match style {
        Style::Emoji { mxc } => match mxc.strip_prefix("mxc://example.org/emoji_") {
            Some(id) => Some(Style::RemoteEmoji { id: id.into(), media: None }),
            None => Some(style.clone()),
        },
        other => Some(other.clone()),
    });
    rich
}

fn raw(name: &str, data: Value, scene: &Value) -> Raw {
    let mut all = json!({ "channel": "10", "guild": "2", "bot": "1" });
    for (key, value) in scene.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    let scene: Scene = serde_json::from_value(all).unwrap();
    Raw { name: name.into(), data, stamp: "s:1".into(), received_ms: 0, scene }
}

#[test]
fn discords_markup_becomes_matrixs() {
    compare("markdown_to_matrix", 90, |source| {
        let message = json!({
            "id": "1000", "channel_id": "10", "content": source,
            "author": { "id": "4", "username": "x" },
            "mentions": [{ "id": "5", "username": "ann", "global_name": "Ann" }],
        });
        let scene = json!({
            "roles": { "31": { "name": "Mods", "colour": 255 }, "32": { "name": "Readers", "colour": 0 } },
            "channels": { "20": "help" },
        });
        let events = decode(&raw("MESSAGE_CREATE", message, &scene)).unwrap();
        let [RemoteEvent { body: Body::Message(message), .. }] = events.as_slice() else {
            panic!("one message");
        };
        let Content::Text(rich) = &message.parts[0].content else { panic!("text") };
        let content = to_content(&for_matrix(rich), "m.text");
        let shown = content.get("formatted_body").unwrap_or(&content["body"]);
        shown.as_str().unwrap().to_owned()
    });
}

#[test]
fn matrixs_markup_becomes_discords() {
    let emojis = [("blob".to_owned(), (Id(7), false)), ("party".to_owned(), (Id(8), true))];
    let manner = Manner { emojis: emojis.into(), everyone: false };
    compare("matrix_to_markdown", 60, |source| {
        let content = if source.starts_with('{') {
            serde_json::from_str(source).unwrap()
        } else {
            json!({ "body": "x", "format": "org.matrix.custom.html", "formatted_body": source })
        };
        write(&for_discord(&from_content(&content)), &manner).text
    });
}

#[test]
fn discords_events_become_matrixs() {
    let files = files("events");
    assert!(files.len() >= 70, "there are only {} files", files.len());
    let mut wrong = Vec::new();
    for (name, text) in files {
        let case: Value = serde_json::from_str(&text).unwrap();
        let raw = raw(case["name"].as_str().unwrap(), case["data"].clone(), &case["scene"]);
        // What is stored is read back before it is decoded.
        let stored = serde_json::to_string(&raw).unwrap();
        let raw: Raw = serde_json::from_str(&stored).unwrap();
        let got: Vec<Value> = decode(&raw).unwrap().iter().map(shown).collect();
        let hash = Person::of_webhook(Id(60), "CI").encode();
        let expected = case["events"].to_string().replace("w60.HASH(CI)", &hash);
        let expected: Value = serde_json::from_str(&expected).unwrap();
        if Value::Array(got.clone()) != expected {
            wrong.push(format!("{name}\n  expected {expected}\n  got      {}", Value::Array(got)));
        }
        assert_eq!(decode(&raw).unwrap().len(), expected.as_array().unwrap().len(), "{name} twice");
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// An event in the files' form.
fn shown(event: &RemoteEvent<Discord>) -> Value {
    let target = |target: &MessageRef<Discord>| target.id.encode();
    match &event.body {
        Body::Message(message) => {
            let mut out = json!({
                "portal": event.portal.id.encode(), "sender": sender(&event.sender), "key": event.key.0,
                "message": message.id.encode(), "parts": parts(message),
            });
            if let Some(reply) = &message.reply_to {
                out["reply_to"] = target(reply).into();
            }
            if let Some(thread) = &event.thread {
                out["in"] = json!([thread.chat.id.encode(), thread.root.encode()]);
            }
            out
        }
        Body::Edit { target, version, new } => json!({
            "edit": target.encode(), "key": event.key.0, "version": version,
            "sender": sender(&event.sender), "parts": parts(new),
        }),
        Body::Remove { target: gone, .. } => {
            json!({ "portal": event.portal.id.encode(), "remove": target(gone), "key": event.key.0 })
        }
        Body::React { target: to, emoji, set } => {
            let emoji = match emoji {
                Emoji::Unicode(text) => json!(text),
                Emoji::Custom { id, shortcode, media } => {
                    json!([id, shortcode, media.as_ref().map(|media| &media.0)])
                }
            };
            json!({ "react": target(to), "sender": sender(&event.sender), "emoji": emoji, "set": set })
        }
        Body::ReactionSync { target: to, all } => {
            json!({ "reactions": target(to), "all": vec![Value::Null; all.len()] })
        }
        Body::PollVote { poll, choices } => {
            json!({ "vote": poll.encode(), "sender": sender(&event.sender), "choices": choices })
        }
        Body::PollResults { poll, counts, ended } => {
            json!({ "poll_results": poll.encode(), "counts": counts, "ended": ended })
        }
        Body::Typing { timeout, .. } => {
            json!({ "typing": sender(&event.sender), "seconds": timeout.as_secs() })
        }
        Body::Presence(presence) => {
            let is = match presence {
                Presence::Online => "online",
                Presence::Away(_) => "away",
                Presence::Offline => "offline",
            };
            json!({ "presence": sender(&event.sender), "is": is })
        }
        Body::ChatInfo(delta) => {
            if let Some(power) = &delta.power {
                let (who, level) = &power.users[0];
                return json!({ "power": sender(who), "level": level });
            }
            let mut out = json!({ "chat": event.portal.id.encode() });
            if let Some(rule) = &delta.join_rule {
                out["join"] = json!(format!("{rule:?}"));
            }
            if let Some(name) = &delta.name {
                out["name"] = json!(name);
            }
            if let Some(topic) = &delta.topic {
                out["topic"] = json!(topic);
            }
            if let Some(Some(avatar)) = &delta.avatar {
                out["avatar"] = json!(avatar.0);
            }
            if let Some(Some(parent)) = &delta.parent {
                out["parent"] = json!(parent.encode());
            }
            out
        }
        Body::ChatGone { .. } => json!({ "gone": event.portal.id.encode() }),
        Body::UserChanged { user, info } => {
            json!({ "profile": user.encode(), "name": info.as_ref().and_then(|info| info.name.clone()) })
        }
        Body::Members(changes) => {
            let is = match changes[0].membership {
                Membership::Leave => "leave",
                Membership::Ban => "ban",
                _ => "other",
            };
            json!({ "member": sender(&changes[0].user), "is": is })
        }
        Body::Pins { ids } => {
            json!({ "pins": ids.iter().map(RemoteId::encode).collect::<Vec<_>>() })
        }
        other => json!({ "other": format!("{other:?}") }),
    }
}

fn sender(sender: &Sender<Discord>) -> String {
    match sender {
        Sender::User(person) => person.encode(),
        other => format!("{other:?}"),
    }
}

fn parts(message: &Message<Discord>) -> Vec<Value> {
    let shown = |part: &Part<Discord>| {
        let mut out = json!({ "part": part.id.0, "content": content(&part.content) });
        if !part.previews.is_empty() {
            let links = part.previews.iter().map(|p| json!([p.url, p.title]));
            out["previews"] = links.collect::<Vec<_>>().into();
        }
        out
    };
    message.parts.iter().map(shown).collect()
}

fn content(content: &Content) -> Value {
    let text = |rich: &Rich, msgtype: &str| Value::Object(to_content(&for_matrix(rich), msgtype));
    match content {
        Content::Text(rich) => text(rich, "m.text"),
        Content::Notice(rich) => text(rich, "m.notice"),
        Content::Emote(rich) => text(rich, "m.emote"),
        Content::Media(file) => json!({ "media": media(file) }),
        Content::Poll(poll) => json!({
            "poll": poll.question,
            "options": poll.options.iter().map(|o| json!([o.id, o.text])).collect::<Vec<_>>(),
            "max": poll.max_choices,
        }),
        Content::Unsupported { what, link } => json!({ "unsupported": what, "link": link }),
        other @ Content::Location(_) => json!({ "other": format!("{other:?}") }),
    }
}

fn media(file: &MediaPart) -> Value {
    let mut out = Map::new();
    let kind = match &file.kind {
        MediaKind::Image => "image",
        MediaKind::Gif => "gif",
        MediaKind::Video | MediaKind::VideoNote => "video",
        MediaKind::Audio => "audio",
        MediaKind::Voice { waveform } => {
            out.insert("waveform".into(), json!(waveform));
            "voice"
        }
        MediaKind::File => "file",
        MediaKind::Sticker { .. } => "sticker",
    };
    out.insert("kind".into(), kind.into());
    out.insert("source".into(), file.source.0.clone().into());
    out.insert("name".into(), file.name.clone().into());
    let more = [
        ("mime", file.mime.as_ref().map(|mime| json!(mime))),
        ("size", file.size.map(|size| json!(size))),
        ("dimensions", file.dimensions.map(|(width, height)| json!([width, height]))),
        ("duration_ms", file.duration.map(|d| json!(d.as_millis() as u64))),
        ("caption", file.caption.as_ref().map(|caption| json!(caption.text()))),
        ("spoiler", file.spoiler.then_some(json!(true))),
    ];
    for (key, value) in more {
        if let Some(value) = value {
            out.insert(key.into(), value);
        }
    }
    Value::Object(out)
}
