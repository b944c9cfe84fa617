//! Emoji by Slack's names, in texts and as reactions.

use landbridge_framework::event::{Emoji, MediaRef};

use crate::{convert::Context, emoji};

/// How many names of emoji that are other names of emoji are followed.
const MAX_ALIASES: usize = 5;

/// A reaction by Slack's name: an emoji of Unicode, or one of the workspace's own with its picture.
pub(crate) fn reaction(context: Context<'_>, name: &str) -> Emoji {
    let mut shown = name;
    for _ in 0..MAX_ALIASES {
        if let Some(unicode) = emoji::to_unicode(shown) {
            return Emoji::Unicode(unicode);
        }
        match context.names.emoji.get(shown) {
            Some(known) => match known.strip_prefix("alias:") {
                Some(other) => shown = other,
                None => return custom(context, name, Some(MediaRef(known.clone()))),
            },
            None => break,
        }
    }
    custom(context, name, None)
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
