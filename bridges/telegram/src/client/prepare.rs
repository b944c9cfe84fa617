//! From an update to what is stored: its key, those it speaks of, and what must be asked for or looked up while that can still be done.

use std::collections::BTreeSet;

use grammers_tl_types as tl;
use landbridge_framework::{Closed, EventKey, NetError, RemoteId as _};
use tl::enums::Update;

use super::{account::Live, error::ApiError};
use crate::{
    config::Topics,
    convert::to_matrix,
    ids::{ChatId, GENERAL, Peer},
    raw::{Facts, Known, Raw, Tl, facts},
};

/// How many reactions of a message are asked for.
const MAX_REACTIONS: i32 = 100;

/// What an update comes to.
pub(super) enum Prepared {
    /// To be stored, under this key.
    Lasting(EventKey, Raw),
    /// Its value passes with it.
    Passing(Raw),
    /// Of no concern.
    Nothing,
}

/// Why an update could not be prepared. It will come again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Closed(#[from] Closed),
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl From<Failure> for NetError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Closed(closed) => Self::temporary(closed),
            Failure::Api(error) => error.into(),
        }
    }
}

impl Live {
    /// Prepares an update.
    pub(super) async fn prepare(&self, update: Update) -> Result<Prepared, Failure> {
        let seen = self.seen();
        let lasting = |key: String, raw: Raw| Prepared::Lasting(EventKey(key), raw);
        Ok(match update {
            Update::NewMessage(_) | Update::NewChannelMessage(_) => {
                self.message(seen, update).await?
            }
            Update::EditMessage(ref edit) => {
                if self.is_own_edit(&edit.message) {
                    return Ok(Prepared::Nothing);
                }
                let key = edit_key(&edit.message, edit.pts);
                lasting(key, self.with_known(seen, update).await?)
            }
            Update::EditChannelMessage(ref edit) => {
                if self.is_own_edit(&edit.message) {
                    return Ok(Prepared::Nothing);
                }
                let key = edit_key(&edit.message, edit.pts);
                lasting(key, self.with_known(seen, update).await?)
            }
            Update::DeleteMessages(delete) => {
                let chats = self.index.find(&delete.messages).await?;
                if chats.is_empty() {
                    return Ok(Prepared::Nothing);
                }
                lasting(format!("d{}:{}", delete.pts, seen), Raw::Deleted { seen, chats })
            }
            Update::DeleteChannelMessages(delete) => {
                let chats = self.rooms_of(Peer::Channel(delete.channel_id)).await?;
                let chats = chats
                    .into_iter()
                    .map(|chat| (chat.encode(), delete.messages.clone()))
                    .collect();
                let key = format!("c{}/d{}:{seen}", delete.channel_id, delete.pts);
                lasting(key, Raw::Deleted { seen, chats })
            }
            Update::MessageReactions(ref reactions) => {
                let key = format!("{}/r{}:{seen}", Peer::from(&reactions.peer), reactions.msg_id);
                let raw = match self.all_reactions(seen, reactions).await? {
                    Some(raw) => raw,
                    None => self.with_known(seen, update).await?,
                };
                lasting(key, raw)
            }
            Update::PinnedMessages(update) => {
                let peer = Peer::from(&update.peer);
                self.pinned(seen, peer, update.pts, update.pinned, &update.messages).await?
            }
            Update::PinnedChannelMessages(update) => {
                let peer = Peer::Channel(update.channel_id);
                self.pinned(seen, peer, update.pts, update.pinned, &update.messages).await?
            }
            Update::MessagePollVote(vote) => match self.index.poll(vote.poll_id).await? {
                Some((chat, message)) => {
                    let options =
                        vote.options.iter().map(|option| to_matrix::option_id(option)).collect();
                    let key = format!("v{}:{}:{seen}", vote.poll_id, Peer::from(&vote.peer));
                    lasting(key, Raw::Voted { seen, chat, message, voter: Tl(vote.peer), options })
                }
                None => Prepared::Nothing,
            },
            Update::UserTyping(_)
            | Update::ChatUserTyping(_)
            | Update::ChannelUserTyping(_)
            | Update::UserStatus(_)
            | Update::ReadHistoryInbox(_)
            | Update::ReadHistoryOutbox(_)
            | Update::ReadChannelInbox(_)
            | Update::ReadChannelDiscussionInbox(_) => {
                Prepared::Passing(self.with_known(seen, update).await?)
            }
            Update::BotMessageReaction(_)
            | Update::MessagePoll(_)
            | Update::DialogUnreadMark(_)
            | Update::UserName(_)
            | Update::User(_)
            | Update::ChatParticipantAdd(_)
            | Update::ChatParticipantDelete(_)
            | Update::ChatParticipant(_)
            | Update::ChannelParticipant(_)
            | Update::ChatParticipantAdmin(_)
            | Update::Channel(_)
            | Update::Chat(_)
            | Update::PeerHistoryTtl(_)
            | Update::ChatDefaultBannedRights(_) => {
                // Neither numbered nor dated: each is one of its own.
                lasting(format!("x{seen}"), self.with_known(seen, update).await?)
            }
            _ => Prepared::Nothing,
        })
    }

