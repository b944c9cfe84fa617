//! From Matrix's rich text to Discord's Markdown, and from Matrix's reactions to Discord's.

mod cut;
mod escape;
mod marks;
mod write;

pub use cut::{MAX_CHARS, cut};
pub use write::{Written, write};

use std::collections::BTreeMap;

use landbridge_framework::event::Emoji;

use crate::ids::Id;

/// A server's own emoji by their names: what `:name:` stands for.
pub type Emojis = BTreeMap<String, (Id, bool)>;

/// How text is written.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// The server's emoji.
    pub emojis: Emojis,
    /// Whether `@room` may call everybody.
    pub everyone: bool,
}

/// A reaction as Discord's addresses have it: the emoji itself, or `name:id`. `None`: Discord has no such emoji.
pub fn reaction(emoji: &Emoji, emojis: &Emojis) -> Option<String> {
    match emoji {
        Emoji::Custom { id, shortcode, .. } => {
            let name = shortcode.trim_matches(':');
            // A picture that is none of Discord's may still have a namesake there.
            let id = id.parse().ok().or_else(|| emojis.get(name).map(|(id, _)| *id));
            id.map(|id: Id| format!("{name}:{id}"))
        }
        Emoji::Unicode(text) => {
            let name = text.trim_matches(':');
            if let Some((id, _)) = emojis.get(name) {
                return Some(format!("{name}:{id}"));
            }
            // Matrix lets people react with anything; Discord takes emoji only. The variation selector is Matrix's habit.
            let plain = text.trim_end_matches('\u{fe0f}');
            let emoji = plain.chars().any(|c| !c.is_ascii() && !c.is_alphanumeric())
                || plain.ends_with('\u{20e3}');
            (emoji && text.chars().count() <= 16).then(|| with_selector(plain))
        }
    }
}

/// Discord knows some emoji only with the selector that shows them in colour: those that are text by default (Unicode, TR #51).
fn with_selector(plain: &str) -> String {
    let mut chars = plain.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if is_text_by_default(c) => format!("{plain}\u{fe0f}"),
        _ => plain.to_owned(),
    }
}

/// Symbols of the older blocks that are shown as text unless a selector says otherwise, and that are emoji all the same.
fn is_text_by_default(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2194}'..='\u{21aa}'
        | '\u{2328}' | '\u{23cf}' | '\u{23ed}'..='\u{23ef}' | '\u{23f1}' | '\u{23f2}' | '\u{23f8}'..='\u{23fa}'
        | '\u{24c2}' | '\u{25aa}'..='\u{25c0}' | '\u{25fb}' | '\u{25fc}' | '\u{2600}'..='\u{2604}' | '\u{260e}'
        | '\u{2611}' | '\u{2618}'..='\u{2640}' | '\u{2642}' | '\u{265f}'..='\u{2668}' | '\u{267b}' | '\u{267e}'
        | '\u{2692}' | '\u{2694}'..='\u{269c}' | '\u{26a0}' | '\u{26a7}' | '\u{26b0}' | '\u{26b1}' | '\u{26c8}'
        | '\u{26cf}'..='\u{26d3}' | '\u{26e9}' | '\u{26f0}' | '\u{26f1}' | '\u{26f4}' | '\u{26f7}'..='\u{26f9}'
        | '\u{2702}' | '\u{2708}' | '\u{2709}' | '\u{270c}'..='\u{2712}' | '\u{2714}' | '\u{2716}' | '\u{271d}'
        | '\u{2721}' | '\u{2733}'..='\u{2747}' | '\u{2763}' | '\u{2764}' | '\u{27a1}' | '\u{2934}' | '\u{2935}'
        | '\u{2b05}'..='\u{2b07}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reactions_are_named_as_discord_names_them() {
        let emojis = Emojis::from([("blob".to_owned(), (Id(7), false))]);
        let unicode = |text: &str| reaction(&Emoji::Unicode(text.into()), &emojis);
        assert_eq!(unicode("👍").as_deref(), Some("👍"));
        assert_eq!(unicode("👍\u{fe0f}").as_deref(), Some("👍"));
        assert_eq!(unicode("❤\u{fe0f}").as_deref(), Some("❤\u{fe0f}"));
        assert_eq!(unicode("❤").as_deref(), Some("❤\u{fe0f}"));
        assert_eq!(unicode(":blob:").as_deref(), Some("blob:7"));
        assert_eq!(unicode("yes"), None);
        assert_eq!(unicode("größer"), None);
        let custom = Emoji::Custom { id: "9".into(), shortcode: "cat".into(), media: None };
        assert_eq!(reaction(&custom, &emojis).as_deref(), Some("cat:9"));
        let picture = |name: &str| Emoji::Custom {
            id: name.into(),
            shortcode: name.into(),
            media: Some(landbridge_framework::event::MediaRef("mxc://x/y".into())),
        };
        assert_eq!(reaction(&picture("blob"), &emojis).as_deref(), Some("blob:7"));
        assert_eq!(reaction(&picture("other"), &emojis), None);
    }
}
