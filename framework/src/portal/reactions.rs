//! Reactions and polls, on their way to Matrix.

use std::{collections::HashSet, sync::Arc};

use serde_json::json;

use super::{
    convert::{Case, Verdict, reaction_key},
    envelope::{MatrixOp, Outgoing, Record},
};
use crate::{
    engine::{Actor, Engine, Failure},
    event::{Emoji, Sender},
    network::MessageRef,
    plain::Plain,
    store::MessageRow,
};

/// Who reacted, as the database keeps it.
fn reactor(actor: &Actor) -> String {
    match actor {
        Actor::Login(id) => format!("l:{id}"),
        Actor::Ghost(id) => format!("u:{id}"),
        Actor::Bot => "b:".into(),
    }
}

fn annotate(case: &Case<'_>, actor: Actor, target: &MessageRow, emoji: &Emoji) -> Outgoing {
    let key = reaction_key(emoji);
    let mut content = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": target.event_id, "key": key } });
    if let Emoji::Custom { shortcode, .. } = emoji {
        content["com.beeper.reaction.shortcode"] = format!(":{shortcode}:").into();
    }
    let record = Record::Reaction {
        remote_id: target.remote_id.clone(),
        part: target.part.clone(),
        sender: reactor(&actor),
        emoji: emoji.id().to_owned(),
        ts: case.ts,
    };
    let part = format!("react:{}:{}", reactor(&actor), emoji.id());
    case.out_as(
        actor,
        part,
        MatrixOp::Event { kind: "m.reaction".into(), content, file: None },
        vec![record],
    )
}

fn take_back(case: &Case<'_>, actor: Actor, event_id: &str) -> Outgoing {
    let op = MatrixOp::Redact { event_id: event_id.to_owned(), reason: None };
    let record = Record::Unreact { event_id: event_id.to_owned() };
    case.out_as(actor, format!("unreact:{event_id}"), op, vec![record])
}

impl Engine {
    pub(super) async fn convert_reaction(
        self: &Arc<Self>,
        case: &Case<'_>,
        sender: &Sender<Plain>,
        target: &MessageRef<Plain>,
        emoji: &Emoji,
        set: bool,
    ) -> Result<Verdict, Failure> {
        let target = match self.target(case.portal, target).await? {
            Ok(target) => target,
            // Taking back a reaction to something unknown has nothing to take back, but the reaction may be parked too.
            Err(verdict) => return Ok(verdict),
        };
        let all = self.store.reactions(case.portal.id, &target.remote_id).await?;
        let who = reactor(&case.actor);
        // The relay's reaction on the network stands for those of the Matrix users; its echo is none of its own.
        let relayed = self.is_relay(sender, case.via);
        let known = all.iter().find(|r| {
            r.emoji == emoji.id() && (r.sender == who || relayed && r.sender.starts_with("m:"))
        });
        match (known, set) {
            (Some(_), true) => Ok(Verdict::Drop("it is there already")),
            (None, false) => Ok(Verdict::Drop("there is no such reaction")),
            (None, true) => {
                Ok(Verdict::rows(vec![annotate(case, case.actor.clone(), &target, emoji)]))
            }
            (Some(known), false) if known.sender.starts_with("m:") => {
                Ok(Verdict::Drop("it stands for Matrix users"))
            }
            (Some(known), false) => {
                Ok(Verdict::rows(vec![take_back(case, case.actor.clone(), &known.event_id)]))
            }
        }
    }

    /// Whether something was done by the account that relays.
    fn is_relay(&self, sender: &Sender<Plain>, via: &str) -> bool {
        let system = self.logins.system();
        match sender {
            Sender::Me => system.as_deref() == Some(via),
            Sender::Login(id) => system.as_ref() == Some(id),
            Sender::User(id) => {
                system.and_then(|id| self.logins.stored(&id)?.user).as_ref() == Some(id)
            }
            Sender::System | Sender::Matrix(_) => false,
        }
    }

    pub(super) async fn convert_reaction_sync(
        self: &Arc<Self>,
        case: &Case<'_>,
        target: &MessageRef<Plain>,
        all: &[(String, Emoji)],
    ) -> Result<Verdict, Failure> {
        let target = match self.target(case.portal, target).await? {
            Ok(target) => target,
            Err(verdict) => return Ok(verdict),
        };
        let known = self.store.reactions(case.portal.id, &target.remote_id).await?;
        let mut rows = Vec::new();
        let mut wanted = HashSet::new();
        for (user, emoji) in all {
            let actor = self.actor(&Sender::User(user.clone()), case.via);
            let who = reactor(&actor);
            if !known.iter().any(|r| r.sender == who && r.emoji == emoji.id()) {
                rows.push(annotate(case, actor, &target, emoji));
            }
            wanted.insert((who, emoji.id().to_owned()));
        }
        for old in known {
            if old.sender.starts_with("m:")
                || wanted.contains(&(old.sender.clone(), old.emoji.clone()))
            {
                continue;
            }
            let actor = match old.sender.split_once(':') {
                Some(("l", id)) => Actor::Login(id.to_owned()),
                Some(("u", id)) => Actor::Ghost(id.to_owned()),
                _ => Actor::Bot,
            };
            rows.push(take_back(case, actor, &old.event_id));
        }
        Ok(Verdict::rows(rows))
    }

    pub(super) async fn convert_vote(
        self: &Arc<Self>,
        case: &Case<'_>,
        poll: &str,
        choices: &[String],
    ) -> Result<Verdict, Failure> {
        let poll = match self.target(case.portal, &MessageRef::whole(poll)).await? {
            Ok(poll) => poll,
            Err(verdict) => return Ok(verdict),
        };
        let content = json!({
            "m.relates_to": { "rel_type": "m.reference", "event_id": poll.event_id },
            "org.matrix.msc3381.poll.response": { "answers": choices },
        });
        let op = MatrixOp::Event {
            kind: "org.matrix.msc3381.poll.response".into(),
            content,
            file: None,
        };
        Ok(Verdict::rows(vec![case.out("vote", op, Vec::new())]))
    }

    pub(super) async fn convert_poll_end(
        self: &Arc<Self>,
        case: &Case<'_>,
        poll: &str,
    ) -> Result<Verdict, Failure> {
        let poll = match self.target(case.portal, &MessageRef::whole(poll)).await? {
            Ok(poll) => poll,
            Err(verdict) => return Ok(verdict),
        };
        let content = json!({
            "m.relates_to": { "rel_type": "m.reference", "event_id": poll.event_id },
            "org.matrix.msc1767.text": "The poll has ended.",
            "org.matrix.msc3381.poll.end": {},
        });
        let op =
            MatrixOp::Event { kind: "org.matrix.msc3381.poll.end".into(), content, file: None };
        // Only who started a poll, or has the power to redact, may end it (MSC3381).
        Ok(Verdict::rows(vec![case.out_as(Actor::from_text(&poll.sender), "end", op, Vec::new())]))
    }
}
