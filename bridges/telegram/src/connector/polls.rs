//! Polls: begun, voted in and closed from Matrix.

use grammers_tl_types as tl;
use landbridge_framework::{
    handlers::{PollCaps, PollEnded, PollSent, PollVoted, VoteCaps},
    prelude::*,
};

use super::{
    Telegram,
    outgoing::{Target, edit_media, poll_of, random_id, send_media_answered, sent},
    send::{Here, Me},
};
use crate::{
    client::{Live, messages_of},
    convert::{from_matrix::Chunk, to_matrix},
    ids::Peer,
};

/// Telegram's limits.
const MAX_OPTIONS: usize = 12;
const MAX_QUESTION: usize = 255;
const MAX_OPTION: usize = 100;

pub(super) fn register(handlers: Handlers<Telegram>) -> Handlers<Telegram> {
    handlers
        .poll(PollCaps { max_options: MAX_OPTIONS }, Idempotency::Native, poll)
        // One account has one vote, and bots have none.
        .poll_vote(VoteCaps { relayed: false }, vote)
        .poll_end(close)
}

#[allow(clippy::too_many_arguments, reason = "the framework extracts them by type")]
async fn poll(
    Via(client): Me,
    In(at, _): Here,
    Key(key): Key,
    As(relayed): As,
    ReplyTo(answered): ReplyTo<Telegram>,
    Thread(thread): Thread<Telegram>,
    origin: Origin,
    PollSent(poll): PollSent,
) -> Result<Sent<Telegram>, SendError> {
    let live = client.live()?;
    let target = Target::of(&live, at.id, answered.map(|answered| answered.id), thread).await?;
    let words = |text: &str, most: usize| -> tl::enums::TextWithEntities {
        tl::types::TextWithEntities {
            text: text.chars().take(most).collect(),
            entities: Vec::new(),
        }
        .into()
    };
    if poll.options.is_empty() || poll.question.trim().is_empty() {
        return Err(SendError::refused("a poll needs a question and answers"));
    }
    let question = match relayed {
        Some(profile) => format!("{}: {}", profile.name, poll.question),
        None => poll.question.clone(),
    };
    let answers = poll.options.iter().take(MAX_OPTIONS).map(|option| {
        tl::types::InputPollAnswer { text: words(&option.text, MAX_OPTION), media: None }.into()
    });
    let media = tl::types::InputMediaPoll {
        poll: tl::types::Poll {
            id: 0,
            closed: false,
            public_voters: true,
            multiple_choice: poll.max_choices > 1,
            quiz: false,
            open_answers: false,
            revoting_disabled: false,
            shuffle_answers: false,
            hide_results_until_close: !poll.disclosed,
            creator: false,
            subscribers_only: false,
            question: words(&question, MAX_QUESTION),
            answers: answers.collect(),
            close_period: None,
            close_date: None,
            countries_iso2: None,
            hash: 0,
        }
        .into(),
        correct_answers: None,
        attached_media: None,
        solution: None,
        solution_entities: None,
        solution_media: None,
    };
    let chunk = Chunk::default();
    let key = random_id(&key, 0);
    let (id, options) =
        send_media_answered(&live, &target, media.into(), &chunk, key, origin.ts_ms).await?;
    // Without them the echo tells.
    Ok(if options.is_empty() { sent(vec![id]) } else { Sent::Poll { id, options } })
}

async fn vote(
    Via(client): Me,
    In(at, _): Here,
    voted: PollVoted<Telegram>,
) -> Result<Done, SendError> {
    let live = client.live()?;
    let bytes = |id: &String| to_matrix::option_bytes(id);
    let options: Option<Vec<Vec<u8>>> = voted.choices.iter().map(bytes).collect();
    let options = options.ok_or_else(|| SendError::refused("the poll has no such answer"))?;
    let peer = live.input(at.id.peer).await?;
    let request = tl::functions::messages::SendVote { peer, msg_id: voted.poll.id, options };
    match live.api.invoke(&request).await {
        Err(error) if error.is("MESSAGE_POLL_CLOSED") => {
            Err(SendError::refused("the poll is closed"))
        }
        Err(error) if error.is("REVOTE_NOT_ALLOWED") => {
            Err(SendError::refused("votes in a quiz can't be changed"))
        }
        answer => answer.map(|_| Done).map_err(SendError::from),
    }
}

/// Closes a poll: it is edited into a closed one, for which it must be known as it is.
async fn close(
    Via(client): Me,
    In(at, _): Here,
    ended: PollEnded<Telegram>,
) -> Result<Done, SendError> {
    let live = client.live()?;
    let messages = one_message(&live, at.id.peer, ended.poll.id).await?;
    let poll = messages.iter().find_map(poll_of);
    let poll = poll.ok_or_else(|| SendError::refused("there is no such poll any more"))?;
    let tl::enums::Poll::Poll(mut poll) = poll.poll.clone();
    if poll.closed {
        return Ok(Done);
    }
    poll.closed = true;
    let media = tl::types::InputMediaPoll {
        poll: poll.into(),
        correct_answers: None,
        attached_media: None,
        solution: None,
        solution_entities: None,
        solution_media: None,
    };
    let peer = live.input(at.id.peer).await?;
    edit_media(&live, peer, ended.poll.id, media.into()).await?;
    Ok(Done)
}

async fn one_message(
    live: &Live,
    peer: Peer,
    id: i32,
) -> Result<Vec<tl::enums::Message>, SendError> {
    let id: Vec<tl::enums::InputMessage> = vec![tl::types::InputMessageId { id }.into()];
    let answer = match peer {
        Peer::Channel(channel) => {
            let channel = live.peers.input_channel(channel).await?;
            live.api.invoke(&tl::functions::channels::GetMessages { channel, id }).await?
        }
        Peer::User(_) | Peer::Group(_) => {
            live.api.invoke(&tl::functions::messages::GetMessages { id }).await?
        }
    };
    let (messages, users, chats) = messages_of(answer);
    live.learn(&users, &chats).await?;
    Ok(messages)
}
