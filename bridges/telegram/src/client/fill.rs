//! What differences no longer hold, from history: every chat's messages after the last one seen, in order, before the counters move.

use grammers_tl_types as tl;
use landbridge_framework::{Closed, EventKey, NetError, RemoteId as _};

use super::{
    account::Live,
    chats::messages_of,
    connect::End,
    error::ApiError,
    follow::Follower,
    prepare::{message_key, named_in_message},
};
use crate::{
    ids::{ChatId, Peer},
    raw::{Raw, Tl},
};

/// How many messages or chats are asked for at once.
const PAGE: i32 = 100;
/// How many pages are read of one chat: what is older stays where history import finds it.
const MAX_PAGES: usize = 200;
/// How many pages of chats are read.
const MAX_CHAT_PAGES: usize = 20;

impl Follower {
    /// Brings the messages of a channel after the last one seen, up to `top` as far as history can't be read. Says whether it could.
    pub(super) async fn fill_channel(&mut self, id: i64, top: i32) -> Result<bool, End> {
        let last = self.channels.get(&id).map_or(0, |mark| mark.last);
        if last == 0 {
            return Ok(false);
        }
        self.fill(Peer::Channel(id), last, top).await
    }

    /// Brings the messages of all chats that belong to the account after the last one seen.
    pub(super) async fn fill_account(&mut self) -> Result<(), End> {
        let last = self.last;
        if last == 0 || self.live.bot {
            // Bots may not list their chats; their own messages Telegram keeps for them.
            return Ok(());
        }
        for (peer, top) in self.chats(MAX_CHAT_PAGES).await? {
            if peer.is_account_wide() && top > last {
                self.fill(peer, last, top).await?;
                self.noticed_gap(peer).await?;
            }
        }
        Ok(())
    }

