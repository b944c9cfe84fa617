//! Basic groups: each member has numbers of their own for their messages, and they may become supergroups.

use std::collections::BTreeSet;

use grammers_tl_types as tl;

use super::{Message, Place, World};

pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) members: BTreeSet<i64>,
    /// The supergroup that it has become.
    pub(crate) became: Option<i64>,
}

impl World {
    /// Adds a basic group.
    pub fn group(&mut self, id: i64, title: &str, members: &[i64]) {
        let members = members.iter().copied().collect();
        self.groups.insert(id, Group { title: title.into(), members, became: None });
    }

    /// A basic group becomes a supergroup (core.telegram.org/api/channel#migration): both are told so by somebody's last and first
    /// message.
    pub fn upgrade(&mut self, by: i64, group: i64, channel: i64) {
        let Some(there) = self.groups.get_mut(&group) else { return };
        there.became = Some(channel);
        let (title, members) = (there.title.clone(), there.members.clone());
        let members: Vec<i64> = members.into_iter().collect();
        self.channel(channel, &title, &members);
        let happened = |action: tl::enums::MessageAction| Message {
            action: Some(action),
            ..Message::plain(by, "")
        };
        // The supergroup's first comes first: whoever opened a room for it would have two.
        let from = tl::types::MessageActionChannelMigrateFrom { title, chat_id: group };
        self.add(Place::Channel(channel), happened(from.into()));
        let to = tl::types::MessageActionChatMigrateTo { channel_id: channel };
        self.add(Place::Group(group), happened(to.into()));
    }
}
