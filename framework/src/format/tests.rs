//! Fixtures and properties of the conversions.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn styles(html: &str) -> (String, Vec<(String, Style)>) {
    let rich = from_html(html);
    let spans = rich
        .spans()
        .iter()
        .map(|s| (rich.text()[s.range.clone()].to_owned(), s.style.clone()))
        .collect();
    (rich.into_text(), spans)
}

#[test]
fn inline_styles_links_and_mentions_are_read() {
    let (text, spans) = styles(
        "a <b>bold <i>both</i></b> <a href=\"https://x.y/?a=1&amp;b\">link</a> \
         <a href=\"https://matrix.to/#/@bob:hs\">Bob</a> <a href='matrix:r/room:hs'>room</a> <a href='javascript:x'>no</a>",
    );
    assert_eq!(text, "a bold both link Bob room no");
    assert_eq!(
        spans,
        vec![
            ("bold both".into(), Style::Bold),
            ("both".into(), Style::Italic),
            ("link".into(), Style::Link { url: "https://x.y/?a=1&b".into() }),
            ("Bob".into(), Style::User(UserTarget::Matrix("@bob:hs".into()))),
            ("room".into(), Style::Room(RoomTarget::Matrix("#room:hs".into()))),
        ]
    );
}

#[test]
fn blocks_make_lines() {
    let (text, spans) = styles(
        "<p>one</p><p>two</p><ul><li>a<ol start=\"3\"><li>x</li><li>y</li></ol></li><li>b</li></ul>\
         <blockquote>q1<br>q2</blockquote><pre><code class=\"language-rust\">fn a() {\n  1\n}\n</code></pre>end",
    );
    assert_eq!(text, "one\n\ntwo\na\nx\ny\nb\nq1\nq2\nfn a() {\n  1\n}\nend");
    assert_eq!(
        spans,
        vec![
            ("a\nx\ny".into(), Style::ListItem { number: None }),
            ("x".into(), Style::ListItem { number: Some(3) }),
            ("y".into(), Style::ListItem { number: Some(4) }),
            ("b".into(), Style::ListItem { number: None }),
            ("q1\nq2".into(), Style::Quote),
            ("fn a() {\n  1\n}".into(), Style::CodeBlock { language: Some("rust".into()) }),
        ]
    );
    let rich = from_html(
        "<p>intro</p><ul><li>a<ol><li>x</li></ol></li></ul><blockquote>q1<br>q2</blockquote>",
    );
    assert_eq!(to_plain(&rich), "intro\n- a\n  1. x\n> q1\n> q2");
}

#[test]
fn reply_fallback_scripts_and_unknown_tags_go() {
    let (text, _) = styles(
        "<mx-reply><blockquote>old<mx-reply>x</mx-reply></blockquote></mx-reply>new<script>alert(1)</script> <blink>t</blink>",
    );
    assert_eq!(text, "new t");
}

#[test]
fn white_space_collapses_as_in_html() {
    assert_eq!(styles("  a \n\t b&nbsp; c <b> d</b>\n<br> e&nbsp;f").0, "a b  c d\ne\u{a0}f");
}

#[test]
fn deep_and_broken_input_is_survived() {
    let deep = format!("{}x{}", "<b>".repeat(20_000), "</i>".repeat(20_000));
    assert_eq!(styles(&deep).0, "x");
    let lists = "<ul><li>".repeat(5_000);
    assert_eq!(styles(&format!("{lists}x")).0, "x");
}

#[test]
fn what_a_network_said_is_escaped() {
    let mut rich = Rich::plain("<script>&\"");
    rich.style(0..8, Style::Link { url: "https://x/\"><img>".into() });
    rich.push_styled("evil", Style::Link { url: "javascript:alert(1)".into() });
    rich.push_styled("code", Style::Spoiler { reason: Some("\"><b>".into()) });
    assert_eq!(
        to_html(&rich),
        "<a href=\"https://x/&quot;&gt;&lt;img&gt;\">&lt;script&gt;</a>&amp;&quot;evil\
         <span data-mx-spoiler=\"&quot;&gt;&lt;b&gt;\">code</span>"
    );
}

