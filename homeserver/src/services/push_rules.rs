//! Push rules (Client-Server API, "Push Rules"): the spec's defaults and what users changed, kept as the account data
//! `m.push_rules`.

mod limits;

use std::sync::Arc;

use futures::FutureExt;
use landbridge_database::Database;
use ruma::push::{AnyPushRuleRef, InsertPushRuleError, NewPushRule, RuleKind, Ruleset};
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
                    if let Err(error) = change(&mut rules).and_then(|()| limits::check(&rules)) {
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

/// Puts a user's rule into a ruleset, or in the place of the one with its ID, which stays as enabled as it is. A rule that is placed
/// `after` or `before` another one is moved there (Client-Server API, `PUT /pushrules/global/{kind}/{ruleId}`).
pub fn insert(
    rules: &mut Ruleset,
    kind: &RuleKind,
    new: NewPushRule,
    after: Option<&str>,
    before: Option<&str>,
) -> Result<(), InsertPushRuleError> {
    let id = new.rule_id().to_owned();
    let enabled = rules.get(kind.clone(), &id).map(AnyPushRuleRef::enabled);
    if enabled.is_some() && (after.is_some() || before.is_some()) {
        // The library counts places as they are while the rule is still at its old one, and so moves it too far. The rules of the server
        // can't be taken out, and are refused below.
        let _ = rules.remove(kind.clone(), &id);
    }
    rules.insert(new, after, before)?;
    if let Some(enabled) = enabled {
        // It has just been put in.
        let _ = rules.set_enabled(kind.clone(), &id, enabled);
    }
    Ok(())
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
    use ruma::push::NewPatternedPushRule;
    use ruma::user_id;
    use serde_json::json;

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

    /// As the specification defines them in "Predefined Rules", in its order.
    #[test]
    fn the_defaults_are_those_of_the_specification() {
        let is = |key: &str, pattern: &str| json!({"kind": "event_match", "key": key, "pattern": pattern});
        let two = json!({"kind": "room_member_count", "is": "2"});
        let sound = |sound: &str| json!({"set_tweak": "sound", "value": sound});
        let highlight = json!({"set_tweak": "highlight"});
        let rule = |id: &str, enabled: bool, conditions: Value, actions: Value| json!({"rule_id": format!(".m.rule.{id}"), "default": true, "enabled": enabled, "conditions": conditions, "actions": actions});
        let expected = json!({
            "override": [
                rule("master", false, json!([]), json!([])),
                rule("suppress_notices", true, json!([is("content.msgtype", "m.notice")]), json!([])),
                rule(
                    "invite_for_me",
                    true,
                    json!([is("type", "m.room.member"), is("content.membership", "invite"), is("state_key", "@a:x")]),
                    json!(["notify", sound("default")]),
                ),
                rule("member_event", true, json!([is("type", "m.room.member")]), json!([])),
                rule(
                    "is_user_mention",
                    true,
                    json!([{"kind": "event_property_contains", "key": "content.m\\.mentions.user_ids", "value": "@a:x"}]),
                    json!(["notify", sound("default"), highlight]),
                ),
                rule(
                    "is_room_mention",
                    true,
                    json!([
                        {"kind": "event_property_is", "key": "content.m\\.mentions.room", "value": true},
                        {"kind": "sender_notification_permission", "key": "room"}
                    ]),
                    json!(["notify", highlight]),
                ),
                rule(
                    "tombstone",
                    true,
                    json!([is("type", "m.room.tombstone"), is("state_key", "")]),
                    json!(["notify", highlight]),
                ),
                rule("reaction", true, json!([is("type", "m.reaction")]), json!([])),
                rule(
                    "room.server_acl",
                    true,
                    json!([is("type", "m.room.server_acl"), is("state_key", "")]),
                    json!([]),
                ),
                rule(
                    "suppress_edits",
                    true,
                    json!([{"kind": "event_property_is", "key": "content.m\\.relates_to.rel_type", "value": "m.replace"}]),
                    json!([]),
                ),
            ],
            "content": [],
            "room": [],
            "sender": [],
            "underride": [
                rule("call", true, json!([is("type", "m.call.invite")]), json!(["notify", sound("ring")])),
                rule(
                    "encrypted_room_one_to_one",
                    true,
                    json!([two, is("type", "m.room.encrypted")]),
                    json!(["notify", sound("default")]),
                ),
                rule(
                    "room_one_to_one",
                    true,
                    json!([two, is("type", "m.room.message")]),
                    json!(["notify", sound("default")]),
                ),
                rule("message", true, json!([is("type", "m.room.message")]), json!(["notify"])),
                rule("encrypted", true, json!([is("type", "m.room.encrypted")]), json!(["notify"])),
            ],
        });
        assert_eq!(to_json(&read(user_id!("@a:x"), None)).unwrap(), expected);
    }

    #[test]
    fn rules_stand_where_they_are_put() {
        let mut rules = read(user_id!("@a:x"), None);
        let kind = RuleKind::Content;
        let put = |rules: &mut Ruleset, id: &str, after: Option<&str>, before: Option<&str>| {
            let rule = NewPatternedPushRule::new(id.to_owned(), "x".to_owned(), Vec::new());
            insert(rules, &kind, NewPushRule::Content(rule), after, before)
        };
        let order = |rules: &Ruleset| -> Vec<String> {
            rules.content.iter().map(|rule| rule.rule_id.clone()).collect()
        };
        for id in ["d", "c", "b", "a"] {
            put(&mut rules, id, None, None).unwrap();
        }
        assert_eq!(order(&rules), ["a", "b", "c", "d"]);
        put(&mut rules, "b", None, None).unwrap();
        assert_eq!(order(&rules), ["a", "b", "c", "d"], "a rule that is changed stays");
        put(&mut rules, "a", Some("d"), None).unwrap();
        assert_eq!(order(&rules), ["b", "c", "d", "a"]);
        put(&mut rules, "b", None, Some("d")).unwrap();
        assert_eq!(order(&rules), ["c", "b", "d", "a"]);
        put(&mut rules, "a", Some("c"), Some("b")).unwrap();
        assert_eq!(order(&rules), ["c", "a", "b", "d"]);
        rules.set_enabled(kind.clone(), "d", false).unwrap();
        put(&mut rules, "d", Some("c"), None).unwrap();
        assert_eq!(order(&rules), ["c", "d", "a", "b"]);
        assert!(!rules.get(kind.clone(), "d").unwrap().enabled(), "moving enables nothing");
        assert!(put(&mut rules.clone(), "new", Some("nothing"), None).is_err());
        assert!(put(&mut rules.clone(), "new", Some("b"), Some("c")).is_err());
        assert!(put(&mut rules.clone(), ".new", None, None).is_err());
        assert!(put(&mut rules.clone(), "a/b", None, None).is_err());
        assert!(put(&mut rules.clone(), "new", None, Some(".m.rule.master")).is_err());
    }

    #[test]
    fn every_kind_is_shown() {
        let shown = to_json(&Ruleset::new()).unwrap();
        assert_eq!(shown.as_object().unwrap().len(), 5);
    }
}
