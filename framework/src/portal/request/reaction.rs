//! Reactions, and what is taken back: those and messages.

use serde_json::Value;

use super::{Built, Given, redacts, target_of, text};
use crate::{
    engine::{Actor, Engine, Failure},
    event::{Emoji, same_emoji},
    handlers::{Op, OwnReactions, Reacted, Removed},
    network::{MessageRef, PartId},
    plain::Plain,
    portal::Portal,
    store::{Batch, ReactionRow, StoreError},
};

/// Whose reactions stand for one account on the network: its own, or those of all that it relays for.
fn same_account(one: &str, other: &str) -> bool {
    one == other || one.starts_with("m:") && other.starts_with("m:")
}

impl Engine {
    pub(super) async fn build_reaction(
        &self,
        given: &Given<'_>,
    ) -> Result<Result<Op<Plain>, Built>, Failure> {
        let relates = given.content.get("m.relates_to").cloned().unwrap_or_default();
        let rows = match self.sent_as(given.row, &text(&relates, "event_id")).await? {
            Ok(rows) => rows,
            Err(built) => return Ok(Err(built)),
        };
        let (Some(message), Some(reaction)) = (
            rows.into_iter().next(),
            self.reaction_row(given.portal, given.row, given.event).await?,
        ) else {
            return Ok(Err(Built::Nothing(Batch::new())));
        };
        let emoji = self.emoji_of(given.content).await?;
        let caps = self.connector.abilities().room.react.as_ref();
        if let (Some(caps), Emoji::Unicode(key)) = (caps, &emoji)
            && !caps.allowed.is_empty()
            && !caps.allowed.iter().any(|allowed| same_emoji(allowed, key))
        {
            return Err(Failure::Refused(format!("the network takes no reactions with {key}")));
        }
        // In relay, the bot's single reaction stands for all.
        let all = self.store.reactions(given.portal.id, &message.remote_id).await?;
        let stands =
            all.iter().any(|r| same_emoji(&r.emoji, &reaction.emoji) && r.sender.starts_with("m:"));
        if reaction.sender.starts_with("m:") && stands {
            let mut effects = Batch::new();
            effects.add_reaction(&reaction);
            return Ok(Err(Built::Nothing(effects)));
        }
        Ok(Ok(Op::React(Reacted { target: target_of(&message), emoji, set: true })))
    }

    pub(super) async fn build_redaction(
        &self,
        given: &Given<'_>,
    ) -> Result<Result<Op<Plain>, Built>, Failure> {
        let Some(target) = redacts(given.event) else {
            return Ok(Err(Built::Nothing(Batch::new())));
        };
        if let Some(reaction) = self.store.reaction_of_event(target).await? {
            let all = self.store.reactions(given.portal.id, &reaction.remote_id).await?;
            let others = all.iter().any(|other| {
                same_emoji(&other.emoji, &reaction.emoji)
                    && other.sender.starts_with("m:")
                    && other.event_id != reaction.event_id
            });
            // It stood for others too, or is not one that somebody here can take back.
            if reaction.sender.starts_with("m:") && others || reaction.sender.starts_with("u:") {
                let mut effects = Batch::new();
                effects.remove_reaction(target);
                return Ok(Err(Built::Nothing(effects)));
            }
            let part = (!reaction.part.is_empty()).then_some(PartId(reaction.part));
            let target = MessageRef { id: reaction.remote_id, part };
            return Ok(Ok(Op::React(Reacted {
                target,
                emoji: self.emoji_named(&reaction.emoji).await?,
                set: false,
            })));
        }
        let rows = match self.sent_as(given.row, target).await? {
            Ok(rows) => rows,
            Err(built) => return Ok(Err(built)),
        };
        let Some(message) = rows.into_iter().next() else {
            return Ok(Err(Built::Nothing(Batch::new())));
        };
        let max_age = self.connector.abilities().room.remove.as_ref().and_then(|caps| caps.max_age);
        if max_age.is_some_and(|age| self.now() - message.ts > age.as_millis() as i64) {
            return Err(Failure::Refused(
                "the message is too old to be deleted on the network".into(),
            ));
        }
        let reason = given.content.get("reason").and_then(Value::as_str).map(ToOwned::to_owned);
        Ok(Ok(Op::Remove(Removed { target: target_of(&message), meta: message.meta, reason })))
    }

    /// What the account has on a message once a reaction is set or taken back, oldest first.
    pub(super) async fn own_reactions(
        &self,
        given: &Given<'_>,
        reacted: &Reacted<Plain>,
    ) -> Result<OwnReactions, Failure> {
        let owner = self.logins.stored(&given.row.login).and_then(|login| login.owner);
        let own = owner.as_deref() == given.event.get("sender").and_then(Value::as_str);
        let who = if own { format!("l:{}", given.row.login) } else { "m:".to_owned() };
        let all = self.store.reactions(given.portal.id, &reacted.target.id).await?;
        let mut ids: Vec<String> = Vec::new();
        for reaction in all.into_iter().filter(|r| same_account(&r.sender, &who)) {
            let said = same_emoji(&reaction.emoji, reacted.emoji.id());
            if !said && !ids.iter().any(|id| same_emoji(id, &reaction.emoji)) {
                ids.push(reaction.emoji);
            }
        }
        let mut emoji = Vec::with_capacity(ids.len() + 1);
        for id in &ids {
            emoji.push(self.emoji_named(id).await?);
        }
        if reacted.set {
            emoji.push(reacted.emoji.clone());
        }
        let most = self.connector.abilities().room.react.as_ref().and_then(|caps| caps.per_user);
        let most = most.map_or(usize::MAX, |most| most.max(1) as usize);
        Ok(OwnReactions(emoji.split_off(emoji.len().saturating_sub(most))))
    }

    /// A reaction is on the network, and has taken the place of the oldest where only so many are allowed: that one goes on
    /// Matrix too. In relay many stand for one; they keep what they said.
    pub(in crate::portal) async fn replace_reactions(
        &self,
        batch: &mut Batch,
        portal: &Portal,
        new: &ReactionRow,
    ) -> Result<(), StoreError> {
        let most = self.connector.abilities().room.react.as_ref().and_then(|caps| caps.per_user);
        let (Some(most), true) = (most, new.sender.starts_with("l:")) else { return Ok(()) };
        let all = self.store.reactions(portal.id, &new.remote_id).await?;
        let others: Vec<ReactionRow> = all
            .into_iter()
            .filter(|r| r.sender == new.sender && !same_emoji(&r.emoji, &new.emoji))
            .collect();
        let kept = (most.max(1) - 1) as usize;
        for old in others.iter().take(others.len().saturating_sub(kept)) {
            batch.remove_reaction(&old.event_id);
            self.queue_redaction(batch, portal, &Actor::Bot, &old.event_id)?;
        }
        Ok(())
    }
}
