use super::*;
use crate::Blueprint;

fn service(id: &str, user: &str) -> Registration {
    Blueprint::new(id, None, &format!("{id}-bot"))
        .user(user, true)
        .generate(&mut rand::rng())
        .unwrap()
}

#[test]
fn separate_services_do_not_clash() {
    assert_eq!(conflicts([&service("irc", "@_irc_.*:hs"), &service("slack", "@_slack_.*:hs")]), []);
}

#[test]
fn ids_and_tokens_must_differ() {
    let one = service("irc", "@_irc_.*");
    let mut two = service("irc", "@_slack_.*");
    two.as_token = one.as_token.clone();
    let found: Vec<_> =
        conflicts([&one, &two]).into_iter().map(|one| (one.severity, one.what)).collect();
    assert_eq!(found[0], (Severity::Error, "have the same id".to_owned()));
    assert_eq!(found[1], (Severity::Error, "have the same as_token".to_owned()));
    assert_eq!(found[2], (Severity::Warning, "have the same sender_localpart".to_owned()));
}

#[test]
fn overlapping_claims_are_found_from_either_side() {
    for (a, b) in [
        ("@_irc_.*", "@_irc_libera_.*:hs"),
        ("@_irc_libera_.*:hs", "@_irc_.*"),
        ("@(x|_irc_[a-z]+):hs", "@_irc_.*"),
        ("@_irc_[0-9]{2}", "@_irc_.*"),
    ] {
        let found = conflicts([&service("one", a), &service("two", b)]);
        assert!(
            found.iter().any(|one| one.what.contains("both claim users such as `@_irc_")),
            "{a} {b}: {found:?}"
        );
    }
}

#[test]
fn a_bot_in_anothers_namespace_is_found() {
    let found = conflicts([&service("one", "@two-.*"), &service("two", "@_two_.*")]);
    assert_eq!(found.len(), 1);
    assert!(found[0].what.contains("share the bot `@two-bot`"), "{found:?}");
}
