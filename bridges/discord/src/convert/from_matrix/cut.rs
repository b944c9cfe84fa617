//! Texts that are longer than Discord takes: cut at lines, else at words, else anywhere; markup that is cut goes on in the next message.

use landbridge_framework::format::Rich;

use super::{Manner, Written, write};

/// The most characters of a message.
pub const MAX_CHARS: usize = 2_000;

/// A text in as few messages as may be, each of at most `max` characters. `None`: it would take more than `most` of them.
pub fn cut(rich: &Rich, manner: &Manner, max: usize, most: usize) -> Option<Vec<Written>> {
    // Writing never makes a text shorter, so this needs no trying.
    if rich.text().chars().filter(|c| !c.is_whitespace()).count() > max.saturating_mul(most) {
        return None;
    }
    let mut out = Vec::new();
    let mut rest = rich.clone();
    loop {
        let whole = write(&rest, manner);
        if fits(&whole, max) {
            if !whole.text.trim().is_empty() {
                out.push(whole);
            }
            return (out.len() <= most).then_some(out);
        }
        if out.len() >= most {
            return None;
        }
        let end = longest(&rest, manner, max);
        let (head, tail) = (rest.slice(0..end), rest.slice(end..rest.len()));
        let head = write(&head, manner);
        if !head.text.trim().is_empty() {
            out.push(head);
        }
        // The break at which it was cut is not needed any more.
        let skip = match tail.text().strip_prefix('\n') {
            Some(_) => 1,
            None => tail.text().len() - tail.text().trim_start_matches(' ').len(),
        };
        rest = tail.slice(skip..tail.len());
    }
}

fn fits(written: &Written, max: usize) -> bool {
    written.text.chars().count() <= max
}

/// How much of a text that doesn't fit fits.
fn longest(rich: &Rich, manner: &Manner, max: usize) -> usize {
    let text = rich.text();
    let at = |wanted: fn(char) -> bool| {
        let places = text.char_indices().filter(|(at, c)| *at > 0 && wanted(*c));
        let places: Vec<usize> = places.map(|(at, _)| at).collect();
        last_fitting(&places, rich, manner, max)
    };
    let (line, word) = (at(|c| c == '\n'), at(|c| c == ' '));
    match (line, word) {
        // A line's end is the better place, unless it leaves most of a message empty.
        (Some(line), word) if line * 3 >= word.unwrap_or_default() => line,
        (_, Some(word)) => word,
        (line, None) => line
            .or_else(|| at(|_| true))
            .or_else(|| text.char_indices().nth(1).map(|(at, _)| at))
            .unwrap_or(text.len()),
    }
}

/// The last of these places up to which the text fits; longer pieces are never shorter when written, so it can be searched for.
fn last_fitting(places: &[usize], rich: &Rich, manner: &Manner, max: usize) -> Option<usize> {
    let fitting = places.partition_point(|end| fits(&write(&rich.slice(0..*end), manner), max));
    fitting.checked_sub(1).and_then(|at| places.get(at)).copied()
}
