//! The little Markdown in which the bot and connectors' commands answer: `code`, `**bold**`, `*italic*`, fenced code,
//! lists with `-`. Not for what people write: that is sent as HTML by their clients.

use super::{Rich, Style};

/// Reads it. What isn't closed stays as it is.
pub fn from_markdown(source: &str) -> Rich {
    let mut out = Rich::new();
    let mut lines = source.lines().peekable();
    while let Some(line) = lines.next() {
        if !out.is_empty() {
            out.push("\n");
        }
        if let Some(language) = line.trim_end().strip_prefix("```") {
            let mut code = Vec::new();
            for line in lines.by_ref() {
                if line.trim_end() == "```" {
                    break;
                }
                code.push(line);
            }
            let language = (!language.is_empty()).then(|| language.to_owned());
            out.push_styled(&code.join("\n"), Style::CodeBlock { language });
        } else if let Some(item) = line.strip_prefix("- ") {
            let start = out.len();
            inline(&mut out, item);
            out.style(start..out.len(), Style::ListItem { number: None });
        } else {
            inline(&mut out, line);
        }
    }
    out
}

fn inline(out: &mut Rich, mut rest: &str) {
    const MARKS: [(&str, Style); 3] =
        [("`", Style::Code), ("**", Style::Bold), ("*", Style::Italic)];
    while let Some(at) = rest.find(['`', '*']) {
        out.push(&rest[..at]);
        rest = &rest[at..];
        let found = MARKS.iter().find_map(|(mark, style)| {
            let inner = rest.strip_prefix(mark)?;
            let end = inner.find(mark).filter(|end| *end > 0 && !inner.starts_with(' '))?;
            Some((&inner[..end], &inner[end + mark.len()..], style.clone()))
        });
        if let Some((inner, after, style)) = found {
            if style == Style::Code {
                out.push_styled(inner, style);
            } else {
                let start = out.len();
                inline(out, inner);
                out.style(start..out.len(), style);
            }
            rest = after;
        } else {
            out.push(&rest[..1]);
            rest = &rest[1..];
        }
    }
    out.push(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::to_html;

    #[test]
    fn answers_become_html() {
        let rich =
            from_markdown("**Hi** `a*b*` *x* 2 * 3\n- one\n- `two`\n```\nlet x = 1;\n```\nend");
        assert_eq!(
            to_html(&rich),
            "<strong>Hi</strong> <code>a*b*</code> <em>x</em> 2 * 3<ul><li>one</li><li><code>two</code></li></ul>\
             <pre><code>let x = 1;</code></pre>end"
        );
        assert_eq!(from_markdown("**open").text(), "**open");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([`*a-z -]|\\n|```|ä){0,40}") {
            let _ = to_html(&from_markdown(&text));
        }
    }
}
