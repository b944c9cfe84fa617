//! What is done from Matrix comes back from the network, perhaps before it is recorded that it was done.

use super::{Portal, outward::is_send, request::redacts};
use crate::{
    engine::{Engine, Failure},
    event::{Body, RemoteEvent, same_emoji},
    plain::Plain,
    store::StoreError,
};

/// How many open operations of a portal are looked through.
const LOOK: i64 = 64;

impl Engine {
    /// Whether a message may be the echo of one that was sent from here, of which it isn't known yet that it was.
    pub(super) async fn may_be_echo(
        &self,
        portal: &Portal,
        event: &RemoteEvent<Plain>,
        via: &str,
    ) -> Result<bool, StoreError> {
        let Body::Message(message) = &event.body else { return Ok(false) };
        let Some(login) = self.own_login(&event.sender, via) else { return Ok(false) };
        if portal.sends_ahead() {
            return Ok(true);
        }
        if message.echo_of.is_some() {
            return Ok(false);
        }
        let open = self.store.open_remote_outbox(portal.id, LOOK).await?;
        Ok(open.iter().any(|row| row.login == login && is_send(row) && portal.may_have_sent(row)))
    }

    /// Whether an event is what an open operation of the same account does: the reaction, the vote or the end that it tells of
    /// is on Matrix already. Messages are known by their echo instead.
    pub(super) async fn is_under_way(
        &self,
        portal: &Portal,
        event: &RemoteEvent<Plain>,
        via: &str,
    ) -> Result<bool, Failure> {
        let op = match &event.body {
            Body::React { set: true, .. } => "react",
            Body::React { set: false, .. } => "redact",
            Body::PollVote { .. } => "vote",
            Body::PollEnd { poll } => return Ok(self.is_closing(portal, poll).await?),
            _ => return Ok(false),
        };
        let Some(login) = self.own_login(&event.sender, via) else { return Ok(false) };
        for row in self.store.open_remote_outbox(portal.id, LOOK).await? {
            if row.login != login || row.op != op {
                continue;
            }
            let done = self.event_of_row(&row).await?;
            let same = match &event.body {
                Body::React { target, emoji, set: true } => {
                    let reaction = self.reaction_row(portal, &row, &done).await?;
                    reaction.is_some_and(|reaction| {
                        reaction.remote_id == target.id && same_emoji(&reaction.emoji, emoji.id())
                    })
                }
                Body::React { target, emoji, .. } => match redacts(&done) {
                    Some(taken) => {
                        self.store.reaction_of_event(taken).await?.is_some_and(|reaction| {
                            reaction.remote_id == target.id
                                && same_emoji(&reaction.emoji, emoji.id())
                        })
                    }
                    None => false,
                },
                Body::PollVote { poll, choices } => {
                    let vote = self.vote_of(portal, &row, &done).await?;
                    vote.is_some_and(|vote| {
                        vote.message.remote_id == *poll && vote.choices == *choices
                    })
                }
                _ => false,
            };
            if same {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a poll is being closed from Matrix.
    pub(super) async fn is_closing(&self, portal: &Portal, poll: &str) -> Result<bool, StoreError> {
        for row in self.store.open_remote_outbox(portal.id, LOOK).await? {
            if row.op == "poll_end" {
                let done = self.event_of_row(&row).await?;
                let message = self.related_message(portal, &done).await?;
                if message.is_some_and(|message| message.remote_id == poll) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
