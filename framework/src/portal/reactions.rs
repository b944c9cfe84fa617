//! Reactions, on their way to Matrix.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::json;

use super::{
    convert::{Case, Verdict, reaction_keys},
    envelope::{MatrixOp, Outgoing, Record},
};
use crate::{
    engine::{Actor, Engine, Failure},
    event::{Emoji, Sender, same_emoji},
    network::MessageRef,
    plain::Plain,
    store::{Batch, MessageRow},
};

/// Who reacted, as the database keeps it.
pub(super) fn reactor(actor: &Actor) -> String {
    match actor {
        Actor::Login(id) => format!("l:{id}"),
        Actor::Ghost(id) => format!("u:{id}"),
        Actor::Bot => "b:".into(),
    }
}

/// A reaction as an event (Client-Server API, "Event annotations and reactions"); `key` is how the emoji looks on Matrix.
fn annotate(
    case: &Case<'_>,
    actor: Actor,
    target: &MessageRow,
    emoji: &Emoji,
    key: &str,
) -> Outgoing {
    let mut content = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": target.event_id, "key": key } });
    if let Emoji::Custom { shortcode, .. } = emoji {
        // MSC4027, by both names.
        content["shortcode"] = format!(":{shortcode}:").into();
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
            same_emoji(&r.emoji, emoji.id())
                && (r.sender == who || relayed && r.sender.starts_with("m:"))
        });
        match (known, set) {
            (Some(_), true) => Ok(Verdict::Drop("it is there already")),
            (None, false) => Ok(Verdict::Drop("there is no such reaction")),
            (None, true) if self.reacted_beside(&target, &who, emoji.id()).await? => {
                Ok(Verdict::Drop("it is at another message of the same event"))
            }
            (None, true) => {
                let key = self.reaction_key(case, emoji).await?;
                let row = annotate(case, case.actor.clone(), &target, emoji, &key);
                Ok(one(row, &target, emoji))
            }
            (Some(known), false) if known.sender.starts_with("m:") => {
                Ok(Verdict::Drop("it stands for Matrix users"))
            }
            (Some(known), false) => {
                Ok(one(take_back(case, case.actor.clone(), &known.event_id), &target, emoji))
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
        let mut wanted = BTreeSet::new();
        for (user, emoji) in all {
            let actor = self.actor(&Sender::User(user.clone()), case.via);
            let who = reactor(&actor);
            if !known.iter().any(|r| r.sender == who && same_emoji(&r.emoji, emoji.id()))
                && !self.reacted_beside(&target, &who, emoji.id()).await?
            {
                let key = self.reaction_key(case, emoji).await?;
                rows.push(annotate(case, actor, &target, emoji, &key));
            }
            wanted.insert((who, emoji.id().to_owned()));
        }
        for old in known {
            if old.sender.starts_with("m:")
                || wanted
                    .iter()
                    .any(|(who, emoji)| *who == old.sender && same_emoji(emoji, &old.emoji))
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
        let [_, any, all] = reaction_keys(&target.remote_id, "");
        Ok(Verdict::Send { rows, effects: Batch::new(), opens: vec![any, all] })
    }
}

/// One change of a message's reactions: what comes after it in the same batch must see it.
fn one(row: Outgoing, target: &MessageRow, emoji: &Emoji) -> Verdict {
    let [own, any, _] = reaction_keys(&target.remote_id, emoji.id());
    Verdict::Send { rows: vec![row], effects: Batch::new(), opens: vec![own, any] }
}
