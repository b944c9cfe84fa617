//! Which chat a message is in. Telegram deletes messages of users and basic groups by number alone, and names polls by numbers of their
//! own: who wants to know where they are must remember. Kept in the login's stream cursors, many to each.

use std::collections::BTreeMap;

use landbridge_framework::{Closed, Inbox, RemoteId as _};
use tokio::sync::Mutex;

use crate::{
    connector::Telegram,
    ids::{ChatId, Peer},
};

/// How many messages share a cursor. Numbers are given one after the other, so that those of one time lie together.
const TOGETHER: i32 = 64;
/// How many cursors are remembered.
const CACHED: usize = 64;

/// See the module.
pub(crate) struct Index {
    inbox: Inbox<Telegram>,
    // The most recently used last.
    pages: Mutex<Vec<(i32, Page)>>,
}

/// The chats of the messages that share a cursor.
type Page = BTreeMap<i32, String>;

fn stream(page: i32) -> String {
    format!("in/{page}")
}

impl Index {
    /// Kept in a login's cursors.
    pub(crate) fn new(inbox: Inbox<Telegram>) -> Self {
        Self { inbox, pages: Mutex::new(Vec::new()) }
    }

    async fn page<'p>(
        &self,
        pages: &'p mut Vec<(i32, Page)>,
        number: i32,
    ) -> Result<&'p mut Page, Closed> {
        let known = match pages.iter().position(|(known, _)| *known == number) {
            Some(at) => pages.remove(at),
            None => {
                let stored = self.inbox.cursor_of(&stream(number)).await?;
                let page =
                    stored.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
                (number, page)
            }
        };
        if pages.len() >= CACHED {
            pages.remove(0);
        }
        pages.push(known);
        let last = pages.len() - 1;
        Ok(&mut pages[last].1)
    }

    /// Remembers where messages are; durable when it returns.
    pub(crate) async fn note(&self, messages: &[(i32, Peer)]) -> Result<(), Closed> {
        let mut by_page: BTreeMap<i32, Vec<(i32, Peer)>> = BTreeMap::new();
        for (message, peer) in messages {
            by_page.entry(message.div_euclid(TOGETHER)).or_default().push((*message, *peer));
        }
        let mut pages = self.pages.lock().await;
        for (number, messages) in by_page {
            let page = self.page(&mut pages, number).await?;
            let mut changed = false;
            for (message, peer) in messages {
                let peer = peer.to_string();
                changed |= page.insert(message, peer.clone()).as_ref() != Some(&peer);
            }
            if changed {
                let text = serde_json::to_string(page)
                    .map_err(|error| Closed::Store(error.to_string()))?;
                self.inbox.put_all(Vec::new(), Some((&stream(number), &text))).await?;
            }
        }
        Ok(())
    }

    /// The chats of messages, by text form; those that were never seen are left out.
    pub(crate) async fn find(
        &self,
        messages: &[i32],
    ) -> Result<BTreeMap<String, Vec<i32>>, Closed> {
        let mut found: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        let mut pages = self.pages.lock().await;
        for message in messages {
            let page = self.page(&mut pages, message.div_euclid(TOGETHER)).await?;
            if let Some(chat) = page.get(message) {
                found.entry(chat.clone()).or_default().push(*message);
            }
        }
        Ok(found)
    }

    /// Remembers where a poll is.
    pub(crate) async fn note_poll(
        &self,
        poll: i64,
        chat: ChatId,
        message: i32,
    ) -> Result<(), Closed> {
        let place = format!("{}/{message}", chat.encode());
        self.inbox.put_all(Vec::new(), Some((&format!("poll/{poll}"), &place))).await?;
        Ok(())
    }

    /// Where a poll is: the chat's text form, and the message.
    pub(crate) async fn poll(&self, poll: i64) -> Result<Option<(String, i32)>, Closed> {
        let stored = self.inbox.cursor_of(&format!("poll/{poll}")).await?;
        Ok(stored.and_then(|place| {
            let (chat, message) = place.split_once('/')?;
            Some((chat.to_owned(), message.parse().ok()?))
        }))
    }
}
