//! From Matrix to Discord: what is done to messages that are there. Each can be done twice without harm.

use landbridge_framework::{
    MessageRef,
    handlers::{Done, Edited, In, PinsChanged, Reacted, Removed, SendError, Targets, Typing, Via},
};
use serde_json::json;

use super::{Discord, PortalMeta, say::styled};
use crate::{
    client::{
        ApiError, Call, Hub, Wait,
        error::{NO_ACCESS, NO_PERMISSION, UNKNOWN_MESSAGE, UNKNOWN_WEBHOOK},
        rest::segment,
        webhooks::{Hook, is_without},
    },
    convert::from_matrix::{MAX_CHARS, Manner, Written, cut, reaction},
    ids::{Id, Place, Post},
};

type Me = Via<Discord>;
type Here = In<Discord>;

fn channel_of(place: Place) -> Result<Id, SendError> {
    match place {
        Place::Channel(channel) => Ok(channel),
        Place::Guild(_) | Place::Posts(_) => {
            Err(SendError::refused("a space of Discord's has no messages"))
        }
    }
}

/// The webhook that speaks in a room, if there is one.
async fn hook(hub: &Hub, channel: Id) -> Result<Option<std::sync::Arc<Hook>>, ApiError> {
    match hub.webhooks.slot(channel).hook(hub, channel).await {
        Ok(hook) => Ok(Some(hook)),
        Err(error) if is_without(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A request about a message that a webhook has written.
fn by_hook(hook: &Hook, post: Post, room: Id, hook_channel: Id, make: fn(String) -> Call) -> Call {
    let call = make(format!("webhooks/{}/{}/messages/{}", hook.id, hook.token.0, post.id));
    let call = call.without_token();
    match post.thread.or((room != hook_channel).then_some(room)) {
        Some(thread) => call.query("thread_id", thread),
        None => call,
    }
}

/// Whether the message isn't this webhook's, so that somebody else has to be asked.
fn is_not_its(error: &ApiError) -> bool {
    matches!(error.code(), Some(UNKNOWN_MESSAGE | UNKNOWN_WEBHOOK)) || error.is_gone()
}

/// Changes a message: all the messages that it is on Discord, if it was a long one.
pub(super) async fn edit(
    Via(client): Me,
    In(at, meta): Here,
    Targets(targets): Targets<Discord>,
    edited: Edited<Discord>,
) -> Result<Done, SendError> {
    let hub = &client.hub;
    let room = channel_of(at.id)?;
    let emojis = meta.guild.map(|guild| hub.cache().emojis(guild)).unwrap_or_default();
    let manner = Manner { emojis, everyone: false };
    let posts = posts(&edited.target, &targets);
    let body = styled(&edited.body, edited.kind);
    let texts = cut(&body, &manner, MAX_CHARS, posts.len()).ok_or_else(|| {
        SendError::refused(format!(
            "the edit is longer than the {} of {MAX_CHARS} characters that the message is on Discord",
            if posts.len() == 1 { "one".to_owned() } else { posts.len().to_string() }
        ))
    })?;
    for (number, post) in posts.into_iter().enumerate() {
        match texts.get(number) {
            Some(text) => change(hub, post, room, &meta, text).await?,
            // The first may be a file whose text was taken away; others are nothing but text.
            None if number == 0 => change(hub, post, room, &meta, &Written::default()).await?,
            None => delete(hub, post, room, &meta, None).await?,
        }
    }
    Ok(Done)
}

/// The messages of Discord's that an event is.
fn posts(first: &MessageRef<Discord>, all: &[MessageRef<Discord>]) -> Vec<Post> {
    if all.is_empty() { vec![first.id] } else { all.iter().map(|target| target.id).collect() }
}

async fn change(
    hub: &Hub,
    post: Post,
    room: Id,
    meta: &PortalMeta,
    text: &Written,
) -> Result<(), SendError> {
    let users: Vec<&Id> = text.users.iter().take(100).collect();
    let body = json!({
        "content": text.text,
        "allowed_mentions": { "parse": [], "users": users },
    });
    let hook_channel = meta.parent.unwrap_or(room);
    if let Some(hook) = hook(hub, hook_channel).await? {
        let call = by_hook(&hook, post, room, hook_channel, Call::patch).json(body.clone());
        match hub.rest.tell(call, Wait::No).await {
            Err(error) if is_not_its(&error) => {}
            done => return done.map_err(SendError::from),
        }
    }
    let call = Call::patch(format!("channels/{}/messages/{}", post.channel(room), post.id));
    hub.rest.tell(call.json(body), Wait::No).await.map_err(SendError::from)
}

/// Deletes a message: all the messages that it is on Discord.
pub(super) async fn remove(
    Via(client): Me,
    In(at, meta): Here,
    Targets(targets): Targets<Discord>,
    removed: Removed<Discord>,
) -> Result<Done, SendError> {
    let room = channel_of(at.id)?;
    if removed.target.part.as_ref().is_some_and(|part| !part.0.is_empty()) {
        return Err(SendError::refused(
            "this is one file of a message on Discord, which can only be deleted whole",
        ));
    }
    for post in posts(&removed.target, &targets) {
        delete(&client.hub, post, room, &meta, removed.reason.as_deref()).await?;
    }
    Ok(Done)
}

async fn delete(
    hub: &Hub,
    post: Post,
    room: Id,
    meta: &PortalMeta,
    reason: Option<&str>,
) -> Result<(), SendError> {
    let hook_channel = meta.parent.unwrap_or(room);
    if let Some(hook) = hook(hub, hook_channel).await? {
        let call = by_hook(&hook, post, room, hook_channel, Call::delete);
        match hub.rest.tell(call, Wait::No).await {
            Err(error) if is_not_its(&error) => {}
            done => return done.map_err(SendError::from),
        }
    }
    if !hub.checked.config.moderation.messages {
        return Err(SendError::refused(
            "this bridge doesn't delete messages of Discord's people (discord.moderation.messages)",
        ));
    }
    let call = Call::delete(format!("channels/{}/messages/{}", post.channel(room), post.id))
        .because(reason);
    gone_is_done(hub.rest.tell(call, Wait::No).await).map(|Done| ())
}

/// What isn't there any more need not be taken away.
fn gone_is_done(result: Result<(), ApiError>) -> Result<Done, SendError> {
    match result {
        Err(error) if error.is_gone() => Ok(Done),
        result => result.map(|()| Done).map_err(SendError::from),
    }
}

/// Sets or takes back the bot's reaction, which stands for everybody's on Matrix.
pub(super) async fn react(
    Via(client): Me,
    In(at, meta): Here,
    reacted: Reacted<Discord>,
) -> Result<Done, SendError> {
    let hub = &client.hub;
    let room = channel_of(at.id)?;
    let emojis = meta.guild.map(|guild| hub.cache().emojis(guild)).unwrap_or_default();
    let Some(emoji) = reaction(&reacted.emoji, &emojis) else {
        return Err(SendError::refused("Discord takes only emoji as reactions"));
    };
    let post = reacted.target.id;
    let path = format!(
        "channels/{}/messages/{}/reactions/{}/@me",
        post.channel(room),
        post.id,
        segment(&emoji)
    );
    if reacted.set {
        hub.rest.tell(Call::put(path), Wait::No).await?;
        Ok(Done)
    } else {
        gone_is_done(hub.rest.tell(Call::delete(path), Wait::No).await)
    }
}

/// Shows that somebody types: the bot does, for ten seconds. That somebody stopped can't be said.
pub(super) async fn typing(
    Via(client): Me,
    In(at, _): Here,
    Typing(typing): Typing,
) -> Result<Done, SendError> {
    if typing {
        let call = Call::post(format!("channels/{}/typing", channel_of(at.id)?));
        match client.hub.rest.tell(call, Wait::No).await {
            // Not worth a word to anybody.
            Err(error) if matches!(error.code(), Some(NO_ACCESS | NO_PERMISSION)) => {}
            done => done?,
        }
    }
    Ok(Done)
}

/// Pins and unpins what was pinned and unpinned on Matrix. What is pinned on Discord besides stays: Matrix may not know those messages.
pub(super) async fn pins(
    Via(client): Me,
    In(at, _): Here,
    pins: PinsChanged<Discord>,
) -> Result<Done, SendError> {
    let hub = &client.hub;
    if !hub.checked.config.moderation.pins {
        return Err(SendError::refused(
            "this bridge doesn't pin messages on Discord (discord.moderation.pins)",
        ));
    }
    let room = channel_of(at.id)?;
    for post in pins.added {
        pin(hub, room, post, Call::put).await?;
    }
    for post in pins.removed {
        pin(hub, room, post, Call::delete).await?;
    }
    Ok(Done)
}

async fn pin(hub: &Hub, room: Id, post: Post, make: fn(String) -> Call) -> Result<(), SendError> {
    let call = make(format!("channels/{}/messages/pins/{}", post.channel(room), post.id));
    gone_is_done(hub.rest.tell(call, Wait::No).await).map(|Done| ())
}
