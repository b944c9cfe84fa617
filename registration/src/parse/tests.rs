use super::*;
use std::fmt::Write as _;

fn errors(text: &str) -> String {
    Registration::parse(text).unwrap_err().to_string()
}

const GOOD: &str = r#"{"id":"a","url":null,"as_token":"0123456789012345678901234","hs_token":"x0123456789012345678901234",
"sender_localpart":"a","namespaces":{"users":[],"aliases":[],"rooms":[]}}"#;

#[test]
fn every_fault_is_told_at_once_with_its_place_and_remedy() {
    let told = errors(
        "as_token: 12345\nnamespaces: { users: [{ regex: 5 }, 7], alias: [] }\nrate_limited: maybe\n",
    );
    for part in [
        "`id` is missing: add a line `id: ...`",
        "`url` is missing",
        "`as_token` is a number, not a string: put the value in double quotes",
        "`namespaces.users[0].regex` is a number",
        "`namespaces.users[1]` is a number, not a map",
        "`namespaces.alias` is unknown",
        "`rate_limited` is a string, not true or false",
    ] {
        assert!(told.contains(part), "{part}\nnot in\n{told}");
    }
}

#[test]
fn broken_yaml_names_its_line_and_no_secret() {
    let error = Registration::parse("id: a\nas_token: \"S3CRET\n").unwrap_err();
    assert!(matches!(error, ParseError::Syntax { line: 1.., .. }), "{error}");
    assert!(!error.to_string().contains("S3CRET"), "{error}");
}

#[test]
fn a_good_file_with_one_thing_changed() {
    Registration::parse(GOOD).unwrap();
    for (from, to, fault) in [
        (r#""url":null"#, r#""url":"localhost:80""#, "`url` starts with neither"),
        (r#""url":null"#, r#""url":"http://:80""#, "`url` names no host"),
        (r#""url":null"#, r#""url":"http://h/?a=b""#, "`url` has a query"),
        (r#""id":"a""#, r#""id":"a|b""#, "`id` holds a control character or `|`"),
        (
            r#""sender_localpart":"a""#,
            r#""sender_localpart":"@a:b""#,
            "`sender_localpart` holds `:` or `@`",
        ),
        (
            r#""sender_localpart":"a""#,
            r#""sender_localpart":"a b""#,
            "`sender_localpart` holds characters",
        ),
        (
            r#""users":[]"#,
            r#""users":[{"regex":"@(a"}]"#,
            "`namespaces.users[0].regex` is no usable pattern",
        ),
        (r#""users":[]"#, r#""users":[{"regex":"@(?!a)b"}]"#, "linear time"),
        (r#""rooms":[]"#, r#""rooms":[{"regex":"!(a{1000}){1000}"}]"#, "too much memory"),
        ("0123456789012345678901234\",\"hs", "a b\",\"hs", "`as_token` holds characters"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let told = errors(&GOOD.replace(from, to));
        assert!(told.contains(fault), "{to}: {told}");
    }
}

#[test]
fn weak_things_are_warned_of_but_taken() {
    let text = GOOD.replace("x0123456789012345678901234", "short").replace(
        r#""users":[]"#,
        r#""users":[{"regex":".*","exclusive":true},{"regex":"_irc_.*"}]"#,
    );
    let problems = Registration::parse(&text).unwrap().problems();
    let places: Vec<_> = problems.iter().map(|problem| problem.place.as_str()).collect();
    assert_eq!(places, ["hs_token", "namespaces.users[0].regex", "namespaces.users[1].regex"]);
    assert!(problems.iter().all(|problem| problem.severity == Severity::Warning));
}

#[test]
fn large_and_exploding_files_are_refused() {
    assert!(matches!(
        Registration::parse(&" ".repeat(MAX_FILE_BYTES + 1)),
        Err(ParseError::TooLarge(_))
    ));
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for at in 1..12 {
        let last = at - 1;
        let items = vec![format!("*a{last}"); 10].join(", ");
        writeln!(bomb, "a{at}: &a{at} [{items}]").unwrap();
    }
    assert!(matches!(Registration::parse(&bomb), Err(ParseError::Syntax { .. })));
}
