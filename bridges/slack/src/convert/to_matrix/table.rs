//! Block Kit's `table` (<https://docs.slack.dev/reference/block-kit/blocks/table-block>): a line for each row, the first in bold.

use landbridge_framework::format::{Rich, Style};
use serde_json::Value;

use super::{mrkdwn, page::Page, rich_text};
use crate::{
    convert::Context,
    json::{list, text},
};

/// Reads a table.
pub(super) fn read(context: Context<'_>, block: &Value) -> Rich {
    let mut page = Page::default();
    for (place, row) in list(block, "rows").iter().enumerate() {
        let cells: Vec<Rich> = row
            .as_array()
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .map(|cell| cell_text(context, cell))
            .collect();
        let mut line = Rich::new();
        for (column, cell) in cells.iter().enumerate() {
            if column > 0 {
                line.push(" | ");
            }
            line.append(cell);
        }
        let range = page.block(&line, None);
        if place == 0 {
            page.style(range, Style::Bold);
        }
    }
    page.finish()
}

fn cell_text(context: Context<'_>, cell: &Value) -> Rich {
    let cell = match text(cell, "type") {
        Some("rich_text") => rich_text::read(context, cell),
        Some("mrkdwn") => mrkdwn::rich(context, text(cell, "text").unwrap_or_default()),
        _ => Rich::plain(text(cell, "text").unwrap_or_default()),
    };
    // A row is a line.
    if cell.text().contains('\n') { Rich::plain(cell.text().replace('\n', " ")) } else { cell }
}
