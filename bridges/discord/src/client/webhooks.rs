//! The webhooks by which Matrix users speak under their own names: one a channel, made when it is first needed.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::{ApiError, Call, Hub, Wait, error::TOO_MANY_WEBHOOKS};
use crate::{config::Secret, ids::Id};

/// A webhook of a channel.
#[derive(Debug)]
pub struct Hook {
    /// Its identifier.
    pub id: Id,
    /// Whoever has it may speak by it.
    pub token: Secret,
}

/// A channel's webhook, and whose turn it is.
#[derive(Debug, Default)]
pub struct Slot {
    hook: Mutex<Option<Arc<Hook>>>,
    /// Held by who sends: one message at a time, so that after an answer was lost there is only one that may be it.
    pub turn: Mutex<()>,
}

/// The webhooks by channel.
#[derive(Debug, Default)]
pub struct Webhooks {
    slots: std::sync::Mutex<BTreeMap<Id, Arc<Slot>>>,
}

#[derive(Deserialize)]
struct Found {
    id: Id,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    application_id: Option<Id>,
}

impl Webhooks {
    /// A channel's place.
    pub fn slot(&self, channel: Id) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        slots.entry(channel).or_default().clone()
    }
}

impl Slot {
    /// The channel's webhook: the one that is known, or the one that this application has made before, or a new one.
    pub async fn hook(&self, hub: &Hub, channel: Id) -> Result<Arc<Hook>, ApiError> {
        let mut known = self.hook.lock().await;
        if let Some(hook) = &*known {
            return Ok(hook.clone());
        }
        let me = hub.me().await?;
        let path = format!("channels/{channel}/webhooks");
        let there: Vec<Found> = hub.rest.ask(Call::get(path.as_str()), Wait::No).await?;
        let ours = there.into_iter().find_map(|found| {
            let token = found.token.filter(|token| !token.is_empty())?;
            (found.application_id == Some(me.application)).then_some((found.id, token))
        });
        let (id, token) = if let Some(found) = ours {
            found
        } else {
            let name = &hub.checked.config.relay.webhook_name;
            let call =
                Call::post(path).json(json!({ "name": name })).because(Some("Matrix bridge"));
            let made: Found = hub.rest.ask(call, Wait::No).await?;
            let token = made.token.filter(|token| !token.is_empty());
            let token =
                token.ok_or_else(|| ApiError::Unreadable("a webhook without token".into()))?;
            (made.id, token)
        };
        let hook = Arc::new(Hook { id, token: Secret(token) });
        *known = Some(hook.clone());
        Ok(hook)
    }

    /// Somebody has deleted the webhook: another is made with the next message.
    pub async fn forget(&self, hook: &Hook) {
        let mut known = self.hook.lock().await;
        if known.as_ref().is_some_and(|known| known.id == hook.id) {
            *known = None;
        }
    }
}

/// Whether a channel can't have a webhook of ours, for reasons that stay: then the bot speaks itself.
pub fn is_without(error: &ApiError) -> bool {
    matches!(error, ApiError::Refused { status: 403 | 404, .. })
        || error.code() == Some(TOO_MANY_WEBHOOKS)
}
