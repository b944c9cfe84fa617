//! Buttons and boxes of programs. Their text is text; their links are links; what only Discord can press is named.

use landbridge_framework::format::{Rich, Style};

use super::{Names, read};
use crate::wire::{Component, ComponentKind, EmbedMedia};

/// Boxes in boxes are followed so far.
const MAX_DEPTH: usize = 6;
/// More lines than this are left out.
const MAX_LINES: usize = 100;

/// What the components of a message say.
pub(super) fn words(components: &[Component], names: &Names) -> Rich {
    let mut lines = Vec::new();
    for component in components {
        collect(component, names, 0, &mut lines);
    }
    let mut out = Rich::new();
    for line in lines {
        if !out.is_empty() {
            out.push("\n");
        }
        out.append(&line);
    }
    out
}

fn collect(component: &Component, names: &Names, depth: usize, lines: &mut Vec<Rich>) {
    if depth > MAX_DEPTH || lines.len() >= MAX_LINES {
        return;
    }
    match component.kind {
        ComponentKind::Row => {
            let buttons: Vec<Rich> = component.components.iter().filter_map(button).collect();
            if !buttons.is_empty() {
                let mut line = Rich::new();
                for button in buttons {
                    if !line.is_empty() {
                        line.push(" ");
                    }
                    line.append(&button);
                }
                lines.push(line);
            }
        }
        ComponentKind::Button => lines.extend(button(component)),
        ComponentKind::Text => {
            let text = read(component.content.as_deref().unwrap_or_default(), names);
            if !text.is_empty() {
                lines.push(text);
            }
        }
        ComponentKind::Section | ComponentKind::Container => {
            for inner in &component.components {
                collect(inner, names, depth + 1, lines);
            }
            if let Some(beside) = &component.accessory {
                collect(beside, names, depth + 1, lines);
            }
        }
        ComponentKind::Gallery => {
            lines.extend(
                component.items.iter().filter_map(|item| link("picture", item.media.as_ref())),
            );
        }
        ComponentKind::Thumbnail => lines.extend(link("picture", component.media.as_ref())),
        ComponentKind::File => lines.extend(link("file", component.file.as_ref())),
        ComponentKind::Separator | ComponentKind::Other => {}
    }
}

/// A button that leads somewhere is a link; one that is to be pressed is only named.
fn button(component: &Component) -> Option<Rich> {
    let label = component.label.as_deref().filter(|label| !label.is_empty())?;
    if component.kind != ComponentKind::Button {
        return None;
    }
    let mut rich = Rich::new();
    rich.push("[");
    match component.url.as_deref().filter(|url| url.starts_with("https://")) {
        Some(url) => rich.push_styled(label, Style::Link { url: url.to_owned() }),
        None => rich.push_styled(label, Style::Bold),
    };
    rich.push("]");
    Some(rich)
}

fn link(what: &str, media: Option<&EmbedMedia>) -> Option<Rich> {
    let url = media?.url.as_deref().filter(|url| url.starts_with("https://"))?;
    let mut rich = Rich::new();
    rich.push_styled(what, Style::Link { url: url.to_owned() });
    Some(rich)
}
