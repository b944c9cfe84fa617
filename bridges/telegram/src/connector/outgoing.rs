//! Messages on their way out: to whom, as answers to what, and under which `random_id`. Telegram takes each such number once.

use std::collections::BTreeMap;

use grammers_tl_types as tl;
use landbridge_framework::prelude::*;
use sha2::{Digest, Sha256};

use super::Telegram;
use crate::{
    client::{ApiError, Live, messages_of},
    convert::{
        from_matrix::{Chunk, Kind, to_tl},
        to_matrix,
    },
    ids::{ChatId, GENERAL, Peer},
};

/// How many messages are looked at at once for one that may have been sent, and how often further back.
const PAGE: i32 = 100;
const PAGES: u32 = 40;
/// How many of a bot's numbers after the newest seen are looked at: its own update may not have come yet.
const AHEAD: i32 = 50;
/// How long after not finding it it is looked for again, for each page that was looked at.
const AGAIN: Duration = Duration::from_secs(3);

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

/// The numbers of several messages that a request has sent, all of them.
pub(super) fn sent_ids(updates: &tl::enums::Updates, random_ids: &[i64]) -> Option<Vec<i32>> {
    let updates = match updates {
        tl::enums::Updates::Updates(updates) => &updates.updates,
        tl::enums::Updates::Combined(updates) => &updates.updates,
        _ => return None,
    };
    let of = |random_id: &i64| {
        updates.iter().find_map(|update| match update {
            tl::enums::Update::MessageId(update) if update.random_id == *random_id => {
                Some(update.id)
            }
            _ => None,
        })
    };
    random_ids.iter().map(of).collect()
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

/// The number of a message that Telegram has already. It says only that it has (`RANDOM_ID_DUPLICATE`), not where: the chat is looked
/// through for it, back to when the message was written. Messages go out one after the other in a chat, so the newest that fits is it.
pub(super) async fn already_sent(
    live: &Live,
    target: &Target,
    looked: &Looked<'_>,
) -> Result<i32, SendError> {
    let since = since(looked.since_ms);
    let fits = |message: &tl::types::Message| {
        let carries = matches!(
            message.media,
            Some(ref media) if !matches!(media, tl::enums::MessageMedia::WebPage(_) | tl::enums::MessageMedia::Empty)
        );
        is_mine(live, message)
            && carries == looked.media
            && message.message == looked.text
            && i64::from(message.date) >= since
    };
    let mut before = None;
    let mut pages = 0;
    while pages < PAGES {
        pages += 1;
        let page = page(live, target, before).await?;
        if let Some(message) = page.messages.iter().find(|message| fits(message)) {
            return Ok(message.id);
        }
        let passed = page.messages.last().is_some_and(|oldest| i64::from(oldest.date) < since);
        match page.before {
            Some(next) if !passed => before = Some(next),
            _ => break,
        }
    }
    Err(not_found_yet(pages))
}

/// From when on what was sent is looked for, in seconds since the Unix epoch: clocks differ by some minutes.
fn since(ms: i64) -> i64 {
    ms / 1000 - 600
}

fn is_mine(live: &Live, message: &tl::types::Message) -> bool {
    let from = message.from_id.as_ref();
    message.out || from.is_some_and(|from| Peer::from(from) == Peer::User(live.me))
}

fn not_found_yet(pages: u32) -> SendError {
    SendError::Retry {
        after: Some(AGAIN * pages),
        scope: LimitScope::Chat,
        reason: "Telegram has the message already, but it was not found yet".into(),
    }
}

/// The numbers of an album that Telegram has already: as [`already_sent`]. `texts` are its messages', in order.
pub(super) async fn album_already_sent(
    live: &Live,
    target: &Target,
    texts: &[&str],
    since_ms: i64,
) -> Result<Vec<i32>, SendError> {
    let since = since(since_ms);
    let mut albums: BTreeMap<i64, BTreeMap<i32, String>> = BTreeMap::new();
    let mut before = None;
    let mut pages = 0;
    while pages < PAGES {
        pages += 1;
        let page = page(live, target, before).await?;
        for message in &page.messages {
            let dated = i64::from(message.date) >= since;
            if let Some(album) = message.grouped_id.filter(|_| dated && is_mine(live, message)) {
                albums.entry(album).or_default().insert(message.id, message.message.clone());
            }
        }
        let fits = albums.values().filter(|album| album.values().eq(texts.iter()));
        // The newest, as with single messages.
        if let Some(album) = fits.max_by_key(|album| album.keys().last().copied()) {
            return Ok(album.keys().copied().collect());
        }
        let passed = page.messages.last().is_some_and(|oldest| i64::from(oldest.date) < since);
        match page.before {
            Some(next) if !passed => before = Some(next),
            _ => break,
        }
    }
    Err(not_found_yet(pages))
}

/// The latest messages of a chat, newest first.
pub(super) async fn latest(
    live: &Live,
    target: &Target,
) -> Result<Vec<tl::types::Message>, SendError> {
    Ok(page(live, target, None).await?.messages)
}

/// Some of a chat's messages.
struct Page {
    /// Newest first.
    messages: Vec<tl::types::Message>,
    /// The number that the next page lies before; none if there are no more.
    before: Option<i32>,
}

async fn page(live: &Live, target: &Target, before: Option<i32>) -> Result<Page, SendError> {
    let peer = target.chat.peer;
    let (answer, next) = if live.bot {
        // Bots may not read history, but may ask for messages by their numbers.
        let newest = live.newest(peer).unwrap_or(0);
        let end = before.unwrap_or_else(|| newest.saturating_add(AHEAD + 1));
        let begin = end.saturating_sub(PAGE).max(1);
        let id = (begin..end).map(|id| tl::types::InputMessageId { id }.into()).collect();
        let answer = match peer {
            Peer::Channel(channel) => {
                let channel = live.peers.input_channel(channel).await?;
                live.api.invoke(&tl::functions::channels::GetMessages { channel, id }).await?
            }
            Peer::User(_) | Peer::Group(_) => {
                live.api.invoke(&tl::functions::messages::GetMessages { id }).await?
            }
        };
        (answer, Some(begin).filter(|begin| *begin > 1))
    } else {
        let request = tl::functions::messages::GetHistory {
            peer: target.peer.clone(),
            offset_id: before.unwrap_or(0),
            offset_date: 0,
            add_offset: 0,
            limit: PAGE,
            max_id: 0,
            min_id: 0,
            hash: 0,
        };
        (live.api.invoke(&request).await?, None)
    };
    let (messages, users, chats) = messages_of(answer);
    live.learn(&users, &chats).await?;
    let oldest = messages.iter().map(tl::enums::Message::id).min();
    let before = if live.bot { next } else { oldest };
    let ordinary = |message| match message {
        tl::enums::Message::Message(message) => Some(message),
        tl::enums::Message::Service(_) | tl::enums::Message::Empty(_) => None,
    };
    let mut messages: Vec<_> = messages.into_iter().filter_map(ordinary).collect();
    // The account's numbers are shared by its chats.
    messages.retain(|message| Peer::from(&message.peer_id) == peer);
    messages.sort_by_key(|message| std::cmp::Reverse(message.id));
    Ok(Page { messages, before })
}

/// Entities in Telegram's types; people of whom there is no access hash are only named.
pub(super) async fn entities(
    live: &Live,
    chunk: &Chunk,
) -> Result<Option<Vec<tl::enums::MessageEntity>>, SendError> {
    let mut users = std::collections::BTreeMap::new();
    for entity in &chunk.entities {
        if let Kind::Mention(id) = entity.kind {
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

/// The numbers of those that were sent before.
pub(super) fn progress(done: &Checkpoint) -> Vec<i32> {
    done.get().unwrap_or_default().split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// Keeps what [`progress`] reads.
pub(super) async fn note_progress(done: &mut Checkpoint, ids: &[i32]) -> Result<(), SendError> {
    let note: Vec<String> = ids.iter().map(ToString::to_string).collect();
    done.save(note.join(" ")).await
}

/// What was sent, as one or several messages.
pub(super) fn sent(ids: Vec<i32>) -> Sent<Telegram> {
    match ids.as_slice() {
        [id] => Sent::Now { id: *id, order: Some(StreamOrder(i64::from(*id))) },
        _ => Sent::Many(ids),
    }
}

/// Puts other media into a message that was sent.
pub(super) async fn edit_media(
    live: &Live,
    peer: tl::enums::InputPeer,
    id: i32,
    media: tl::enums::InputMedia,
) -> Result<(), ApiError> {
    let request = tl::functions::messages::EditMessage {
        no_webpage: false,
        invert_media: false,
        peer,
        id,
        message: None,
        media: Some(media),
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        quick_reply_shortcut_id: None,
        rich_message: None,
    };
    match live.api.invoke(&request).await {
        // It says that already.
        Err(error) if error.is("MESSAGE_NOT_MODIFIED") => Ok(()),
        answer => answer.map(drop),
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
            None => {
                return Err(SendError::unknown(
                    "Telegram's answer doesn't say which message it made",
                ));
            }
        },
        Err(error) if error.is("RANDOM_ID_DUPLICATE") => already_sent(live, target, looked).await?,
        Err(error) => return Err(error.into()),
    };
    noted(live, target, &[id]).await?;
    Ok(id)
}

/// Notes where what was sent is, for its deletion, in case the echo is dropped as known.
pub(super) async fn noted(live: &Live, target: &Target, ids: &[i32]) -> Result<(), SendError> {
    let peer = target.chat.peer;
    if !peer.is_account_wide() {
        return Ok(());
    }
    let ids: Vec<_> = ids.iter().map(|id| (*id, peer)).collect();
    live.index.note(&ids).await.map_err(|error| SendError::unknown(error.to_string()))
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
    send_media_answered(live, target, media, caption, random_id, since_ms).await.map(|(id, _)| id)
}

/// The same, with the poll that Telegram has made of it.
pub(super) async fn send_media_answered(
    live: &Live,
    target: &Target,
    media: tl::enums::InputMedia,
    caption: &Chunk,
    random_id: i64,
    since_ms: i64,
) -> Result<(i32, Vec<String>), SendError> {
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
    let options = answer.as_ref().map(poll_options).unwrap_or_default();
    let looked = Looked { text: &caption.text, media: true, since_ms };
    Ok((settled(live, target, answer, random_id, &looked).await?, options))
}

/// The options of the poll that a request has made.
fn poll_options(updates: &tl::enums::Updates) -> Vec<String> {
    let updates = match updates {
        tl::enums::Updates::Updates(updates) => &updates.updates,
        tl::enums::Updates::Combined(updates) => &updates.updates,
        _ => return Vec::new(),
    };
    let media = updates.iter().find_map(|update| match update {
        tl::enums::Update::NewMessage(new) => poll_of(&new.message),
        tl::enums::Update::NewChannelMessage(new) => poll_of(&new.message),
        _ => None,
    });
    media.map(to_matrix::option_ids).unwrap_or_default()
}

/// The poll that a message is.
pub(super) fn poll_of(message: &tl::enums::Message) -> Option<&tl::types::MessageMediaPoll> {
    let tl::enums::Message::Message(message) = message else { return None };
    match &message.media {
        Some(tl::enums::MessageMedia::Poll(poll)) => Some(poll),
        _ => None,
    }
}
