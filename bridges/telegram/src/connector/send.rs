//! Text, places, polls, edits, deletions and reactions. What is sent carries the framework's key as its `random_id`, so that Telegram
//! takes it once.

use std::time::Duration;

use grammers_tl_types as tl;
use landbridge_framework::{
    event::Emoji,
    format::{Rich, Style},
    handlers::{Location, PollCaps, PollSent},
    prelude::*,
};
use sha2::{Digest, Sha256};

use super::{ChatMeta, Telegram};
use crate::{
    client::{ApiError, Live},
    convert::from_matrix::{Chunk, MAX_TEXT, split, to_tl, write},
    ids::{ChatId, GENERAL, Peer},
};

/// The longest text: ten messages.
const MAX_CHARS: usize = 10 * MAX_TEXT;
/// Telegram's limits of polls.
const MAX_OPTIONS: usize = 12;
const MAX_QUESTION: usize = 255;
const MAX_OPTION: usize = 100;
/// How far back a message is looked for that may have been sent.
const LOOK_BACK: i32 = 50;
/// How old one's own messages may be to be edited; the server has the last word.
const EDIT_WINDOW: Duration = Duration::from_hours(48);

pub(super) type Me = Via<Telegram>;
pub(super) type Here = In<Telegram>;

pub(super) fn register(handlers: Handlers<Telegram>) -> Handlers<Telegram> {
    handlers
        .text(TextCaps { max_len: MAX_CHARS }, Idempotency::Native, text)
        .location(Idempotency::Native, location)
        .poll(PollCaps { max_options: MAX_OPTIONS }, Idempotency::Native, poll)
        .edit(EditCaps { max_age: Some(EDIT_WINDOW) }, edit)
        .remove(RemoveCaps::default(), remove)
        .react(ReactCaps { per_user: Some(1), allowed: Vec::new() }, react)
}

/// What is sent in a chat: as answer to what, and in which topic.
pub(super) struct Target {
    pub(super) peer: tl::enums::InputPeer,
    pub(super) reply: Option<tl::enums::InputReplyTo>,
    chat: ChatId,
}

impl Target {
    pub(super) async fn of(
        live: &Live,
        chat: ChatId,
        reply_to: Option<i32>,
        thread: Option<i32>,
    ) -> Result<Self, ApiError> {
        let peer = live.input(chat.peer).await?;
        let topic = chat.topic.or(thread).filter(|topic| *topic != GENERAL);
        // What is written in a topic answers its first message, if nothing else.
        let reply = reply_to.or(topic).map(|id| {
            tl::types::InputReplyToMessage {
                reply_to_msg_id: id,
                top_msg_id: topic.filter(|topic| Some(*topic) != reply_to && reply_to.is_some()),
                reply_to_peer_id: None,
                quote_text: None,
                quote_entities: None,
                quote_offset: None,
                monoforum_peer_id: None,
                todo_item_id: None,
                poll_option: None,
            }
            .into()
        });
        Ok(Self { peer, reply, chat })
    }
}

/// The number that Telegram knows a request by: of the key, and of the place among those sent for it.
pub(super) fn random_id(key: &IdempotencyKey, place: usize) -> i64 {
    if place == 0 {
        return key.as_i64();
    }
    let mut hash = Sha256::new();
    hash.update(key.to_hex());
    hash.update((place as u64).to_be_bytes());
    let digest = hash.finalize();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(bytes)
}

/// The message's number, out of the updates that a request is answered with.
pub(super) fn sent_id(updates: &tl::enums::Updates, random_id: i64) -> Option<i32> {
    let updates = match updates {
        tl::enums::Updates::UpdateShortSentMessage(short) => return Some(short.id),
        tl::enums::Updates::Updates(updates) => &updates.updates,
        tl::enums::Updates::Combined(updates) => &updates.updates,
        _ => return None,
    };
    let by_key = updates.iter().find_map(|update| match update {
        tl::enums::Update::MessageId(update) if update.random_id == random_id => Some(update.id),
        _ => None,
    });
    by_key.or_else(|| {
        updates.iter().find_map(|update| match update {
            tl::enums::Update::NewMessage(new) => number(&new.message),
            tl::enums::Update::NewChannelMessage(new) => number(&new.message),
            _ => None,
        })
    })
}

fn number(message: &tl::enums::Message) -> Option<i32> {
    match message {
        tl::enums::Message::Message(message) => Some(message.id),
        tl::enums::Message::Service(_) | tl::enums::Message::Empty(_) => None,
    }
}

/// What was sent, as it is looked for afterwards.
pub(super) struct Looked<'a> {
    pub(super) text: &'a str,
    pub(super) media: bool,
    pub(super) since_ms: i64,
}

