//! What people do that leaves no message: they type, read, react and are there.

use grammers_tl_types as tl;

use super::{Message, Other, Place, What, World};
use crate::build::{self, peer_channel, peer_user};

/// Something that somebody did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passed {
    /// They type, or no longer.
    Typing(i64, Place, bool),
    /// They have read up to this number.
    Read(i64, Place, i32),
    /// They marked a chat as unread, or as read.
    Unread(i64, Place, bool),
    /// They are there, or no longer.
    Online(i64, bool),
}

impl World {
    /// Whether somebody did something.
    pub fn has_passed(&self, passed: &Passed) -> bool {
        self.passed.contains(passed)
    }

    /// Somebody types, records or uploads something.
    pub fn act(&mut self, who: i64, place: Place, action: &tl::enums::SendMessageAction) {
        let types = !matches!(action, tl::enums::SendMessageAction::SendMessageCancelAction);
        self.passed.push(Passed::Typing(who, place, types));
        match place {
            Place::Direct(a, b) => {
                let update = tl::types::UpdateUserTyping {
                    user_id: who,
                    top_msg_id: None,
                    action: action.clone(),
                };
                self.push(if a == who { b } else { a }, vec![update.into()]);
            }
            Place::Group(chat_id) => {
                let members = self.groups.get(&chat_id).map(|group| group.members.clone());
                for other in members.into_iter().flatten().filter(|member| *member != who) {
                    let update = tl::types::UpdateChatUserTyping {
                        chat_id,
                        from_id: peer_user(who),
                        action: action.clone(),
                    };
                    self.push(other, vec![update.into()]);
                }
            }
            Place::Channel(id) => {
                let members = self.channels.get(&id).map(|channel| channel.members.clone());
                for other in members.into_iter().flatten().filter(|member| *member != who) {
                    let update = tl::types::UpdateChannelUserTyping {
                        channel_id: id,
                        top_msg_id: None,
                        from_id: peer_user(who),
                        action: action.clone(),
                    };
                    self.push(other, vec![update.into()]);
                }
            }
        }
    }

    /// Somebody has read a direct chat or a supergroup up to a message, by their own number of it.
    pub fn read(&mut self, who: i64, place: Place, up_to: i32) {
        self.passed.push(Passed::Read(who, place, up_to));
        match place {
            Place::Channel(id) => {
                let Some(channel) = self.channels.get(&id) else { return };
                let update = tl::types::UpdateReadChannelInbox {
                    folder_id: None,
                    channel_id: id,
                    max_id: up_to,
                    still_unread_count: 0,
                    pts: channel.pts,
                };
                self.push(who, vec![update.into()]);
            }
            Place::Direct(a, b) => {
                let other = if a == who { b } else { a };
                self.log_person(who, What::ReadInbox(Other::Person(other), up_to));
                // The other has numbers of their own.
                let mailbox = self.people.get(&who).map(|person| &person.mailbox);
                let at = mailbox.and_then(|mailbox| Some(mailbox.get(&up_to)?.1));
                let theirs = at.map(|at| self.holders(at)).unwrap_or_default();
                if let Some((_, number)) = theirs.into_iter().find(|(holder, _)| *holder == other) {
                    self.log_person(other, What::ReadOutbox(Other::Person(who), number));
                }
            }
            Place::Group(id) => self.log_person(who, What::ReadInbox(Other::Group(id), up_to)),
        }
    }

    /// Somebody marks a chat as unread, or as read.
    pub fn mark_unread(&mut self, who: i64, place: Place, unread: bool) {
        self.passed.push(Passed::Unread(who, place, unread));
        let peer = match place {
            Place::Channel(id) => peer_channel(id),
            Place::Direct(a, b) => peer_user(if a == who { b } else { a }),
            Place::Group(id) => Other::Group(id).peer(),
        };
        let peer = tl::types::DialogPeer { peer }.into();
        let update = tl::types::UpdateDialogUnreadMark { unread, peer, saved_peer_id: None };
        self.push(who, vec![update.into()]);
    }

    /// Somebody is there, or no longer; whoever is connected is told.
    pub fn appear(&mut self, who: i64, online: bool) {
        self.passed.push(Passed::Online(who, online));
        let status = if online {
            tl::types::UserStatusOnline { expires: i32::MAX }.into()
        } else {
            tl::types::UserStatusOffline { was_online: super::now() }.into()
        };
        self.tell_others(who, &tl::types::UpdateUserStatus { user_id: who, status }.into());
    }

    /// Somebody reacts to a message, by their own number of it, with these and no others. `None`: there is no such message.
    pub fn react(
        &mut self,
        who: i64,
        place: Place,
        number: i32,
        reactions: Vec<tl::enums::Reaction>,
    ) -> Option<Vec<tl::enums::Update>> {
        let done = |message: &mut Message| {
            message.reactions.retain(|(by, _)| *by != who);
            message.reactions.extend(reactions.into_iter().map(|reaction| (who, reaction)));
        };
        // Reactions have no counter: whoever isn't there is not told.
        let mut tell = Vec::new();
        let all = match place {
            Place::Channel(id) => {
                let there = self.channels.get_mut(&id)?;
                let message = there.messages.get_mut(&number)?;
                done(message);
                tell.extend(there.members.iter().map(|who| (*who, peer_channel(id), number)));
                build::reactions(message)
            }
            Place::Direct(..) | Place::Group(_) => {
                let (_, at) = *self.people.get(&who)?.mailbox.get(&number)?;
                let message = self.direct.get_mut(at)?.as_mut()?;
                done(message);
                let all = build::reactions(message);
                for (holder, number) in self.holders(at) {
                    let other = self.people.get(&holder).and_then(|p| p.mailbox.get(&number));
                    tell.extend(other.map(|(other, _)| (holder, other.peer(), number)));
                }
                all
            }
        };
        let reactions = all.unwrap_or_else(build::no_reactions);
        let mut own = Vec::new();
        for (holder, peer, msg_id) in tell {
            let update: tl::enums::Update = tl::types::UpdateMessageReactions {
                peer,
                msg_id,
                top_msg_id: None,
                saved_peer_id: None,
                reactions: reactions.clone(),
            }
            .into();
            if holder == who {
                own.push(update);
            } else {
                self.push(holder, vec![update]);
            }
        }
        Some(own)
    }
}
