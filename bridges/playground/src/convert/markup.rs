//! The Playground's markup, read and written: `*bold*`, `_italic_`, `~struck~`, `` `code` ``, `[text](https://...)`, `@name`, blocks of
//! code between lines of ```` ``` ````, and `> ` before quoted lines. A backslash takes a mark's meaning away.
//!
//! A mark counts only where it stands at the edge of a word, so `snake_case` stays as it is. The page reads it by the same rules
//! (`network/page/markup.js`).

mod read;
mod write;

pub use read::read;
pub use write::write;

use landbridge_framework::format::Style;

/// The marks that enclose a styled text.
const MARKS: [char; 3] = ['*', '_', '~'];
/// How deep styles may lie in each other.
const MAX_DEPTH: usize = 8;
/// The longest link text, in characters; a bracket that closes later opens nothing.
const MAX_LABEL: usize = 1024;
/// The longest address of a link, in characters.
const MAX_URL: usize = 2048;

fn style_of(mark: char) -> Style {
    match mark {
        '*' => Style::Bold,
        '_' => Style::Italic,
        _ => Style::Strike,
    }
}

fn mark_of(style: &Style) -> Option<char> {
    match style {
        Style::Bold | Style::Heading { .. } => Some('*'),
        Style::Italic => Some('_'),
        Style::Strike => Some('~'),
        _ => None,
    }
}

/// What a backslash before it makes plain.
fn is_special(c: char) -> bool {
    matches!(c, '*' | '_' | '~' | '`' | '[' | ']' | '(' | ')' | '@' | '\\' | '>' | '|')
}

fn is_word(c: Option<char>) -> bool {
    c.is_some_and(char::is_alphanumeric)
}

/// Whether a character can stand in a person's identifier.
fn is_id(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use landbridge_framework::format::{Rich, UserTarget};
    use proptest::prelude::*;

    use super::*;

    fn styles(rich: &Rich) -> Vec<(&str, &Style)> {
        rich.spans().iter().map(|span| (&rich.text()[span.range.clone()], &span.style)).collect()
    }

    #[test]
    fn marks_at_the_edges_of_words_are_styles() {
        let rich = read("*bold _both_* and `co*de*` in snake_case_here, 2 * 3 * 4");
        assert_eq!(rich.text(), "bold both and co*de* in snake_case_here, 2 * 3 * 4");
        assert_eq!(
            styles(&rich),
            [("bold both", &Style::Bold), ("both", &Style::Italic), ("co*de*", &Style::Code)]
        );
    }

    #[test]
    fn links_mentions_quotes_and_blocks() {
        let rich = read(
            "> said\n@bob see [the *page*](https://example.org/a)\n```rust\nlet a = *b;\n```\nmail a@b.c",
        );
        assert_eq!(rich.text(), "said\n@bob see the *page*\nlet a = *b;\nmail a@b.c");
        let url = "https://example.org/a".to_owned();
        assert_eq!(
            styles(&rich),
            [
                ("said", &Style::Quote),
                ("@bob", &Style::User(UserTarget::Remote("bob".into()))),
                ("the *page*", &Style::Link { url }),
                ("let a = *b;", &Style::CodeBlock { language: Some("rust".into()) }),
            ]
        );
        assert_eq!(write(&rich), "> said\n@bob see [the *page*](https://example.org/a)\n```rust\nlet a = *b;\n```\nmail a@b.c".replace("*page*", "\\*page\\*"));
    }

    #[test]
    fn only_web_addresses_become_links() {
        let rich = read("[x](javascript:alert) [y](https://)");
        assert_eq!(styles(&rich), []);
    }

    #[test]
    fn what_has_no_mark_loses_its_style_and_keeps_its_text() {
        let mut rich = Rich::plain("midword");
        rich.style(0..3, Style::Bold);
        assert_eq!(write(&rich), "midword");
        let mut rich = Rich::plain(" spaced ");
        rich.style(0..8, Style::Bold);
        assert_eq!(write(&rich), " *spaced* ");
        let mut rich = Rich::plain("one\ntwo");
        rich.style(0..7, Style::Quote);
        assert_eq!(write(&rich), "> one\n> two");
    }

    #[test]
    fn hostile_marks_are_read_in_linear_time() {
        for text in [
            "*a ".repeat(20_000),
            "[".repeat(50_000),
            "`".repeat(50_001),
            "*_~".repeat(20_000),
            "\\".repeat(50_001),
        ] {
            read(&text);
        }
    }

    fn any_style() -> impl Strategy<Value = Style> {
        prop_oneof![
            Just(Style::Bold),
            Just(Style::Italic),
            Just(Style::Strike),
            Just(Style::Code),
            Just(Style::Quote),
            Just(Style::Underline),
            Just(Style::Link { url: "https://example.org/_a*(b)".into() }),
        ]
    }

    proptest! {
        #[test]
        fn reading_never_fails(text in "(?s).{0,80}", marks in "[*_~`@>\\\\\\[\\]() a\n]{0,60}") {
            read(&text);
            read(&marks);
        }

        #[test]
        fn plain_text_comes_back(text in "[*_~`@>\\\\\\[\\]()|. a-c\u{e4}\n1]{0,60}") {
            let back = read(&write(&Rich::plain(text.clone())));
            prop_assert_eq!(back.text(), text);
        }

        #[test]
        fn styled_text_comes_back(
            text in "[*_~`@>\\\\\\[\\]()|. a-c\u{e4}\n]{0,40}",
            spans in prop::collection::vec((0usize..40, 0usize..40, any_style()), 0..6),
        ) {
            let mut rich = Rich::plain(text.clone());
            for (start, length, style) in spans {
                rich.style(start..start + length, style);
            }
            let back = read(&write(&rich));
            prop_assert_eq!(back.text(), text, "{}", write(&rich));
        }

        #[test]
        fn bold_words_stay_bold(before in "[a-c]{1,5}", bold in "[a-c_*`\\[]{1,8}", after in "[a-c]{1,5}") {
            let text = format!("{before} {bold} {after}");
            let mut rich = Rich::plain(text.clone());
            rich.style(before.len() + 1..before.len() + 1 + bold.len(), Style::Bold);
            let back = read(&write(&rich));
            prop_assert_eq!(back.text(), text.as_str());
            prop_assert_eq!(styles(&back), [(bold.as_str(), &Style::Bold)], "{}", write(&rich));
        }
    }
}
