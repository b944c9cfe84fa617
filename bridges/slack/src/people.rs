//! What Slack's user and bot objects say about somebody (<https://docs.slack.dev/reference/objects/user-object>).

use landbridge_framework::event::UserInfo;
use serde_json::Value;

use crate::{
    convert::to_matrix::picture_ref,
    json::{flag, said},
};

/// What a user object says.
pub fn user_info(user: &Value) -> UserInfo {
    UserInfo {
        name: user_name(user).map(ToOwned::to_owned),
        avatar: picture(user.get("profile").unwrap_or(&Value::Null)),
        bot: flag(user, "is_bot") || flag(user, "is_workflow_bot"),
        identifiers: Vec::new(),
    }
}

/// What somebody is called: the name they chose for it, else their full name, else the old user name.
pub fn user_name(user: &Value) -> Option<&str> {
    let profile = user.get("profile").unwrap_or(&Value::Null);
    said(profile, "display_name")
        .or_else(|| said(profile, "real_name"))
        .or_else(|| said(user, "real_name"))
        .or_else(|| said(user, "name"))
}

/// What a bot object says (`bots.info`).
pub fn bot_info(bot: &Value) -> UserInfo {
    UserInfo {
        name: said(bot, "name").map(ToOwned::to_owned),
        avatar: picture(bot.get("icons").unwrap_or(&Value::Null)),
        bot: true,
        identifiers: Vec::new(),
    }
}

fn picture(from: &Value) -> Option<landbridge_framework::event::MediaRef> {
    ["image_512", "image_192", "image_72", "image_48"]
        .into_iter()
        .find_map(|key| said(from, key))
        .map(picture_ref)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_name_that_somebody_chose_goes_first() {
        let mut user = json!({"name": "ann", "real_name": "Ann A.", "is_bot": false,
            "profile": {"display_name": "annie", "real_name": "Ann A.", "image_192": "https://avatars.slack-edge.com/x"}});
        let info = user_info(&user);
        assert_eq!(info.name.as_deref(), Some("annie"));
        assert_eq!(
            info.avatar.map(|avatar| avatar.0).as_deref(),
            Some("https://avatars.slack-edge.com/x")
        );
        user["profile"]["display_name"] = json!("");
        assert_eq!(user_name(&user), Some("Ann A."));
        assert_eq!(user_name(&json!({"name": "ann"})), Some("ann"));
        assert_eq!(user_info(&json!({})).name, None);
    }

    #[test]
    fn bots_have_icons() {
        let bot = bot_info(
            &json!({"name": "Build", "icons": {"image_72": "https://a.slack-edge.com/i"}}),
        );
        assert!(bot.bot && bot.avatar.is_some());
    }
}
