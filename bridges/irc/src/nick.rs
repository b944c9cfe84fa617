//! Nicks for Matrix users: from a display name to something a server accepts.

/// The characters a nick may hold besides letters and digits (RFC 2812 section 2.3.1).
const SPECIAL: &str = "[]\\`_^{|}";
/// What a nick falls back to when nothing of a name can stand in one.
const FALLBACK: &str = "matrix";

/// The nick for a display name: what can't stand in a nick is replaced or left out, and it is cut to the server's length.
/// `template` holds `$DISPLAY` (or `$LOCALPART`), for example `$DISPLAY[m]`: the mark stays whole, the name is cut for it.
pub fn nick_for(template: &str, display: Option<&str>, localpart: &str, max_len: usize) -> String {
    let display = display.map(sanitize).filter(|name| !name.is_empty());
    let local = sanitize(localpart);
    let base = match (&display, template.contains("$DISPLAY")) {
        (Some(name), true) => name.clone(),
        _ if !local.is_empty() => local,
        _ => FALLBACK.to_owned(),
    };
    let (before, after) = template
        .split_once("$DISPLAY")
        .or_else(|| template.split_once("$LOCALPART"))
        .unwrap_or(("", ""));
    let (before, after) = (sanitize_mark(before), sanitize_mark(after));
    let marks = before.len() + after.len();
    let room = max_len.saturating_sub(marks).max(1);
    let nick: String = before
        .chars()
        .chain(base.chars().take(room))
        .chain(after.chars())
        .take(max_len.max(1))
        .collect();
    start_well(nick, max_len)
}

/// Another nick after a collision: underscores at first, then numbers, never longer than allowed and never the same twice.
pub fn alternative(nick: &str, attempt: u32, max_len: usize) -> String {
    let max_len = max_len.max(2);
    let suffix = if attempt <= 2 { "_".repeat(attempt as usize) } else { attempt.to_string() };
    let base: String = nick.chars().take(max_len.saturating_sub(suffix.len()).max(1)).collect();
    let joined = format!("{base}{suffix}");
    start_well(joined, max_len)
}

/// Whether a text can be a nick at all.
pub fn is_valid(nick: &str) -> bool {
    !nick.is_empty()
        && nick.len() <= 64
        && nick.chars().all(allowed)
        && !nick.starts_with(|c: char| c.is_ascii_digit() || c == '-')
}

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || SPECIAL.contains(c)
}

fn sanitize(name: &str) -> String {
    let mapped = name.chars().flat_map(|c| match c {
        c if allowed(c) => vec![c],
        ' ' | '.' | '+' | '/' | '=' | ':' | '@' => vec!['_'],
        c => transliterate(c).chars().collect(),
    });
    let text: String = mapped.collect();
    // Runs of replaced characters look like noise.
    let mut out = String::with_capacity(text.len());
    for c in text.trim_matches('_').chars() {
        if !(c == '_' && out.ends_with('_')) {
            out.push(c);
        }
    }
    out
}

fn sanitize_mark(mark: &str) -> String {
    mark.chars().filter(|c| allowed(*c)).collect()
}

/// A nick can't begin with a digit or a dash.
fn start_well(nick: String, max_len: usize) -> String {
    if nick.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return format!("_{nick}").chars().take(max_len.max(1)).collect();
    }
    if nick.is_empty() { FALLBACK.chars().take(max_len.max(1)).collect() } else { nick }
}

/// The nearest ASCII letters for the commonest accented letters of Latin scripts; others vanish.
fn transliterate(c: char) -> &'static str {
    match c {
        '\u{c0}'..='\u{c5}' => "A",
        '\u{e0}'..='\u{e5}' => "a",
        '\u{c6}' => "AE",
        '\u{e6}' => "ae",
        '\u{c7}' | '\u{106}' | '\u{10c}' => "C",
        '\u{e7}' | '\u{107}' | '\u{10d}' => "c",
        '\u{c8}'..='\u{cb}' | '\u{118}' => "E",
        '\u{e8}'..='\u{eb}' | '\u{119}' => "e",
        '\u{cc}'..='\u{cf}' => "I",
        '\u{ec}'..='\u{ef}' => "i",
        '\u{d1}' | '\u{143}' => "N",
        '\u{f1}' | '\u{144}' => "n",
        '\u{d2}'..='\u{d6}' | '\u{d8}' => "O",
        '\u{f2}'..='\u{f6}' | '\u{f8}' => "o",
        '\u{d9}'..='\u{dc}' => "U",
        '\u{f9}'..='\u{fc}' => "u",
        '\u{dd}' => "Y",
        '\u{fd}' | '\u{ff}' => "y",
        '\u{df}' => "ss",
        '\u{141}' => "L",
        '\u{142}' => "l",
        '\u{15a}' | '\u{160}' => "S",
        '\u{15b}' | '\u{161}' => "s",
        '\u{179}' | '\u{17b}' | '\u{17d}' => "Z",
        '\u{17a}' | '\u{17c}' | '\u{17e}' => "z",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn makes_nicks_people_recognise() {
        assert_eq!(nick_for("$DISPLAY", Some("Zo\u{eb} Kr\u{fc}ger"), "zoe", 30), "Zoe_Kruger");
        assert_eq!(
            nick_for("$DISPLAY[m]", Some("A very long display name"), "x", 16),
            "A_very_long_d[m]"
        );
        assert_eq!(nick_for("$DISPLAY", Some("42 is it"), "x", 30), "_42_is_it");
        assert_eq!(nick_for("$DISPLAY", Some("\u{6771}\u{4eac}"), "tokyo", 30), "tokyo");
        assert_eq!(nick_for("$DISPLAY", Some("\u{6771}"), "\u{6771}", 30), "matrix");
        assert_eq!(nick_for("m-$LOCALPART", Some("Anna"), "anna.b", 9), "m-anna_b");
        assert_eq!(nick_for("$DISPLAY", Some("bad\r\nQUIT :x"), "x", 30), "badQUIT_x");
    }

    #[test]
    fn alternatives_differ_and_fit() {
        assert_eq!(alternative("casey", 1, 9), "casey_");
        assert_eq!(alternative("ninechars", 1, 9), "ninechar_");
        assert_eq!(alternative("ninechars", 12, 9), "ninecha12");
        let all: std::collections::HashSet<String> =
            (1..20).map(|n| alternative("ninechars", n, 9)).collect();
        assert_eq!(all.len(), 19);
    }

    proptest! {
        #[test]
        fn always_valid(display in proptest::option::of("\\PC{0,40}"), local in "\\PC{0,20}", len in 1_usize..40) {
            let nick = nick_for("$DISPLAY[m]", display.as_deref(), &local, len);
            prop_assert!(is_valid(&nick), "{nick:?}");
            prop_assert!(nick.len() <= len);
        }
    }
}
