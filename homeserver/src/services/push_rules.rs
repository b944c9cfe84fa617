//! Push rules (Client-Server API, "Push Rules"): the spec's defaults and what users changed, kept as the account data
//! `m.push_rules`.

use std::sync::Arc;

use futures::FutureExt;
use landbridge_database::Database;
use ruma::push::Ruleset;
use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::commit::Committer;
use crate::http::error::{ApiError, ApiResult};
use crate::services::account_data::write;
use crate::services::cache::LoadCache;
use crate::storage::{StorageError, account_data};

const CACHED: usize = 20_000;

/// The type of the account data.
pub const PUSH_RULES: &str = "m.push_rules";

#[derive(Serialize, Deserialize)]
struct Content {
    global: Ruleset,
}

/// The push rules of this server's users.
pub struct PushRules {
    db: Database,
    committer: Committer,
    known: LoadCache<OwnedUserId, Arc<Ruleset>>,
}

fn read(user: &UserId, content: Option<&str>) -> Ruleset {
    let stored = content.and_then(|text| serde_json::from_str::<Content>(text).ok());
    let defaults = Ruleset::server_default(user);
    match stored {
        // Defaults may have changed since the rules were stored; what the user chose for them stays.
        Some(Content { global: mut rules }) => {
            rules.update_with_server_default(defaults);
            rules
        }
        None => defaults,
    }
}

impl PushRules {
    /// The push rules in a database.
    pub fn new(db: Database, committer: Committer) -> Self {
        Self { db, committer, known: LoadCache::new(CACHED) }
    }

    /// A user's rules; warm ones without I/O.
    pub async fn of(&self, user: &UserId) -> ApiResult<Arc<Ruleset>> {
        let load = async {
            let entry = account_data::get(&self.db, user, "", PUSH_RULES).await?;
            Ok::<_, StorageError>(Some(Arc::new(read(
                user,
                entry.as_ref().map(|entry| entry.content.as_str()),
            ))))
        };
        self.known.get(&user.to_owned(), load).await?.ok_or_else(|| {
            ApiError::internal("the push rules of a user were neither found nor made")
        })
    }

    /// Changes a user's rules. `change` may be called more than once; what it refuses changes nothing.
    pub async fn change(
        &self,
        user: &UserId,
        change: impl Fn(&mut Ruleset) -> ApiResult<()> + Send + Sync + 'static,
    ) -> ApiResult<()> {
        let (owner, change) = (user.to_owned(), Arc::new(change));
        let outcome = self
            .committer
            .run(move |tx| {
                let (owner, change) = (owner.clone(), change.clone());
                async move {
                    let entry = account_data::get_in(tx, &owner, "", PUSH_RULES).await?;
                    let mut rules =
                        read(&owner, entry.as_ref().map(|entry| entry.content.as_str()));
                    if let Err(error) = change(&mut rules) {
                        return Ok(Err(error));
                    }
                    let content = serde_json::to_string(&Content { global: rules })
                        .map_err(|error| StorageError::Damaged(error.to_string()))?;
                    write(tx, &owner, None, PUSH_RULES, &content).await?;
                    Ok(Ok(()))
                }
                .boxed()
            })
            .await?;
        self.known.forget(&user.to_owned());
        outcome
    }
}

/// The rules as JSON, with every kind present: clients count on it though the spec calls them optional.
pub fn to_json(rules: &Ruleset) -> ApiResult<Value> {
    let mut value = serde_json::to_value(rules).map_err(ApiError::internal)?;
    if let Some(object) = value.as_object_mut() {
        for kind in ["override", "content", "room", "sender", "underride"] {
            object.entry(kind).or_insert_with(|| Value::Array(Vec::new()));
        }
    }
    Ok(value)
}

impl std::fmt::Debug for PushRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushRules").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ruma::push::RuleKind;
    use ruma::user_id;

    use super::*;

    #[test]
    fn what_a_user_chose_survives_newer_defaults() {
        let user = user_id!("@a:x");
        let mut rules = read(user, None);
        rules.set_enabled(RuleKind::Underride, ".m.rule.message", false).unwrap();
        let stored = serde_json::to_string(&Content { global: rules }).unwrap();
        let again = read(user, Some(&stored));
        assert!(!again.get(RuleKind::Underride, ".m.rule.message").unwrap().enabled());
        assert_eq!(again.override_.len(), Ruleset::server_default(user).override_.len());
    }

    #[test]
    fn every_kind_is_shown() {
        let shown = to_json(&Ruleset::new()).unwrap();
        assert_eq!(shown.as_object().unwrap().len(), 5);
    }
}
