//! Polls.

use landbridge_framework::event::{Content, Poll as RemotePoll, PollOption};

use super::emoji_name;
use crate::wire::{Poll, PollMedia};

fn words(media: &PollMedia) -> String {
    let text = media.text.clone().unwrap_or_default();
    match &media.emoji {
        Some(emoji) if emoji.id.is_some() => format!(":{}: {text}", emoji_name(emoji)),
        Some(emoji) => format!("{} {text}", emoji_name(emoji)),
        None => text,
    }
    .trim()
    .to_owned()
}

/// A poll. Everybody sees who voted for what, and a Discord poll always has an end.
pub fn poll(poll: &Poll) -> Content {
    let options: Vec<PollOption> = poll
        .answers
        .iter()
        .map(|answer| PollOption {
            id: answer.answer_id.to_string(),
            text: words(&answer.poll_media),
        })
        .collect();
    let max_choices =
        if poll.allow_multiselect { u32::try_from(options.len()).unwrap_or(1).max(1) } else { 1 };
    Content::Poll(RemotePoll {
        question: words(&poll.question),
        options,
        max_choices,
        disclosed: true,
    })
}
