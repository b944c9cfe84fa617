use std::time::Duration;

use super::*;
use crate::client::settings::{Interest, Random, Sasl, Secret};

fn settings() -> Settings {
    Settings {
        host: "irc.test".into(),
        port: 6667,
        tls: None,
        password: None,
        nick: "casey".into(),
        username: "casey".into(),
        realname: "Casey".into(),
        sasl: None,
        nickserv: None,
        flood: None,
        interest: Interest::Channels,
        user_modes: None,
        regain: true,
        connect_timeout: Duration::from_secs(10),
        ping_interval: Duration::from_mins(1),
        min_backoff: Duration::from_secs(1),
        max_backoff: Duration::from_mins(1),
        random: Random::new(|| 0),
    }
}

fn step(registration: &mut Registration<'_>, line: &str) -> Vec<String> {
    match registration.on(&Message::parse(line.as_bytes()).unwrap()) {
        Step::Continue(lines) => {
            lines.iter().map(|l| l.to_line().unwrap().trim_end().to_owned()).collect()
        }
        Step::Done { nick, send } => {
            let mut all = vec![format!("<{nick}>")];
            all.extend(send.iter().map(|l| l.to_line().unwrap().trim_end().to_owned()));
            all
        }
        Step::Failed(failure) => vec![format!("!{failure}")],
    }
}

#[test]
fn negotiates_what_is_offered_over_several_lines() {
    let settings = settings();
    let mut r = Registration::new(&settings);
    assert_eq!(
        r.start().iter().map(|m| m.command.as_str()).collect::<Vec<_>>(),
        ["CAP", "NICK", "USER"]
    );
    assert!(step(&mut r, ":s CAP * LS * :server-time batch").is_empty());
    assert_eq!(
        step(&mut r, ":s CAP * LS :echo-message unknown/thing=1"),
        ["CAP REQ :batch echo-message server-time"]
    );
    assert_eq!(step(&mut r, ":s CAP casey ACK :batch echo-message server-time"), ["CAP END"]);
    assert_eq!(step(&mut r, ":s 001 casey :Welcome"), ["<casey>"]);
    assert!(r.caps.has("echo-message") && !r.caps.has("labeled-response"));
}

#[test]
fn asks_one_by_one_when_refused_together() {
    let settings = settings();
    let mut r = Registration::new(&settings);
    step(&mut r, ":s CAP * LS :batch echo-message");
    assert_eq!(
        step(&mut r, ":s CAP * NAK :batch echo-message"),
        ["CAP REQ batch", "CAP REQ echo-message"]
    );
    assert!(step(&mut r, ":s CAP * NAK :batch").is_empty());
    assert_eq!(step(&mut r, ":s CAP * ACK :echo-message"), ["CAP END"]);
}

#[test]
fn a_server_without_capabilities_just_welcomes() {
    let settings = settings();
    let mut r = Registration::new(&settings);
    assert!(step(&mut r, ":s 421 casey CAP :Unknown command").is_empty());
    assert_eq!(step(&mut r, "PING :cookie"), ["PONG cookie"]);
    assert_eq!(step(&mut r, ":s 001 casey :Welcome"), ["<casey>"]);
}

#[test]
fn logs_in_by_sasl_or_else_by_nickserv() {
    let sasl = Some(Sasl::Plain { account: "a".into(), password: Secret("p".into()) });
    let with = Settings { sasl: sasl.clone(), nickserv: Some(Secret("p".into())), ..settings() };
    let mut r = Registration::new(&with);
    assert_eq!(step(&mut r, ":s CAP * LS :sasl=PLAIN,EXTERNAL"), ["CAP REQ sasl"]);
    assert_eq!(step(&mut r, ":s CAP * ACK :sasl"), ["AUTHENTICATE PLAIN"]);
    assert_eq!(step(&mut r, "AUTHENTICATE +"), ["AUTHENTICATE YQBhAHA="]);
    assert_eq!(step(&mut r, ":s 903 * :SASL authentication successful"), ["CAP END"]);
    assert_eq!(step(&mut r, ":s 001 casey :Welcome"), ["<casey>"]);

    // Refused, but NickServ is left.
    let mut r = Registration::new(&with);
    step(&mut r, ":s CAP * LS :sasl");
    step(&mut r, ":s CAP * ACK :sasl");
    assert_eq!(step(&mut r, ":s 904 * :SASL authentication failed"), ["CAP END"]);
    assert_eq!(step(&mut r, ":s 001 casey :Welcome"), ["<casey>", "PRIVMSG NickServ :IDENTIFY p"]);

    // Refused and nothing left: a matter for the user, not for another attempt.
    let only = Settings { sasl, ..settings() };
    let mut r = Registration::new(&only);
    step(&mut r, ":s CAP * LS :sasl");
    step(&mut r, ":s CAP * ACK :sasl");
    assert_eq!(step(&mut r, ":s 904 * :failed"), ["!the server refused the credentials: failed"]);
}

#[test]
fn finds_another_nick() {
    let settings = settings();
    let mut r = Registration::new(&settings);
    assert_eq!(step(&mut r, ":s 433 * casey :in use"), ["NICK casey_"]);
    assert_eq!(step(&mut r, ":s 433 * casey_ :in use"), ["NICK casey__"]);
    assert_eq!(step(&mut r, ":s 001 casey__ :Welcome"), ["<casey__>"]);
    for _ in 0..18 {
        assert_eq!(step(&mut r, ":s 433 * x :in use").len(), 1);
    }
    assert_eq!(step(&mut r, ":s 433 * x :in use"), ["!no nick was free"]);
}

#[test]
fn tells_bans_from_accidents() {
    assert!(matches!(classify_error("Closing Link: 1.2.3.4 (K-Lined)"), Failure::Banned(_)));
    assert!(matches!(classify_error("Bad password"), Failure::Credentials(_)));
    assert!(matches!(classify_error("Ping timeout"), Failure::Other(_)));
}
