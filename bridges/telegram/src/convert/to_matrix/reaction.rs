//! Reactions. Telegram sends the state of a message's reactions, not what changed, and of many only the latest.

use grammers_tl_types as tl;
use landbridge_framework::{
    MessageRef,
    event::{Body, Emoji, RemoteEvent},
};

use super::reader::Reader;
use crate::{
    connector::Telegram,
    convert::files::FileRef,
    ids::{Peer, UserId},
    raw::{Known, Reacted},
};

/// A reaction as the framework has it; none for "no reaction".
pub(super) fn emoji(reaction: &tl::enums::Reaction) -> Option<Emoji> {
    match reaction {
        tl::enums::Reaction::Emoji(emoji) => Some(Emoji::Unicode(emoji.emoticon.clone())),
        tl::enums::Reaction::CustomEmoji(custom) => Some(Emoji::Custom {
            id: custom.document_id.to_string(),
            shortcode: format!("telegram-{}", custom.document_id),
            media: Some(FileRef::Emoji(custom.document_id).encode()),
        }),
        tl::enums::Reaction::Paid => Some(Emoji::Unicode("\u{2b50}".into())),
        tl::enums::Reaction::Empty => None,
    }
}

/// Whether those who reacted are all named.
pub fn is_complete(reactions: &tl::types::MessageReactions) -> bool {
    let counted: i64 = reactions
        .results
        .iter()
        .map(|tl::enums::ReactionCount::Count(count)| i64::from(count.count))
        .sum();
    let named = reactions.recent_reactions.as_ref().map_or(0, Vec::len);
    counted == named as i64
}

impl Reader<'_> {
    /// The state of a message's reactions: whole, or as much of it as there is.
    pub(super) fn reactions(
        &self,
        seen: i64,
        (peer, topic, message): (Peer, Option<i32>, i32),
        reactions: &tl::types::MessageReactions,
        known: &Known,
    ) -> Vec<RemoteEvent<Telegram>> {
        let named: Vec<_> = reactions
            .recent_reactions
            .iter()
            .flatten()
            .filter_map(|tl::enums::MessagePeerReaction::Reaction(reaction)| {
                Some((UserId((&reaction.peer_id).into()), emoji(&reaction.reaction)?))
            })
            .collect();
        // Reactions can't be taken back for people who aren't named; what the partial state adds can be shown.
        if is_complete(reactions) && !reactions.min {
            return self.synced(seen, (peer, topic, message), named, known);
        }
        // In a direct chat the two are always named; a broadcast channel names nobody, so that nothing can be shown there.
        let (chat, _) = self.chat_of(peer, topic, known);
        let target = MessageRef::whole(message);
        named
            .into_iter()
            .map(|(user, emoji)| {
                let body = Body::React { target: target.clone(), emoji: emoji.clone(), set: true };
                let what = format!(
                    "r{message}:{}:{}",
                    landbridge_framework::RemoteId::encode(&user),
                    emoji.id()
                );
                self.noticed(chat, self.sender(user.0), seen, &what, body)
            })
            .collect()
    }

    /// All reactions of a message, as they were fetched.
    pub(super) fn all_reactions(
        &self,
        seen: i64,
        at: (Peer, Option<i32>, i32),
        all: &[Reacted],
        known: &Known,
    ) -> Vec<RemoteEvent<Telegram>> {
        let all = all
            .iter()
            .filter_map(|(peer, reaction)| Some((UserId((&peer.0).into()), emoji(&reaction.0)?)))
            .collect();
        self.synced(seen, at, all, known)
    }

    fn synced(
        &self,
        seen: i64,
        (peer, topic, message): (Peer, Option<i32>, i32),
        all: Vec<(UserId, Emoji)>,
        known: &Known,
    ) -> Vec<RemoteEvent<Telegram>> {
        let (chat, _) = self.chat_of(peer, topic, known);
        let body = Body::ReactionSync { target: MessageRef::whole(message), all };
        let event = self.noticed(
            chat,
            landbridge_framework::event::Sender::System,
            seen,
            &format!("rs{message}"),
            body,
        );
        vec![event]
    }

    /// What a bot is told: who changed which reactions to which.
    pub(super) fn bot_reaction(
        &self,
        seen: i64,
        update: &tl::types::UpdateBotMessageReaction,
        known: &Known,
    ) -> Vec<RemoteEvent<Telegram>> {
        let (chat, _) = self.chat_of((&update.peer).into(), None, known);
        let actor: Peer = (&update.actor).into();
        let (old, new) = (&update.old_reactions, &update.new_reactions);
        let gone = old.iter().filter(|reaction| !new.contains(reaction)).map(|r| (r, false));
        let come = new.iter().filter(|reaction| !old.contains(reaction)).map(|r| (r, true));
        gone.chain(come)
            .filter_map(|(reaction, set)| {
                let emoji = emoji(reaction)?;
                let what = format!("r{}:{actor}:{}:{set}", update.msg_id, emoji.id());
                let body = Body::React { target: MessageRef::whole(update.msg_id), emoji, set };
                Some(self.noticed(chat, self.sender(actor), seen, &what, body))
            })
            .collect()
    }
}
