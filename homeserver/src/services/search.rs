//! Search in the messages, names and topics of rooms ([Server side search](https://spec.matrix.org/v1.19/client-server-api/#server-side-search)).
//!
//! The words of events are cut here, in the same way for both engines: they find what begins with what is looked for, without
//! regard to case, in every script.

mod document;
mod index;

pub use self::index::SearchIndex;

/// What can be searched, and its number in the index.
pub const KEYS: [(&str, i64); 3] = [
    ("content.body", document::BODY),
    ("content.name", document::NAME),
    ("content.topic", document::TOPIC),
];

/// Words of one text that are kept.
const MAX_WORDS: usize = 5_000;
/// Characters of a word that are kept.
const MAX_WORD: usize = 60;

/// Words, as they are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// The words of a text.
    pub fn of(text: &str) -> Self {
        let mut words = Vec::new();
        let mut word = String::new();
        for c in text.chars() {
            if c.is_alphanumeric() && !stands_alone(c) {
                if word.len() < MAX_WORD * 4 && word.chars().count() < MAX_WORD {
                    word.extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
                }
                continue;
            }
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            if c.is_alphanumeric() {
                words.push(c.to_string());
            }
            if words.len() >= MAX_WORDS {
                break;
            }
        }
        if !word.is_empty() {
            words.push(word);
        }
        Self(words)
    }

    /// The first so many words.
    pub fn truncate(&mut self, most: usize) {
        self.0.truncate(most);
    }

    /// The words.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a character is a word by itself: of scripts that put no spaces between words.
fn stands_alone(c: char) -> bool {
    matches!(u32::from(c), 0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff
        | 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_into_words_of_every_script() {
        let words = |text: &str| Words::of(text).0;
        assert_eq!(words("Hello, WORLD! it's 2x"), ["hello", "world", "it", "s", "2x"]);
        assert_eq!(words("ÄHM\"straße*"), ["ähm", "straße"]);
        assert_eq!(words("東京 tower"), ["東", "京", "tower"]);
        assert_eq!(words("..."), Vec::<String>::new());
        assert_eq!(words(&"x".repeat(500))[0].len(), MAX_WORD);
        assert!(words(&"x ".repeat(50_000)).len() <= MAX_WORDS + 1);
        // What a language of queries would read.
        assert!(
            words("a' & b\" OR (c) NEAR/2 d:*")
                .iter()
                .all(|word| word.chars().all(char::is_alphanumeric))
        );
    }
}
