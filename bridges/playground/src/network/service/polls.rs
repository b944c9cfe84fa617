//! Voting in polls, and closing them.

use super::{super::error::NetworkError, Caller, Service};
use crate::wire::{Act, CastVote, EventBody, Outcome};

impl Service {
    /// Casts a vote, which replaces an earlier one, or takes it back.
    pub(crate) async fn vote(
        &self,
        caller: &Caller,
        id: &str,
        vote: CastVote,
    ) -> Result<Outcome, NetworkError> {
        let actor = caller.actor(vote.actor.as_deref())?;
        let mut write = match self.begin(&actor, vote.key.as_deref()).await? {
            Ok(write) => write,
            Err(outcome) => return Ok(outcome),
        };
        let message = write.message(id).await?;
        write.need_member(&message.chat, &actor).await?;
        let Some(options) = message.options.filter(|_| !message.deleted) else {
            return Err(NetworkError::NotFound { what: "poll", id: id.into() });
        };
        if message.closed {
            return Err(NetworkError::Forbidden("the poll is closed"));
        }
        if vote.choice.is_some_and(|choice| choice as usize >= options) {
            return Err(NetworkError::Invalid(format!("the poll has {options} answers")));
        }
        if write.vote(id, &actor, vote.choice).await? {
            let body = EventBody::Voted { message: id.into(), choice: vote.choice };
            write.event(&message.chat, &actor, vote.key.as_deref(), body).await?;
        }
        self.finish(write).await
    }

    /// Closes a poll. Only its sender may.
    pub(crate) async fn close(
        &self,
        caller: &Caller,
        id: &str,
        act: Act,
    ) -> Result<Outcome, NetworkError> {
        let actor = caller.actor(act.actor.as_deref())?;
        let mut write = match self.begin(&actor, act.key.as_deref()).await? {
            Ok(write) => write,
            Err(outcome) => return Ok(outcome),
        };
        let message = write.message(id).await?;
        if message.options.is_none() || message.deleted {
            return Err(NetworkError::NotFound { what: "poll", id: id.into() });
        }
        if message.sender != actor {
            return Err(NetworkError::Forbidden("only its sender closes a poll"));
        }
        if !message.closed {
            write.close(id).await?;
            let body = EventBody::Closed { message: id.into() };
            write.event(&message.chat, &actor, act.key.as_deref(), body).await?;
        }
        self.finish(write).await
    }
}
