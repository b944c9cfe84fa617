//! Text, places, edits, deletions and reactions.

use super::{
    ChatMeta, Telegram,
    outgoing::{Target, entities, note_progress, progress, random_id, send_media, send_text, sent},
};
use crate::{
    client::Live,
    convert::from_matrix::{Chunk, MAX_TEXT, split, write},
    ids::Peer,
};
use grammers_tl_types as tl;
use landbridge_framework::{
    event::Emoji,
    format::{Rich, Style},
    handlers::{Location, OwnReactions, RoomCaps, Targets},
    prelude::*,
};

/// The longest text: ten messages.
const MAX_CHARS: usize = 10 * MAX_TEXT;
/// How old people's own messages may be to be edited (`edit_time_limit` of help.getConfig).
const EDIT_WINDOW: Duration = Duration::from_hours(48);

pub(super) type Me = Via<Telegram>;
pub(super) type Here = In<Telegram>;

pub(super) fn register(handlers: Handlers<Telegram>) -> Handlers<Telegram> {
    handlers
        .text(TextCaps { max_len: MAX_CHARS }, Idempotency::Native, text)
        .location(Idempotency::Native, location)
        // Bots, and whoever posts in a channel or to themselves, may change what is older: the server refuses what it must.
        .edit(EditCaps { max_age: None }, edit)
        .remove(RemoveCaps::default(), remove)
        .react(ReactCaps { per_user: Some(1), allowed: Vec::new() }, react)
}

/// What clients are told of a room: that in it old messages can't be changed, and which reactions are allowed.
pub(super) fn narrow(chat: &ChatInfo<Telegram>, caps: &mut RoomCaps) {
    let Some(meta) = &chat.meta else { return };
    if !meta.broadcast
        && let Some(edit) = &mut caps.edit
    {
        edit.max_age = Some(EDIT_WINDOW);
    }
    if let (Some(allowed), Some(react)) = (&meta.reactions, &mut caps.react) {
        if allowed.is_empty() {
            caps.react = None;
        } else {
            react.allowed.clone_from(allowed);
        }
    }
}

/// What somebody does, in words that everybody sees: Telegram has no `/me`.
fn emoted(body: &Rich, kind: TextKind, name: &str) -> Rich {
    if kind != TextKind::Emote {
        return body.clone();
    }
    let mut out = Rich::new();
    out.push(&format!("* {name} "));
    out.append(body);
    let all = 0..out.len();
    out.style(all, Style::Italic);
    out
}

#[allow(clippy::too_many_arguments, reason = "the framework extracts them by type")]
async fn text(
    Via(client): Me,
    In(at, _): Here,
    Key(key): Key,
    ReplyTo(answered): ReplyTo<Telegram>,
    Thread(thread): Thread<Telegram>,
    origin: Origin,
    mut done: Checkpoint,
    text: Text,
) -> Result<Sent<Telegram>, SendError> {
    let live = client.live()?;
    let name = if origin.name.is_empty() { "I" } else { &origin.name };
    let written = write(&emoted(&text.body, text.kind, name));
    let chunks = split(&written, MAX_TEXT, MAX_TEXT);
    if chunks.is_empty() {
        return Err(SendError::refused("there is no text in it"));
    }
    let mut ids = progress(&done);
    let reply_to = answered.map(|answered| answered.id);
    for (place, chunk) in chunks.iter().enumerate().skip(ids.len()) {
        // Only the first is an answer.
        let target = Target::of(&live, at.id, reply_to.filter(|_| place == 0), thread).await?;
        let id = send_text(&live, &target, chunk, random_id(&key, place), origin.ts_ms).await?;
        ids.push(id);
        if chunks.len() > 1 {
            note_progress(&mut done, &ids).await?;
        }
    }
    Ok(sent(ids))
}

#[allow(clippy::too_many_arguments, reason = "the framework extracts them by type")]
async fn location(
    Via(client): Me,
    In(at, _): Here,
    Key(key): Key,
    As(relayed): As,
    ReplyTo(answered): ReplyTo<Telegram>,
    Thread(thread): Thread<Telegram>,
    origin: Origin,
    Location(place): Location,
) -> Result<Sent<Telegram>, SendError> {
    if !(-90.0..=90.0).contains(&place.lat) || !(-180.0..=180.0).contains(&place.lon) {
        return Err(SendError::refused("there is no such place"));
    }
    let live = client.live()?;
    let target = Target::of(&live, at.id, answered.map(|answered| answered.id), thread).await?;
    let point = tl::types::InputGeoPoint { lat: place.lat, long: place.lon, accuracy_radius: None };
    let by = relayed.map(|profile| profile.name);
    let media: tl::enums::InputMedia = match by.or(place.name.clone()) {
        Some(title) => tl::types::InputMediaVenue {
            geo_point: point.into(),
            title: title.chars().take(128).collect(),
            address: place.name.unwrap_or_default().chars().take(128).collect(),
            provider: String::new(),
            venue_id: String::new(),
            venue_type: String::new(),
        }
        .into(),
        None => tl::types::InputMediaGeoPoint { geo_point: point.into() }.into(),
    };
    let id = send_media(&live, &target, media, &Chunk::default(), random_id(&key, 0), origin.ts_ms)
        .await?;
    Ok(sent(vec![id]))
}

