use super::*;
use proptest::prelude::*;

/// What mautrix-go's `bridgev2` writes, with a section of its own as heisenbridge keeps one.
const FILE: &str = r#"
id: slack
url: http://localhost:29335
as_token: "AjZhEJmoNfZ6E3WHa2bDSDqaiM0LyKV2"
hs_token: "kLUYPi8AFHEQ5N3XkGYJC2WcYnPlUHUa"
sender_localpart: x8gCaT0
rate_limited: false
namespaces:
    users:
        - regex: ^@slackbot:localhost$
          exclusive: true
        - regex: ^@slack_.*:localhost$
          exclusive: yes
de.sorunome.msc2409.push_ephemeral: true
receive_ephemeral: true
org.matrix.msc3202: true
io.element.msc4190: true
heisenbridge: { media_url: null, allow: ["*"] }
"#;

#[test]
fn a_bridges_file_is_read_whole() {
    let registration = Registration::parse(FILE).unwrap();
    assert_eq!(registration.url.as_deref(), Some("http://localhost:29335"));
    assert_eq!(registration.rate_limited, Some(false));
    assert!(registration.receive_ephemeral && registration.push_ephemeral && registration.msc3202);
    assert!(registration.msc4190 && !registration.msc4203);
    assert!(registration.namespaces.users.iter().all(|namespace| namespace.exclusive));
    assert_eq!(registration.other["heisenbridge"]["allow"][0], "*");
    assert_eq!(registration.sender("localhost"), "@x8gCaT0:localhost");
}

#[test]
fn the_file_written_is_the_file_read() {
    let registration = Registration::parse(FILE).unwrap();
    assert_eq!(Registration::parse(&registration.to_yaml()).unwrap(), registration);
    assert_eq!(Registration::parse(&registration.to_json().to_string()).unwrap(), registration);
}

#[test]
fn no_secret_shows_in_debug() {
    let shown = format!("{:?}", Registration::parse(FILE).unwrap());
    assert!(
        !shown.contains("AjZhEJ") && !shown.contains("kLUYPi") && shown.contains("slack"),
        "{shown}"
    );
}

#[test]
fn no_traffic_is_a_null_or_an_empty_url() {
    for url in ["null", "~", "\"\""] {
        let file = FILE.replace("http://localhost:29335", url);
        assert_eq!(Registration::parse(&file).unwrap().url, None);
    }
}

proptest! {
    #[test]
    fn any_registration_survives_both_forms(
        id in "[a-zA-Z0-9_.: -]{1,20}",
        token in "[!-~]{24,40}",
        localpart in "[a-z0-9._=/+-]{1,20}",
        rate_limited: Option<bool>,
        flags: (bool, bool, bool, bool, bool),
        users in prop::collection::vec(("@[a-z_\\\\.*'\"#:{} -]{0,10}", any::<bool>()), 0..4),
        unknown in prop::collection::btree_map("x-[a-z]{1,8}", "[ -~]{0,20}", 0..4),
    ) {
        let registration = Registration {
            id, url: None, as_token: Token::new(token.clone()), hs_token: Token::new(token + "h"),
            sender_localpart: localpart, rate_limited, protocols: vec!["irc".into(), "true".into()],
            namespaces: Namespaces {
                users: users.into_iter().map(|(regex, exclusive)| Namespace { exclusive, regex })
                    .filter(|namespace| namespace::compile(&namespace.regex).is_ok()).collect(),
                ..Namespaces::default()
            },
            receive_ephemeral: flags.0, push_ephemeral: flags.1, msc3202: flags.2, msc4190: flags.3, msc4203: flags.4,
            other: unknown.into_iter().map(|(key, value)| (key, Value::String(value))).collect(),
        };
        prop_assert_eq!(&Registration::parse(&registration.to_yaml()).unwrap(), &registration);
        prop_assert_eq!(&Registration::parse(&registration.to_json().to_string()).unwrap(), &registration);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
        let _ = Registration::parse(&text);
    }
}
