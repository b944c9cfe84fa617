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

/// The bytes of an option, from its name.
pub fn option_bytes(id: &str) -> Option<Vec<u8>> {
    if !id.is_ascii() || !id.len().is_multiple_of(2) {
        return None;
    }
    (0..id.len()).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).ok()).collect()
}

/// The names of a poll's options, in order.
pub fn option_ids(media: &tl::types::MessageMediaPoll) -> Vec<String> {
    let tl::enums::Poll::Poll(poll) = &media.poll;
    let id = |answer: &tl::enums::PollAnswer| match answer {
        tl::enums::PollAnswer::Answer(answer) => Some(option_id(&answer.option)),
        tl::enums::PollAnswer::InputPollAnswer(_) => None,
    };
    poll.answers.iter().filter_map(id).collect()
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

/// How a poll stands: votes by option.
pub(super) fn counts(results: &tl::enums::PollResults) -> Vec<(String, u64)> {
    let tl::enums::PollResults::Results(results) = results;
    let count = |voters: &tl::enums::PollAnswerVoters| {
        let tl::enums::PollAnswerVoters::Voters(voters) = voters;
        (
            option_id(&voters.option),
            voters.voters.and_then(|count| u64::try_from(count).ok()).unwrap_or(0),
        )
    };
    results.results.iter().flatten().map(count).collect()
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
