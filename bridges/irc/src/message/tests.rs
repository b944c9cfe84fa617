use proptest::prelude::*;

use super::*;

fn parse(line: &str) -> Message {
    Message::parse(line.as_bytes()).unwrap()
}

#[test]
fn reads_tags_source_command_and_parameters() {
    let m = parse(
        "@time=2026-01-02T03:04:05.678Z;msgid=a\\:b\\sc;+draft/x :nick!~user@host.example PRIVMSG #room :hello  world\r\n",
    );
    assert_eq!(m.tag("msgid"), Some("a;b c"));
    assert_eq!(m.tag("+draft/x"), Some(""));
    assert_eq!(m.tag("none"), None);
    let source = m.source.clone().unwrap();
    assert_eq!(
        (source.name.as_str(), source.user.as_deref(), source.host.as_deref()),
        ("nick", Some("~user"), Some("host.example"))
    );
    assert_eq!(
        (m.command.as_str(), m.params.as_slice()),
        ("PRIVMSG", ["#room".to_owned(), "hello  world".to_owned()].as_slice())
    );
}

#[test]
fn reads_what_servers_really_send() {
    assert_eq!(parse("PING :token").params, ["token"]);
    assert_eq!(parse(":irc.test 001 me :Welcome").numeric(), Some(1));
    assert_eq!(parse(":a  privmsg   #b    :c").command, "PRIVMSG");
    assert_eq!(parse(":s 353 me = #c :@op +voice plain ").last(), "@op +voice plain ");
    assert_eq!(parse("CMD a :").params, ["a", ""]);
    assert_eq!(parse("CMD a b ").params, ["a", "b"]);
    assert_eq!(parse(":irc.test NOTICE").params, Vec::<String>::new());
    assert_eq!(Message::parse(b"\r\n"), Err(ParseError::NoCommand));
    assert_eq!(Message::parse(b":only.source"), Err(ParseError::NoCommand));
    assert_eq!(Message::parse("\u{1f600}".as_bytes()), Err(ParseError::BadCommand));
}

#[test]
fn keeps_the_rest_of_a_line_with_too_many_parameters() {
    let m = parse("X 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16");
    assert_eq!((m.params.len(), m.last()), (15, "15 16"));
}

#[test]
fn reads_bytes_that_are_not_utf8() {
    let m = Message::parse(b":n PRIVMSG #c :gr\xfc\xdfe \x80").unwrap();
    assert_eq!(m.last(), "gr\u{fc}\u{df}e \u{20ac}");
    // Cut in the middle of a character by the server: UTF-8 still.
    let cut = Message::parse("PRIVMSG #c :\u{e9}\u{e9}".as_bytes()[..=14].as_ref()).unwrap();
    assert_eq!(cut.last(), "\u{e9}\u{fffd}");
}

#[test]
fn never_writes_a_second_line() {
    let line = Message::new("PRIVMSG", ["#c", "one\r\nQUIT :two\0"]).to_line().unwrap();
    assert_eq!(line, "PRIVMSG #c :one  QUIT :two \r\n");
    assert_eq!(Message::new("JOIN", ["#a b", "k"]).to_line(), Err(BuildError::Middle(0)));
    assert_eq!(Message::new("JOIN", [":a", "k"]).to_line(), Err(BuildError::Middle(0)));
    assert_eq!(Message::new("JO IN", ["#a"]).to_line(), Err(BuildError::BadCommand));
    assert_eq!(
        Message::new("PRIVMSG", ["#c", "x"]).with_tag("a;b", "; \n").to_line().unwrap(),
        "@ab=\\:\\s\\n PRIVMSG #c :x\r\n"
    );
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Message::parse(&bytes);
    }

    #[test]
    fn what_is_written_is_read_again(
        tag in "[a-z]{1,5}", value in "\\PC{0,20}", command in "[A-Z]{1,8}",
        words in proptest::collection::vec("[^\\s:\0][^\\s\0]{0,6}", 0..10), text in "[^\r\n\0]{0,40}",
    ) {
        let mut params = words;
        params.push(text);
        let message = Message::new(&command, params).with_tag(&tag, &value);
        let line = message.to_line().unwrap();
        prop_assert!(line.ends_with("\r\n") && !line[..line.len() - 2].contains(['\r', '\n']));
        prop_assert_eq!(Message::parse(line.as_bytes()).unwrap(), message);
    }

    #[test]
    fn any_text_stays_one_line(text in "(?s).{0,80}") {
        let line = Message::new("PRIVMSG", ["#c".to_owned(), text]).to_line().unwrap();
        prop_assert_eq!(line.matches(['\r', '\n', '\0']).count(), 2);
    }
}
