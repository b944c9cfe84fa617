//! Pushers (Client-Server API, "Push Notifications"): where clients want to be told of what happens while they sleep. What they are told
//! is [`push`](crate::outbox::push)'s work.

use std::sync::Arc;

use futures::FutureExt;
use http::StatusCode;
use landbridge_database::Database;
use ruma::{DeviceId, UserId};
use serde_json::Value;

use crate::clock::Clock;
use crate::commit::{CommitError, Committer};
use crate::feed::Feed;
use crate::http::error::{ApiError, ApiResult};
use crate::outbox::push::webpush::KIND;
use crate::storage::StorageError;
use crate::storage::pushers::{self, Challenge, Mailed, Pusher, PusherKey};

/// Each pusher costs a request for each notification.
const MAX_PUSHERS: usize = 50;
/// For how long a client of web push may take to answer the question that it is sent.
const CHALLENGE_MS: i64 = 5 * 60 * 1000;

/// The pushers of this server's users.
pub struct Pushers {
    db: Database,
    committer: Committer,
    clock: Arc<dyn Clock>,
    feed: Feed,
}

impl Pushers {
    /// The pushers in a database.
    pub fn new(db: Database, committer: Committer, clock: Arc<dyn Clock>, feed: Feed) -> Self {
        Self { db, committer, clock, feed }
    }

    /// A user's pushers.
    pub async fn list(&self, user: &UserId) -> Result<Vec<Pusher>, StorageError> {
        pushers::list(&self.db, user).await
    }

    /// Creates or replaces a pusher. Unless `append`, it is taken from other users with the same key. A new one is told what comes from
    /// now on. Gives whether its client has to answer a question first: one of web push does if it is new, or goes elsewhere.
    pub async fn set(
        &self,
        user: &UserId,
        device: Option<&DeviceId>,
        key: PusherKey,
        definition: String,
        append: bool,
    ) -> ApiResult<bool> {
        let (user, device) = (user.to_owned(), device.map(ToOwned::to_owned));
        let pusher = Pusher {
            key,
            definition,
            set_ms: self.clock.now_ms(),
            pos: self.feed.head(),
            badge: 0,
            active: true,
            challenge: None,
            mailed: Mailed::default(),
        };
        let challenge =
            Challenge { token: random_uuid(), expires_ms: pusher.set_ms + CHALLENGE_MS, due: true };
        self.committer
            .run(move |tx| {
                let (user, device, mut pusher) = (user.clone(), device.clone(), pusher.clone());
                let challenge = challenge.clone();
                async move {
                    let known = pushers::list_in(tx, &user).await?;
                    if known.len() >= MAX_PUSHERS
                        && !known.iter().any(|known| known.key == pusher.key)
                    {
                        let text = format!("A user may have {MAX_PUSHERS} pushers");
                        return Ok(Err(ApiError::too_large(text)));
                    }
                    let known = known.iter().find(|known| known.key == pusher.key);
                    let known = known.filter(|known| known.active).map(|known| &known.definition);
                    let target = Target::of(&pusher.definition);
                    if target.kind == KIND && known.map(|known| Target::of(known)) != Some(target) {
                        pusher.active = false;
                        pusher.challenge = Some(challenge);
                    }
                    pushers::set(tx, &user, device.as_deref(), &pusher, append).await?;
                    Ok(Ok(!pusher.active))
                }
                .boxed()
            })
            .await?
    }

