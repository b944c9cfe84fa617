//! The pins of channels: the gateway says only that they have changed, and nothing of what was pinned before a channel was bridged.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{ApiError, Call, Hub, Wait};
use crate::{
    convert::date,
    ids::Id,
    wire::{Channel, ChannelKind},
};

/// The most pages of pins that are read: Discord keeps 250 in a channel.
const PAGES: usize = 5;
/// How many pins there are in a page.
const PAGE: usize = 50;
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
        self.pinned_in(&self.bridged(), guilds, since)
    }

    /// The same of certain channels.
    pub(super) fn pinned_in(&self, bridged: &[Id], guilds: &[Id], since: Id) -> Vec<Id> {
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
