//! Bytes to text and back: IRC has no character set, so what isn't UTF-8 is taken for Windows-1252.

/// The characters of Windows-1252 from 0x80 to 0x9f; the five bytes it leaves open keep their Latin-1 control character.
const WINDOWS_1252: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}',
    '\u{2c6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}',
    '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}',
    '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}', '\u{178}',
];

/// Reads bytes as UTF-8, or as Windows-1252 where they aren't. A text cut by a server's 512-byte limit in the middle of a
/// character is still UTF-8 but for its end, and is read as such.
pub fn decode_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(error)
            if error.error_len().is_none()
                && error.valid_up_to() > 0
                && !bytes[..error.valid_up_to()].is_ascii() =>
        {
            let mut text = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
            text.push(char::REPLACEMENT_CHARACTER);
            text
        }
        Err(_) => bytes.iter().map(|byte| windows_1252(*byte)).collect(),
    }
}

fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// The text with line breaks and NULs as spaces: what may stand in one IRC line.
pub fn single_line(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '\r' | '\n' | '\0') { ' ' } else { c }).collect()
}