    async fn message(&self, seen: i64, update: Update) -> Result<Prepared, Failure> {
        let message = match &update {
            Update::NewMessage(new) => &new.message,
            Update::NewChannelMessage(new) => &new.message,
            _ => return Ok(Prepared::Nothing),
        };
        let Some((key, peer, id)) = message_key(message) else { return Ok(Prepared::Nothing) };
        if peer.is_account_wide() {
            self.index.note(&[(id, peer)]).await?;
        }
        if let tl::enums::Message::Message(message) = message
            && let Some(tl::enums::MessageMedia::Poll(media)) = &message.media
        {
            let tl::enums::Poll::Poll(poll) = &media.poll;
            let topic = to_matrix::topic_of(message.reply_to.as_ref());
            let chat = if self.has_topic_rooms(peer).await? {
                ChatId::topic(peer, topic.unwrap_or(GENERAL))
            } else {
                ChatId::of(peer)
            };
            self.index.note_poll(poll.id, chat, id).await?;
        }
        self.remember_files(message);
        let raw = self.with_known(seen, update).await?;
        Ok(Prepared::Lasting(EventKey(key), raw))
    }

    /// An update with what is known of those it speaks of.
    async fn with_known(&self, seen: i64, update: Update) -> Result<Raw, Failure> {
        let known = self.known(&named_in(&update)).await?;
        Ok(Raw::Update { seen, update: Box::new(Tl(update)), known })
    }

    /// What is known of those who are named, and of this account itself.
    pub(super) async fn known(&self, named: &BTreeSet<Peer>) -> Result<Known, Closed> {
        let mut known = self.peers.known(named.iter().copied()).await?;
        if !self.username.is_empty() {
            let facts = Facts { username: Some(self.username.clone()), ..Facts::default() };
            known.entry(Peer::User(self.me).to_string()).or_insert(facts);
        }
        Ok(known)
    }

    /// Whether a chat is a forum whose topics have rooms of their own.
    async fn has_topic_rooms(&self, peer: Peer) -> Result<bool, Closed> {
        if self.config.topics == Topics::Threads {
            return Ok(false);
        }
        let known = self.peers.known([peer]).await?;
        Ok(facts(&known, peer).is_some_and(|facts| facts.forum))
    }

    /// The chats that a channel's messages may be in: its topics, where those have rooms of their own.
    pub(super) async fn rooms_of(&self, peer: Peer) -> Result<Vec<ChatId>, Closed> {
        if !self.has_topic_rooms(peer).await? {
            return Ok(vec![ChatId::of(peer)]);
        }
        let portals = self.inbox.portals().await?;
        let mut chats: Vec<ChatId> = portals
            .into_iter()
            .map(|key| key.id)
            .filter(|id| id.peer == peer && id.topic.is_some())
            .collect();
        if !chats.iter().any(|chat| chat.topic == Some(GENERAL)) {
            chats.push(ChatId::topic(peer, GENERAL));
        }
        Ok(chats)
    }

    /// All reactions of a message of which the update has only some; `None` where it has all, or they can't be had.
    async fn all_reactions(
        &self,
        seen: i64,
        update: &tl::types::UpdateMessageReactions,
    ) -> Result<Option<Raw>, Failure> {
        let tl::enums::MessageReactions::Reactions(reactions) = &update.reactions;
        if to_matrix::is_complete(reactions) && !reactions.min || !reactions.can_see_list {
            return Ok(None);
        }
        let peer = self.peers.input_peer((&update.peer).into(), self.me).await;
        let Ok(peer) = peer else { return Ok(None) };
        let request = tl::functions::messages::GetMessageReactionsList {
            peer,
            id: update.msg_id,
            reaction: None,
            offset: None,
            limit: MAX_REACTIONS,
        };
        let list = match self.api.invoke(&request).await {
            Ok(tl::enums::messages::MessageReactionsList::List(list)) => list,
            Err(error) if is_fatal(&error) => return Err(error.into()),
            // Too many questions, or no right to ask: what the update has must do.
            Err(error) => {
                tracing::debug!(%error, "reactions can't be listed");
                return Ok(None);
            }
        };
        self.peers.learn(&list.users, &list.chats).await?;
        if list.next_offset.is_some() {
            return Ok(None);
        }
        let all =
            list.reactions.into_iter().map(|tl::enums::MessagePeerReaction::Reaction(reaction)| {
                (Tl(reaction.peer_id), Tl(reaction.reaction))
            });
        Ok(Some(Raw::Reactions {
            seen,
            peer: Tl(update.peer.clone()),
            topic: update.top_msg_id,
            message: update.msg_id,
            all: all.collect(),
            known: self.known(&BTreeSet::from([(&update.peer).into()])).await?,
        }))
    }

