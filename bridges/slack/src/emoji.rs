//! Slack's names of the emoji of Unicode. Reactions come and go by name only, and what people write may hold `:name:`.
//!
//! The table is that of the `emoji-datasource` package 16.0.0 (MIT, <https://github.com/iamcal/emoji-data>), from which Slack takes its
//! names: a name and its code points a line, the usual name of several first; a star where the emoji takes a skin tone.

use std::{collections::HashMap, sync::LazyLock};

const TABLE: &str = include_str!("emoji/table.txt");

/// The table as it is asked, because anybody may write a text full of names: a constant in another form.
static INDEX: LazyLock<Index> = LazyLock::new(Index::read);

/// The five tones, as Slack numbers them: `skin-tone-2` to `skin-tone-6`.
const TONES: [char; 5] = ['\u{1f3fb}', '\u{1f3fc}', '\u{1f3fd}', '\u{1f3fe}', '\u{1f3ff}'];
/// Longer names are nobody's.
const MAX_NAME: usize = 100;

struct Row {
    name: &'static str,
    emoji: String,
    toned: bool,
}

struct Index {
    /// The emoji of a name, and whether it takes a skin tone.
    by_name: HashMap<&'static str, (String, bool)>,
    /// The usual name of an emoji without what asks for a picture, and whether it takes a skin tone.
    by_emoji: HashMap<String, (&'static str, bool)>,
}

impl Index {
    fn read() -> Self {
        let (mut by_name, mut by_emoji) = (HashMap::new(), HashMap::new());
        for row in rows() {
            // The usual name of several comes first.
            by_emoji.entry(bare(&row.emoji)).or_insert((row.name, row.toned));
            by_name.insert(row.name, (row.emoji, row.toned));
        }
        Self { by_name, by_emoji }
    }
}

fn rows() -> impl Iterator<Item = Row> {
    TABLE.lines().filter_map(|line| {
        let (name, points) = line.split_once(' ')?;
        let toned = points.ends_with('*');
        let emoji = from_code_points(points.trim_end_matches('*'))?;
        Some(Row { name, emoji, toned })
    })
}

/// `1f44d-1f3fb` as text: how Slack writes an emoji's `unicode`.
pub fn from_code_points(points: &str) -> Option<String> {
    points.split('-').map(|point| char::from_u32(u32::from_str_radix(point, 16).ok()?)).collect()
}

/// Whether text can be the name of an emoji.
pub fn is_name(text: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '\'');
    !text.is_empty() && text.len() <= MAX_NAME && text.chars().all(letter)
}

/// The emoji of a name such as `wave` or `wave::skin-tone-3`; `None` where Unicode has none of that name.
pub fn to_unicode(name: &str) -> Option<String> {
    let (base, tone) = match name.split_once("::") {
        Some((base, tone)) => (base, Some(tone_of(tone)?)),
        None => (name, None),
    };
    if tone.is_none()
        && let Some(tone) = tone_of(base)
    {
        return Some(tone.to_string());
    }
    let (emoji, toned) = INDEX.by_name.get(base)?;
    Some(match tone {
        Some(tone) if *toned => with_tone(emoji, tone),
        _ => emoji.clone(),
    })
}

/// Slack's name of an emoji, with its skin tone.
pub fn to_name(emoji: &str) -> Option<String> {
    let plain = bare(emoji);
    if plain.is_empty() {
        return None;
    }
    if let Some((name, _)) = INDEX.by_emoji.get(&plain) {
        return Some((*name).to_owned());
    }
    let at = plain.chars().position(|c| TONES.contains(&c))?;
    let tone = TONES.iter().position(|tone| plain.chars().nth(at) == Some(*tone))?;
    let untoned: String = plain.chars().filter(|c| !TONES.contains(c)).collect();
    let (name, _) = INDEX.by_emoji.get(&untoned).filter(|(_, toned)| *toned)?;
    Some(format!("{name}::skin-tone-{}", tone + 2))
}

fn tone_of(name: &str) -> Option<char> {
    let number: usize = name.strip_prefix("skin-tone-")?.parse().ok()?;
    TONES.get(number.checked_sub(2)?).copied()
}

/// The tone stands after the first code point, where a request to be shown as a picture would stand (UTS #51, "Emoji Modifiers").
fn with_tone(emoji: &str, tone: char) -> String {
    let mut chars = emoji.chars();
    let mut out = String::new();
    out.extend(chars.next());
    out.push(tone);
    let rest = chars.as_str();
    out.push_str(rest.strip_prefix('\u{fe0f}').unwrap_or(rest));
    out
}

/// Without the code points that only ask to be shown as a picture: people's keyboards differ in them.
fn bare(emoji: &str) -> String {
    emoji.chars().filter(|c| *c != '\u{fe0f}').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_emoji_and_back() {
        for (name, emoji) in [
            ("wave", "👋"),
            ("+1", "👍"),
            ("heart", "❤\u{fe0f}"),
            ("de", "🇩🇪"),
            ("wave::skin-tone-3", "👋🏼"),
            ("male-technologist::skin-tone-6", "👨🏿\u{200d}💻"),
        ] {
            assert_eq!(to_unicode(name).as_deref(), Some(emoji), "{name}");
            assert_eq!(to_name(emoji).as_deref(), Some(name), "{emoji}");
        }
    }

    #[test]
    fn other_names_and_other_spellings_are_known() {
        assert_eq!(to_unicode("thumbsup").as_deref(), Some("👍"));
        assert_eq!(to_unicode("flag-de").as_deref(), Some("🇩🇪"));
        assert_eq!(to_name("❤").as_deref(), Some("heart"));
        assert_eq!(to_unicode("skin-tone-2").as_deref(), Some("\u{1f3fb}"));
        for nothing in ["party-parrot", "", "wave::skin-tone-9", "wave::red"] {
            assert_eq!(to_unicode(nothing), None, "{nothing}");
        }
        for nothing in ["", "a", ":parrot:", "\u{fe0f}"] {
            assert_eq!(to_name(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn every_row_reads_and_is_found_again() {
        assert_eq!(rows().count(), TABLE.lines().count());
        for row in rows() {
            assert!(is_name(row.name), "{}", row.name);
            let again = to_name(&row.emoji).and_then(|name| to_unicode(&name));
            assert_eq!(again, Some(row.emoji));
        }
    }
}
