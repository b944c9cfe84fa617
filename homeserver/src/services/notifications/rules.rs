//! Push rules put to an event ([Push rules](https://spec.matrix.org/v1.19/client-server-api/#push-rules)).

use futures::FutureExt as _;
use ruma::push::{Action, AnyPushRuleRef, PushConditionRoomCtx, Ruleset};

use super::context::{Subject, holds};

/// What a user's rules make of an event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verdict<'a> {
    /// It notifies.
    pub notify: bool,
    /// It is highlighted, too.
    pub highlight: bool,
    /// The actions of the rule that matched.
    pub actions: &'a [Action],
}

/// Puts the rules to an event: the first that matches decides. What the user sent himself never notifies him.
pub fn judge<'a>(
    rules: &'a Ruleset,
    subject: &Subject,
    room: &PushConditionRoomCtx,
) -> Verdict<'a> {
    if subject.sender.as_ref() == Some(&room.user_id) {
        return Verdict::default();
    }
    let rule = rules.iter().find(|rule| rule.enabled() && matches(*rule, subject, room));
    rule.map_or_else(Verdict::default, |rule| Verdict {
        notify: rule.triggers_notification(),
        highlight: rule.triggers_notification() && rule.triggers_highlight(),
        actions: rule.actions(),
    })
}

fn matches(rule: AnyPushRuleRef<'_>, subject: &Subject, room: &PushConditionRoomCtx) -> bool {
    match rule {
        AnyPushRuleRef::Override(rule) | AnyPushRuleRef::Underride(rule) => {
            rule.conditions.iter().all(|condition| holds(condition, subject, room))
        }
        other => other.applies(&subject.flat, room).now_or_never().unwrap_or(false),
    }
}

#[cfg(test)]
mod tests {
    use ruma::push::{Action, NewPushRule, NewSimplePushRule};
    use ruma::{owned_room_id, owned_user_id, uint, user_id};
    use serde_json::json;
    use serde_json::value::to_raw_value;

    use super::*;

    fn room() -> PushConditionRoomCtx {
        PushConditionRoomCtx::new(
            owned_room_id!("!r:h"),
            uint!(5),
            owned_user_id!("@bob:h"),
            "Bobby".to_owned(),
        )
    }

    fn verdict(rules: &Ruleset, event: &serde_json::Value) -> (bool, bool) {
        let subject = Subject::new(to_raw_value(event).expect("JSON"), None);
        let verdict = judge(rules, &subject, &room());
        (verdict.notify, verdict.highlight)
    }

    fn message(sender: &str, body: &str) -> serde_json::Value {
        json!({"type": "m.room.message", "sender": sender, "room_id": "!r:h", "content": {"msgtype": "m.text", "body": body}})
    }

    /// Names in the text have highlighted nothing since version 1.17 of the specification; mentions do.
    #[test]
    fn the_default_rules_as_the_specification_has_them() {
        let rules = Ruleset::server_default(user_id!("@bob:h"));
        assert_eq!(verdict(&rules, &message("@alice:h", "hello")), (true, false));
        let mention = |sender: &str| {
            let mut event = message(sender, "hello bob");
            event["content"]["m.mentions"] = json!({ "user_ids": ["@bob:h"] });
            event
        };
        assert_eq!(verdict(&rules, &mention("@alice:h")), (true, true));
        assert_eq!(verdict(&rules, &mention("@bob:h")), (false, false));
        let mut notice = message("@alice:h", "hello bob");
        notice["content"]["msgtype"] = json!("m.notice");
        assert_eq!(verdict(&rules, &notice), (false, false));
        let reaction =
            json!({"type": "m.reaction", "sender": "@alice:h", "room_id": "!r:h", "content": {}});
        assert_eq!(verdict(&rules, &reaction), (false, false));
    }

    #[test]
    fn a_muted_sender_does_not_notify() {
        let mut rules = Ruleset::server_default(user_id!("@bob:h"));
        let rule = NewPushRule::Sender(NewSimplePushRule::new(
            owned_user_id!("@alice:h"),
            Vec::<Action>::new(),
        ));
        rules.insert(rule, None, None).expect("a valid rule");
        assert_eq!(verdict(&rules, &message("@alice:h", "hello")), (false, false));
        assert_eq!(verdict(&rules, &message("@carol:h", "hello")), (true, false));
    }
}
