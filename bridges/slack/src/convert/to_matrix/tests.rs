//! Golden files: Slack's own JSON, and what it becomes on Matrix. `golden/to_matrix/*.json` hold one case each; with `GOLDEN_WRITE=1` what
//! came out is written into them, to be read before it is kept.

use std::{
    fs,
    path::{Path, PathBuf},
};

use landbridge_framework::{
    event::{Body, ChatDelta, Content, Emoji, MediaKind, MediaPart, Message, Sender},
    format::{Rich, RoomTarget, Style, UserTarget, to_content},
};
use serde_json::{Map, Value, json};

use crate::{
    connector::Slack,
    decode::{Event, decode},
    ids::{Account, Ts},
    raw::Raw,
};
use landbridge_framework::RemoteId as _;

/// The cases of a folder, by name.
pub(crate) fn cases(folder: &str) -> Vec<(PathBuf, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(folder);
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        let case = serde_json::from_str(&text);
        let case = case.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        (file, case)
    };
    files.into_iter().map(read).collect()
}

/// Compares what came out with what was expected, or writes it.
pub(crate) fn settle(file: &Path, case: &Value, key: &str, out: Value, failed: &mut Vec<String>) {
    if case[key] == out {
        return;
    }
    if std::env::var_os("GOLDEN_WRITE").is_some() {
        // As it is now: another part of it may just have been written.
        let mut case: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        case[key] = out;
        fs::write(file, serde_json::to_string_pretty(&case).unwrap() + "\n").unwrap();
        return;
    }
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    failed.push(format!("{name} ({}):\n  expected {}\n  got      {out}", case["about"], case[key]));
}

