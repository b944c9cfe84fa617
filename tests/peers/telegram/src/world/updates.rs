//! What changes, as the updates of those whom it concerns: noted in their streams, and pushed.

use grammers_tl_types as tl;

use super::{Logged, Message, What, World, due};
use crate::build::{self, DATE, peer_channel};

impl World {
    pub(crate) fn log_channel(&mut self, id: i64, what: What) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        channel.pts += 1;
        let logged = Logged { pts: channel.pts, what };
        channel.log.push(logged.clone());
        let members: Vec<i64> = channel.members.iter().copied().collect();
        for member in members {
            if let Some(update) = self.channel_update(id, &logged, member) {
                self.push(member, vec![update]);
            }
        }
    }

    pub(crate) fn log_person(&mut self, id: i64, what: What) {
        let Some(person) = self.people.get_mut(&id) else { return };
        person.pts += 1;
        let logged = Logged { pts: person.pts, what };
        person.log.push(logged.clone());
        if let Some(update) = self.person_update(id, &logged) {
            self.push(id, vec![update]);
        }
    }

    /// A message of a supergroup, as somebody sees it.
    pub(crate) fn in_channel(
        &self,
        id: i64,
        number: i32,
        viewer: i64,
    ) -> Option<tl::enums::Message> {
        let channel = self.channels.get(&id)?;
        let said = channel.messages.get(&number)?;
        let out = said.from == viewer;
        Some(build::message(number, said, peer_channel(id), out, channel.broadcast))
    }

    /// A direct message or a basic group's, as one of those who have it sees it.
    pub(crate) fn in_mailbox(&self, viewer: i64, number: i32) -> Option<tl::enums::Message> {
        let (other, at) = *self.people.get(&viewer)?.mailbox.get(&number)?;
        let said = self.direct.get(at)?.as_ref()?;
        // What it answers, too, everybody has a number of their own for.
        let reply_to = said.reply_to.and_then(|to| self.number_of(viewer, said.from, to));
        let said = Message { reply_to, ..said.clone() };
        Some(build::message(number, &said, other.peer(), said.from == viewer, false))
    }

    pub(crate) fn channel_update(
        &self,
        id: i64,
        logged: &Logged,
        viewer: i64,
    ) -> Option<tl::enums::Update> {
        let pts = logged.pts;
        Some(match &logged.what {
            What::New(number) => {
                let message = self.in_channel(id, *number, viewer)?;
                tl::types::UpdateNewChannelMessage { message, pts, pts_count: 1 }.into()
            }
            What::Edit(number) => {
                let message = self.in_channel(id, *number, viewer)?;
                tl::types::UpdateEditChannelMessage { message, pts, pts_count: 1 }.into()
            }
            What::Delete(number) => {
                let messages = vec![*number];
                tl::types::UpdateDeleteChannelMessages {
                    channel_id: id,
                    messages,
                    pts,
                    pts_count: 1,
                }
                .into()
            }
            // These are a person's own.
            What::ReadInbox(..) | What::ReadOutbox(..) => return None,
            What::Pin(number, pinned) => tl::types::UpdatePinnedChannelMessages {
                pinned: *pinned,
                channel_id: id,
                messages: vec![*number],
                pts,
                pts_count: 1,
            }
            .into(),
        })
    }

    pub(crate) fn person_update(&self, id: i64, logged: &Logged) -> Option<tl::enums::Update> {
        let pts = logged.pts;
        Some(match &logged.what {
            What::New(number) => {
                let message = self.in_mailbox(id, *number)?;
                tl::types::UpdateNewMessage { message, pts, pts_count: 1 }.into()
            }
            What::Edit(number) => {
                let message = self.in_mailbox(id, *number)?;
                tl::types::UpdateEditMessage { message, pts, pts_count: 1 }.into()
            }
            What::Delete(number) => {
                tl::types::UpdateDeleteMessages { messages: vec![*number], pts, pts_count: 1 }
                    .into()
            }
            What::ReadInbox(other, max_id) => tl::types::UpdateReadHistoryInbox {
                folder_id: None,
                peer: other.peer(),
                top_msg_id: None,
                max_id: *max_id,
                still_unread_count: 0,
                pts,
                pts_count: 1,
            }
            .into(),
            What::ReadOutbox(other, max_id) => tl::types::UpdateReadHistoryOutbox {
                peer: other.peer(),
                max_id: *max_id,
                pts,
                pts_count: 1,
            }
            .into(),
            What::Pin(number, pinned) => {
                let (other, _) = *self.people.get(&id)?.mailbox.get(number)?;
                tl::types::UpdatePinnedMessages {
                    pinned: *pinned,
                    peer: other.peer(),
                    messages: vec![*number],
                    pts,
                    pts_count: 1,
                }
                .into()
            }
        })
    }

    /// All people, as somebody sees them: every answer brings everybody.
    pub(crate) fn users(&self, viewer: i64) -> Vec<tl::enums::User> {
        self.people.iter().map(|(id, person)| build::user(*id, person, *id == viewer)).collect()
    }

    /// The groups and supergroups that somebody is in, or was.
    pub(crate) fn chats(&self, viewer: i64) -> Vec<tl::enums::Chat> {
        let there = self.channels.iter().filter(|(_, channel)| {
            channel.members.contains(&viewer) || channel.left.contains(&viewer)
        });
        let groups = self
            .groups
            .iter()
            .filter(|(_, group)| group.members.contains(&viewer) || group.left.contains(&viewer));
        let channels = there.map(|(id, channel)| build::channel(*id, channel, viewer));
        channels.chain(groups.map(|(id, group)| build::group(*id, group, viewer))).collect()
    }

    pub(crate) fn updates(
        &self,
        viewer: i64,
        updates: Vec<tl::enums::Update>,
    ) -> tl::enums::Updates {
        tl::types::Updates {
            updates,
            users: self.users(viewer),
            chats: self.chats(viewer),
            date: DATE,
            seq: 0,
        }
        .into()
    }

    /// Tells somebody, wherever they are connected; unless a fault has it otherwise.
    pub(crate) fn push(&mut self, to: i64, updates: Vec<tl::enums::Update>) {
        self.counts.updates += 1;
        if due(self.faults.drop_update, self.counts.updates) {
            return;
        }
        let times = if due(self.faults.repeat_update, self.counts.updates) { 2 } else { 1 };
        let bytes = tl::Serializable::to_bytes(&self.updates(to, updates));
        for connection in &self.connections {
            if self.signed_in.get(&connection.key) == Some(&to) {
                for _ in 0..times {
                    let _ = connection.push.send(bytes.clone());
                }
            }
        }
    }
}
