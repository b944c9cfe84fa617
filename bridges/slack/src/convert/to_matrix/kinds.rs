//! Reactions.

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
                None => return custom(name, Some(MediaRef(known.clone()))),
            },
            None => break,
        }
    }
    custom(name, None)
}

fn custom(name: &str, media: Option<MediaRef>) -> Emoji {
    // Its identifier is what Matrix shows of it, so that the same reaction from either side is known as the same.
    Emoji::Custom { id: format!(":{name}:"), shortcode: name.to_owned(), media }
}
