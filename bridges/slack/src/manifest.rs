//! The app's manifest (<https://docs.slack.dev/reference/app-manifest>): what Slack has to know to make the app. One list of scopes and events
//! serves the manifest, the install page, the logins and the documentation.

use serde_json::{Value, json};

use crate::config::SlackConfig;

/// What the bot may do.
pub const BOT_SCOPES: &[&str] = &[
    "channels:history",
    "channels:join",
    "channels:manage",
    "channels:read",
    "chat:write",
    "chat:write.customize",
    "chat:write.public",
    "commands",
    "emoji:read",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "groups:write",
    "im:history",
    "im:read",
    "metadata.message:read",
    "mpim:history",
    "mpim:read",
    "pins:read",
    "pins:write",
    "reactions:read",
    "reactions:write",
    "team:read",
    "usergroups:read",
    "users:read",
];

/// What the bridge may do for people who bring their own account.
pub const USER_SCOPES: &[&str] = &[
    "channels:history",
    "channels:read",
    "channels:write",
    "chat:write",
    "emoji:read",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "groups:write",
    "im:history",
    "im:read",
    "im:write",
    "mpim:history",
    "mpim:read",
    "mpim:write",
    "pins:read",
    "pins:write",
    "reactions:read",
    "reactions:write",
    "team:read",
    "usergroups:read",
    "users:read",
    "users:read.email",
];

/// What Slack tells about channels that the bot is in.
pub const BOT_EVENTS: &[&str] = &[
    "app_uninstalled",
    "channel_deleted",
    "channel_id_changed",
    "channel_left",
    "channel_rename",
    "emoji_changed",
    "group_deleted",
    "group_left",
    "group_rename",
    "member_joined_channel",
    "member_left_channel",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
    "pin_added",
    "pin_removed",
    "reaction_added",
    "reaction_removed",
    "subteam_created",
    "subteam_updated",
    "tokens_revoked",
    "user_change",
];

/// What Slack tells about what people see who brought their own account.
pub const USER_EVENTS: &[&str] = &[
    "channel_deleted",
    "channel_id_changed",
    "channel_left",
    "channel_rename",
    "emoji_changed",
    "group_deleted",
    "group_left",
    "group_rename",
    "im_created",
    "im_open",
    "member_joined_channel",
    "member_left_channel",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
    "pin_added",
    "pin_removed",
    "reaction_added",
    "reaction_removed",
    "subteam_created",
    "subteam_updated",
    "user_change",
];

/// The manifest for a configuration: with Socket Mode where there is no address that Slack can reach.
pub fn manifest(config: &SlackConfig) -> Value {
    let base = config.public_url.as_deref().map(|url| url.trim_end_matches('/'));
    // Until there is a signing secret the app has not been made: its manifest must not ask for what can't be answered yet.
    let socket = config.app_token.is_some() || config.listen.is_none() || base.is_none();
    let redirect = match base {
        Some(base) => format!("{base}/slack/oauth"),
        None => "https://localhost/slack/oauth".into(),
    };
    let mut command = json!({
        "command": "/matrix",
        "description": "Whether and how this channel is bridged to Matrix",
        "usage_hint": "[status|id|help]",
        "should_escape": false,
    });
    let mut events = json!({ "bot_events": BOT_EVENTS, "user_events": USER_EVENTS });
    if let (false, Some(base)) = (socket, base) {
        command["url"] = format!("{base}/slack/commands").into();
        events["request_url"] = format!("{base}/slack/events").into();
    }
    json!({
        "display_information": {
            "name": "Matrix bridge",
            "description": "Connects channels with rooms on Matrix",
            "background_color": "#0f3d3e",
        },
        "features": {
            "bot_user": { "display_name": "Matrix bridge", "always_online": true },
            "slash_commands": [command],
        },
        "oauth_config": {
            "redirect_urls": [redirect],
            "scopes": { "bot": BOT_SCOPES, "user": USER_SCOPES },
        },
        "settings": {
            "event_subscriptions": events,
            "interactivity": { "is_enabled": false },
            "org_deploy_enabled": false,
            "socket_mode_enabled": socket,
            "token_rotation_enabled": false,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_address_it_asks_for_socket_mode() {
        let mut config = SlackConfig::default();
        let socket = manifest(&config);
        assert_eq!(socket["settings"]["socket_mode_enabled"], true);
        assert!(socket["settings"]["event_subscriptions"]["request_url"].is_null());
        config.public_url = Some("https://b.example/".into());
        config.listen = Some(([127, 0, 0, 1], 29340).into());
        let http = manifest(&config);
        assert_eq!(http["settings"]["socket_mode_enabled"], false);
        assert_eq!(
            http["settings"]["event_subscriptions"]["request_url"],
            "https://b.example/slack/events"
        );
        assert_eq!(
            http["features"]["slash_commands"][0]["url"],
            "https://b.example/slack/commands"
        );
        assert_eq!(http["oauth_config"]["redirect_urls"][0], "https://b.example/slack/oauth");
    }

    #[test]
    fn the_documentation_names_every_scope() {
        let docs = include_str!("../../../docs/bridges/slack.md");
        for scope in BOT_SCOPES.iter().chain(USER_SCOPES) {
            assert!(docs.contains(&format!("`{scope}`")), "docs/bridges/slack.md lacks {scope}");
        }
    }

    #[test]
    fn lists_are_sorted_and_without_doubles() {
        for list in [BOT_SCOPES, USER_SCOPES, BOT_EVENTS, USER_EVENTS] {
            assert!(list.windows(2).all(|pair| pair[0] < pair[1]), "{list:?}");
        }
    }
}