#[test]
fn what_slack_says_becomes_what_matrix_says() {
    let mut failed = Vec::new();
    let cases = cases("to_matrix");
    assert!(cases.len() >= 90, "there are only {} cases", cases.len());
    for (file, case) in &cases {
        let account = case["account"].as_str().unwrap_or("app");
        let account = Account::decode(account).unwrap();
        let raw: Raw = serde_json::from_value(case["raw"].clone())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let stored: Raw = serde_json::from_str(&serde_json::to_string(&raw).unwrap()).unwrap();
        assert_eq!(stored, raw, "what is stored must read back");
        let events = decode(&account, &stored).unwrap();
        let out: Vec<Value> = events.iter().map(shown).collect();
        settle(file, case, "events", Value::Array(out), &mut failed);
    }
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

/// An event in short: what a reader of the golden file wants to know.
fn shown(event: &Event) -> Value {
    let mut out = match &event.body {
        Body::Message(message) => message_shown("message", message),
        Body::Edit { target, version, new } => {
            let mut out = message_shown("edit", new);
            out["edit"] = target.encode().into();
            out["version"] = (*version).into();
            out
        }
        Body::Remove { target, .. } => json!({ "remove": target.id.encode() }),
        Body::React { target, emoji, set } => json!({
            "react": target.id.encode(), "emoji": emoji_shown(emoji), "set": set }),
        Body::ReactionSync { target, all } => {
            let pair = |(user, emoji): &(crate::ids::User, Emoji)| {
                json!([user.encode(), emoji_shown(emoji)])
            };
            json!({ "reactions": target.id.encode(), "all": all.iter().map(pair).collect::<Vec<_>>() })
        }
        Body::ChatInfo(ChatDelta { name, topic, .. }) => {
            let mut out = json!({});
            out["name"] = name.clone().into();
            out["topic"] = topic.clone().into();
            json!({ "chat": strip(out) })
        }
        Body::Members(changes) => {
            let change = &changes[0];
            json!({ "member": who(&change.user), "is": format!("{:?}", change.membership) })
        }
        Body::Pin { target, pinned } => json!({ "pin": target.encode(), "set": pinned }),
        Body::UserChanged { user, info } => {
            let info = info.clone().unwrap_or_default();
            json!({ "user": user.encode(), "name": info.name, "avatar": info.avatar.map(|avatar| avatar.0) })
        }
        Body::ChatGone { for_me_only } => json!({ "gone": true, "for_me_only": for_me_only }),
        Body::PortalMoved { to } => json!({ "moved": to.id.encode() }),
        Body::Resync => json!({ "resync": true }),
        _ => panic!("{}: golden files don't show what this is yet", event.key.0),
    };
    out["by"] = who(&event.sender);
    out["in"] = event.portal.id.encode().into();
    out["key"] = event.key.0.clone().into();
    if event.create_portal {
        out["creates"] = true.into();
    }
    out
}

fn who(sender: &Sender<Slack>) -> Value {
    match sender {
        Sender::Me => "me".into(),
        Sender::Login(account) => format!("account {}", account.encode()).into(),
        Sender::User(user) => user.encode().into(),
        Sender::Matrix(mxid) => mxid.as_str().into(),
        Sender::System => "network".into(),
    }
}

fn message_shown(kind: &str, message: &Message<Slack>) -> Value {
    let parts: Vec<Value> = message
        .parts
        .iter()
        .map(|part| {
            let mut shown = content_shown(&part.content);
            if !part.previews.is_empty() {
                let preview = |it: &landbridge_framework::event::LinkPreview| {
                    json!({ "url": it.url, "title": it.title, "description": it.description })
                };
                shown["previews"] = part.previews.iter().map(preview).collect();
            }
            if !part.id.0.is_empty() {
                shown["part"] = part.id.0.clone().into();
            }
            shown
        })
        .collect();
    let mut out = Map::new();
    out.insert(kind.into(), message.id.encode().into());
    out.insert("parts".into(), parts.into());
    out.insert("thread".into(), message.thread.as_ref().map(Ts::encode).into());
    out.insert("reply_to".into(), message.reply_to.as_ref().map(|to| to.id.encode()).into());
    out.insert("echo".into(), message.echo_of.is_some().then_some(true).into());
    let profile = message.profile.as_ref().map(|profile| profile.name.clone());
    out.insert("as".into(), profile.into());
    strip(Value::Object(out))
}

fn strip(value: Value) -> Value {
    let Value::Object(map) = value else { return value };
    Value::Object(map.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

fn emoji_shown(emoji: &Emoji) -> Value {
    match emoji {
        Emoji::Unicode(text) => text.as_str().into(),
        Emoji::Custom { shortcode, media, .. } => {
            json!({ "own": shortcode, "picture": media.as_ref().map(|media| media.0.clone()) })
        }
    }
}

fn content_shown(content: &Content) -> Value {
    match content {
        Content::Text(rich) => text_shown(rich, "m.text"),
        Content::Notice(rich) => text_shown(rich, "m.notice"),
        Content::Emote(rich) => text_shown(rich, "m.emote"),
        Content::Media(media) => media_shown(media),
        Content::Unsupported { what, link } => json!({ "unsupported": what, "link": link }),
        other => json!({ "other": format!("{other:?}") }),
    }
}

/// The content of the Matrix event, with its people and rooms as the framework would put them in.
fn text_shown(rich: &Rich, msgtype: &str) -> Value {
    let mut content = to_content(&on_matrix(rich), msgtype);
    // Of no interest where nobody is mentioned.
    if content.get("m.mentions") == Some(&json!({})) {
        content.remove("m.mentions");
    }
    content.remove("format");
    Value::Object(content)
}

fn on_matrix(rich: &Rich) -> Rich {
    let mut rich = rich.clone();
    rich.resolve_users(|target| match target {
        UserTarget::Remote(id) => {
            Some(UserTarget::Matrix(format!("@slack_{}:hs", id.to_lowercase())))
        }
        UserTarget::Matrix(_) => None,
    });
    rich.resolve_rooms(|target| match target {
        RoomTarget::Remote(id) => Some(RoomTarget::Matrix(format!("!{}:hs", id.to_lowercase()))),
        RoomTarget::Matrix(_) => None,
    });
    rich.resolve_emoji(|style, _| match style {
        Style::RemoteEmoji { media: Some(_), id } => {
            Some(Style::Emoji { mxc: format!("mxc://hs/{}", id.replace('/', "-")) })
        }
        _ => None,
    });
    rich
}

fn media_shown(media: &MediaPart) -> Value {
    let kind = match &media.kind {
        MediaKind::Voice { waveform } => json!({ "voice": waveform }),
        kind => json!(format!("{kind:?}").to_lowercase()),
    };
    strip(json!({
        "media": media.source.0,
        "kind": kind,
        "name": media.name,
        "mime": media.mime,
        "size": media.size,
        "dimensions": media.dimensions,
        "ms": media.duration.map(|duration| duration.as_millis() as u64),
        "caption": media.caption.as_ref().map(|caption| text_shown(caption, "m.text")),
    }))
}
