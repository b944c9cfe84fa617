//! What is said on Discord, read and written again, says the same: its words, whom and what it mentions, its links.

use landbridge_framework::format::{Rich, Style};
use proptest::prelude::*;

use super::{
    from_matrix::{MAX_CHARS, Manner, cut, write},
    to_matrix::{Names, read},
};

fn names() -> Names {
    Names { everyone: true, ..Names::default() }
}

fn manner() -> Manner {
    Manner { everyone: true, ..Manner::default() }
}

/// What must come through: mentions and links, in order, with their text.
fn anchors(rich: &Rich) -> Vec<(String, Style)> {
    let anchor = |s: &Style| {
        matches!(
            s,
            Style::Link { .. }
                | Style::User(_)
                | Style::Room(_)
                | Style::Everyone
                | Style::RemoteEmoji { .. }
        )
    };
    rich.spans()
        .iter()
        .filter(|span| anchor(&span.style))
        .map(|span| (rich.text()[span.range.clone()].to_owned(), span.style.clone()))
        .collect()
}

/// Words without the white space between them, which marks may take with them at the ends of lines.
fn words(rich: &Rich) -> Vec<String> {
    rich.text().split_whitespace().map(ToOwned::to_owned).collect()
}

fn mention(style: &Style) -> bool {
    !matches!(style, Style::Link { .. })
}

fn check(source: &str) -> Result<(), TestCaseError> {
    let once = read(source, &names());
    let written = write(&once, &manner());
    let again = read(&written.text, &names());
    prop_assert_eq!(words(&again), words(&once), "{:?} was written {:?}", source, written.text);
    let kept = |rich: &Rich| -> Vec<(String, Style)> {
        anchors(rich).into_iter().filter(|(_, style)| mention(style)).collect()
    };
    prop_assert_eq!(kept(&again), kept(&once), "{:?} was written {:?}", source, written.text);
    let links = |rich: &Rich| -> Vec<String> {
        let mut links: Vec<String> = anchors(rich)
            .into_iter()
            .filter_map(|(_, style)| match style {
                Style::Link { url } => Some(url),
                _ => None,
            })
            .collect();
        links.dedup();
        links
    };
    prop_assert_eq!(links(&again), links(&once), "{:?} was written {:?}", source, written.text);
    Ok(())
}

/// Something whole, as people write it.
fn piece() -> impl Strategy<Value = String> {
    let word = "[a-zäß🦀0-9]{1,6}";
    prop_oneof![
        4 => word.prop_map(|w| w),
        1 => word.prop_map(|w| format!("**{w}**")),
        1 => word.prop_map(|w| format!("*{w}*")),
        1 => word.prop_map(|w| format!("__{w}__")),
        1 => word.prop_map(|w| format!("~~{w}~~")),
        1 => word.prop_map(|w| format!("||{w}||")),
        1 => word.prop_map(|w| format!("**a *{w}* b**")),
        1 => word.prop_map(|w| format!("`{w}`")),
        1 => "[0-9]{2,6}".prop_map(|id| format!("<@{id}>")),
        1 => "[0-9]{2,6}".prop_map(|id| format!("<#{id}>")),
        1 => "[0-9]{2,6}".prop_map(|id| format!("<:blob:{id}>")),
        1 => Just("@everyone".to_owned()),
        1 => "[a-z_]{1,6}".prop_map(|p| format!("https://x.example/{p}?a=1&b=(c)")),
        1 => "[a-z]{1,6}".prop_map(|p| format!("[text {p}](https://x.example/{p})")),
        1 => "[*_~|`<>#\\\\.\\[\\]()-]{1,2}".prop_map(|marks| marks),
    ]
}

/// Lines of such pieces.
fn message() -> impl Strategy<Value = String> {
    let line = (
        prop_oneof![
            5 => Just(""),
            1 => Just("> "),
            1 => Just("# "),
            1 => Just("- "),
            1 => Just("1. "),
        ],
        proptest::collection::vec(piece(), 1..5),
    )
        .prop_map(|(lead, pieces)| format!("{lead}{}", pieces.join(" ")));
    proptest::collection::vec(line, 1..5).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn what_people_write_comes_through(source in message()) {
        check(&source)?;
    }

    #[test]
    fn anything_is_read_and_written(source in "([*_~|`<>@#:/\\\\ \\n.\\[\\]()-]|[a-z0-9]|https://|<@1>|\\PC){0,60}") {
        let once = read(&source, &names());
        let written = write(&once, &manner());
        let _ = read(&written.text, &names());
        // Written again it is the same: nothing builds up.
        let again = write(&once, &manner());
        prop_assert_eq!(written, again);
    }

    #[test]
    fn plain_text_stays_plain(text in "[a-z*_~|`<>@#:\\\\.\\[\\]()-]{1,20}( [a-z*_~|`<>#\\\\-]{1,10}){0,4}") {
        // Only addresses and `@everyone` mean something in themselves.
        prop_assume!(!text.contains("http") && !text.contains("@everyone") && !text.contains("@here"));
        let written = write(&Rich::plain(text.clone()), &Manner::default());
        let back = read(&written.text, &Names::default());
        prop_assert_eq!(back.text(), text.trim_end());
        prop_assert!(back.is_plain(), "{:?} became {:?}", text, back);
    }

    #[test]
    fn long_texts_are_cut_without_loss(
        lines in proptest::collection::vec("[a-z]{1,40}( [a-z]{1,30}){0,12}", 1..60),
        bold in 0usize..500,
    ) {
        let mut rich = Rich::plain(lines.join("\n"));
        rich.style(bold..bold + 300, Style::Bold);
        let max = 200;
        let pieces = cut(&rich, &Manner::default(), max, 500).expect("it is not too long");
        let mut back = Vec::new();
        for piece in &pieces {
            prop_assert!(piece.text.chars().count() <= max);
            back.extend(words(&read(&piece.text, &Names::default())));
        }
        prop_assert_eq!(back, words(&rich));
    }
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let rich = Rich::plain("x ".repeat(30_000));
    assert!(cut(&rich, &Manner::default(), MAX_CHARS, 10).is_none());
    assert_eq!(cut(&Rich::plain("short"), &Manner::default(), MAX_CHARS, 1).unwrap().len(), 1);
    assert!(cut(&Rich::new(), &Manner::default(), MAX_CHARS, 1).unwrap().is_empty());
}
