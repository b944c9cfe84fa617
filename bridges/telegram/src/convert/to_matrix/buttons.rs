//! Buttons under messages: links where they lead somewhere, else words with a number to press them by.

use grammers_tl_types as tl;
use landbridge_framework::format::{Rich, Style};

/// More are not shown.
const MAX_BUTTONS: usize = 100;

/// Appends a message's buttons to its text.
pub(super) fn append(text: &mut Rich, markup: &tl::enums::ReplyMarkup) {
    match markup {
        tl::enums::ReplyMarkup::ReplyInlineMarkup(inline) => {
            let mut number = 0;
            for button in inline_buttons(inline) {
                line(text);
                if let Some(url) = address(&button.r#type) {
                    text.push_styled(&button.text, Style::Link { url });
                } else {
                    number += 1;
                    text.push(&format!("{number}. {}", button.text));
                }
            }
        }
        tl::enums::ReplyMarkup::ReplyKeyboardMarkup(keyboard) => {
            let rows = keyboard
                .rows
                .iter()
                .flat_map(|tl::enums::KeyboardButtonRow::Row(row)| &row.buttons);
            // Pressing such a button sends its text: whoever sends that text has pressed it.
            for tl::enums::KeyboardButton::Button(button) in rows.take(MAX_BUTTONS) {
                line(text);
                text.push("\u{2328} ");
                text.push_styled(&button.text, Style::Code);
            }
        }
        tl::enums::ReplyMarkup::ReplyKeyboardHide(_)
        | tl::enums::ReplyMarkup::ReplyKeyboardForceReply(_) => {}
    }
}

fn inline_buttons(
    inline: &tl::types::ReplyInlineMarkup,
) -> impl Iterator<Item = &tl::types::KeyboardInlineButton> {
    let buttons =
        inline.rows.iter().flat_map(|tl::enums::KeyboardInlineButtonRow::Row(row)| &row.buttons);
    buttons.take(MAX_BUTTONS).map(|tl::enums::KeyboardInlineButton::Button(button)| button)
}

/// The buttons that were numbered, in order: those that lead nowhere by themselves.
pub fn numbered(markup: &tl::enums::ReplyMarkup) -> Vec<&tl::types::KeyboardInlineButton> {
    match markup {
        tl::enums::ReplyMarkup::ReplyInlineMarkup(inline) => {
            inline_buttons(inline).filter(|button| address(&button.r#type).is_none()).collect()
        }
        _ => Vec::new(),
    }
}

fn line(text: &mut Rich) {
    if !text.is_empty() {
        text.push("\n");
    }
}

/// Where a button leads.
fn address(kind: &tl::enums::InlineButtonType) -> Option<String> {
    match kind {
        tl::enums::InlineButtonType::Url(button) => Some(button.url.clone()),
        tl::enums::InlineButtonType::UrlAuth(button) => Some(button.url.clone()),
        tl::enums::InlineButtonType::WebView(button) => Some(button.url.clone()),
        _ => None,
    }
}