    async fn pinned(
        &self,
        seen: i64,
        peer: Peer,
        pts: i32,
        pinned: bool,
        messages: &[i32],
    ) -> Result<Prepared, Failure> {
        let chats = self.rooms_of(peer).await?;
        let chats = chats.into_iter().map(|chat| (chat.encode(), messages.to_vec())).collect();
        let key = format!("{peer}/pin{pts}:{seen}");
        Ok(Prepared::Lasting(EventKey(key), Raw::Pinned { seen, pinned, chats }))
    }
}

/// Whether the connection is of no more use: then everything waits, and nothing is passed over.
pub(super) fn is_fatal(error: &ApiError) -> bool {
    matches!(error, ApiError::NoAnswer(_) | ApiError::Unreachable(_)) || error.is_logged_out()
}

/// The inbox's key of a message, the same live and from history; with where it is, and its number.
pub(super) fn message_key(message: &tl::enums::Message) -> Option<(String, Peer, i32)> {
    let (peer, id) = match message {
        tl::enums::Message::Message(message) => (Peer::from(&message.peer_id), message.id),
        tl::enums::Message::Service(message) => (Peer::from(&message.peer_id), message.id),
        tl::enums::Message::Empty(_) => return None,
    };
    Some((format!("{peer}/m{id}"), peer, id))
}

fn edit_key(message: &tl::enums::Message, pts: i32) -> String {
    match message_key(message) {
        Some((_, peer, id)) => format!("{peer}/e{id}:{pts}"),
        None => format!("e:{pts}"),
    }
}

/// Those an update speaks of.
fn named_in(update: &Update) -> BTreeSet<Peer> {
    let mut named = BTreeSet::new();
    let mut add = |peer: &tl::enums::Peer| {
        named.insert(Peer::from(peer));
    };
    match update {
        Update::NewMessage(update) => return named_in_message(&update.message),
        Update::NewChannelMessage(update) => return named_in_message(&update.message),
        Update::EditMessage(update) => return named_in_message(&update.message),
        Update::EditChannelMessage(update) => return named_in_message(&update.message),
        Update::MessageReactions(update) => add(&update.peer),
        Update::BotMessageReaction(update) => add(&update.peer),
        Update::MessagePoll(update) => update.peer.iter().for_each(add),
        Update::ChannelUserTyping(update) => {
            named.insert(Peer::Channel(update.channel_id));
        }
        Update::ReadChannelInbox(update) => {
            named.insert(Peer::Channel(update.channel_id));
        }
        Update::ReadChannelDiscussionInbox(update) => {
            named.insert(Peer::Channel(update.channel_id));
        }
        Update::ChannelParticipant(update) => {
            named.insert(Peer::Channel(update.channel_id));
        }
        Update::Channel(update) => {
            named.insert(Peer::Channel(update.channel_id));
        }
        _ => {}
    }
    named
}

/// Those a message speaks of: its chat and author, where it was forwarded from, whom it answers, mentions or adds.
pub(super) fn named_in_message(message: &tl::enums::Message) -> BTreeSet<Peer> {
    let mut named = BTreeSet::new();
    match message {
        tl::enums::Message::Message(message) => {
            named.insert(Peer::from(&message.peer_id));
            named.extend(message.from_id.iter().map(Peer::from));
            if let Some(tl::enums::MessageFwdHeader::Header(forward)) = &message.fwd_from {
                named.extend(forward.from_id.iter().map(Peer::from));
            }
            if let Some(tl::enums::MessageReplyHeader::Header(reply)) = &message.reply_to
                && let Some(tl::enums::MessageFwdHeader::Header(from)) = &reply.reply_from
            {
                named.extend(from.from_id.iter().map(Peer::from));
            }
            // The other of a direct chat is most likely whom an `@name` means.
            named.extend(message.entities.iter().flatten().filter_map(|entity| match entity {
                tl::enums::MessageEntity::MentionName(name) => Some(Peer::User(name.user_id)),
                _ => None,
            }));
        }
        tl::enums::Message::Service(message) => {
            named.insert(Peer::from(&message.peer_id));
            named.extend(message.from_id.iter().map(Peer::from));
            named.extend(named_in_action(&message.action));
        }
        tl::enums::Message::Empty(_) => {}
    }
    named
}

fn named_in_action(action: &tl::enums::MessageAction) -> Vec<Peer> {
    use tl::enums::MessageAction as A;
    let users = |ids: &[i64]| ids.iter().copied().map(Peer::User).collect();
    match action {
        A::ChatAddUser(action) => users(&action.users),
        A::ChatDeleteUser(action) => users(&[action.user_id]),
        A::InviteToGroupCall(action) => users(&action.users),
        A::GeoProximityReached(action) => vec![(&action.from_id).into(), (&action.to_id).into()],
        A::NewCreatorPending(action) => users(&[action.new_creator_id]),
        A::ChangeCreator(action) => users(&[action.new_creator_id]),
        A::ManagedBotCreated(action) => users(&[action.bot_id]),
        _ => Vec::new(),
    }
}