#[test]
fn overlapping_spans_nest_and_links_stay_whole() {
    let mut rich = Rich::plain("abcdef");
    rich.style(0..4, Style::Bold).style(2..6, Style::Link { url: "https://x".into() });
    assert_eq!(
        to_html(&rich),
        "<strong>ab</strong><a href=\"https://x\"><strong>cd</strong>ef</a>"
    );
}

#[test]
fn colours_round_trip() {
    let mut rich = Rich::new();
    rich.push_styled("red", Style::Colour { fg: Some(Rgb(255, 0, 0)), bg: Some(Rgb(0, 0, 1)) });
    assert_eq!(
        to_html(&rich),
        "<span data-mx-color=\"#ff0000\" data-mx-bg-color=\"#000001\">red</span>"
    );
    assert_eq!(from_html(&to_html(&rich)), rich);
}

#[test]
fn contents_carry_mentions_and_hide_spoilers() {
    let mut rich = Rich::plain("hi ");
    rich.push_styled("Bob", Style::User(UserTarget::Matrix("@bob:hs".into())));
    rich.push(" ");
    rich.push_styled("@room", Style::Everyone);
    rich.push(" ");
    rich.push_styled("he dies", Style::Spoiler { reason: Some("end".into()) });
    let content = to_content(&rich, "m.text");
    assert_eq!(content["body"], "hi Bob @room [Spoiler for end]");
    assert_eq!(content["m.mentions"], json!({ "user_ids": ["@bob:hs"], "room": true }));
    let back = from_content(&serde_json::Value::Object(content));
    assert_eq!(back, rich);
    assert!(!to_content(&Rich::plain("x"), "m.text").contains_key("formatted_body"));
}

#[test]
fn plain_reply_fallback_is_stripped_only_from_replies() {
    let body = "> <@a:hs> old\n> more\n\nnew";
    let reply = json!({ "body": body, "m.relates_to": { "m.in_reply_to": { "event_id": "$x" } } });
    assert_eq!(from_content(&reply).text(), "new");
    assert_eq!(from_content(&json!({ "body": body })).text(), body);
}

#[test]
fn offsets_are_checked_when_read() {
    let rich: Rich = serde_json::from_value(json!({
        "text": "äö", "spans": [
            { "range": { "start": 1, "end": 3 }, "style": "Bold" },
            { "range": { "start": 0, "end": 99 }, "style": "Italic" },
        ]
    }))
    .unwrap();
    assert_eq!(rich.spans().len(), 1);
    assert_eq!(rich.spans()[0].range, 0..4);
}

#[test]
fn slices_and_lines_keep_styles() {
    let mut rich = Rich::plain("one\ntwo");
    rich.style(2..6, Style::Bold);
    let lines = rich.lines();
    assert_eq!(lines[0].spans()[0].range, 2..3);
    assert_eq!(lines[1].spans()[0].range, 0..2);
    let mut joined = lines[0].clone();
    joined.push("\n");
    joined.append(&lines[1]);
    assert_eq!(joined.text(), rich.text());
}

fn inline_style() -> impl Strategy<Value = Style> {
    prop_oneof![
        Just(Style::Bold),
        Just(Style::Italic),
        Just(Style::Underline),
        Just(Style::Strike),
        Just(Style::Code),
        Just(Style::Spoiler { reason: None }),
        Just(Style::Colour { fg: Some(Rgb(1, 2, 3)), bg: None }),
        Just(Style::Colour { fg: None, bg: Some(Rgb(9, 2, 3)) }),
        "[a-z]{1,5}".prop_map(|p| Style::Link { url: format!("https://x.y/{p}?a=1&b=\"<>") }),
        "[a-z]{1,5}".prop_map(|u| Style::User(UserTarget::Matrix(format!("@{u}:hs.example")))),
        "[a-z]{1,5}".prop_map(|u| Style::Room(RoomTarget::Matrix(format!("#{u}:hs.example")))),
    ]
}

fn any_style() -> impl Strategy<Value = Style> {
    prop_oneof![
        4 => inline_style(),
        1 => Just(Style::Quote),
        1 => Just(Style::CodeBlock { language: Some("c++".into()) }),
        1 => (1u8..9).prop_map(|level| Style::Heading { level }),
        1 => proptest::option::of(0u32..9).prop_map(|number| Style::ListItem { number }),
        1 => Just(Style::Everyone),
        1 => Just(Style::User(UserTarget::Remote("x\"<".into()))),
    ]
}

