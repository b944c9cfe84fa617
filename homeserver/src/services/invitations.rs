//! Whose invites users want ([Invite permission](https://spec.matrix.org/v1.19/client-server-api/#invite-permission)).
//!
//! Beside the setting of the specification, the finer one that clients had before it is followed
//! ([MSC4155](https://github.com/matrix-org/matrix-spec-proposals/pull/4155)), for who has not set the former.

use http::StatusCode;
use ruma::UserId;
use serde_json::{Map, Value};
use wildmatch::WildMatch;

use crate::app::App;
use crate::http::error::{ApiError, ApiResult};

/// The account data in which users say whether they want invites.
pub const INVITE_PERMISSION: &str = "m.invite_permission_config";
/// The account data of MSC4155.
pub const INVITE_FILTER: &str = "org.matrix.msc4155.invite_permission_config";

/// The longest pattern that is followed: user ids and server names are no longer.
const MAX_PATTERN: usize = 255;
/// How many patterns of one kind are followed.
const MAX_PATTERNS: usize = 500;

/// What becomes of an invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The user sees it.
    Yes,
    /// It is sent, and the user does not see it.
    Unseen,
    /// It is refused.
    No,
}

/// What a user says of invites.
#[derive(Debug, Default)]
pub struct InviteRules {
    none: bool,
    /// Patterns in the order in which they decide.
    users: Vec<(WildMatch, Wanted)>,
    servers: Vec<(WildMatch, Wanted)>,
}

impl InviteRules {
    /// From the content of both kinds of account data, where they are there. Content of another form says nothing.
    pub fn of(permission: Option<&str>, filter: Option<&str>) -> Self {
        let object = |content: &str| -> Option<Map<String, Value>> {
            serde_json::from_str(content).ok().filter(|map: &Map<_, _>| !map.is_empty())
        };
        if let Some(permission) = permission.and_then(object) {
            let none = permission.get("default_action").and_then(Value::as_str) == Some("block");
            return Self { none, ..Self::default() };
        }
        let Some(filter) = filter.and_then(object) else { return Self::default() };
        let patterns = |key: &str| -> Vec<WildMatch> {
            let list = filter.get(key).and_then(Value::as_array).into_iter().flatten();
            let list = list.filter_map(Value::as_str);
            let list = list.filter(|text| !text.is_empty() && text.len() <= MAX_PATTERN);
            list.take(MAX_PATTERNS).map(WildMatch::new).collect()
        };
        let rules = |of: &str| {
            let mut rules = Vec::new();
            for (name, wanted) in
                [("allowed", Wanted::Yes), ("ignored", Wanted::Unseen), ("blocked", Wanted::No)]
            {
                let patterns = patterns(&format!("{name}_{of}"));
                rules.extend(patterns.into_iter().map(|pattern| (pattern, wanted)));
            }
            rules
        };
        Self { none: false, users: rules("users"), servers: rules("servers") }
    }

    /// What becomes of an invite by somebody.
    pub fn by(&self, inviter: &UserId) -> Wanted {
        if self.none {
            return Wanted::No;
        }
        let first = |rules: &[(WildMatch, Wanted)], text: &str| {
            rules.iter().find(|(pattern, _)| pattern.matches(text)).map(|(_, wanted)| *wanted)
        };
        first(&self.users, inviter.as_str())
            .or_else(|| first(&self.servers, inviter.server_name().as_str()))
            .unwrap_or(Wanted::Yes)
    }
}

/// Refuses invites that can't arrive or aren't wanted, and lets application services make users of theirs who are invited
/// before they exist.
pub async fn may_be_invited(app: &App, inviter: &UserId, user: &UserId) -> ApiResult<()> {
    if user.server_name() != app.config.server_name {
        let text = format!("{user} is on another server, and this one doesn't federate");
        return Err(ApiError::forbidden(text));
    }
    if app.accounts.get(user).await?.is_none() {
        app.appservices.query_user(user).await;
    }
    // Ghosts have no client that could have set it, and bridges invite them by the thousand.
    if app.appservices.is_ghost(user) {
        return Ok(());
    }
    if app.sync.invite_rules(&app.db, user).await?.by(inviter) == Wanted::No {
        let text = format!("{user} takes no invites");
        return Err(ApiError::new(StatusCode::FORBIDDEN, "M_INVITE_BLOCKED", text));
    }
    Ok(())
}

/// The same for a member event that somebody wants to send: whether it invites anybody stands in its content.
pub async fn may_set_member(
    app: &App,
    sender: &UserId,
    target: &str,
    content: &str,
) -> ApiResult<()> {
    let content: Value = serde_json::from_str(content).unwrap_or_default();
    match UserId::parse(target) {
        Ok(user) if content["membership"] == "invite" && user != *sender => {
            may_be_invited(app, sender, &user).await
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_setting_of_the_specification_decides_for_all() {
        let by = |permission: Value| {
            let filter = json!({ "blocked_users": ["*"] }).to_string();
            InviteRules::of(Some(&permission.to_string()), Some(&filter)).by(user_id!("@a:h"))
        };
        assert_eq!(by(json!({ "default_action": "block" })), Wanted::No);
        assert_eq!(by(json!({ "default_action": "other" })), Wanted::Yes);
        assert_eq!(by(json!({ "default_action": ["block"] })), Wanted::Yes);
        // Deleted or unset, it leaves the decision to the other one.
        assert_eq!(by(json!({})), Wanted::No);
        assert_eq!(InviteRules::default().by(user_id!("@a:h")), Wanted::Yes);
    }

    #[test]
    fn users_decide_before_servers_and_allowing_before_the_rest() {
        let filter = json!({
            "allowed_users": ["@friend:bad.org"],
            "ignored_users": ["@dull*", 5, ""],
            "blocked_users": ["@friend:bad.org", "@rud?:*"],
            "allowed_servers": ["good.org"],
            "ignored_servers": ["dull.org"],
            "blocked_servers": ["*.org", "x".repeat(256)],
        });
        let rules = InviteRules::of(None, Some(&filter.to_string()));
        for (user, wanted) in [
            (user_id!("@friend:bad.org"), Wanted::Yes),
            (user_id!("@dull:good.org"), Wanted::Unseen),
            (user_id!("@rude:good.org"), Wanted::No),
            (user_id!("@some:good.org"), Wanted::Yes),
            (user_id!("@some:dull.org"), Wanted::Unseen),
            (user_id!("@some:bad.org"), Wanted::No),
            (user_id!("@some:elsewhere.net"), Wanted::Yes),
        ] {
            assert_eq!(rules.by(user), wanted, "{user}");
        }
        assert_eq!(InviteRules::of(None, Some("[]")).by(user_id!("@a:b.org")), Wanted::Yes);
    }
}
