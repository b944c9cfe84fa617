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
    use ruma::push::{
        Action, NewConditionalPushRule, NewPatternedPushRule, NewPushRule, NewSimplePushRule,
    };
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

    /// What a rule with one condition makes of an event; anything else notifies nobody.
    fn matched(condition: &serde_json::Value, event: &serde_json::Value) -> bool {
        let mut rules = Ruleset::new();
        let condition = serde_json::from_value(condition.clone()).expect("a condition");
        let rule =
            NewConditionalPushRule::new("x".to_owned(), vec![condition], vec![Action::Notify]);
        rules.insert(NewPushRule::Underride(rule), None, None).expect("a valid rule");
        verdict(&rules, event).0
    }

    #[test]
    fn conditions_hold_as_the_specification_says() {
        let event = json!({
            "type": "m.room.message", "sender": "@alice:h", "room_id": "!r:h",
            "content": {
                "body": "An example event.", "topic": "Lunch plans", "m.federate": true, "n": 1, "none": null,
                "alt_aliases": ["#somewhere:h", 1, true, {}], "deep": {"er\\.": "x"}
            }
        });
        let is = |kind: &str, key: &str, value: serde_json::Value| {
            let name = if kind == "event_match" { "pattern" } else { "value" };
            matched(&json!({"kind": kind, "key": key, name: value}), &event)
        };
        for (key, pattern, expected) in [
            ("content.topic", "lunc?*", true),
            ("content.topic", "lunch", false),
            ("content.topic", "*", true),
            ("content.body", "ex*ple", true),
            ("content.body", "EXAMPLE", true),
            ("content.body", "xample", false),
            ("content.body", "exampl", false),
            ("content.absent", "*", false),
            ("content.n", "*", false),
            ("room_id", "!r:h", true),
        ] {
            assert_eq!(is("event_match", key, json!(pattern)), expected, "{key} {pattern}");
        }
        for (key, value, expected) in [
            (r"content.m\.federate", json!(true), true),
            (r"content.m\.federate", json!("true"), false),
            (r"content.m\.federate", json!(1), false),
            ("content.m.federate", json!(true), false),
            ("content.n", json!(1), true),
            ("content.none", json!(null), true),
            ("content.absent", json!(null), false),
            (r"content.deep.er\\\.", json!("x"), true),
        ] {
            assert_eq!(is("event_property_is", key, value.clone()), expected, "{key} {value}");
        }
        for (key, value, expected) in [
            ("content.alt_aliases", json!("#somewhere:h"), true),
            ("content.alt_aliases", json!(":h"), false),
            ("content.alt_aliases", json!(1), true),
            ("content.topic", json!("Lunch plans"), false),
        ] {
            assert_eq!(
                is("event_property_contains", key, value.clone()),
                expected,
                "{key} {value}"
            );
        }
        for (count, expected) in
            [("5", true), ("==5", true), ("<5", false), ("<=5", true), (">4", true), (">=6", false)]
        {
            let condition = json!({"kind": "room_member_count", "is": count});
            assert_eq!(matched(&condition, &event), expected, "{count}");
        }
        assert!(!matched(&json!({"kind": "org.unknown", "key": "x"}), &event));
        let name = json!({"kind": "contains_display_name"});
        assert!(!matched(&name, &event));
        assert!(matched(&name, &message("@alice:h", "hey Bobby!")));
        // Nothing is known of the sender's power.
        let power = json!({"kind": "sender_notification_permission", "key": "room"});
        assert!(!matched(&power, &event));
    }

    #[test]
    fn edits_tombstones_and_states_are_told_apart() {
        let rules = Ruleset::server_default(user_id!("@bob:h"));
        let mut edit = message("@alice:h", "* hello");
        edit["content"]["m.relates_to"] = json!({"rel_type": "m.replace", "event_id": "$e"});
        assert_eq!(verdict(&rules, &edit), (false, false));
        // Somebody who is mentioned by an edit only then is told.
        edit["content"]["m.mentions"] = json!({ "user_ids": ["@bob:h"] });
        assert_eq!(verdict(&rules, &edit), (true, true));
        let state = |kind: &str, key: Option<&str>| {
            let mut event =
                json!({"type": kind, "sender": "@alice:h", "room_id": "!r:h", "content": {}});
            if let Some(key) = key {
                event["state_key"] = json!(key);
            }
            verdict(&rules, &event)
        };
        assert_eq!(state("m.room.tombstone", Some("")), (true, true));
        assert_eq!(state("m.room.tombstone", None), (false, false));
        assert_eq!(state("m.room.server_acl", Some("")), (false, false));
        assert_eq!(state("m.room.encrypted", None), (true, false));
        assert_eq!(state("m.call.invite", None), (true, false));
        assert_eq!(state("m.room.topic", Some("")), (false, false));
    }

    #[test]
    fn kinds_are_looked_at_in_their_order() {
        let mut rules = Ruleset::server_default(user_id!("@bob:h"));
        let event = message("@alice:h", "cake");
        let id = || "x".to_owned();
        let silent = Vec::<Action>::new;
        let loud = || vec![Action::Notify];
        let steps = [
            (NewPushRule::Underride(NewConditionalPushRule::new(id(), vec![], silent())), false),
            (NewPushRule::Sender(NewSimplePushRule::new(owned_user_id!("@alice:h"), loud())), true),
            (NewPushRule::Room(NewSimplePushRule::new(owned_room_id!("!r:h"), silent())), false),
            (NewPushRule::Content(NewPatternedPushRule::new(id(), "cake".into(), loud())), true),
            (NewPushRule::Override(NewConditionalPushRule::new(id(), vec![], silent())), false),
        ];
        for (rule, notifies) in steps {
            let kind = rule.kind();
            rules.insert(rule, None, None).expect("a valid rule");
            assert_eq!(verdict(&rules, &event).0, notifies, "{kind:?}");
        }
        rules.set_enabled(ruma::push::RuleKind::Override, "x", false).expect("the rule");
        assert!(verdict(&rules, &event).0, "a disabled rule never matches");
        rules
            .set_enabled(ruma::push::RuleKind::Override, ".m.rule.master", true)
            .expect("the rule");
        assert!(!verdict(&rules, &event).0, "the master rule silences everything");
    }

    /// The dearest patterns that are taken must not break the machinery behind them.
    #[test]
    fn hostile_patterns_are_harmless() {
        for pattern in ["?".repeat(255), "*?".repeat(127), "[".repeat(255), "ü?".repeat(85)] {
            let mut rules = Ruleset::new();
            let rule = NewPatternedPushRule::new("x".to_owned(), pattern, vec![Action::Notify]);
            rules.insert(NewPushRule::Content(rule), None, None).expect("a valid rule");
            verdict(&rules, &message("@alice:h", &"über alles ".repeat(3_000)));
        }
    }
}
