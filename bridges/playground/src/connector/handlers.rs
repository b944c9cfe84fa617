//! What Matrix may want done on the network. Every change carries the framework's key, so that doing it twice does it once.

use landbridge_framework::{
    format::Rich,
    handlers::{ChatEdit, MemberAction, MemberTarget},
    prelude::*,
};

use super::{Connection, Playground};
use crate::{
    client::ApiError,
    convert::{MAX_ANSWERS, MAX_CHARS, markup},
    wire::{Describe, EventBody, Profile, Send as NewMessage},
};

pub(super) fn register(handlers: Handlers<Playground>) -> Handlers<Playground> {
    handlers
        .text(TextCaps { max_len: MAX_CHARS }, Idempotency::Native, send)
        .poll(PollCaps { max_options: MAX_ANSWERS }, Idempotency::Native, start_poll)
        .poll_vote(VoteCaps::default(), vote)
        .poll_end(close_poll)
        .edit(EditCaps::default(), edit)
        .remove(RemoveCaps::default(), remove)
        .react(ReactCaps::default(), react)
        .read(read)
        .typing(typing)
        .room_meta(MetaCaps { name: true, topic: true, avatar: false, power: false }, describe)
        .membership(MemberCaps { invite: true, kick: true, ban: false, own: true }, membership)
        .opened(opened)
        .closed(closed)
        .relay(RelayStyle::NativeProfile)
}

type Here = In<Playground>;
type Me = Via<Playground>;

async fn send(
    Via(client): Me,
    In(at, _): Here,
    Key(key): Key,
    As(relayed): As,
    ReplyTo(answered): ReplyTo<Playground>,
    text: Text,
) -> Result<Sent<Playground>, SendError> {
    let message = NewMessage {
        actor: None,
        key: Some(client.key(&key)),
        text: written(&text.body, text.kind)?,
        reply_to: answered.map(|answered| answered.id),
        profile: relayed.map(|profile| Profile {
            name: shown_name(&profile.name, &profile.mxid),
            avatar: profile.avatar_url,
        }),
        bridged: true,
        poll: None,
    };
    let (id, number) = send_message(&client, &at.id, message).await?;
    Ok(Sent::Now { id, order: Some(StreamOrder(number)) })
}

/// Sends a message, and gives its identifier and number.
async fn send_message(
    client: &Connection,
    chat: &str,
    message: NewMessage,
) -> Result<(String, i64), SendError> {
    let sent = client.api.send(chat, message.clone()).await;
    let sent = match sent {
        // Somebody put this account out of the chat, or it never came in.
        Err(error) if error.code() == Some("not_a_member") => {
            join(client, chat).await?;
            client.api.send(chat, message).await
        }
        // What is answered was deleted from the network's memory; the answer still says something.
        Err(error) if error.code() == Some("not_found") && message.reply_to.is_some() => {
            client.api.send(chat, NewMessage { reply_to: None, ..message }).await
        }
        sent => sent,
    };
    match sent.map_err(send_error)?.event.map(|event| event.body) {
        Some(EventBody::Message(message)) => Ok((message.id, message.number)),
        _ => Err(SendError::refused(
            "this message's key stands for something else on the Playground",
        )),
    }
}

async fn start_poll(
    Via(client): Me,
    In(at, _): Here,
    Key(key): Key,
    As(relayed): As,
    PollSent(poll): PollSent,
) -> Result<Sent<Playground>, SendError> {
    let options: Vec<String> =
        poll.options.iter().map(|option| shown_name(&option.text, &option.id)).collect();
    let message = NewMessage {
        actor: None,
        key: Some(client.key(&key)),
        text: written(&Rich::plain(poll.question), TextKind::Text)?,
        reply_to: None,
        profile: relayed.map(|profile| Profile {
            name: shown_name(&profile.name, &profile.mxid),
            avatar: profile.avatar_url,
        }),
        bridged: true,
        poll: Some(options),
    };
    let (id, _) = send_message(&client, &at.id, message).await?;
    let options = (0..poll.options.len()).map(|place| place.to_string()).collect();
    Ok(Sent::Poll { id, options })
}

async fn vote(
    Via(client): Me,
    Key(key): Key,
    vote: PollVoted<Playground>,
) -> Result<Done, SendError> {
    let choice = vote.choices.first().map(|choice| choice.parse::<u32>()).transpose();
    let choice = choice.map_err(|_| SendError::refused("the poll has no such answer"))?;
    client.api.vote(&vote.poll.id, client.key(&key), choice).await.map_err(send_error)?;
    Ok(Done)
}

async fn close_poll(
    Via(client): Me,
    Key(key): Key,
    end: PollEnded<Playground>,
) -> Result<Done, SendError> {
    client.api.close(&end.poll.id, client.key(&key)).await.map_err(send_error)?;
    Ok(Done)
}

async fn edit(
    Via(client): Me,
    Key(key): Key,
    edited: Edited<Playground>,
) -> Result<Done, SendError> {
    let text = written(&edited.body, edited.kind)?;
    client.api.edit(&edited.target.id, client.key(&key), text).await.map_err(send_error)?;
    Ok(Done)
}

async fn remove(
    Via(client): Me,
    Key(key): Key,
    removed: Removed<Playground>,
) -> Result<Done, SendError> {
    done_or_gone(client.api.delete(&removed.target.id, client.key(&key)).await)
}

