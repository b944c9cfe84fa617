use landbridge_framework::event::Content;
use landbridge_framework::format::{Rgb, Rich, Style, UserTarget, from_html, to_html};
use proptest::prelude::*;

use super::from_matrix::{Lead, lines, plain};
use super::to_matrix::{Said, rich, text};

fn nobody(_: &UserTarget) -> Option<String> {
    None
}

fn to_irc(html: &str) -> Vec<String> {
    lines(&from_html(html), false, &Lead::default(), &nobody, 400)
}

#[test]
fn reads_formatting_codes() {
    assert_eq!(
        to_html(&rich("a \x02bold\x02 \x1ditalic\x0f \x11code\x11")),
        "a <strong>bold</strong> <em>italic</em> <code>code</code>"
    );
    let r = rich("\x0304,01red\x03 plain");
    assert_eq!(r.text(), "red plain");
    assert_eq!(
        r.spans()[0].style,
        Style::Colour { fg: Some(Rgb(255, 0, 0)), bg: Some(Rgb(0, 0, 0)) }
    );
    assert_eq!(r.spans()[0].range, 0..3);
    // One digit, a comma that is text, hex colours, reverse.
    assert_eq!(rich("\x034,x").text(), ",x");
    assert_eq!(rich("\x0304123").text(), "123");
    assert_eq!(
        rich("\x04ff8000orange").spans()[0].style,
        Style::Colour { fg: Some(Rgb(255, 128, 0)), bg: None }
    );
    assert_eq!(
        rich("\x16r").spans()[0].style,
        Style::Colour { fg: Some(Rgb(255, 255, 255)), bg: Some(Rgb(0, 0, 0)) }
    );
    assert_eq!(rich("\x03\x02\x02plain\x07").spans(), []);
}

#[test]
fn tells_actions_notices_and_ctcp() {
    assert_eq!(
        text("\x01ACTION waves\x01", false, &[]),
        Said::Content(Content::Emote(Rich::plain("waves")))
    );
    assert_eq!(text("hm", true, &[]), Said::Content(Content::Notice(Rich::plain("hm"))));
    assert_eq!(text("\x01VERSION\x01", false, &[]), Said::Ctcp("VERSION".into()));
    assert!(matches!(
        text("\x01DCC SEND x 1 2 3\x01", false, &[]),
        Said::Content(Content::Unsupported { .. })
    ));
}

#[test]
fn finds_mentions_of_puppets() {
    let mentions = [("Casey".to_owned(), "@casey:hs".to_owned())];
    let Said::Content(Content::Text(r)) = text("casey: ask caseyx or CASEY", false, &mentions)
    else {
        panic!("text")
    };
    let ranges: Vec<_> = r.spans().iter().map(|s| s.range.clone()).collect();
    assert_eq!(ranges, [0..5, 21..26]);
    assert_eq!(r.spans()[0].style, Style::User(UserTarget::Matrix("@casey:hs".into())));
}

#[test]
fn writes_formatting_codes() {
    assert_eq!(to_irc("a <b>bold</b> and <i>it</i>"), ["a \x02bold\x0f and \x1dit"]);
    assert_eq!(to_irc("<font color=\"#ff0000\">,x</font>"), ["\x0304\x02\x02,x"]);
    assert_eq!(
        to_irc(
            "<a href=\"https://a.example/\">here</a> <a href=\"https://b.example\">https://b.example</a>"
        ),
        ["here (https://a.example/) https://b.example"]
    );
    assert_eq!(to_irc("<ul><li>one</li><li>two</li></ul>"), ["\u{2022} one", "\u{2022} two"]);
    assert_eq!(to_irc("<blockquote>q</blockquote>answer"), ["> q", "answer"]);
    assert_eq!(to_irc("<pre><code>let x;\nlet y;</code></pre>"), ["\x11let x;", "\x11let y;"]);
}

