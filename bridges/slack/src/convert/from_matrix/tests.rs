//! Golden files: contents of Matrix events, and how they are written for Slack (`golden/from_matrix/*.json`, as in the other direction); and
//! that what crosses both ways keeps its words, mentions and links.

use std::collections::BTreeSet;

use landbridge_framework::{
    format::{Rich, RoomTarget, Style, UserTarget, from_content},
    handlers::TextKind,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Target, write};
use crate::{
    convert::{
        Context,
        to_matrix::{
            self, Said,
            tests::{cases, settle},
        },
    },
    raw::Names,
};
use landbridge_framework::event::Content;

const TEAM: &str = "T01";

/// As the framework hands a text over: its ghosts and rooms under Slack's identifiers.
fn for_slack(content: &Value) -> Rich {
    let mut rich = from_content(content);
    rich.resolve_users(|target| match target {
        UserTarget::Matrix(id) => {
            Some(match id.strip_prefix("@slack_").and_then(|id| id.strip_suffix(":hs")) {
                Some(id) => UserTarget::Remote(id.to_uppercase()),
                None => target.clone(),
            })
        }
        UserTarget::Remote(_) => Some(target.clone()),
    });
    rich.resolve_rooms(|target| match target {
        RoomTarget::Matrix(id) => {
            Some(match id.strip_prefix("!t").and_then(|id| id.strip_suffix(":hs")) {
                Some(id) => RoomTarget::Remote(format!("T{}", id.to_uppercase())),
                None => target.clone(),
            })
        }
        RoomTarget::Remote(_) => Some(target.clone()),
    });
    rich.resolve_emoji(|style, shown| match style {
        Style::Emoji { mxc } if mxc.starts_with("mxc://hs/T01-") => {
            let id = format!("T01/{}", shown.trim_matches(':'));
            Some(Style::RemoteEmoji { id, media: None })
        }
        style => Some(style.clone()),
    });
    rich
}

#[test]
fn what_matrix_says_is_written_for_slack() {
    let mut failed = Vec::new();
    let cases = cases("from_matrix");
    assert!(cases.len() >= 55, "there are only {} cases", cases.len());
    let emoji: BTreeSet<String> = ["shipit".to_owned()].into();
    for (file, case) in &cases {
        let content = &case["content"];
        let kind = match content["msgtype"].as_str() {
            Some("m.emote") => TextKind::Emote,
            Some("m.notice") => TextKind::Notice,
            _ => TextKind::Text,
        };
        let target = Target { team: TEAM, emoji: &emoji };
        let written = write(target, &for_slack(content), kind);
        let elements = written.blocks[0]["elements"].clone();
        settle(file, case, "elements", elements, &mut failed);
        settle(file, case, "text", written.text.into(), &mut failed);
    }
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

/// Reads what was written, as it would come back from Slack.
fn back(blocks: &Value) -> Rich {
    let names = Names {
        users: [("U01".to_owned(), "Ann".to_owned())].into(),
        channels: [("C01".to_owned(), "general".to_owned())].into(),
        ..Names::default()
    };
    let context = Context { team: TEAM, names: &names };
    let said = to_matrix::read(context, &json!({ "user": "U02", "blocks": blocks }));
    match said {
        Said::Parts(mut parts) => match parts.remove(0).1 {
            Content::Text(rich) => rich,
            other => panic!("{other:?}"),
        },
        Said::Nothing => Rich::new(),
    }
}

/// What must survive: the words, and who and what is named where.
fn essence(rich: &Rich) -> (String, Vec<(String, String)>) {
    let named = rich
        .spans()
        .iter()
        .filter_map(|span| {
            let shown = rich.text()[span.range.clone()].to_owned();
            match &span.style {
                Style::User(UserTarget::Remote(id)) => Some((shown, format!("user {id}"))),
                Style::Room(RoomTarget::Remote(id)) => Some((shown, format!("room {id}"))),
                Style::Link { url } => Some((shown, format!("link {url}"))),
                Style::Everyone => Some((shown, "everyone".to_owned())),
                _ => None,
            }
        })
        .collect();
    (rich.text().to_owned(), named)
}

/// A piece of a line.
#[derive(Clone, Debug)]
enum Piece {
    Words(String, Vec<u8>),
    User,
    Room,
    Everyone,
    Link(String, u8),
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        4 => ("[a-zA-Zäß*_~`<>&|:@#.-]{1,8}", proptest::collection::vec(0_u8..5, 0..3))
            .prop_map(|(words, styles)| Piece::Words(words, styles)),
        1 => Just(Piece::User),
        1 => Just(Piece::Room),
        1 => Just(Piece::Everyone),
        1 => ("[a-z &<]{1,6}[a-z]", 0_u8..3).prop_map(|(words, page)| Piece::Link(words, page)),
    ]
}

