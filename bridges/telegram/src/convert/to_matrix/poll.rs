//! Polls.

use std::fmt::Write as _;

use grammers_tl_types as tl;
use landbridge_framework::event::{Content, Poll, PollOption};

/// The name of an option: Telegram's are bytes.
pub fn option_id(option: &[u8]) -> String {
    option.iter().fold(String::with_capacity(option.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn words(text: &tl::enums::TextWithEntities) -> String {
    let tl::enums::TextWithEntities::Entities(text) = text;
    text.text.clone()
}

/// A poll or a quiz, to be voted in.
pub(super) fn poll(media: &tl::types::MessageMediaPoll) -> Content {
    let tl::enums::Poll::Poll(poll) = &media.poll;
    let options: Vec<PollOption> = poll
        .answers
        .iter()
        .filter_map(|answer| match answer {
            tl::enums::PollAnswer::Answer(answer) => {
                Some(PollOption { id: option_id(&answer.option), text: words(&answer.text) })
            }
            tl::enums::PollAnswer::InputPollAnswer(_) => None,
        })
        .collect();
    let max_choices = if poll.multiple_choice { options.len().max(1) as u32 } else { 1 };
    Content::Poll(Poll {
        question: words(&poll.question),
        options,
        max_choices,
        disclosed: !poll.hide_results_until_close && !poll.quiz,
    })
}

/// The options that this account has chosen.
pub(super) fn chosen(results: &tl::enums::PollResults) -> Option<Vec<String>> {
    let tl::enums::PollResults::Results(results) = results;
    // What is sent to everybody at once says nothing of this account's choice.
    if results.min {
        return None;
    }
    let chosen = results.results.iter().flatten().filter_map(|voters| {
        let tl::enums::PollAnswerVoters::Voters(voters) = voters;
        voters.chosen.then(|| option_id(&voters.option))
    });
    Some(chosen.collect())
}