async fn react(
    Via(client): Me,
    Key(key): Key,
    reacted: Reacted<Playground>,
) -> Result<Done, SendError> {
    let emoji = reacted.emoji.id().to_owned();
    let done = client.api.react(&reacted.target.id, client.key(&key), emoji, reacted.set).await;
    if reacted.set { done.map(|_| Done).map_err(send_error) } else { done_or_gone(done) }
}

async fn read(
    Via(client): Me,
    In(at, _): Here,
    As(relayed): As,
    read: Read<Playground>,
) -> Result<Done, SendError> {
    // The relay reads for nobody in particular.
    if relayed.is_none() {
        client.api.mark_read(&at.id, &read.up_to.id).await.map_err(send_error)?;
    }
    Ok(Done)
}

async fn typing(
    Via(client): Me,
    In(at, _): Here,
    Typing(typing): Typing,
) -> Result<Done, SendError> {
    client.api.set_typing(&at.id, typing).await.map_err(send_error)?;
    Ok(Done)
}

async fn describe(
    Via(client): Me,
    In(at, _): Here,
    Key(key): Key,
    RoomMeta(change): RoomMeta,
) -> Result<Done, SendError> {
    let mut describe = Describe { key: Some(client.key(&key)), ..Describe::default() };
    match change {
        ChatEdit::Name(name) => describe.name = Some(name),
        ChatEdit::Topic(topic) => describe.topic = Some(topic),
        ChatEdit::Avatar(_) => {
            return Err(SendError::refused("the Playground's chats have no pictures"));
        }
        ChatEdit::Power(_) => return Err(SendError::refused("the Playground has no power levels")),
    }
    client.api.describe(&at.id, describe).await.map_err(send_error)?;
    Ok(Done)
}

async fn membership(
    Via(client): Me,
    In(at, _): Here,
    Key(key): Key,
    change: Membership<Playground>,
) -> Result<Done, SendError> {
    let key = Some(client.key(&key));
    let person = match change.target {
        MemberTarget::Remote(person) | MemberTarget::Matrix(_, Some(person)) => person,
        // Somebody who is relayed has no account here that could come or go.
        MemberTarget::Matrix(_, None) => return Ok(Done),
    };
    match change.action {
        MemberAction::Join | MemberAction::Invite => {
            client.api.join(&at.id, &person, key).await.map_err(send_error)?;
        }
        MemberAction::Leave | MemberAction::Kick => {
            client.api.leave(&at.id, &person, key).await.map_err(send_error)?;
        }
        MemberAction::Ban | MemberAction::Unban => {
            return Err(SendError::refused(
                "the Playground knows no bans; remove the person instead",
            ));
        }
        // Names belong to accounts, not to chats.
        MemberAction::Rename => {}
    }
    Ok(Done)
}

async fn opened(Via(client): Me, In(at, _): Here) -> Result<Done, SendError> {
    join(&client, &at.id).await?;
    Ok(Done)
}

async fn closed(Via(client): Me, In(at, _): Here) -> Result<Done, SendError> {
    // Only the relay's presence depends on the bridge; people stay where they are.
    if client.api.actor() == &*client.bot && !at.id.starts_with("dm.") {
        return done_or_gone(client.api.leave(&at.id, client.api.actor(), None).await);
    }
    Ok(Done)
}

async fn join(client: &Connection, chat: &str) -> Result<(), SendError> {
    client.api.join(chat, client.api.actor(), None).await.map(drop).map_err(send_error)
}

/// The text in the Playground's markup.
fn written(body: &Rich, kind: TextKind) -> Result<String, SendError> {
    let text = markup::write(body);
    if text.trim().is_empty() {
        return Err(SendError::refused("there is no text in it"));
    }
    Ok(if kind == TextKind::Emote { format!("/me {text}") } else { text })
}

/// A name that the network takes: of 1 to 256 bytes, without control characters.
fn shown_name(name: &str, otherwise: &str) -> String {
    let clean = |text: &str| -> String {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        let mut end = text.len().min(256);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text[..end].trim().to_owned()
    };
    let name = clean(name);
    if name.is_empty() { clean(otherwise) } else { name }
}

/// What is gone already need not be taken away.
fn done_or_gone<T>(done: Result<T, ApiError>) -> Result<Done, SendError> {
    match done {
        Err(error) if error.code() == Some("not_found") => Ok(Done),
        done => done.map(|_| Done).map_err(send_error),
    }
}

fn send_error(error: ApiError) -> SendError {
    match error {
        ApiError::Unreachable(_) => SendError::retry(error),
        ApiError::RateLimited(after) => SendError::limited(after, LimitScope::Login),
        ApiError::NoAnswer(_) | ApiError::Failed(_) => SendError::unknown(error),
        ApiError::Refused(refusal) => SendError::refused(refusal.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_the_network() {
        assert_eq!(shown_name("An\u{7}na", "@anna:x"), "Anna");
        assert_eq!(shown_name(" \n", "@anna:x"), "@anna:x");
        assert_eq!(shown_name(&"ä".repeat(200), "@anna:x").len(), 256);
    }

    #[test]
    fn only_what_may_have_been_done_is_unknown() {
        assert!(matches!(
            send_error(ApiError::Unreachable(String::new())),
            SendError::Retry { .. }
        ));
        assert!(matches!(send_error(ApiError::NoAnswer(String::new())), SendError::Unknown { .. }));
        let limited = send_error(ApiError::RateLimited(Duration::from_secs(3)));
        assert_eq!(limited, SendError::limited(Duration::from_secs(3), LimitScope::Login));
    }
}
