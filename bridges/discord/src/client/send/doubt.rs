//! Whether a message is there whose answer was lost.

use std::time::Duration;

use landbridge_framework::handlers::SendError;
use serde::Deserialize;

use super::{Delivery, Progress};
use crate::{
    client::{
        ApiError, Call, Hub, Wait,
        catch_up::PAGE,
        webhooks::{Hook, Slot, is_without},
    },
    ids::Id,
    wire::Channel,
};

/// How long after an answer was lost it is waited before it is looked whether the message is there.
const SETTLING_MS: i64 = 10_000;
/// How many pages of messages are looked at.
const PAGES: usize = 20;
/// How many posts of a forum are looked at.
const POSTS: usize = 20;

/// By whom a message is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Seen {
    webhook_id: Option<Id>,
    author: Author,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Author {
    id: Id,
}

/// Who speaks: the webhook, or the bot itself.
struct Voice {
    hook: Option<Id>,
    bot: Id,
}

impl Voice {
    fn said(&self, seen: &Seen) -> bool {
        match self.hook {
            Some(hook) => seen.webhook_id == Some(hook),
            None => seen.webhook_id.is_none() && seen.author.id == self.bot,
        }
    }
}

/// What can't be asked for at all would be asked for ever, and hold up all that comes after it.
fn unanswered(error: ApiError) -> SendError {
    match error {
        ApiError::Refused { .. } => SendError::refused(format!(
            "may be on Discord or not: the answer was lost, and the channel can't be read ({error})"
        )),
        error => SendError::unknown(error),
    }
}

impl Delivery<'_> {
    /// Looks whether the piece under way is there. What can't be found out stays in doubt.
    pub(super) async fn look(
        &self,
        hub: &Hub,
        slot: &Slot,
        progress: &mut Progress,
    ) -> Result<(), SendError> {
        let Some(after) = progress.after.filter(|_| progress.sent.len() < self.pieces.len()) else {
            return Ok(());
        };
        let settled = progress.began_ms + SETTLING_MS - hub.clock.now_ms();
        if settled > 0 {
            tokio::time::sleep(Duration::from_millis(settled.unsigned_abs())).await;
        }
        let me = hub.me().await.map_err(SendError::unknown)?;
        let hook = if progress.by_bot {
            None
        } else {
            match slot.hook(hub, self.hook_channel).await {
                Ok(hook) => Some(hook),
                Err(error) if is_without(&error) => None,
                Err(error) => return Err(SendError::unknown(error)),
            }
        };
        let voice = Voice { hook: hook.as_deref().map(|hook: &Hook| hook.id), bot: me.user };
        let begins = self.begins(progress).is_some();
        let found = if begins {
            self.begun(hub, &voice, after).await
        } else {
            self.said(hub, &voice, after, progress).await
        };
        if let Some(id) = found.map_err(unanswered)? {
            tracing::info!(message = %id, "a message whose answer was lost is there");
            // The gateway may tell of it only later: it must not be taken for the next message.
            hub.cache_mut().note_message(self.target(progress), id);
            progress.sent.push(id);
            if begins {
                progress.post = Some(id);
            }
        }
        Ok(())
    }

    /// A message that came since.
    async fn said(
        &self,
        hub: &Hub,
        voice: &Voice,
        after: Id,
        progress: &Progress,
    ) -> Result<Option<Id>, ApiError> {
        let mut after = after;
        for _ in 0..PAGES {
            let page = hub.page(self.target(progress), ("after", Some(after)), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            let full = page.len() >= PAGE;
            let found = page.into_iter().find(|(id, message)| {
                let seen = Seen::deserialize(message).unwrap_or_default();
                voice.said(&seen) && !progress.sent.contains(id)
            });
            if found.is_some() || !full {
                return Ok(found.map(|(id, _)| id));
            }
        }
        Ok(None)
    }

    /// A post that came since, by its first message, as which it is called.
    async fn begun(&self, hub: &Hub, voice: &Voice, after: Id) -> Result<Option<Id>, ApiError> {
        let guild = hub.cache().channel(self.channel).map(|(guild, _)| guild);
        let Some(guild) = guild else {
            return Err(ApiError::Unreachable("the bot is not connected yet".into()));
        };
        let new = |post: &Channel| post.parent_id == Some(self.channel) && post.id > after;
        let mut posts: Vec<Id> =
            hub.active_threads(guild).await?.into_iter().filter(new).map(|post| post.id).collect();
        posts.sort_unstable();
        for post in posts.into_iter().take(POSTS) {
            let call = Call::get(format!("channels/{post}/messages/{post}"));
            match hub.rest.ask::<Seen>(call, Wait::Yes).await {
                Ok(seen) if voice.said(&seen) => return Ok(Some(post)),
                Ok(_) => {}
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}
