//! From the framework's forms to Slack's.

mod lines;
mod mrkdwn;
mod rich_text;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt::Write as _};

use landbridge_framework::{
    RemoteId as _,
    format::{Rich, RoomTarget, Run, Span, Style, UserTarget},
    handlers::TextKind,
};
use serde_json::{Value, json};

use crate::{
    convert::to_matrix::own_name,
    ids::{Chat, User},
};

/// What writing to a workspace needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The workspace.
    pub team: &'a str,
    /// The names of its own emoji.
    pub emoji: &'a BTreeSet<String>,
}

/// A message as `chat.postMessage` and `chat.update` take it.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// In mrkdwn: what notifications and older clients show.
    pub text: String,
    /// In Block Kit: what is shown.
    pub blocks: Value,
}

/// Writes a text. An emote is written in italics, as Slack shows its own.
pub fn write(target: Target<'_>, body: &Rich, kind: TextKind) -> Written {
    let mut body = body.clone();
    if kind == TextKind::Emote {
        let end = body.len();
        body.style(0..end, Style::Italic);
    }
    Written { text: mrkdwn::write(target, &body), blocks: json!([rich_text::write(target, &body)]) }
}

/// Writes a text as mrkdwn alone, where Slack takes no blocks: with files.
pub fn write_mrkdwn(target: Target<'_>, body: &Rich) -> String {
    mrkdwn::write(target, body)
}

impl Target<'_> {
    /// The user that a mention means, if the workspace has them.
    fn user(&self, target: &UserTarget) -> Option<String> {
        match target {
            UserTarget::Remote(id) => {
                User::decode(id).ok().filter(|user| user.team == self.team && !user.is_bot())
            }
            UserTarget::Matrix(_) => None,
        }
        .map(|user| user.user)
    }

    /// The channel that a mention means, or the address of a room that is none of the workspace's.
    fn room(&self, target: &RoomTarget) -> Place {
        match target {
            RoomTarget::Remote(id) => match Chat::decode(id) {
                Ok(chat) if chat.team == self.team && !chat.is_team() => {
                    Place::Channel(chat.channel)
                }
                Ok(chat) if !chat.is_team() => Place::Link(format!(
                    "https://app.slack.com/client/{}/{}",
                    chat.team, chat.channel
                )),
                _ => Place::Nowhere,
            },
            RoomTarget::Matrix(id) => Place::Link(matrix_to(id)),
        }
    }
}

/// Where a mention of a room leads.
enum Place {
    Channel(String),
    Link(String),
    Nowhere,
}

/// The address of something on Matrix (Appendices, "matrix.to navigation").
fn matrix_to(id: &str) -> String {
    let mut out = String::from("https://matrix.to/#/");
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'!'
            | b':'
            | b'@' => {
                out.push(char::from(byte));
            }
            // Writing to a string never fails.
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// What is said before a spoiler that begins with this run: Slack can't hide it.
fn spoiler(run: &Run<'_>) -> Option<String> {
    run.spans.iter().find_map(|span| match &span.style {
        Style::Spoiler { reason } if span.range.start == run.start => Some(match reason {
            Some(reason) => format!("[spoiler: {reason}] "),
            None => "[spoiler] ".to_owned(),
        }),
        _ => None,
    })
}

/// The name of the workspace's emoji that a picture is of, or that has the name which is shown, such as `:parrot:`.
fn own_emoji<'a>(target: Target<'_>, style: &'a Style, shown: &'a str) -> Option<&'a str> {
    if let Style::RemoteEmoji { id, .. } = style
        && let Some(name) = own_name(target.team, id)
    {
        return Some(name);
    }
    let name = shown.trim_matches(':');
    (crate::emoji::is_name(name) && target.emoji.contains(name)).then_some(name)
}

/// The mention or emoji that begins with a run.
fn named_by<'a>(run: &Run<'a>) -> Option<&'a Span> {
    run.spans.iter().copied().find(|span| {
        span.range.start == run.start
            && matches!(
                span.style,
                Style::User(_)
                    | Style::Room(_)
                    | Style::Everyone
                    | Style::Emoji { .. }
                    | Style::RemoteEmoji { .. }
            )
    })
}