/// The number of a message that Telegram has already. It says only that it has (`RANDOM_ID_DUPLICATE`), not where: the chat's latest own
/// messages are looked through for it. Messages go out one after the other in a chat, so the newest that fits is it.
pub(super) async fn already_sent(
    live: &Live,
    target: &Target,
    looked: &Looked<'_>,
) -> Result<i32, SendError> {
    let request = tl::functions::messages::GetHistory {
        peer: target.peer.clone(),
        offset_id: 0,
        offset_date: 0,
        add_offset: 0,
        limit: LOOK_BACK,
        max_id: 0,
        min_id: 0,
        hash: 0,
    };
    let (messages, users, chats) = crate::client::messages_of(live.api.invoke(&request).await?);
    live.learn(&users, &chats).await?;
    // Clocks differ by some minutes.
    let since = looked.since_ms / 1000 - 600;
    let fits = |message: &tl::types::Message| {
        let mine = message.out || message.from_id.as_ref().is_some_and(|from| Peer::from(from) == Peer::User(live.me));
        let carries = matches!(
            message.media,
            Some(ref media) if !matches!(media, tl::enums::MessageMedia::WebPage(_) | tl::enums::MessageMedia::Empty)
        );
        mine && carries == looked.media && message.message == looked.text && i64::from(message.date) >= since
    };
    messages
        .iter()
        .find_map(|message| match message {
            tl::enums::Message::Message(message) if fits(message) => Some(message.id),
            _ => None,
        })
        .ok_or_else(|| {
            SendError::refused("Telegram has the message already, but it can't be found among the latest of the chat")
        })
}

