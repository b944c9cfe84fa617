use super::*;
use crate::Blueprint;
use proptest::prelude::*;

fn service(id: &str, users: &[(&str, bool)]) -> Registration {
    let blueprint = Blueprint::new(id, None, &format!("{id}bot"));
    users
        .iter()
        .fold(blueprint, |all, (regex, exclusive)| all.user(regex, *exclusive))
        .generate(&mut rand::rng())
        .unwrap()
}

#[test]
fn patterns_are_anchored_in_front_and_open_behind() {
    let one = service("one", &[("@a|@b", true)]);
    let index = NamespaceIndex::build("hs", [(0, &one)]).unwrap();
    assert!(index.user("@abc:hs").interested.contains(0));
    assert!(index.user("@b:hs").interested.contains(0));
    assert!(index.user("@x@a:hs").interested.is_empty());
}

#[test]
fn only_local_users_count_and_the_sender_is_the_services_own() {
    let one = service("one", &[("@.*", false)]);
    let two = service("two", &[]);
    let index = NamespaceIndex::build("hs", [(0, &one), (1, &two)]).unwrap();
    assert_eq!(index.user("@a:elsewhere"), Interest::default());
    assert_eq!(index.user("@a:hs.elsewhere"), Interest::default());
    let bot = index.user("@twobot:hs");
    assert_eq!(
        (bot.interested, bot.exclusive),
        (Mask::single(0) | Mask::single(1), Mask::single(1))
    );
    assert!(bot.allows(1) && !bot.allows(0));
    assert!(bot.excludes(None) && bot.excludes(Some(0)) && !bot.excludes(Some(1)));
}

#[test]
fn aliases_and_rooms_have_patterns_of_their_own() {
    let one = Blueprint::new("one", None, "one")
        .alias("#irc_", true)
        .room("!r:", false)
        .generate(&mut rand::rng())
        .unwrap();
    let index = NamespaceIndex::build("hs", [(0, &one)]).unwrap();
    assert!(index.alias("#irc_x:hs").exclusive.contains(0));
    assert!(index.room("!r:hs").interested.contains(0) && index.room("!r:hs").exclusive.is_empty());
    assert!(index.alias("!r:hs").interested.is_empty());
}

#[test]
fn a_pattern_cannot_escape_its_anchor() {
    assert!(compile("a)(b").is_err());
    assert!(compile("(?x)@a # open").is_err());
}

#[test]
fn too_many_services_are_refused() {
    let one = service("one", &[]);
    let many = (0..=Mask::CAPACITY).map(|place| (place, &one));
    assert!(matches!(NamespaceIndex::build("hs", many), Err(IndexError::TooMany(65))));
}

#[test]
fn a_hostile_pattern_does_not_slow_the_look_up() {
    // Backtracking would take longer than the age of the universe here.
    let one = service("one", &[("@(a+)+b", true)]);
    let index = NamespaceIndex::build("hs", [(0, &one)]).unwrap();
    assert!(index.user(&format!("@{}:hs", "a".repeat(200))).interested.is_empty());
}

proptest! {
    #[test]
    fn the_index_agrees_with_one_regex_at_a_time(
        patterns in prop::collection::vec(("@[ab]{0,2}(\\.\\*|\\+|)", any::<bool>()), 1..6),
        localpart in "[ab]{0,4}",
    ) {
        let services: Vec<_> = patterns.iter().enumerate()
            .map(|(at, (regex, exclusive))| service(&format!("s{at}"), &[(regex, *exclusive)])).collect();
        let index = NamespaceIndex::build("hs", services.iter().enumerate()).unwrap();
        let user = format!("@{localpart}:hs");
        let interest = index.user(&user);
        for (at, (pattern, exclusive)) in patterns.iter().enumerate() {
            let expected = regex::Regex::new(&format!("^(?:{pattern})")).unwrap().is_match(&user);
            prop_assert_eq!(interest.interested.contains(at), expected);
            prop_assert_eq!(interest.exclusive.contains(at), expected && *exclusive);
        }
    }
}
