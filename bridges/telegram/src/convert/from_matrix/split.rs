//! Long texts as several messages: Telegram takes 4,096 UTF-16 code units each.

use super::text::{Written, cut};
use crate::convert::utf16;

/// One message's share of a text.
pub type Chunk = Written;

/// Cuts a text into chunks of at most `first` code units for the first and `rest` for the others: at the end of a line if there is one
/// in the second half, else between words, else between characters.
pub fn split(written: &Written, first: usize, rest: usize) -> Vec<Chunk> {
    let mut out = Vec::new();
    let mut text = written.text.as_str();
    let mut begin = 0;
    let mut limit = first.max(2);
    while !text.is_empty() {
        let end = end_of(text, limit);
        let (chunk, after) = text.split_at(end);
        // White space at the seam is left out, as Telegram would do.
        let shown = chunk.trim_end();
        let length = utf16::len(shown);
        let entities =
            written.entities.iter().filter_map(|entity| cut(entity, begin, length)).collect();
        if !shown.trim().is_empty() {
            out.push(Chunk { text: shown.to_owned(), entities });
        }
        let skipped = after.len() - after.trim_start_matches([' ', '\n']).len();
        begin += utf16::len(chunk) + utf16::len(&after[..skipped]);
        text = &after[skipped..];
        limit = rest.max(2);
    }
    out
}

/// Where a chunk of at most `limit` code units ends, in bytes.
fn end_of(text: &str, limit: usize) -> usize {
    let mut units = 0;
    let mut most = text.len();
    for (at, c) in text.char_indices() {
        units += c.len_utf16();
        if units > limit {
            most = at;
            break;
        }
    }
    if most == text.len() {
        return most;
    }
    let half = most / 2;
    let fits = |at: &usize| *at > half;
    text[..most]
        .rfind('\n')
        .filter(fits)
        .or_else(|| text[..most].rfind(char::is_whitespace).filter(fits))
        .unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::super::text::{Entity, Kind};
    use super::*;

    fn plain(text: &str) -> Written {
        Written { text: text.into(), entities: Vec::new() }
    }

    fn texts(chunks: &[Chunk]) -> Vec<&str> {
        chunks.iter().map(|chunk| chunk.text.as_str()).collect()
    }

    #[test]
    fn short_texts_are_one_message() {
        assert_eq!(texts(&split(&plain("hello"), 5, 5)), ["hello"]);
        assert!(split(&plain(""), 5, 5).is_empty());
    }

    #[test]
    fn lines_come_before_words_and_words_before_letters() {
        assert_eq!(texts(&split(&plain("one two\nthree four"), 10, 10)), ["one two", "three four"]);
        assert_eq!(texts(&split(&plain("one two three"), 9, 9)), ["one two", "three"]);
        assert_eq!(texts(&split(&plain("abcdefgh"), 3, 3)), ["abc", "def", "gh"]);
        assert_eq!(texts(&split(&plain("😀😀😀"), 3, 3)), ["😀", "😀", "😀"], "no pair is torn");
    }

    #[test]
    fn entities_go_with_their_text() {
        let bold = Entity { offset: 2, length: 8, kind: Kind::Bold };
        let written = Written { text: "ab cdef ghij".into(), entities: vec![bold] };
        let chunks = split(&written, 7, 7);
        assert_eq!(texts(&chunks), ["ab cdef", "ghij"]);
        assert_eq!(chunks[0].entities, [Entity { offset: 2, length: 5, kind: Kind::Bold }]);
        assert_eq!(chunks[1].entities, [Entity { offset: 0, length: 2, kind: Kind::Bold }]);
    }

    #[test]
    fn nothing_is_lost_and_nothing_too_long() {
        let text: String = (0..2000).map(|n| format!("wörd{n}")).collect::<Vec<_>>().join(" ");
        let chunks = split(&plain(text.trim()), 1024, 4096);
        assert!(utf16::len(&chunks[0].text) <= 1024);
        assert!(chunks.iter().all(|chunk| utf16::len(&chunk.text) <= 4096));
        assert_eq!(texts(&chunks).join(" "), text.trim());
    }
}
