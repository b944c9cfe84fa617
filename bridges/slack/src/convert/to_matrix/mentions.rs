//! What messages name: people, channels, user groups, everybody, links, emoji. The same whichever form names them.

use landbridge_framework::{
    RemoteId as _,
    event::Emoji,
    format::{Rich, RoomTarget, Style, UserTarget},
};

use super::kinds;
use crate::{
    convert::Context,
    emoji,
    ids::{self, Chat, User},
};

/// Somebody.
pub(super) fn user(out: &mut Rich, context: Context<'_>, id: &str, label: Option<&str>) {
    let shown = context.user(id, label);
    if ids::is_id(id) {
        let target = User::new(context.team, id).encode();
        out.push_styled(&shown, Style::User(UserTarget::Remote(target)));
    } else {
        out.push(&shown);
    }
}

/// A channel.
pub(super) fn channel(out: &mut Rich, context: Context<'_>, id: &str, label: Option<&str>) {
    let shown = context.channel(id, label.filter(|label| !label.is_empty()));
    if ids::is_id(id) {
        let target = Chat::new(context.team, id).encode();
        out.push_styled(&shown, Style::Room(RoomTarget::Remote(target)));
    } else {
        out.push(&shown);
    }
}

/// A user group. Matrix has none: its handle is what can be said.
pub(super) fn group(out: &mut Rich, context: Context<'_>, id: &str, label: Option<&str>) {
    let shown = context.group(id, label);
    out.push_styled(&shown, Style::Bold);
}

/// Everybody: `channel`, `everyone`, or those of them who are `here`.
pub(super) fn everybody(out: &mut Rich, range: &str) {
    let shown = match range {
        // Push rules and clients know this one.
        "channel" | "everyone" => "@room".to_owned(),
        "here" => "@here".to_owned(),
        other => format!("@{other}"),
    };
    out.push_styled(&shown, Style::Everyone);
}

/// A link; the address itself where it has no words.
pub(super) fn link(out: &mut Rich, url: &str, words: Option<&str>) {
    let words = words.filter(|words| !words.is_empty());
    let shown = words.unwrap_or_else(|| {
        url.strip_prefix("mailto:").or_else(|| url.strip_prefix("tel:")).unwrap_or(url)
    });
    out.push_styled(shown, Style::Link { url: url.to_owned() });
}

/// An emoji by name: Unicode's, or a picture of the workspace's own.
pub(super) fn emoji(out: &mut Rich, context: Context<'_>, name: &str, unicode: Option<&str>) {
    if let Some(known) = unicode.and_then(emoji::from_code_points) {
        out.push(&known);
        return;
    }
    match kinds::reaction(context, name) {
        Emoji::Unicode(text) => drop(out.push(&text)),
        Emoji::Custom { id, shortcode, media: Some(media) } => {
            let style = Style::RemoteEmoji { id, media: Some(media.0) };
            out.push_styled(&format!(":{shortcode}:"), style);
        }
        // One that nobody knows any more.
        Emoji::Custom { shortcode, .. } => drop(out.push(&format!(":{shortcode}:"))),
    }
}