#[test]
fn leads_say_who_speaks_and_whom_they_answer() {
    let lead = Lead { speaker: Some("Anna\r\n".into()), quote: None };
    assert_eq!(
        lines(&"one\ntwo".into(), false, &lead, &nobody, 400),
        ["<A\u{200b}nna> one", "<A\u{200b}nna> two"]
    );
    assert_eq!(lines(&"waves".into(), true, &lead, &nobody, 400), ["* A\u{200b}nna waves"]);
    assert_eq!(
        lines(&"waves".into(), true, &Lead::default(), &nobody, 400),
        ["\x01ACTION waves\x01"]
    );
    let lead = Lead {
        speaker: None,
        quote: Some(("bob".into(), "\nlong ago ".to_string() + &"x".repeat(80))),
    };
    let line = &lines(&"yes".into(), false, &lead, &nobody, 400)[0];
    assert!(line.starts_with("<bob \"long ago xxx") && line.ends_with("\u{2026}\"> yes"), "{line}");
}

#[test]
fn mentions_become_nicks() {
    let mut body = Rich::plain("hi ");
    body.push_styled("Casey Doe", Style::User(UserTarget::Matrix("@casey:hs".into())));
    body.push("!");
    let show = |user: &UserTarget| {
        matches!(user, UserTarget::Matrix(id) if id == "@casey:hs").then(|| "casey".to_owned())
    };
    assert_eq!(lines(&body, false, &Lead::default(), &show, 400), ["hi casey!"]);
    assert_eq!(lines(&body, false, &Lead::default(), &nobody, 400), ["hi Casey Doe!"]);
    assert_eq!(plain(&body, &show), "hi casey!");
}

#[test]
fn nothing_becomes_ctcp_or_a_second_line() {
    assert_eq!(
        lines(&"\x01VERSION\x01 \r\x02b".into(), false, &Lead::default(), &nobody, 400),
        ["VERSION b"]
    );
    assert_eq!(
        lines(&" \n\n ".into(), false, &Lead::default(), &nobody, 400),
        Vec::<String>::new()
    );
}

#[test]
fn cuts_at_words_and_keeps_the_formatting() {
    let mut body = Rich::new();
    body.push_styled(&"word ".repeat(30), Style::Bold);
    let cut = lines(&body, false, &Lead::default(), &nobody, 64);
    assert!(
        cut.len() == 3
            && cut.iter().all(|l| l.len() <= 64 && l.starts_with('\x02') && l.ends_with("word")),
        "{cut:?}"
    );
    // An emoji with a skin tone stays whole.
    let body: Rich = "\u{1f44d}\u{1f3fd}".repeat(20).into();
    let cut = lines(&body, false, &Lead::default(), &nobody, 60);
    assert!(cut.iter().all(|l| l.starts_with('\u{1f44d}')), "{cut:?}");
}

proptest! {
    #[test]
    fn reading_never_panics_and_loses_no_letter(raw in "[\\x00-\\x1f,0-9a-z\u{e9}\u{1f600}]{0,80}") {
        let read = rich(&raw);
        let letters = |s: &str| s.chars().filter(|c| c.is_alphabetic() && !c.is_ascii_hexdigit()).collect::<String>();
        prop_assert_eq!(letters(read.text()), letters(&raw));
    }

    #[test]
    fn every_line_fits_and_the_words_stay(
        words in proptest::collection::vec("[a-z\u{e9}\u{4e2d}\u{1f600}]{1,40}", 1..40), max in 40_usize..460, emote: bool, bold in 0_usize..200,
    ) {
        let text = words.join(" ");
        let mut body = Rich::plain(&text);
        body.style(bold..bold + 30, Style::Bold);
        let out = lines(&body, emote, &Lead::default(), &nobody, max);
        prop_assert!(out.iter().all(|line| line.len() <= max), "{:?}", out);
        let joined: String = out.iter().map(|l| l.trim_start_matches("\x01ACTION ")).collect::<String>();
        let bare = |s: &str| s.chars().filter(|c| !c.is_control() && *c != ' ').collect::<String>();
        prop_assert_eq!(bare(&joined), bare(&text));
    }

    #[test]
    fn formatting_comes_back(pieces in proptest::collection::vec(("[a-z,0-9]{1,8}", 0..6_u8), 1..8)) {
        let mut body = Rich::new();
        for (text, style) in &pieces {
            let style = match style { 0 => Style::Bold, 1 => Style::Italic, 2 => Style::Underline, 3 => Style::Strike, 4 => Style::Code,
                _ => Style::Colour { fg: Some(Rgb(255, 0, 0)), bg: None } };
            body.push_styled(text, style);
        }
        let out = lines(&body, false, &Lead::default(), &nobody, 4_000);
        prop_assert_eq!(rich(&out[0]), body.joined());
    }
}
