//! Messages, edits, deletions, reactions and votes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use landbridge_framework::{
    DecodeError, MessageRef,
    event::{Body, Emoji as RemoteEmoji, RemoteEvent, Sender, UserInfo},
};
use serde::Deserialize;

use super::{At, user};
use crate::{
    connector::Discord,
    convert::{
        date,
        to_matrix::{self, avatar, emoji_file, emoji_name, placed},
    },
    ids::{Id, Person},
    wire::{Emoji, Message},
};

/// The first message of a post whose title or tags have changed, as it was asked for then.
pub const RETAGGED: &str = "RETAGGED";

type Events = Result<Vec<RemoteEvent<Discord>>, DecodeError>;

/// The name by which a message is told from all others, live or read later.
pub(crate) fn key_of(id: Id) -> String {
    format!("msg:{id}")
}

fn sender(message: &Message) -> Result<Sender<Discord>, DecodeError> {
    let author = message.author.as_ref();
    let author = author.ok_or_else(|| DecodeError("the message has no author".into()))?;
    Ok(match message.webhook() {
        Some(webhook) => Sender::User(Person::of_webhook(webhook, author.name())),
        None => user(author.id),
    })
}

/// A webhook's names are nowhere to be asked for: what they look like comes with what they say.
fn profile(at: &At<'_>, message: &Message) -> Option<RemoteEvent<Discord>> {
    let (webhook, author) = (message.webhook()?, message.author.as_ref()?);
    let info = UserInfo {
        name: Some(author.name().to_owned()),
        avatar: author.avatar.as_deref().map(|hash| avatar(webhook, Some(hash), None)),
        bot: true,
        identifiers: Vec::new(),
    };
    let person = Person::of_webhook(webhook, author.name());
    let body = Body::UserChanged { user: person, info: Some(info) };
    let key = format!("hook:{}", message.id);
    Some(at.known(Sender::System, message.id.time(), key, body))
}

/// Somebody said something.
pub(super) fn created(at: &At<'_>, message: &Message) -> Events {
    if at.scene.ours || message.has(Message::EPHEMERAL) {
        return Ok(Vec::new());
    }
    let sender = sender(message)?;
    let Some(remote) = to_matrix::message(message, at.scene) else { return Ok(Vec::new()) };
    let time = message.id.time();
    // Snowflakes use 63 bits.
    let order = i64::try_from(message.id.0).unwrap_or(i64::MAX);
    let said = at.event(sender, time, key_of(message.id), remote).ordered(order);
    Ok(profile(at, message).into_iter().chain([said]).collect())
}

/// A message of the past in its present state: what it was first is forgotten, but if it was bridged before it was changed, the change
/// is still news.
pub(super) fn past(at: &At<'_>, message: &Message) -> Events {
    let mut events = created(at, message)?;
    if message.edited_timestamp.is_some() {
        events.extend(updated(at, message)?);
    }
    Ok(events)
}

/// A message was changed, or Discord has found what is behind its links.
pub(super) fn updated(at: &At<'_>, message: &Message) -> Events {
    // Updates that carry no text are about what isn't bridged.
    if at.scene.ours || message.content.is_none() || message.author.is_none() {
        return Ok(Vec::new());
    }
    let mut events = Vec::new();
    let target = placed(message.id, at.scene);
    let changed = message.edited_timestamp.is_some() || !message.embeds.is_empty();
    if message.kind.is_said()
        && changed
        && let Some(mut new) = to_matrix::message(message, at.scene)
    {
        let version = to_matrix::edit_version(message);
        let edited = message.edited_timestamp.as_deref().and_then(date::parse_ms);
        let time = edited.map_or_else(|| message.id.time(), time_of);
        new.reply_to = None;
        let body = Body::Edit { target, version, new };
        let key = format!("edit:{}:{version}", message.id);
        events.push(at.known(sender(message)?, time, key, body));
    }
    let counted = message.poll.as_ref().and_then(|poll| poll.results.as_ref());
    if let Some(results) = counted.filter(|results| results.is_finalized) {
        let counts = results.answer_counts.iter().map(|c| (c.id.to_string(), c.count)).collect();
        let body = Body::PollResults { poll: target, counts, ended: true };
        let key = format!("poll:{}", message.id);
        events.push(at.known(sender(message)?, message.id.time(), key, body));
    }
    Ok(events)
}

