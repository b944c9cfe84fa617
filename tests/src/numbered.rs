//! Numbered messages, and what became of them.

use std::collections::HashMap;

/// What became of messages that were numbered from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Numbers that never arrived.
    pub lost: Vec<usize>,
    /// Numbers that arrived more than once.
    pub doubled: Vec<usize>,
    /// Numbers that arrived after a greater one.
    pub reordered: Vec<usize>,
    /// Numbers of what was sent from there, and came back.
    pub echoed: Vec<usize>,
}

impl Verdict {
    /// Whether everything came through once and in order.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }

    /// With what came back of a series, whoever's name stands before it.
    #[must_use]
    pub fn with_echoes<'a>(
        mut self,
        series: &str,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let end = |text: &'a str| text.rfind(series).map(|at| &text[at..]);
        let of_series = |text| number(series, end(text)?);
        self.echoed.extend(texts.into_iter().filter_map(of_series));
        self
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { lost, doubled, reordered, echoed } = self;
        write!(f, "{} lost, {} doubled, {} reordered", lost.len(), doubled.len(), reordered.len())?;
        let all =
            [("lost", lost), ("doubled", doubled), ("reordered", reordered), ("echoed", echoed)];
        for (what, numbers) in all {
            if !numbers.is_empty() {
                write!(f, "; {what}: {:?}", &numbers[..numbers.len().min(10)])?;
            }
        }
        Ok(())
    }
}

/// The text of message `number` of a series.
pub fn text(series: &str, number: usize) -> String {
    format!("{series} {number}")
}

/// The number in the text of a message, if it belongs to the series.
pub fn number(series: &str, text: &str) -> Option<usize> {
    text.trim().strip_prefix(series)?.strip_prefix(' ')?.parse().ok()
}

/// Judges what arrived of `sent` messages.
pub fn judge(sent: usize, arrived: &[usize]) -> Verdict {
    let mut times: HashMap<usize, usize> = HashMap::new();
    let mut verdict = Verdict::default();
    let mut greatest = None;
    for &number in arrived {
        let count = times.entry(number).or_default();
        *count += 1;
        if *count == 2 {
            verdict.doubled.push(number);
        } else if *count == 1 && greatest.is_some_and(|greatest| number < greatest) {
            verdict.reordered.push(number);
        }
        greatest = greatest.max(Some(number));
    }
    verdict.lost = (0..sent).filter(|number| !times.contains_key(number)).collect();
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_seen() {
        assert!(judge(3, &[0, 1, 2]).is_clean());
        assert_eq!(judge(3, &[0, 2]).lost, [1]);
        assert_eq!(judge(3, &[0, 1, 1, 2, 1]).doubled, [1]);
        assert_eq!(judge(3, &[1, 0, 2]).reordered, [0]);
        let back = judge(1, &[0]).with_echoes("out", ["in 0", "alice: out 7", "about"]);
        assert_eq!(back.echoed, [7]);
        assert!(!back.is_clean());
    }

    #[test]
    fn texts_carry_their_number() {
        assert_eq!(number("out", &text("out", 12)), Some(12));
        assert_eq!(number("out", "outer 12"), None);
    }
}
