//! The pins of channels: the gateway says only that they have changed. They are asked for beside everything else, so that a channel that has
//! to wait holds up no other; which are still to be asked for is stored with the cursor.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde::Deserialize;
use tokio_util::task::JoinMap;

use super::{ApiError, Call, Hub, Wait, session::Cursor};
use crate::{
    convert::date,
    ids::Id,
    wire::{Channel, ChannelKind},
};

/// The most pages of pins that are read: Discord keeps 250 in a channel.
const PAGES: usize = 5;
/// How many pins there are in a page.
const PAGE: usize = 50;
/// How long it is waited after Discord didn't answer.
const AGAIN: Duration = Duration::from_secs(30);

/// `GET /channels/{id}/messages/pins`.
#[derive(Deserialize)]
struct Pins {
    items: Vec<Pin>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct Pin {
    pinned_at: String,
    message: Pinned,
}

#[derive(Deserialize)]
struct Pinned {
    id: Id,
}

impl Hub {
    /// The pinned messages of a channel, oldest pin first.
    pub async fn pins(&self, channel: Id) -> Result<Vec<Id>, ApiError> {
        let mut ids = Vec::new();
        let mut before = None;
        for _ in 0..PAGES {
            let call = Call::get(format!("channels/{channel}/messages/pins")).query("limit", PAGE);
            let call = match before {
                Some(before) => call.query("before", before),
                None => call,
            };
            let page: Pins = self.rest.ask(call, Wait::Yes).await?;
            before = page.items.last().map(|pin| pin.pinned_at.clone());
            ids.extend(page.items.into_iter().map(|pin| pin.message.id));
            if !page.has_more || before.is_none() {
                break;
            }
        }
        // The API gives the newest pin first.
        ids.reverse();
        Ok(ids)
    }

    /// The bridged channels of these servers, and their threads, in which something was pinned since a message.
    pub(super) fn pinned_since(&self, guilds: &[Id], since: Id) -> Vec<Id> {
        let bridged = self.bridged();
        let cache = self.cache();
        let pinned = |channel: &Id| {
            cache.channel(*channel).is_some_and(|(guild, known)| {
                let at = known.last_pin_timestamp.as_deref().and_then(date::parse_ms);
                guilds.contains(&guild) && at.is_some_and(|at| Id::at_ms(at) > since)
            })
        };
        let public = |thread: &&Channel| thread.kind == ChannelKind::Thread;
        let threads = bridged
            .iter()
            .flat_map(|channel| cache.threads_of(*channel).filter(public).map(|thread| thread.id));
        let all: BTreeSet<Id> = bridged.iter().copied().chain(threads).collect();
        all.into_iter().filter(pinned).collect()
    }
}

/// The requests under way.
#[derive(Debug, Default)]
pub(super) struct Asking(JoinMap<Id, Option<Vec<Id>>>);

impl Asking {
    /// Asks for everything that is still to be asked for.
    pub(super) fn resume(&mut self, hub: &Arc<Hub>, cursor: &Cursor) {
        for channel in cursor.pins.keys() {
            self.0.spawn(*channel, ask(hub.clone(), *channel));
        }
    }

    /// The pins of a channel have changed. `stamp` names that for ever.
    pub(super) fn begin(
        &mut self,
        hub: &Arc<Hub>,
        cursor: &mut Cursor,
        channel: Id,
        stamp: String,
    ) {
        cursor.pins.insert(channel, stamp);
        // One that is under way may have been answered before the change, and is ended.
        self.0.spawn(channel, ask(hub.clone(), channel));
    }

    /// The next answer; waits for ever where none is to come.
    pub(super) async fn next(&mut self) -> (Id, Option<Vec<Id>>) {
        match self.0.join_next().await {
            // What ended without an answer has none.
            Some((channel, ids)) => (channel, ids.unwrap_or_default()),
            None => std::future::pending().await,
        }
    }
}

async fn ask(hub: Arc<Hub>, channel: Id) -> Option<Vec<Id>> {
    loop {
        match hub.pins(channel).await {
            Ok(ids) => return Some(ids),
            Err(error @ (ApiError::Refused { .. } | ApiError::Unreadable(_))) => {
                tracing::warn!(%channel, %error, "the pins of a channel can't be read");
                return None;
            }
            Err(error) => {
                tracing::info!(%channel, %error, "the pins of a channel are asked for again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}