    async fn fill(&mut self, peer: Peer, after: i32, top: i32) -> Result<bool, End> {
        let mut from = after;
        for _ in 0..MAX_PAGES {
            let answer = match self.page_after(peer, from, top).await {
                Ok(answer) => answer,
                Err(error) if error.wait().is_some() => {
                    self.wait_or(error).await?;
                    continue;
                }
                Err(error) if error.is_temporary() || error.is_logged_out() => {
                    return Err(error.into());
                }
                Err(error) => {
                    tracing::warn!(%peer, %error, "what was missed can't be had");
                    return Ok(false);
                }
            };
            let (mut messages, users, chats) = messages_of(answer);
            self.live.peers.learn(&users, &chats).await?;
            messages.retain(|message| message_key(message).is_some_and(|(_, _, id)| id > from));
            messages.sort_by_key(|message| message_key(message).map(|(_, _, id)| id));
            let newest = messages.last().and_then(message_key).map(|(_, _, id)| id);
            self.put_past(messages).await?;
            from = match newest {
                // A page by numbers may be of nothing but what was deleted.
                _ if self.live.bot => from.saturating_add(PAGE),
                Some(newest) => newest,
                None => return Ok(true),
            };
            if self.live.bot && from >= top {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// The oldest messages of a chat after one of them.
    async fn page_after(
        &self,
        peer: Peer,
        from: i32,
        top: i32,
    ) -> Result<tl::enums::messages::Messages, ApiError> {
        if self.live.bot {
            // Bots may not read history, but may ask for messages by their numbers.
            let Peer::Channel(channel) = peer else {
                return Err(ApiError::Unknown("what else was said there".into()));
            };
            let channel = self.live.peers.input_channel(channel).await?;
            let numbers = from.saturating_add(1)..=top.min(from.saturating_add(PAGE));
            let id = numbers.map(|id| tl::types::InputMessageId { id }.into()).collect();
            return self
                .live
                .api
                .invoke(&tl::functions::channels::GetMessages { channel, id })
                .await;
        }
        // From the oldest on: `add_offset` goes back from the first message after `offset_id`.
        let request = tl::functions::messages::GetHistory {
            peer: self.live.input(peer).await?,
            offset_id: from + 1,
            offset_date: 0,
            add_offset: -PAGE,
            limit: PAGE,
            max_id: 0,
            min_id: from,
            hash: 0,
        };
        self.live.api.invoke(&request).await
    }

    /// Stores messages of history, oldest first.
    async fn put_past(&mut self, messages: Vec<tl::enums::Message>) -> Result<(), End> {
        for message in &messages {
            if let Some((_, peer, id)) = message_key(message) {
                self.saw(peer, id);
            }
        }
        let events = self.live.past_events(messages).await?;
        self.live.inbox.put_all(events, None).await?;
        Ok(())
    }

    /// Has a chat's rooms look again at what else may have changed.
    pub(super) async fn noticed_gap(&self, peer: Peer) -> Result<(), End> {
        let seen = self.live.seen();
        let chats = self.live.rooms_of(peer).await?;
        let chats = chats.iter().map(ChatId::encode).collect();
        let key = format!("{peer}/gap:{seen}");
        self.live.inbox.put(key, Raw::Gap { seen, chats }).await?;
        Ok(())
    }

    /// The account's chats, the latest first, with the number of the newest message of each.
    async fn chats(&self, pages: usize) -> Result<Vec<(Peer, i32)>, End> {
        Ok(self.dialogs(pages).await?.into_iter().map(|dialog| (dialog.peer, dialog.top)).collect())
    }

    async fn dialogs(&self, pages: usize) -> Result<Vec<Dialog>, End> {
        let mut out: Vec<Dialog> = Vec::new();
        let mut offset = (0, 0, tl::enums::InputPeer::Empty);
        for _ in 0..pages {
            let request = tl::functions::messages::GetDialogs {
                exclude_pinned: false,
                folder_id: None,
                offset_date: offset.0,
                offset_id: offset.1,
                offset_peer: offset.2.clone(),
                limit: PAGE,
                hash: 0,
            };
            let (dialogs, messages, chats, users, more) =
                match self.live.api.invoke(&request).await? {
                    tl::enums::messages::Dialogs::Dialogs(d) => {
                        (d.dialogs, d.messages, d.chats, d.users, false)
                    }
                    tl::enums::messages::Dialogs::Slice(d) => {
                        (d.dialogs, d.messages, d.chats, d.users, true)
                    }
                    tl::enums::messages::Dialogs::NotModified(_) => return Ok(out),
                };
            self.live.peers.learn(&users, &chats).await?;
            let before = out.len();
            for dialog in dialogs {
                let tl::enums::Dialog::Dialog(dialog) = dialog else { continue };
                let peer = Peer::from(&dialog.peer);
                if out.iter().any(|known| known.peer == peer) {
                    continue;
                }
                let top = messages.iter().find(|message| {
                    message_key(message)
                        .is_some_and(|(_, p, id)| p == peer && id == dialog.top_message)
                });
                out.push(Dialog {
                    peer,
                    top: dialog.top_message,
                    pts: dialog.pts,
                    message: top.cloned(),
                });
            }
            let Some(last) = out.last().filter(|_| more && out.len() > before) else { break };
            let date = match &last.message {
                Some(tl::enums::Message::Message(message)) => message.date,
                Some(tl::enums::Message::Service(message)) => message.date,
                _ => break,
            };
            offset = (date, last.top, self.live.input(last.peer).await?);
        }
        Ok(out)
    }

    /// Gives the latest chats their rooms, after a first login: each chat's newest message opens its room, and its history follows.
    pub(super) async fn latest_chats(&mut self) -> Result<(), End> {
        let wanted = self.live.config.chats_at_login;
        if wanted == 0 {
            return Ok(());
        }
        let dialogs = self.dialogs(wanted.div_ceil(PAGE as usize)).await?;
        // The oldest first, so that rooms come in the order of their last messages.
        for dialog in dialogs.into_iter().take(wanted).rev() {
            if let (Peer::Channel(id), Some(pts)) = (dialog.peer, dialog.pts) {
                self.boxes.try_set_channel_state(id, pts);
                self.saw(dialog.peer, dialog.top);
                self.keep_channel(id, pts, Vec::new()).await?;
            }
            if let Some(message) = dialog.message {
                self.put_past(vec![message]).await?;
            }
        }
        self.keep_account(Vec::new()).await?;
        Ok(())
    }
}

impl Live {
    /// Messages of history as they are stored, in the order given; where they are is noted before.
    async fn past_events(
        &self,
        messages: Vec<tl::enums::Message>,
    ) -> Result<Vec<(EventKey, Raw)>, Closed> {
        let mut events = Vec::with_capacity(messages.len());
        let mut places = Vec::new();
        for message in messages {
            let Some((key, peer, id)) = message_key(&message) else { continue };
            if peer.is_account_wide() {
                places.push((id, peer));
            }
            self.remember_files(&message);
            let known = self.known(&named_in_message(&message)).await?;
            events.push((EventKey(key), Raw::Past { message: Box::new(Tl(message)), known }));
        }
        self.index.note(&places).await?;
        Ok(events)
    }

    /// A page of history, oldest first, with the number of its last message in the direction of reading.
    pub(crate) async fn past(
        &self,
        answer: tl::enums::messages::Messages,
        newer: bool,
    ) -> Result<(Vec<(EventKey, Raw)>, Option<i32>), NetError> {
        let (mut messages, users, chats) = messages_of(answer);
        self.learn(&users, &chats).await?;
        let number = |message: &tl::enums::Message| message_key(message).map(|(_, _, id)| id);
        messages.retain(|message| number(message).is_some());
        messages.sort_by_key(number);
        let edge = if newer { messages.last() } else { messages.first() };
        let edge = edge.and_then(number);
        let events = self.past_events(messages).await.map_err(NetError::temporary)?;
        Ok((events, edge))
    }
}

/// A chat of the account's list.
struct Dialog {
    peer: Peer,
    top: i32,
    pts: Option<i32>,
    message: Option<tl::enums::Message>,
}
