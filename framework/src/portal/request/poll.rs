//! Polls (MSC3381): what somebody starts, votes and closes, by the stable and the unstable names.

use serde_json::Value;

use super::{Built, Given, target_of, text};
use crate::{
    control::authority::Power,
    engine::{Engine, Failure},
    event::{Poll, PollOption},
    handlers::{Op, PollEnded, PollVoted},
    plain::Plain,
    portal::{
        Portal,
        polls::{MAX_OPTIONS, RESULTS},
    },
    store::{Batch, MessageRow, RemoteOutboxRow, StoreError},
};

/// A vote from Matrix.
pub(in crate::portal) struct Vote {
    /// The poll.
    pub(in crate::portal) message: MessageRow,
    /// Who voted, as reactions have it.
    pub(in crate::portal) voter: String,
    /// What, by the options' ids on the network.
    pub(in crate::portal) choices: Vec<String>,
}

/// The poll that an event starts, if it starts one.
pub(in crate::portal) fn started_poll(event: &Value) -> Option<Poll> {
    let content = event.get("content")?;
    content.get("org.matrix.msc3381.poll.start").or_else(|| content.get("m.poll")).map(read_poll)
}

/// The answers that a vote chooses.
fn answers(content: &Value) -> Vec<&str> {
    let chosen = content
        .get("m.selections")
        .or_else(|| content.pointer("/org.matrix.msc3381.poll.response/answers"));
    let chosen = chosen.and_then(Value::as_array);
    chosen.into_iter().flatten().filter_map(Value::as_str).take(MAX_OPTIONS).collect()
}

fn related(event: &Value) -> &str {
    event.pointer("/content/m.relates_to/event_id").and_then(Value::as_str).unwrap_or_default()
}

impl Engine {
    /// The message that an event is about, if the network has it.
    pub(in crate::portal) async fn related_message(
        &self,
        portal: &Portal,
        event: &Value,
    ) -> Result<Option<MessageRow>, StoreError> {
        let rows = self.store.messages_of_event(related(event)).await?;
        let is_it =
            |row: &MessageRow| !row.tombstone && row.portal == portal.id && row.part != RESULTS;
        Ok(rows.into_iter().find(is_it))
    }

    /// The vote that an event is; `None` where there is no such poll, or no longer.
    pub(in crate::portal) async fn vote_of(
        &self,
        portal: &Portal,
        row: &RemoteOutboxRow,
        event: &Value,
    ) -> Result<Option<Vote>, StoreError> {
        let Some(message) = self.related_message(portal, event).await? else { return Ok(None) };
        let poll = self.store.poll(portal.id, &message.remote_id).await?;
        let Some(poll) = poll.filter(|poll| !poll.ended) else { return Ok(None) };
        let chosen = answers(event.get("content").unwrap_or(&Value::Null));
        let mut choices: Vec<String> = Vec::new();
        for answer in chosen {
            let option = poll.options.iter().find(|option| option.matrix == answer);
            if let Some(option) = option
                && choices.len() < poll.max_choices
                && !choices.contains(&option.remote)
            {
                choices.push(option.remote.clone());
            }
        }
        let sender = text(event, "sender");
        let owner = self.logins.stored(&row.login).and_then(|login| login.owner);
        let own = owner.as_deref() == Some(sender.as_str());
        let voter = if own { format!("l:{}", row.login) } else { format!("m:{sender}") };
        Ok(Some(Vote { message, voter, choices }))
    }

    pub(super) async fn build_vote(
        &self,
        given: &Given<'_>,
    ) -> Result<Result<Op<Plain>, Built>, Failure> {
        if let Err(built) = self.sent_as(given.row, related(given.event)).await? {
            return Ok(Err(built));
        }
        let Some(vote) = self.vote_of(given.portal, given.row, given.event).await? else {
            return Ok(Err(Built::Nothing(Batch::new())));
        };
        Ok(Ok(Op::PollVote(PollVoted {
            poll: target_of(&vote.message),
            choices: vote.choices,
            meta: vote.message.meta,
        })))
    }

