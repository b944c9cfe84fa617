//! The marks around a stretch of text: which are opened and closed where, so that they nest as Discord reads them.

use std::ops::Range;

use landbridge_framework::format::{Rich, Span, Style};

use crate::convert::to_matrix::JOINER;

/// A style with a mark, over a stretch of one line.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) range: Range<usize>,
    pub(super) text: &'static str,
    /// What stands before it, of a spoiler: what is hidden.
    pub(super) about: Option<String>,
    rank: u8,
}

/// How a style is written: the mark, what stands before it, and its rank, the outermost first.
type Written = (&'static str, Option<String>, u8);

fn mark_of(style: &Style) -> Option<Written> {
    Some(match style {
        Style::Spoiler { reason } => ("||", reason.clone(), 0),
        Style::Underline => ("__", None, 1),
        Style::Strike => ("~~", None, 2),
        Style::Bold => ("**", None, 3),
        Style::Italic => ("*", None, 4),
        _ => return None,
    })
}

/// The marks of a line, without white space at their ends, clipped so that they nest: outermost first.
pub(super) fn of_line(rich: &Rich, line: &Range<usize>) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    let mut found: Vec<(&Span, Written)> =
        rich.spans().iter().filter_map(|span| Some((span, mark_of(&span.style)?))).collect();
    found.sort_by_key(|(_, (_, _, rank))| *rank);
    for (span, (text, about, rank)) in found {
        let start = span.range.start.max(line.start);
        let end = span.range.end.min(line.end);
        if start >= end {
            continue;
        }
        let covered = &rich.text()[start..end];
        let start = start + (covered.len() - covered.trim_start().len());
        let end = end - (covered.len() - covered.trim_end().len());
        if start >= end {
            continue;
        }
        // The same twice says nothing more.
        if marks.iter().any(|m| m.text == text && m.range.start < end && start < m.range.end) {
            continue;
        }
        marks.push(Mark { range: start..end, text, about, rank });
    }
    nest(rich, marks)
}

/// Cuts each mark where one that stands outside of it begins or ends.
fn nest(rich: &Rich, marks: Vec<Mark>) -> Vec<Mark> {
    let mut out: Vec<Mark> = Vec::new();
    for mark in marks {
        let mut cuts = vec![mark.range.start, mark.range.end];
        for outer in &out {
            for at in [outer.range.start, outer.range.end] {
                if mark.range.start < at && at < mark.range.end {
                    // An outer mark that lies wholly inside is inner in truth: nothing to cut.
                    let inside =
                        mark.range.start <= outer.range.start && outer.range.end <= mark.range.end;
                    if !inside {
                        cuts.push(at);
                    }
                }
            }
        }
        cuts.sort_unstable();
        cuts.dedup();
        for pair in cuts.windows(2) {
            let covered = &rich.text()[pair[0]..pair[1]];
            let start = pair[0] + (covered.len() - covered.trim_start().len());
            let end = pair[1] - (covered.len() - covered.trim_end().len());
            if start < end {
                out.push(Mark { range: start..end, ..mark.clone() });
            }
        }
    }
    out.sort_by_key(|mark| (mark.range.start, std::cmp::Reverse(mark.range.end), mark.rank));
    out
}

/// Writes a mark. Where it would run together with one of the same sign, something invisible goes between; only of a run of opening
/// marks that needn't be.
pub(super) fn push(out: &mut String, mark: &str, apart: bool) {
    if apart && out.chars().next_back() == mark.chars().next() {
        out.push(JOINER);
    }
    out.push_str(mark);
}
