//! The framework's events as they look on Matrix.

use landbridge_framework::{
    RemoteId as _, Scope,
    event::{Body, Content, Emoji, MediaPart, Message, RemoteEvent, Sender},
    format::{self, Rich, Style, UserTarget},
};
use serde_json::{Value, json};

use crate::{Telegram, convert::dates};

fn sender(sender: &Sender<Telegram>) -> Value {
    match sender {
        Sender::Me => "me".into(),
        Sender::Login(id) => format!("login {id}").into(),
        Sender::User(id) => id.encode().into(),
        Sender::Matrix(mxid) => mxid.clone().into(),
        Sender::System => "system".into(),
    }
}

fn media(part: &MediaPart) -> Value {
    let mut out = json!({
        "kind": format!("{:?}", part.kind),
        "name": part.name,
        "source": part.source.0,
        "mime": part.mime,
        "size": part.size,
        "dimensions": part.dimensions,
        "spoiler": part.spoiler,
        "milliseconds": part.duration.map(|duration| duration.as_millis() as u64),
    });
    if let Some(thumbnail) = &part.thumbnail {
        out["thumbnail"] = thumbnail.0.clone().into();
    }
    if let Some(caption) = &part.caption {
        out["caption"] = text(caption, "m.text");
    }
    out
}

/// As the framework does it: Telegram's users are their ghosts, its emoji are pictures.
fn text(text: &Rich, kind: &str) -> Value {
    let mut text = text.clone();
    text.resolve_users(|target| match target {
        UserTarget::Remote(id) => Some(UserTarget::Matrix(format!("@telegram_{id}:example.org"))),
        UserTarget::Matrix(_) => Some(target.clone()),
    });
    text.resolve_emoji(|style, _| match style {
        Style::RemoteEmoji { media: Some(media), .. } => {
            Some(Style::Emoji { mxc: format!("mxc://example.org/{media}") })
        }
        _ => None,
    });
    format::to_content(&text, kind).into()
}

fn content(content: &Content) -> Value {
    match content {
        Content::Text(words) => text(words, "m.text"),
        Content::Notice(words) => text(words, "m.notice"),
        Content::Emote(words) => text(words, "m.emote"),
        Content::Media(part) => media(part),
        Content::Location(geo) => {
            json!({ "geo_uri": format!("geo:{},{}", geo.lat, geo.lon), "name": geo.name })
        }
        Content::Poll(poll) => json!({
            "question": poll.question,
            "options": poll.options.iter().map(|option| json!([option.id, option.text])).collect::<Vec<_>>(),
            "max_choices": poll.max_choices,
            "disclosed": poll.disclosed,
        }),
        Content::Unsupported { what, link } => json!({ "unsupported": what, "link": link }),
    }
}

fn message(message: &Message<Telegram>) -> Value {
    let parts: Vec<Value> = message
        .parts
        .iter()
        .map(|part| json!({ "part": part.id.0, "content": content(&part.content) }))
        .collect();
    let mut out = json!({ "id": message.id, "parts": parts });
    if let Some(album) = &message.album {
        out["album"] = album.clone().into();
    }
    if let Some(profile) = &message.profile {
        out["profile"] = profile.name.clone().into();
    }
    if let Some(target) = &message.reply_to {
        out["reply_to"] = target.id.into();
    }
    if let Some(thread) = message.thread {
        out["thread"] = thread.into();
    }
    if let Some(disappear) = message.disappear {
        out["disappear_seconds"] = disappear.as_secs().into();
        out["disappear_from"] = format!("{:?}", message.disappear_from).into();
    }
    out
}

fn emoji(emoji: &Emoji) -> Value {
    match emoji {
        Emoji::Unicode(text) => text.clone().into(),
        Emoji::Custom { shortcode, media, .. } => {
            json!({ "shortcode": shortcode, "media": media.as_ref().map(|media| &media.0) })
        }
    }
}

fn body(body: &Body<Telegram>) -> Value {
    match body {
        Body::Message(new) => json!({ "message": message(new) }),
        Body::Edit { target, version, new } => {
            json!({ "edit": target, "version": version, "new": message(new) })
        }
        Body::Remove { target, .. } => json!({ "remove": target.id }),
        Body::React { target, emoji: with, set } => {
            json!({ "react": target.id, "emoji": emoji(with), "set": set })
        }
        Body::ReactionSync { target, all } => {
            let all: Vec<Value> =
                all.iter().map(|(user, with)| json!([user.encode(), emoji(with)])).collect();
            json!({ "reactions_of": target.id, "all": all })
        }
        Body::Read { up_to } => json!({ "read_to": up_to.id }),
        Body::MarkUnread(unread) => json!({ "unread": unread }),
        Body::Typing { kind, timeout } => {
            json!({ "typing": format!("{kind:?}"), "seconds": timeout.as_secs() })
        }
        Body::Presence(presence) => json!({ "presence": format!("{presence:?}") }),
        Body::Pin { target, pinned } => json!({ "pin": target, "pinned": pinned }),
        Body::PollResults { poll, counts, ended } => {
            json!({ "poll": poll, "counts": counts, "ended": ended })
        }
        Body::PollVote { poll, choices } => json!({ "vote_in": poll, "choices": choices }),
        Body::PollEnd { poll } => json!({ "poll_ended": poll }),
        Body::ChatInfo(delta) => {
            let power = delta.power.as_ref().map(|power| {
                power
                    .users
                    .iter()
                    .map(|(who, level)| json!([sender(who), level]))
                    .collect::<Vec<_>>()
            });
            json!({
                "name": delta.name,
                "topic": delta.topic,
                "avatar": delta.avatar.as_ref().map(|avatar| avatar.as_ref().map_or("removed", |source| source.0.as_str())),
                "power": power,
                "disappear": delta.disappear.map(|timer| timer.map_or("never".to_owned(), |timer| format!("{timer:?}"))),
            })
        }
        Body::Members(changes) => {
            let changes: Vec<Value> = changes
                .iter()
                .map(|change| json!([sender(&change.user), format!("{:?}", change.membership)]))
                .collect();
            json!({ "members": changes })
        }
        Body::UserChanged { user, .. } => json!({ "user_changed": user.encode() }),
        Body::ChatGone { for_me_only } => json!({ "gone": for_me_only }),
        Body::PortalMoved { to } => json!({ "moved_to": to.id.encode() }),
        Body::Call(call) => json!({ "call": call.text, "link": call.link }),
        Body::Resync => "resync".into(),
        Body::Delivered { ids } => json!({ "delivered": ids }),
        Body::Pins { ids } => json!({ "pins": ids }),
        _ => unreachable!("the framework has learnt an event that is not rendered here"),
    }
}

/// An event as JSON.
pub(super) fn event(event: &RemoteEvent<Telegram>) -> Value {
    let mut out = json!({
        "chat": event.portal.id.encode(),
        "private": matches!(event.portal.scope, Scope::Private(_)),
        "sender": sender(&event.sender),
        "key": event.key.0,
        "body": body(&event.body),
        "opens_a_room": event.create_portal,
    });
    out["at"] = event
        .at
        .duration_since(dates::time(0))
        .map(|at| at.as_millis() as u64)
        .unwrap_or_default()
        .into();
    if let Some(order) = event.order {
        out["order"] = order.0.into();
    }
    out
}
