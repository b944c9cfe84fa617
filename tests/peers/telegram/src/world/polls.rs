//! Polls of supergroups: what is asked, and who has voted for what.

use grammers_tl_types as tl;

use super::{Message, Place, World};
use crate::build::{peer_channel, peer_user};

/// A vote: who, and for which options.
pub(crate) type Vote = (i64, Vec<Vec<u8>>);

/// A poll, as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The number of its message.
    pub number: i32,
    /// The question.
    pub question: String,
    /// The options.
    pub options: Vec<String>,
    /// Who has voted, for the options at these places.
    pub votes: Vec<(i64, Vec<usize>)>,
    /// Whether it is closed.
    pub closed: bool,
}

impl World {
    /// Somebody asks something in a supergroup; gives the message's number.
    pub fn poll(&mut self, from: i64, channel: i64, question: &str, options: &[&str]) -> i32 {
        let words = |text: &str| tl::types::TextWithEntities {
            text: text.to_owned(),
            entities: Vec::new(),
        };
        let answer = |text: &&str| {
            tl::types::InputPollAnswer { text: words(text).into(), media: None }.into()
        };
        let poll = tl::types::Poll {
            id: 0,
            closed: false,
            public_voters: true,
            multiple_choice: false,
            quiz: false,
            open_answers: false,
            revoting_disabled: false,
            shuffle_answers: false,
            hide_results_until_close: false,
            creator: false,
            subscribers_only: false,
            question: words(question).into(),
            answers: options.iter().map(answer).collect(),
            close_period: None,
            close_date: None,
            countries_iso2: None,
            hash: 0,
        };
        let media = self.asked(poll.into());
        let message = Message { media: Some(media), ..Message::plain(from, "") };
        self.add(Place::Channel(channel), message)
    }

    /// What is made of a poll that somebody sends: its options get their names.
    pub(crate) fn asked(&mut self, poll: tl::enums::Poll) -> tl::enums::MessageMedia {
        let tl::enums::Poll::Poll(mut poll) = poll;
        self.counts.polls += 1;
        poll.id = 7000 + self.counts.polls;
        let named = |(at, answer): (usize, tl::enums::PollAnswer)| {
            let text = match answer {
                tl::enums::PollAnswer::Answer(answer) => answer.text,
                tl::enums::PollAnswer::InputPollAnswer(answer) => answer.text,
            };
            let option = vec![at as u8];
            tl::types::PollAnswer { text, option, media: None, added_by: None, date: None }.into()
        };
        poll.answers = poll.answers.into_iter().enumerate().map(named).collect();
        let results = results(&poll, &[]);
        tl::types::MessageMediaPoll { poll: poll.into(), results, attached_media: None }.into()
    }

    /// The polls of a supergroup, in order.
    pub fn polls(&self, channel: i64) -> Vec<Asked> {
        let Some(channel) = self.channels.get(&channel) else { return Vec::new() };
        let one = |(number, message): (&i32, &Message)| {
            let poll = poll_of(message)?;
            let at = |option: &Vec<u8>| option.first().map(|at| usize::from(*at));
            Some(Asked {
                number: *number,
                question: text(&poll.question),
                options: answers(poll).map(|answer| text(&answer.text)).collect(),
                votes: message
                    .votes
                    .iter()
                    .map(|(who, options)| (*who, options.iter().filter_map(at).collect()))
                    .collect(),
                closed: poll.closed,
            })
        };
        channel.messages.iter().filter_map(one).collect()
    }

    /// Somebody who isn't bridged votes for the options at these places.
    pub fn vote(&mut self, who: i64, channel: i64, number: i32, places: &[usize]) -> bool {
        let options: Vec<Vec<u8>> = places.iter().map(|at| vec![*at as u8]).collect();
        self.cast(who, channel, number, &options)
    }

    /// Takes a vote, and tells of it: the bot that asked is told who has voted, people how it stands. `false`: it is not taken.
    pub(crate) fn cast(
        &mut self,
        who: i64,
        channel: i64,
        number: i32,
        options: &[Vec<u8>],
    ) -> bool {
        let Some(there) = self.channels.get_mut(&channel) else { return false };
        let Some(message) = there.messages.get_mut(&number) else { return false };
        let Some(poll) = poll_of(message).filter(|poll| !poll.closed).cloned() else {
            return false;
        };
        if !options.iter().all(|option| answers(&poll).any(|answer| answer.option == *option)) {
            return false;
        }
        message.votes.retain(|(voter, _)| *voter != who);
        if !options.is_empty() {
            message.votes.push((who, options.to_vec()));
        }
        let results = results(&poll, &message.votes);
        if let Some(tl::enums::MessageMedia::Poll(media)) = &mut message.media {
            media.results = results.clone();
        }
        let author = message.from;
        let members: Vec<i64> = there.members.iter().copied().collect();
        for member in members {
            let Some(person) = self.people.get_mut(&member) else { continue };
            let update: tl::enums::Update = if !person.bot {
                tl::types::UpdateMessagePoll {
                    peer: Some(peer_channel(channel)),
                    msg_id: Some(number),
                    top_msg_id: None,
                    poll_id: poll.id,
                    poll: None,
                    results: results.clone(),
                }
                .into()
            } else if member == author {
                person.qts += 1;
                tl::types::UpdateMessagePollVote {
                    poll_id: poll.id,
                    peer: peer_user(who),
                    options: options.to_vec(),
                    positions: Vec::new(),
                    qts: person.qts,
                }
                .into()
            } else {
                continue;
            };
            self.push(member, vec![update]);
        }
        true
    }
}

fn poll_of(message: &Message) -> Option<&tl::types::Poll> {
    let Some(tl::enums::MessageMedia::Poll(media)) = &message.media else { return None };
    let tl::enums::Poll::Poll(poll) = &media.poll;
    Some(poll)
}

fn answers(poll: &tl::types::Poll) -> impl Iterator<Item = &tl::types::PollAnswer> {
    poll.answers.iter().filter_map(|answer| match answer {
        tl::enums::PollAnswer::Answer(answer) => Some(answer),
        tl::enums::PollAnswer::InputPollAnswer(_) => None,
    })
}

fn text(words: &tl::enums::TextWithEntities) -> String {
    let tl::enums::TextWithEntities::Entities(words) = words;
    words.text.clone()
}

/// How it stands, without what the asker has chosen.
fn results(poll: &tl::types::Poll, votes: &[Vote]) -> tl::enums::PollResults {
    let one = |answer: &tl::types::PollAnswer| {
        let number = votes.iter().filter(|(_, options)| options.contains(&answer.option)).count();
        tl::types::PollAnswerVoters {
            chosen: false,
            correct: false,
            option: answer.option.clone(),
            voters: Some(number as i32),
            // In one flag with the number.
            recent_voters: Some(Vec::new()),
        }
        .into()
    };
    tl::types::PollResults {
        min: true,
        has_unread_votes: false,
        can_view_stats: false,
        results: Some(answers(poll).map(one).collect()),
        total_voters: Some(votes.len() as i32),
        recent_voters: None,
        solution: None,
        solution_entities: None,
        solution_media: None,
    }
    .into()
}