/// Entities in Telegram's types; people of whom there is no access hash are only named.
pub(super) async fn entities(
    live: &Live,
    chunk: &Chunk,
) -> Result<Option<Vec<tl::enums::MessageEntity>>, SendError> {
    let mut users = std::collections::BTreeMap::new();
    for entity in &chunk.entities {
        if let crate::convert::from_matrix::Kind::Mention(id) = entity.kind {
            match live.peers.input_user(id, live.me).await {
                Ok(user) => drop(users.insert(id, user)),
                Err(ApiError::Unknown(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    let entities = to_tl(&chunk.entities, |id| users.get(&id).cloned());
    Ok(Some(entities).filter(|entities| !entities.is_empty()))
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
            let note: Vec<String> = ids.iter().map(ToString::to_string).collect();
            done.save(note.join(" ")).await?;
        }
    }
    Ok(sent(ids))
}

/// The numbers of those that were sent before.
pub(super) fn progress(done: &Checkpoint) -> Vec<i32> {
    done.get().unwrap_or_default().split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// What was sent, as one or several messages.
pub(super) fn sent(ids: Vec<i32>) -> Sent<Telegram> {
    match ids.as_slice() {
        [id] => Sent::Now { id: *id, order: Some(StreamOrder(i64::from(*id))) },
        _ => Sent::Many(ids),
    }
}

pub(super) async fn send_text(
    live: &Live,
    target: &Target,
    chunk: &Chunk,
    random_id: i64,
    since_ms: i64,
) -> Result<i32, SendError> {
    let request = tl::functions::messages::SendMessage {
        no_webpage: false,
        silent: false,
        background: false,
        // What people write in their apps but have not sent stays there.
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer: target.peer.clone(),
        reply_to: target.reply.clone(),
        message: chunk.text.clone(),
        random_id,
        reply_markup: None,
        entities: entities(live, chunk).await?,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
        rich_message: None,
    };
    let answer = live.api.invoke(&request).await;
    let looked = Looked { text: &chunk.text, media: false, since_ms };
    settled(live, target, answer, random_id, &looked).await
}

/// The number of what a request has sent, also if an earlier one had.
pub(super) async fn settled(
    live: &Live,
    target: &Target,
    answer: Result<tl::enums::Updates, ApiError>,
    random_id: i64,
    looked: &Looked<'_>,
) -> Result<i32, SendError> {
    let id = match answer {
        Ok(updates) => match sent_id(&updates, random_id) {
            Some(id) => id,
            None => return Err(SendError::unknown("Telegram's answer doesn't say which message it made")),
        },
        Err(error) if error.is("RANDOM_ID_DUPLICATE") => already_sent(live, target, looked).await?,
        Err(error) => return Err(error.into()),
    };
    if target.chat.peer.is_account_wide() {
        // For its deletion, in case the echo is dropped as known.
        let noted = live.index.note(&[(id, target.chat.peer)]).await;
        noted.map_err(|error| SendError::unknown(error.to_string()))?;
    }
    Ok(id)
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
    let id = send_media(&live, &target, media, &Chunk::default(), random_id(&key, 0), origin.ts_ms).await?;
    Ok(sent(vec![id]))
}

#[allow(clippy::too_many_arguments, reason = "the framework extracts them by type")]
async fn poll(
    Via(client): Me,
    In(at, _): Here,
    Key(key): Key,
    As(relayed): As,
    ReplyTo(answered): ReplyTo<Telegram>,
    Thread(thread): Thread<Telegram>,
    origin: Origin,
    PollSent(poll): PollSent,
) -> Result<Sent<Telegram>, SendError> {
    let live = client.live()?;
    let target = Target::of(&live, at.id, answered.map(|answered| answered.id), thread).await?;
    let words = |text: &str, most: usize| -> tl::enums::TextWithEntities {
        tl::types::TextWithEntities { text: text.chars().take(most).collect(), entities: Vec::new() }.into()
    };
    if poll.options.is_empty() || poll.question.trim().is_empty() {
        return Err(SendError::refused("a poll needs a question and answers"));
    }
    let question = match relayed {
        Some(profile) => format!("{}: {}", profile.name, poll.question),
        None => poll.question.clone(),
    };
    let answers = poll.options.iter().take(MAX_OPTIONS).map(|option| {
        tl::types::InputPollAnswer { text: words(&option.text, MAX_OPTION), media: None }.into()
    });
    let media = tl::types::InputMediaPoll {
        poll: tl::types::Poll {
            id: 0,
            closed: false,
            public_voters: true,
            multiple_choice: poll.max_choices > 1,
            quiz: false,
            open_answers: false,
            revoting_disabled: false,
            shuffle_answers: false,
            hide_results_until_close: !poll.disclosed,
            creator: false,
            subscribers_only: false,
            question: words(&question, MAX_QUESTION),
            answers: answers.collect(),
            close_period: None,
            close_date: None,
            countries_iso2: None,
            hash: 0,
        }
        .into(),
        correct_answers: None,
        attached_media: None,
        solution: None,
        solution_entities: None,
        solution_media: None,
    };
    let id = send_media(&live, &target, media.into(), &Chunk::default(), random_id(&key, 0), origin.ts_ms).await?;
    Ok(sent(vec![id]))
}

/// Sends something with a caption.
pub(super) async fn send_media(
    live: &Live,
    target: &Target,
    media: tl::enums::InputMedia,
    caption: &Chunk,
    random_id: i64,
    since_ms: i64,
) -> Result<i32, SendError> {
    let request = tl::functions::messages::SendMedia {
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer: target.peer.clone(),
        reply_to: target.reply.clone(),
        media,
        message: caption.text.clone(),
        random_id,
        reply_markup: None,
        entities: entities(live, caption).await?,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
    };
    let answer = live.api.invoke(&request).await;
    let looked = Looked { text: &caption.text, media: true, since_ms };
    settled(live, target, answer, random_id, &looked).await
}

async fn edit(
    Via(client): Me,
    In(at, _): Here,
    origin: Origin,
    edited: Edited<Telegram>,
) -> Result<Done, SendError> {
    let live = client.live()?;
    let name = if origin.name.is_empty() { "I" } else { &origin.name };
    let written = write(&emoted(&edited.body, edited.kind, name));
    let chunks = split(&written, MAX_TEXT, MAX_TEXT);
    let [chunk] = chunks.as_slice() else {
        return Err(SendError::refused("the new text does not fit into one message of Telegram's"));
    };
    let peer = live.input(at.id.peer).await?;
    live.note_edit(at.id.peer, edited.target.id, &chunk.text);
    let request = tl::functions::messages::EditMessage {
        no_webpage: false,
        invert_media: false,
        peer,
        id: edited.target.id,
        message: Some(chunk.text.clone()),
        media: None,
        reply_markup: None,
        entities: entities(&live, chunk).await?,
        schedule_date: None,
        schedule_repeat_period: None,
        quick_reply_shortcut_id: None,
        rich_message: None,
    };
    match live.api.invoke(&request).await {
        // It says that already: an earlier attempt did it.
        Err(error) if error.is("MESSAGE_NOT_MODIFIED") => Ok(Done),
        answer => answer.map(|_| Done).map_err(SendError::from),
    }
}

async fn remove(Via(client): Me, In(at, _): Here, removed: Removed<Telegram>) -> Result<Done, SendError> {
    let live = client.live()?;
    let id = vec![removed.target.id];
    let answer = match at.id.peer {
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
    reacted: Reacted<Telegram>,
) -> Result<Done, SendError> {
    let live = client.live()?;
    let reaction = if reacted.set { Some(vec![reaction(&reacted.emoji, &meta)?]) } else { None };
    let request = tl::functions::messages::SendReaction {
        big: false,
        add_to_recent: false,
        peer: live.input(at.id.peer).await?,
        msg_id: reacted.target.id,
        // None takes them all back; the framework sees to it that there is but one.
        reaction,
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