/// A post has another title or other tags, which stand over its first message. Discord doesn't number that: it counts from when it was told.
pub(super) fn retagged(at: &At<'_>, message: &Message) -> Events {
    if at.scene.ours || message.author.is_none() || !message.kind.is_said() {
        return Ok(Vec::new());
    }
    let Some(mut new) = to_matrix::message(message, at.scene) else { return Ok(Vec::new()) };
    let told = at.raw.received_ms;
    let version = to_matrix::version_at(told).max(to_matrix::edit_version(message));
    new.reply_to = None;
    let body = Body::Edit { target: placed(message.id, at.scene), version, new };
    let time = UNIX_EPOCH + Duration::from_millis(told);
    Ok(vec![at.known(sender(message)?, time, at.stamp("tags"), body)])
}

fn time_of(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

/// `MESSAGE_DELETE`.
#[derive(Deserialize)]
pub(super) struct Deleted {
    id: Id,
}

/// A message was deleted. Discord doesn't say by whom.
pub(super) fn deleted(at: &At<'_>, deleted: &Deleted) -> Vec<RemoteEvent<Discord>> {
    vec![deletion(at, deleted.id)]
}

/// `MESSAGE_DELETE_BULK`: at most 100.
#[derive(Deserialize)]
pub(super) struct BulkDeleted {
    ids: Vec<Id>,
}

/// A moderator has deleted several messages.
pub(super) fn deleted_in_bulk(at: &At<'_>, bulk: &BulkDeleted) -> Vec<RemoteEvent<Discord>> {
    bulk.ids.iter().take(1_000).map(|id| deletion(at, *id)).collect()
}

fn deletion(at: &At<'_>, id: Id) -> RemoteEvent<Discord> {
    let target = MessageRef::whole(placed(id, at.scene));
    let body = Body::Remove { target, for_me_only: false };
    at.known(Sender::System, id.time(), format!("del:{id}"), body)
}

/// `MESSAGE_REACTION_ADD` and `MESSAGE_REACTION_REMOVE`.
#[derive(Deserialize)]
pub(super) struct Reacted {
    user_id: Id,
    message_id: Id,
    emoji: Emoji,
}

fn emoji(emoji: &Emoji) -> RemoteEmoji {
    match emoji.id {
        Some(id) => RemoteEmoji::Custom {
            id: id.to_string(),
            shortcode: emoji_name(emoji),
            media: Some(emoji_file(id, emoji.animated)),
        },
        None => RemoteEmoji::Unicode(emoji_name(emoji)),
    }
}

/// Somebody reacted, or took it back. There is no identifier of a reaction, nor its time: the place in the session names it.
pub(super) fn reacted(at: &At<'_>, reacted: &Reacted, set: bool) -> Vec<RemoteEvent<Discord>> {
    if reacted.user_id == at.scene.bot {
        return Vec::new();
    }
    let target = MessageRef::whole(placed(reacted.message_id, at.scene));
    let body = Body::React { target, emoji: emoji(&reacted.emoji), set };
    let time = reacted.message_id.time();
    vec![at.known(user(reacted.user_id), time, at.stamp("react"), body)]
}

/// `MESSAGE_REACTION_REMOVE_ALL`.
#[derive(Deserialize)]
pub(super) struct Unreacted {
    message_id: Id,
}

/// A moderator has taken all reactions off a message.
pub(super) fn unreacted(at: &At<'_>, unreacted: &Unreacted) -> Vec<RemoteEvent<Discord>> {
    let target = MessageRef::whole(placed(unreacted.message_id, at.scene));
    let body = Body::ReactionSync { target, all: Vec::new() };
    let time = unreacted.message_id.time();
    vec![at.known(Sender::System, time, at.stamp("unreact"), body)]
}

/// `MESSAGE_POLL_VOTE_ADD` and `MESSAGE_POLL_VOTE_REMOVE`.
#[derive(Deserialize)]
pub(super) struct Voted {
    user_id: Id,
    message_id: Id,
}

/// Somebody voted. What they have chosen in all was known when it came.
pub(super) fn voted(at: &At<'_>, vote: &Voted) -> Vec<RemoteEvent<Discord>> {
    let Some(votes) = &at.scene.votes else { return Vec::new() };
    let body = Body::PollVote {
        poll: placed(vote.message_id, at.scene),
        choices: votes.iter().map(ToString::to_string).collect(),
    };
    vec![at.known(user(vote.user_id), vote.message_id.time(), at.stamp("vote"), body)]
}
