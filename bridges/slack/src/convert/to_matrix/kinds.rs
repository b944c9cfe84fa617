//! Emoji by Slack's names, in texts and as reactions.

use landbridge_framework::event::{Emoji, MediaRef};

use crate::{convert::Context, emoji};

/// How many names of emoji that are other names of emoji are followed.
const MAX_ALIASES: usize = 5;

/// A reaction by Slack's name: one of the workspace's own emoji with its picture, or one of Unicode. The workspace's own goes first:
/// many had their `:parrot:` before Unicode did, and keep it.
pub(crate) fn reaction(context: Context<'_>, name: &str) -> Emoji {
    let mut shown = name;
    for _ in 0..MAX_ALIASES {
        match context.names.emoji.get(base(shown)) {
            Some(known) => match known.strip_prefix("alias:") {
                Some(other) => shown = other,
                None => return custom(context, base(name), Some(MediaRef(known.clone()))),
            },
            None => break,
        }
    }
    match emoji::to_unicode(shown) {
        Some(unicode) => Emoji::Unicode(unicode),
        None => custom(context, base(name), None),
    }
}

/// Without the skin tone, which the workspace's own don't have.
fn base(name: &str) -> &str {
    name.split("::").next().unwrap_or(name)
}

fn custom(context: Context<'_>, name: &str, media: Option<MediaRef>) -> Emoji {
    Emoji::Custom { id: own_id(context.team, name), shortcode: name.to_owned(), media }
}

/// How one of a workspace's own emoji is named: another workspace may have another picture under the same name.
pub(crate) fn own_id(team: &str, name: &str) -> String {
    format!("{team}/{name}")
}

/// The name of one of a workspace's own emoji, by [`own_id`].
pub(crate) fn own_name<'a>(team: &str, id: &'a str) -> Option<&'a str> {
    id.strip_prefix(team)?.strip_prefix('/').filter(|name| emoji::is_name(name))
}