    pub(super) async fn build_poll_end(
        &self,
        given: &Given<'_>,
    ) -> Result<Result<Op<Plain>, Built>, Failure> {
        if let Err(built) = self.sent_as(given.row, related(given.event)).await? {
            return Ok(Err(built));
        }
        let Some(message) = self.related_message(given.portal, given.event).await? else {
            return Ok(Err(Built::Nothing(Batch::new())));
        };
        let poll = self.store.poll(given.portal.id, &message.remote_id).await?;
        if poll.is_none_or(|poll| poll.ended) {
            return Ok(Err(Built::Nothing(Batch::new())));
        }
        let sender = text(given.event, "sender");
        let own = match message.sender.split_once(':') {
            Some(("user", mxid)) => mxid == sender,
            Some(("login", login)) => {
                let owner = self.logins.stored(login).and_then(|login| login.owner);
                owner.as_deref() == Some(sender.as_str())
            }
            _ => false,
        };
        if !own && !self.may_redact(&text(given.event, "room_id"), &sender).await? {
            return Err(Failure::Refused(
                "only who started a poll, or may delete what others say, can close it".into(),
            ));
        }
        Ok(Ok(Op::PollEnd(PollEnded { poll: target_of(&message), meta: message.meta })))
    }

    /// Whether somebody has the power to redact what others said.
    async fn may_redact(&self, room: &str, mxid: &str) -> Result<bool, Failure> {
        Ok(Power::of(&self.matrix, room, mxid, "/redact").await?.enough)
    }
}

/// A poll's content.
fn read_poll(poll: &Value) -> Poll {
    let words = |value: &Value| {
        let unstable = value.get("org.matrix.msc1767.text").and_then(Value::as_str);
        let stable = value.pointer("/m.text/0/body").and_then(Value::as_str);
        unstable.or(stable).unwrap_or_default().to_owned()
    };
    let answers = poll.get("answers").and_then(Value::as_array);
    let option = |answer: &Value| {
        let id = answer
            .get("id")
            .or_else(|| answer.get("m.id"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        PollOption { id: id.to_owned(), text: words(answer) }
    };
    Poll {
        question: poll.get("question").map(words).unwrap_or_default(),
        options: answers.into_iter().flatten().take(MAX_OPTIONS).map(option).collect(),
        max_choices: poll
            .get("max_selections")
            .and_then(Value::as_u64)
            .map_or(1, |max| max.clamp(1, MAX_OPTIONS as u64) as u32),
        disclosed: poll
            .get("kind")
            .and_then(Value::as_str)
            .is_some_and(|kind| !kind.contains("undisclosed")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_poll_is_read_by_both_its_names() {
        let unstable = json!({ "content": { "org.matrix.msc3381.poll.start": {
            "kind": "org.matrix.msc3381.poll.disclosed", "max_selections": 2,
            "question": { "org.matrix.msc1767.text": "Tea?" },
            "answers": [{ "id": "a", "org.matrix.msc1767.text": "Yes" }],
        }}});
        let stable = json!({ "content": { "m.poll": {
            "kind": "m.disclosed", "max_selections": 2,
            "question": { "m.text": [{ "body": "Tea?" }] },
            "answers": [{ "m.id": "a", "m.text": [{ "body": "Yes" }] }],
        }}});
        let wanted = Poll {
            question: "Tea?".into(),
            options: vec![PollOption { id: "a".into(), text: "Yes".into() }],
            max_choices: 2,
            disclosed: true,
        };
        assert_eq!(started_poll(&unstable), Some(wanted.clone()));
        assert_eq!(started_poll(&stable), Some(wanted));
        assert_eq!(started_poll(&json!({ "content": { "body": "no poll" } })), None);
    }

    #[test]
    fn a_vote_is_read_by_both_its_names() {
        assert_eq!(answers(&json!({ "m.selections": ["a", 7, "b"] })), ["a", "b"]);
        let unstable = json!({ "org.matrix.msc3381.poll.response": { "answers": ["a"] } });
        assert_eq!(answers(&unstable), ["a"]);
        assert!(answers(&json!({ "m.selections": "a" })).is_empty());
    }
}
