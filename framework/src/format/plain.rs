//! [`Rich`] as text without markup: quotes, lists and code keep markers that people read without a renderer.

use std::fmt::Write as _;

use super::rich::{Rich, Span, Style};

/// Text for a network without markup: everything is said, nothing is hidden.
pub fn to_plain(rich: &Rich) -> String {
    render(rich, false)
}

/// The `body` beside a `formatted_body`: like [`to_plain`], but spoilers stay hidden
/// (Client-Server API, "Spoiler messages").
pub fn to_fallback(rich: &Rich) -> String {
    render(rich, true)
}

fn render(rich: &Rich, hide: bool) -> String {
    if rich.is_plain() {
        return rich.text().to_owned();
    }
    let mut out = String::with_capacity(rich.len() + 16);
    let mut hidden_until = 0;
    for run in rich.runs() {
        let end = run.start + run.text.len();
        if run.start < hidden_until {
            continue;
        }
        let spoiler = run.spans.iter().find(|s| hide && matches!(s.style, Style::Spoiler { .. }));
        if let Some(Span { range, style: Style::Spoiler { reason } }) = spoiler {
            match reason {
                Some(reason) => {
                    let _ = write!(out, "[Spoiler for {reason}]");
                }
                None => out.push_str("[Spoiler]"),
            }
            hidden_until = range.end;
            continue;
        }
        for (at, c) in run.text.char_indices() {
            let at = run.start + at;
            if at == 0 || rich.text().as_bytes()[at - 1] == b'\n' {
                out.push_str(&prefix(&run.spans, at));
            }
            out.push(c);
        }
        for span in run.spans.iter().filter(|s| s.range.end == end) {
            if let Style::Link { url } = &span.style {
                let shown = &rich.text()[span.range.clone()];
                if shown != url && url.trim_start_matches("mailto:") != shown {
                    let _ = write!(out, " ({url})");
                }
            }
        }
    }
    out
}

/// The markers at the start of a line.
fn prefix(spans: &[&Span], at: usize) -> String {
    let mut out = String::new();
    for span in spans {
        match &span.style {
            Style::Quote => out.push_str("> "),
            Style::ListItem { number: Some(n) } if span.range.start == at => {
                let _ = write!(out, "{n}. ");
            }
            Style::ListItem { number: None } if span.range.start == at => out.push_str("- "),
            Style::ListItem { number: Some(_) } => out.push_str("   "),
            Style::ListItem { number: None } => out.push_str("  "),
            _ => {}
        }
    }
    out
}
