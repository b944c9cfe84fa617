//! The text of a page whose author may not write UTF-8.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

/// Where a page may say what it is written in.
const PRESCAN: usize = 1_024;

/// Decodes a page: by its mark at the beginning, else by the header, else by what it says itself, else as UTF-8. What fits
/// nothing becomes replacement characters.
pub(super) fn decode<'a>(body: &'a [u8], content_type: &str) -> Cow<'a, str> {
    let encoding = label(content_type)
        .or_else(|| {
            let head = &body[..body.len().min(PRESCAN)];
            label(&String::from_utf8_lossy(head))
        })
        .unwrap_or(UTF_8);
    encoding.decode(body).0
}

/// What stands after `charset=`.
fn label(text: &str) -> Option<&'static Encoding> {
    let lower = text.to_ascii_lowercase();
    let (_, rest) = lower.split_once("charset=")?;
    let rest = rest.trim_start_matches(['"', '\'', ' ']);
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:.".contains(c)));
    Encoding::for_label(&rest.as_bytes()[..end.unwrap_or(rest.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_it_was_written() {
        let latin = b"<meta charset='iso-8859-1'>\xe4";
        assert!(decode(latin, "text/html").ends_with('\u{e4}'));
        assert_eq!(decode(b"\x83\x65", "text/html; charset=\"Shift_JIS\""), "テ");
        assert_eq!(decode("ä".as_bytes(), "text/html; charset=nonsense"), "ä");
        assert_eq!(decode(b"\xef\xbb\xbfa", "text/html; charset=utf-16"), "a");
        assert_eq!(decode(b"\xff", ""), "\u{fffd}");
    }
}