/// What of a rich text a reader would miss: its words, and where its links and mentions stand.
fn anchors(rich: &Rich) -> Vec<(String, Style)> {
    let anchor = |s: &Style| matches!(s, Style::Link { .. } | Style::User(_) | Style::Room(_));
    rich.spans()
        .iter()
        .filter(|s| anchor(&s.style))
        .map(|s| (rich.text()[s.range.clone()].to_owned(), s.style.clone()))
        .collect()
}

proptest! {
    #[test]
    fn any_html_is_read_without_panic(html in "(<[a-z/]{0,10}( [a-z-]{1,6}=\"[^\"]{0,8}\")?>?|&[a-z#0-9]{0,6};?|\\PC{0,6}|[ \\n\u{a0}]){0,40}") {
        let rich = from_html(&html);
        let _ = (to_html(&rich), to_plain(&rich), rich.runs().len());
    }

    #[test]
    fn any_rich_is_written_without_panic_or_loss(
        text in "(\\PC|[\\n\\t ]){0,60}",
        spans in proptest::collection::vec((0usize..80, 0usize..80, any_style()), 0..12),
    ) {
        let mut rich = Rich::plain(text);
        for (start, len, style) in spans {
            rich.style(start..start + len, style);
        }
        let back = from_html(&to_html(&rich));
        let words = |s: &str| s.split_whitespace().collect::<String>();
        prop_assert_eq!(words(back.text()), words(rich.text()));
        prop_assert_eq!(rich.runs().iter().map(|r| r.text).collect::<String>(), rich.text());
    }

    #[test]
    fn inline_round_trip_keeps_text_links_and_mentions(
        pieces in proptest::collection::vec(("[a-zß🦀&<>\" ]([a-zß🦀&<>\" \n]{0,6}[a-zß🦀&<>\" ])?", inline_style(), inline_style()), 1..8),
    ) {
        let mut rich = Rich::new();
        for (text, a, b) in &pieces {
            let range = rich.push(text);
            rich.style(range.clone(), a.clone());
            // Of two anchors over one text only the first can be written.
            if !matches!(b, Style::Link { .. } | Style::User(_) | Style::Room(_)) {
                rich.style(range, b.clone());
            }
            rich.push("|");
        }
        let back = from_html(&to_html(&rich));
        prop_assert_eq!(back.text(), rich.text());
        prop_assert_eq!(anchors(&back), anchors(&rich));
    }

    #[test]
    fn block_round_trip_keeps_lines(
        lines in proptest::collection::vec(("[a-z<&]{1,6}( [a-z]{1,3}){0,2}", 0usize..6), 1..8),
        gaps in proptest::collection::vec(1usize..4, 8),
    ) {
        let mut rich = Rich::new();
        for (i, (line, kind)) in lines.iter().enumerate() {
            if i > 0 {
                rich.push(&"\n".repeat(gaps[i]));
            }
            let range = rich.push(line);
            match kind {
                0 => rich.style(range, Style::Quote),
                1 => rich.style(range, Style::ListItem { number: None }),
                2 => rich.style(range, Style::CodeBlock { language: None }),
                3 => rich.style(range, Style::Heading { level: 2 }),
                _ => &mut rich,
            };
        }
        let back = from_html(&to_html(&rich));
        prop_assert_eq!(&back, &rich);
    }
}

#[test]
fn a_name_of_the_messages_own_is_no_part_of_what_it_says() {
    let content = serde_json::json!({
        "msgtype": "m.text", "body": "Build: it works", "format": "org.matrix.custom.html",
        "formatted_body": "<p><strong data-mx-profile-fallback>Build<strong>!</strong>: </strong>it <b>works</b></p>",
        "com.beeper.per_message_profile": { "id": "b", "displayname": "Build", "has_fallback": true },
    });
    let rich = from_content(&content);
    assert_eq!(rich.text(), "it works");
    assert_eq!(rich.spans()[0].style, Style::Bold);
    let mut plain = content;
    plain["format"] = "".into();
    assert_eq!(from_content(&plain).text(), "it works");
    plain["com.beeper.per_message_profile"]["has_fallback"] = false.into();
    assert_eq!(from_content(&plain).text(), "Build: it works");
}