async fn edit(
    Via(client): Me,
    In(at, _): Here,
    origin: Origin,
    Targets(targets): Targets<Telegram>,
    edited: Edited<Telegram>,
) -> Result<Done, SendError> {
    let live = client.live()?;
    let name = if origin.name.is_empty() { "I" } else { &origin.name };
    let written = write(&emoted(&edited.body, edited.kind, name));
    let chunks = split(&written, MAX_TEXT, MAX_TEXT);
    // A long text is several messages there.
    let mut ids: Vec<i32> = targets.into_iter().map(|target| target.id).collect();
    if ids.is_empty() {
        ids.push(edited.target.id);
    }
    if chunks.is_empty() {
        return Err(SendError::refused("there is no text in it"));
    }
    if chunks.len() > ids.len() {
        return Err(SendError::refused(
            "the new text does not fit into the message that it was sent as",
        ));
    }
    let peer = live.input(at.id.peer).await?;
    for (id, chunk) in ids.iter().zip(&chunks) {
        edit_one(&live, at.id.peer, &peer, *id, chunk).await?;
    }
    let left: Vec<i32> = ids.split_off(chunks.len());
    if left.is_empty() { Ok(Done) } else { delete(&live, at.id.peer, left).await }
}

async fn edit_one(
    live: &Live,
    at: Peer,
    peer: &tl::enums::InputPeer,
    id: i32,
    chunk: &Chunk,
) -> Result<(), SendError> {
    live.note_edit(at, id, &chunk.text);
    let request = tl::functions::messages::EditMessage {
        no_webpage: false,
        invert_media: false,
        peer: peer.clone(),
        id,
        message: Some(chunk.text.clone()),
        media: None,
        reply_markup: None,
        entities: entities(live, chunk).await?,
        schedule_date: None,
        schedule_repeat_period: None,
        quick_reply_shortcut_id: None,
        rich_message: None,
    };
    match live.api.invoke(&request).await {
        // It says that already: an earlier attempt did it.
        Err(error) if error.is("MESSAGE_NOT_MODIFIED") => Ok(()),
        answer => answer.map(drop).map_err(SendError::from),
    }
}

async fn remove(
    Via(client): Me,
    In(at, _): Here,
    Targets(targets): Targets<Telegram>,
    removed: Removed<Telegram>,
) -> Result<Done, SendError> {
    let live = client.live()?;
    let mut ids: Vec<i32> = targets.into_iter().map(|target| target.id).collect();
    if !ids.contains(&removed.target.id) {
        ids.push(removed.target.id);
    }
    delete(&live, at.id.peer, ids).await
}

async fn delete(live: &Live, at: Peer, id: Vec<i32>) -> Result<Done, SendError> {
    let answer = match at {
        Peer::Channel(channel) => {
            let channel = live.peers.input_channel(channel).await?;
            live.api.invoke(&tl::functions::channels::DeleteMessages { channel, id }).await
        }
        // For both sides, as a redaction is.
        Peer::User(_) | Peer::Group(_) => {
            live.api.invoke(&tl::functions::messages::DeleteMessages { revoke: true, id }).await
        }
    };
    match answer {
        Err(error) if error.is("MESSAGE_ID_INVALID") => Ok(Done),
        answer => answer.map(|_| Done).map_err(SendError::from),
    }
}

async fn react(
    Via(client): Me,
    In(at, meta): Here,
    OwnReactions(own): OwnReactions,
    reacted: Reacted<Telegram>,
) -> Result<Done, SendError> {
    let live = client.live()?;
    // Telegram is told all that the account has on the message.
    let all = own.iter().map(|emoji| reaction(emoji, &meta)).collect::<Result<Vec<_>, _>>()?;
    let request = tl::functions::messages::SendReaction {
        big: false,
        add_to_recent: false,
        peer: live.input(at.id.peer).await?,
        msg_id: reacted.target.id,
        reaction: Some(all).filter(|all| !all.is_empty()),
    };
    match live.api.invoke(&request).await {
        Err(error) if error.is("MESSAGE_NOT_MODIFIED") => Ok(Done),
        Err(error) if error.is("MESSAGE_ID_INVALID") && !reacted.set => Ok(Done),
        answer => answer.map(|_| Done).map_err(SendError::from),
    }
}

/// A reaction in Telegram's types. Its emoji have no variation selectors.
fn reaction(emoji: &Emoji, meta: &ChatMeta) -> Result<tl::enums::Reaction, SendError> {
    match emoji {
        Emoji::Unicode(text) => {
            let emoticon: String = text.chars().filter(|c| *c != '\u{fe0f}').collect();
            if meta.reactions.as_ref().is_some_and(|allowed| !allowed.contains(&emoticon)) {
                return Err(SendError::refused("this reaction is not allowed in the chat"));
            }
            Ok(tl::types::ReactionEmoji { emoticon }.into())
        }
        Emoji::Custom { id, .. } => {
            let document_id =
                id.parse().map_err(|_| SendError::refused("Telegram doesn't know this emoji"))?;
            Ok(tl::types::ReactionCustomEmoji { document_id }.into())
        }
    }
}
