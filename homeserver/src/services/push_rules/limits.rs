//! How much a user's push rules may cost: all of them are put to each event in the user's rooms.

use ruma::push::{PushCondition, Ruleset};

use crate::http::error::{ApiError, ApiResult};

const MAX_RULES: usize = 1_000;
const MAX_ID: usize = 255;
/// Bytes of a pattern or of the path of a property. A pattern is turned into a program of some times its length.
const MAX_PATTERN: usize = 255;
const MAX_CONDITIONS: usize = 50;
const MAX_ACTIONS: usize = 20;
/// Patterns with wildcards that are looked for within texts, the dearest of all conditions.
const MAX_WORD_PATTERNS: usize = 100;
/// All rules together, as JSON: they are sent to the user's devices with every change.
const MAX_BYTES: usize = 128 * 1024;

/// Refuses rules beyond the limits.
pub(super) fn check(rules: &Ruleset) -> ApiResult<()> {
    let too_many =
        |what: &str, most: usize| Err(ApiError::too_large(format!("{what} may be at most {most}")));
    if rules.iter().count() > MAX_RULES {
        return too_many("The push rules of a user", MAX_RULES);
    }
    if rules.iter().any(|rule| rule.rule_id().len() > MAX_ID) {
        return too_many("The bytes of a rule's ID", MAX_ID);
    }
    if rules.iter().any(|rule| rule.actions().len() > MAX_ACTIONS) {
        return too_many("The actions of a rule", MAX_ACTIONS);
    }
    let conditional = || rules.override_.iter().chain(&rules.underride);
    if conditional().any(|rule| rule.conditions.len() > MAX_CONDITIONS) {
        return too_many("The conditions of a rule", MAX_CONDITIONS);
    }
    let patterns = conditional().flat_map(|rule| &rule.conditions).filter_map(pattern);
    let contents = rules.content.iter().map(|rule| ("content.body", &*rule.pattern));
    let (mut longest, mut word_patterns) = (0, 0);
    for (key, pattern) in patterns.chain(contents) {
        longest = longest.max(pattern.len()).max(key.len());
        word_patterns += usize::from(key == "content.body" && pattern.contains(['*', '?']));
    }
    if longest > MAX_PATTERN {
        return too_many("The bytes of a pattern", MAX_PATTERN);
    }
    if word_patterns > MAX_WORD_PATTERNS {
        return too_many("Patterns with wildcards for content.body", MAX_WORD_PATTERNS);
    }
    match serde_json::to_string(rules) {
        Ok(text) if text.len() > MAX_BYTES => too_many("The bytes of all push rules", MAX_BYTES),
        _ => Ok(()),
    }
}

fn pattern(condition: &PushCondition) -> Option<(&str, &str)> {
    match condition {
        PushCondition::EventMatch(condition) => Some((&condition.key, &condition.pattern)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ruma::push::{
        Action, EventMatchConditionData, NewConditionalPushRule, NewPatternedPushRule, NewPushRule,
    };
    use ruma::user_id;

    use super::*;

    fn with(rules: impl IntoIterator<Item = NewPushRule>) -> ApiResult<()> {
        let mut all = Ruleset::server_default(user_id!("@a:x"));
        for rule in rules {
            all.insert(rule, None, None).unwrap();
        }
        check(&all)
    }

    fn content(id: &str, pattern: &str) -> NewPushRule {
        let actions = vec![Action::Notify];
        NewPushRule::Content(NewPatternedPushRule::new(id.to_owned(), pattern.to_owned(), actions))
    }

    fn conditional(conditions: usize, actions: usize, pattern: &str) -> NewPushRule {
        let condition = EventMatchConditionData::new("type".to_owned(), pattern.to_owned());
        let conditions = vec![PushCondition::EventMatch(condition); conditions];
        let actions = vec![Action::Notify; actions];
        NewPushRule::Override(NewConditionalPushRule::new("x".to_owned(), conditions, actions))
    }

    #[test]
    fn what_people_need_is_taken_and_what_costs_too_much_is_not() {
        let many = |count: usize, pattern: &'static str| {
            (0..count).map(move |n| content(&n.to_string(), pattern))
        };
        with(many(900, "word")).unwrap();
        with(many(100, "w*rd")).unwrap();
        with([conditional(50, 20, &"x".repeat(255))]).unwrap();
        for refused in [
            with(many(1_000, "word")),
            with(many(101, "w*rd")),
            with([content(&"x".repeat(256), "word")]),
            with([content("x", &"?".repeat(256))]),
            with([conditional(51, 1, "x")]),
            with([conditional(1, 21, "x")]),
            with([conditional(1, 1, &"x".repeat(256))]),
            with((0..900).map(|n| content(&n.to_string(), &"x".repeat(200)))),
        ] {
            assert_eq!(refused.unwrap_err().errcode, "M_TOO_LARGE");
        }
    }
}