    /// A client answers the question that was sent to its pusher.
    pub async fn answer(&self, user: &UserId, app_id: String, token: String) -> ApiResult<()> {
        let (user, now, pos) = (user.to_owned(), self.clock.now_ms(), self.feed.head());
        self.committer
            .run(move |tx| {
                let (user, app_id, token) = (user.clone(), app_id.clone(), token.clone());
                async move {
                    let mut known = pushers::list_in(tx, &user).await?;
                    known.retain(|pusher| pusher.key.app_id == app_id);
                    if known.is_empty() {
                        return Ok(Err(ApiError::not_found("There is no pusher of that app")));
                    }
                    let refuse = |errcode, text| {
                        Ok(Err(ApiError::new(StatusCode::BAD_REQUEST, errcode, text)))
                    };
                    let asked = known.iter().find_map(|pusher| {
                        let challenge = pusher.challenge.as_ref()?;
                        (challenge.token == token).then_some((pusher, challenge))
                    });
                    let Some((pusher, challenge)) = asked else {
                        return refuse(
                            "M_UNKNOWN_ACTIVATION_TOKEN",
                            "No pusher was sent that token",
                        );
                    };
                    // Whoever answers twice may not have heard that it was right the first time.
                    if !pusher.active && challenge.expires_ms <= now {
                        return refuse("M_EXPIRED_ACTIVATION_TOKEN", "That token is too old");
                    }
                    pushers::activate(tx, &user, &pusher.key, pos).await?;
                    Ok(Ok(()))
                }
                .boxed()
            })
            .await?
    }

    /// Notes that a pusher's client was asked its question.
    pub async fn asked(
        &self,
        user: &UserId,
        key: &PusherKey,
        token: &str,
    ) -> Result<(), CommitError> {
        let (user, key, token) = (user.to_owned(), key.clone(), token.to_owned());
        self.committer
            .run(move |tx| {
                let (user, key, token) = (user.clone(), key.clone(), token.clone());
                async move { pushers::asked(tx, &user, &key, &token).await }.boxed()
            })
            .await
    }

    /// Deletes a pusher.
    pub async fn delete(&self, user: &UserId, key: PusherKey) -> Result<(), CommitError> {
        let user = user.to_owned();
        self.committer
            .run(move |tx| {
                let (user, key) = (user.clone(), key.clone());
                async move { pushers::delete(tx, &user, &key).await }.boxed()
            })
            .await
    }

    /// Deletes a pusher that was rejected, unless it was set again while that was found out.
    pub async fn reject(&self, user: &UserId, pusher: &Pusher) -> Result<(), CommitError> {
        let (user, key, set_ms) = (user.to_owned(), pusher.key.clone(), pusher.set_ms);
        self.committer
            .run(move |tx| {
                let (user, key) = (user.clone(), key.clone());
                async move { pushers::reject(tx, &user, &key, set_ms).await }.boxed()
            })
            .await
    }

    /// Notes that an e-mail went out, and what it told of.
    pub async fn mailed(&self, user: &UserId, pusher: &Pusher) -> Result<(), CommitError> {
        let (user, key) = (user.to_owned(), pusher.key.clone());
        let (pos, mailed) = (pusher.pos, pusher.mailed);
        self.committer
            .run(move |tx| {
                let (user, key) = (user.clone(), key.clone());
                async move { pushers::mailed(tx, &user, &key, pos, mailed).await }.boxed()
            })
            .await
    }

    /// Notes how far a pusher was told, and which count.
    pub async fn told(&self, user: &UserId, pusher: &Pusher) -> Result<(), CommitError> {
        let (user, key, pos, badge) =
            (user.to_owned(), pusher.key.clone(), pusher.pos, pusher.badge);
        self.committer
            .run(move |tx| {
                let (user, key) = (user.clone(), key.clone());
                async move { pushers::told(tx, &user, &key, pos, badge).await }.boxed()
            })
            .await
    }
}

/// What must stay the same for a client of web push not to be asked again.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    kind: String,
    url: String,
    auth: String,
}

impl Target {
    fn of(definition: &str) -> Self {
        let definition: Value = serde_json::from_str(definition).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            kind: text(&definition["kind"]),
            url: text(&definition["data"]["url"]),
            auth: text(&definition["data"]["auth"]),
        }
    }
}

/// A random UUID (version 4), as MSC4174 recommends it.
fn random_uuid() -> String {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

impl std::fmt::Debug for Pushers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pushers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_the_form_of_version_4() {
        let uuid = random_uuid();
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{uuid}");
        assert_eq!(&uuid[14..15], "4", "{uuid}");
        assert!("89ab".contains(&uuid[19..20]), "{uuid}");
        assert_ne!(uuid, random_uuid());
    }
}