/// Lines, each in a block or in none.
fn text() -> impl Strategy<Value = Rich> {
    let line = (proptest::collection::vec(piece(), 1..5), 0_u8..5);
    proptest::collection::vec(line, 1..6).prop_map(|lines| {
        let mut rich = Rich::new();
        for (place, (pieces, block)) in lines.iter().enumerate() {
            if place > 0 {
                rich.push("\n");
            }
            let start = rich.len();
            for (place, piece) in pieces.iter().enumerate() {
                if place > 0 {
                    rich.push(" ");
                }
                let from = rich.len();
                match piece {
                    Piece::Words(words, styles) => {
                        rich.push(words);
                        for style in styles {
                            let style = match style {
                                0 => Style::Bold,
                                1 => Style::Italic,
                                2 => Style::Strike,
                                3 => Style::Underline,
                                _ => Style::Code,
                            };
                            rich.style(from..rich.len(), style);
                        }
                    }
                    Piece::User => {
                        let target = UserTarget::Remote("T01-U01".into());
                        rich.push_styled("@Ann", Style::User(target));
                    }
                    Piece::Room => {
                        let target = RoomTarget::Remote("T01-C01".into());
                        rich.push_styled("#general", Style::Room(target));
                    }
                    Piece::Everyone => drop(rich.push_styled("@room", Style::Everyone)),
                    Piece::Link(words, page) => {
                        let url = format!("https://example.org/{page}?a=b&c");
                        rich.push_styled(words, Style::Link { url });
                    }
                }
            }
            let range = start..rich.len();
            match block {
                1 => drop(rich.style(range, Style::Quote)),
                2 => drop(rich.style(range, Style::ListItem { number: None })),
                3 => drop(rich.style(range, Style::ListItem { number: Some(place as u32 + 1) })),
                _ => {}
            }
        }
        rich
    })
}

proptest! {
    #[test]
    fn what_crosses_both_ways_keeps_words_mentions_and_links(rich in text()) {
        let emoji = BTreeSet::new();
        let written = write(Target { team: TEAM, emoji: &emoji }, &rich, TextKind::Text);
        let again = back(&written.blocks);
        prop_assert_eq!(essence(&again), essence(&rich));
        // And a second time, as an edit on either side would.
        let rewritten = write(Target { team: TEAM, emoji: &emoji }, &again, TextKind::Text);
        prop_assert_eq!(essence(&back(&rewritten.blocks)), essence(&rich));
    }

    #[test]
    fn any_text_can_be_read_and_written(text in "([a-z*_~`<>&|:@#!^ \n]|```|&gt;|<@U1>|<!date\\^1\\^x\\|y>){0,60}") {
        let names = Names::default();
        let rich = to_matrix::rich(Context { team: TEAM, names: &names }, &text);
        let emoji = BTreeSet::new();
        let _ = write(Target { team: TEAM, emoji: &emoji }, &rich, TextKind::Emote);
    }
}
