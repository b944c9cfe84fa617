//! An edit as IRC people write it: `s/old/new/` for a small change, the whole text again behind `* ` for any other.

use landbridge_framework::format::Rich;

/// The longest part of a text that is shown as a substitution.
const SMALL: usize = 40;

/// The correction that tells an edit.
pub fn correction(old: Option<&str>, new: &Rich) -> Rich {
    if let Some(text) = old.and_then(|old| substitution(old, new.text())) {
        return Rich::plain(text);
    }
    let mut out = Rich::plain("* ");
    out.append(new);
    out
}

/// `s/old/new/`, when the two texts differ in one short stretch of words that is named by its own words alone.
fn substitution(old: &str, new: &str) -> Option<String> {
    if old.contains('\n') || new.contains('\n') || old == new {
        return None;
    }
    let (before, after): (Vec<&str>, Vec<&str>) =
        (old.split(' ').collect(), new.split(' ').collect());
    let start = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let rest = (before.len() - start).min(after.len() - start);
    let end =
        before.iter().rev().zip(after.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let gone = before[start..before.len() - end].join(" ");
    let come = after[start..after.len() - end].join(" ");
    let kept = start + end;
    let clear = !gone.is_empty() && kept > 0 && gone.len() <= SMALL && come.len() <= SMALL;
    // What stands elsewhere in the text too, or holds the slash itself, would name the wrong place.
    let unambiguous = old.matches(&gone).count() == 1 && !gone.contains('/') && !come.contains('/');
    (clear && unambiguous).then(|| format!("s/{gone}/{come}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(old: &str, new: &str) -> String {
        correction(Some(old), &Rich::plain(new)).into_text()
    }

    #[test]
    fn small_changes_are_substitutions() {
        assert_eq!(of("see you tomorow then", "see you tomorrow then"), "s/tomorow/tomorrow/");
        assert_eq!(of("at five or so", "at six or so"), "s/five/six/");
        assert_eq!(of("really very good", "really good"), "s/very//");
    }

    #[test]
    fn others_say_it_again() {
        assert_eq!(of("a", "b"), "* b");
        assert_eq!(of("one two one", "one two three"), "* one two three");
        assert_eq!(of("see a/b there", "see a/c there"), "* see a/c there");
        assert_eq!(of("first\nsecond", "first\nthird"), "* first\nthird");
        assert_eq!(correction(None, &Rich::plain("x")).text(), "* x");
        assert_eq!(of("hello", "hello world"), "* hello world");
    }
}
