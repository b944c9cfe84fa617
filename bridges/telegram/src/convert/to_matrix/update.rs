//! Updates: which of them say something, and what.

use std::{collections::BTreeMap, time::Duration};

use grammers_tl_types as tl;
use landbridge_framework::{
    MessageRef, RemoteId,
    event::{
        Body, ChatDelta, MemberChange, Membership, PowerLevels, Presence, RemoteEvent, Sender,
        TypingKind,
    },
};
use tl::enums::Update;

use super::{
    action::timer,
    content::Unreadable,
    poll,
    reader::{Read, Reader},
};
use crate::{
    connector::Telegram,
    ids::{ChatId, Peer, UserId},
    raw::{Known, facts},
};

/// How long Telegram's own clients show somebody as typing (core.telegram.org/method/messages.setTyping).
const TYPING: Duration = Duration::from_secs(6);

impl Reader<'_> {
    #[allow(clippy::too_many_lines, reason = "one arm for each kind of update")]
    pub(super) fn update(&self, seen: i64, update: &Update, known: &Known) -> Read {
        Ok(match update {
            Update::NewMessage(update) => return self.message(&update.message, known),
            Update::NewChannelMessage(update) => return self.message(&update.message, known),
            Update::EditMessage(update) => {
                return self.edited(seen, &update.message, update.pts, known);
            }
            Update::EditChannelMessage(update) => {
                return self.edited(seen, &update.message, update.pts, known);
            }
            Update::MessageReactions(update) => {
                let tl::enums::MessageReactions::Reactions(reactions) = &update.reactions;
                let at = ((&update.peer).into(), update.top_msg_id, update.msg_id);
                self.reactions(seen, at, reactions, known)
            }
            Update::BotMessageReaction(update) => self.bot_reaction(seen, update, known),
            Update::MessagePoll(update) => self.poll_changed(seen, update, known),
            Update::UserTyping(update) => {
                let peer = Peer::User(update.user_id);
                self.typing(seen, ChatId::of(peer), peer, &update.action)
            }
            Update::ChatUserTyping(update) => {
                let chat = ChatId::of(Peer::Group(update.chat_id));
                self.typing(seen, chat, (&update.from_id).into(), &update.action)
            }
            Update::ChannelUserTyping(update) => {
                let (chat, _) =
                    self.chat_of(Peer::Channel(update.channel_id), update.top_msg_id, known);
                self.typing(seen, chat, (&update.from_id).into(), &update.action)
            }
            Update::UserStatus(update) => self.status(seen, update),
            Update::ReadHistoryOutbox(update) => {
                let peer: Peer = (&update.peer).into();
                // In a group nobody is named; in a direct chat it is the other.
                let Peer::User(_) = peer else { return Ok(Vec::new()) };
                vec![self.read_to(seen, ChatId::of(peer), self.sender(peer), update.max_id)]
            }
            Update::ReadHistoryInbox(update) => {
                let chat = ChatId::of((&update.peer).into());
                vec![self.read_to(seen, chat, Sender::Me, update.max_id)]
            }
            Update::ReadChannelInbox(update) => {
                let (chat, _) = self.chat_of(Peer::Channel(update.channel_id), None, known);
                vec![self.read_to(seen, chat, Sender::Me, update.max_id)]
            }
            Update::ReadChannelDiscussionInbox(update) => {
                let peer = Peer::Channel(update.channel_id);
                let (chat, _) = self.chat_of(peer, Some(update.top_msg_id), known);
                vec![self.read_to(seen, chat, Sender::Me, update.read_max_id)]
            }
            Update::DialogUnreadMark(update) => {
                let tl::enums::DialogPeer::Peer(dialog) = &update.peer else {
                    return Ok(Vec::new());
                };
                let chat = ChatId::of((&dialog.peer).into());
                vec![self.noticed(
                    chat,
                    Sender::Me,
                    seen,
                    "unread",
                    Body::MarkUnread(update.unread),
                )]
            }
            // The whole profile is asked for: the update has the name, but not the picture.
            Update::UserName(update) => self.asked_again(seen, update.user_id),
            Update::User(update) => self.asked_again(seen, update.user_id),
            Update::ChatParticipantAdd(update) => {
                let chat = ChatId::of(Peer::Group(update.chat_id));
                self.standing(seen, chat, update.inviter_id, update.user_id, &[Membership::Join])
            }
            Update::ChatParticipantDelete(update) => {
                let chat = ChatId::of(Peer::Group(update.chat_id));
                self.standing(seen, chat, update.user_id, update.user_id, &[Membership::Leave])
            }
            Update::ChatParticipant(update) => {
                let chat = ChatId::of(Peer::Group(update.chat_id));
                let now = if update.new_participant.is_some() {
                    Membership::Join
                } else {
                    Membership::Leave
                };
                self.standing(seen, chat, update.actor_id, update.user_id, &[now])
            }
            Update::ChannelParticipant(update) => {
                let (chat, _) = self.chat_of(Peer::Channel(update.channel_id), None, known);
                let before = channel_standing(update.prev_participant.as_ref());
                let now = channel_standing(update.new_participant.as_ref());
                let (by, who) = (update.actor_id, update.user_id);
                let changes: &[Membership] = match (before, now) {
                    (Membership::Ban, Membership::Leave) => &[Membership::Unban],
                    (Membership::Ban, Membership::Join) => &[Membership::Unban, Membership::Join],
                    _ => &[now],
                };
                let mut events = self.standing(seen, chat, by, who, changes);
                let before = channel_power(update.prev_participant.as_ref());
                let power = channel_power(update.new_participant.as_ref());
                if before != power {
                    events.push(self.power(seen, chat, who, power));
                }
                events
            }
            Update::ChatParticipantAdmin(update) => {
                let chat = ChatId::of(Peer::Group(update.chat_id));
                let level = if update.is_admin { ADMIN } else { 0 };
                vec![self.power(seen, chat, update.user_id, level)]
            }
            Update::Channel(update) => {
                let peer = Peer::Channel(update.channel_id);
                let (chat, _) = self.chat_of(peer, None, known);
                if facts(known, peer).is_some_and(|facts| facts.gone) {
                    // This account was put out of it, or has left it elsewhere.
                    return Ok(self.standing(seen, chat, 0, self.login.id, &[Membership::Leave]));
                }
                vec![self.noticed(chat, Sender::System, seen, "resync", Body::Resync)]
            }
            Update::Chat(update) => {
                let chat = ChatId::of(Peer::Group(update.chat_id));
                vec![self.noticed(chat, Sender::System, seen, "resync", Body::Resync)]
            }
            Update::PeerHistoryTtl(update) => {
                let (chat, _) = self.chat_of((&update.peer).into(), None, known);
                let delta = timer(update.ttl_period.unwrap_or(0));
                vec![self.noticed(chat, Sender::System, seen, "ttl", delta)]
            }
            Update::ChatDefaultBannedRights(update) => {
                let chat = ChatId::of((&update.peer).into());
                vec![self.noticed(chat, Sender::System, seen, "resync", Body::Resync)]
            }
            // Everything else is of no concern to a room: drafts stay where they are, settings are each client's own.
            _ => Vec::new(),
        })
    }

    fn typing(
        &self,
        seen: i64,
        chat: ChatId,
        who: Peer,
        action: &tl::enums::SendMessageAction,
    ) -> Vec<RemoteEvent<Telegram>> {
        use tl::enums::SendMessageAction as A;
        let (kind, timeout) = match action {
            A::SendMessageTypingAction
            | A::SendMessageChooseStickerAction
            | A::SendMessageChooseContactAction
            | A::SendMessageGeoLocationAction
            | A::SendMessageTextDraftAction(_)
            | A::SendMessageRichMessageDraftAction(_) => (TypingKind::Text, TYPING),
            A::SendMessageRecordVideoAction
            | A::SendMessageRecordAudioAction
            | A::SendMessageRecordRoundAction => (TypingKind::Recording, TYPING),
            A::SendMessageUploadVideoAction(_)
            | A::SendMessageUploadAudioAction(_)
            | A::SendMessageUploadPhotoAction(_)
            | A::SendMessageUploadDocumentAction(_)
            | A::SendMessageUploadRoundAction(_) => (TypingKind::Uploading, TYPING),
            A::SendMessageCancelAction => (TypingKind::Text, Duration::ZERO),
            _ => return Vec::new(),
        };
        if who == Peer::User(self.login.id) {
            return Vec::new();
        }
        vec![self.noticed(chat, self.sender(who), seen, "typing", Body::Typing { kind, timeout })]
    }

    fn status(
        &self,
        seen: i64,
        update: &tl::types::UpdateUserStatus,
    ) -> Vec<RemoteEvent<Telegram>> {
        use tl::enums::UserStatus as S;
        let presence = match &update.status {
            S::Online(_) => Presence::Online,
            S::Recently(_) => Presence::Away(None),
            S::Offline(_) | S::LastWeek(_) | S::LastMonth(_) => Presence::Offline,
            S::Empty => return Vec::new(),
        };
        let peer = Peer::User(update.user_id);
        if update.user_id == self.login.id {
            return Vec::new();
        }
        vec![self.noticed(
            ChatId::of(peer),
            self.sender(peer),
            seen,
            "presence",
            Body::Presence(presence),
        )]
    }

    fn read_to(
        &self,
        seen: i64,
        chat: ChatId,
        sender: Sender<Telegram>,
        up_to: i32,
    ) -> RemoteEvent<Telegram> {
        self.noticed(chat, sender, seen, "read", Body::Read { up_to: MessageRef::whole(up_to) })
    }

    fn asked_again(&self, seen: i64, user: i64) -> Vec<RemoteEvent<Telegram>> {
        let peer = Peer::User(user);
        let body = Body::UserChanged { user: UserId(peer), info: None };
        vec![self.noticed(ChatId::of(peer), self.sender(peer), seen, &format!("user{user}"), body)]
    }

    fn standing(
        &self,
        seen: i64,
        chat: ChatId,
        by: i64,
        user: i64,
        memberships: &[Membership],
    ) -> Vec<RemoteEvent<Telegram>> {
        let change = |membership: &Membership| MemberChange {
            user: self.sender(Peer::User(user)),
            membership: *membership,
            reason: None,
        };
        let changes: Vec<_> = memberships.iter().map(change).collect();
        let by = if by > 0 { self.sender(Peer::User(by)) } else { Sender::System };
        vec![self.noticed(chat, by, seen, &format!("member{user}"), changes)]
    }

    fn power(&self, seen: i64, chat: ChatId, user: i64, level: i64) -> RemoteEvent<Telegram> {
        let who = self.sender(Peer::User(user));
        let power = PowerLevels { users: vec![(who, level)], ..PowerLevels::default() };
        let delta = ChatDelta { power: Some(power), ..ChatDelta::default() };
        self.noticed(chat, Sender::System, seen, &format!("power{user}"), delta)
    }

    fn poll_changed(
        &self,
        seen: i64,
        update: &tl::types::UpdateMessagePoll,
        known: &Known,
    ) -> Vec<RemoteEvent<Telegram>> {
        let (Some(peer), Some(message)) = (&update.peer, update.msg_id) else { return Vec::new() };
        let (chat, _) = self.chat_of(peer.into(), update.top_msg_id, known);
        let mut events = Vec::new();
        if let Some(choices) = poll::chosen(&update.results).filter(|choices| !choices.is_empty()) {
            let body = Body::PollVote { poll: message, choices };
            events.push(self.noticed(chat, Sender::Me, seen, &format!("v{message}"), body));
        }
        let ended = matches!(&update.poll, Some(tl::enums::Poll::Poll(poll)) if poll.closed);
        let counts = poll::counts(&update.results);
        if ended || !counts.is_empty() {
            let body = Body::PollResults { poll: message, counts, ended };
            events.push(self.noticed(chat, Sender::System, seen, &format!("pr{message}"), body));
        }
        events
    }

    pub(super) fn voted(
        &self,
        seen: i64,
        chat: &str,
        message: i32,
        voter: Peer,
        options: &[String],
    ) -> Read {
        let body = Body::PollVote { poll: message, choices: options.to_vec() };
        let what = format!("v{message}:{voter}");
        Ok(vec![self.noticed(stored(chat)?, self.sender(voter), seen, &what, body)])
    }

    pub(super) fn deleted(&self, seen: i64, chats: &BTreeMap<String, Vec<i32>>) -> Read {
        let mut events = Vec::new();
        for (chat, messages) in chats {
            let chat = stored(chat)?;
            for message in messages {
                let body = Body::Remove { target: MessageRef::whole(*message), for_me_only: false };
                // A message is deleted once: whoever tells of it, and when, it is the same event.
                let mut event = self.noticed(chat, Sender::System, seen, "d", body);
                event.key = format!("d{message}").into();
                events.push(event);
            }
        }
        Ok(events)
    }

    pub(super) fn pinned(
        &self,
        seen: i64,
        pinned: bool,
        chats: &BTreeMap<String, Vec<i32>>,
    ) -> Read {
        let mut events = Vec::new();
        for (chat, messages) in chats {
            let chat = stored(chat)?;
            for target in messages {
                let body = Body::Pin { target: *target, pinned };
                events.push(self.noticed(
                    chat,
                    Sender::System,
                    seen,
                    &format!("pin{target}:{pinned}"),
                    body,
                ));
            }
        }
        Ok(events)
    }

    pub(super) fn gap(&self, seen: i64, chats: &[String]) -> Read {
        chats
            .iter()
            .map(|chat| Ok(self.noticed(stored(chat)?, Sender::System, seen, "gap", Body::Resync)))
            .collect()
    }
}

/// The levels of administrators, and of a channel's owner.
const ADMIN: i64 = 50;
const OWNER: i64 = 95;

fn stored(chat: &str) -> Result<ChatId, Unreadable> {
    ChatId::decode(chat).map_err(|bad| Unreadable::Chat(bad.0))
}

fn channel_standing(participant: Option<&tl::enums::ChannelParticipant>) -> Membership {
    use tl::enums::ChannelParticipant as P;
    match participant {
        None | Some(P::Left(_)) => Membership::Leave,
        // Restricted people are still in it.
        Some(P::Banned(banned)) if banned.left => Membership::Ban,
        Some(_) => Membership::Join,
    }
}

fn channel_power(participant: Option<&tl::enums::ChannelParticipant>) -> i64 {
    use tl::enums::ChannelParticipant as P;
    match participant {
        Some(P::Creator(_)) => OWNER,
        Some(P::Admin(_)) => ADMIN,
        _ => 0,
    }
}
