//! Basic groups: each member has numbers of their own for their messages, and they may become supergroups.

use std::collections::BTreeSet;

use grammers_tl_types as tl;

use super::{Message, Place, World};

pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) members: BTreeSet<i64>,
    /// Who has begun it, and when.
    pub(crate) creator: Option<(i64, i32)>,
    pub(crate) about: String,
    /// The supergroup that it has become.
    pub(crate) became: Option<i64>,
}

impl World {
    /// The groups, supergroups and channels of a name: who is in each, and what it says about itself.
    pub fn named(&self, title: &str) -> Vec<(Place, Vec<i64>, String)> {
        let groups = self.groups.iter().filter(|(_, group)| group.title == title);
        let groups = groups.map(|(id, group)| {
            (Place::Group(*id), group.members.iter().copied().collect(), group.about.clone())
        });
        let channels = self.channels.iter().filter(|(_, channel)| channel.title == title);
        let channels = channels.map(|(id, channel)| {
            (Place::Channel(*id), channel.members.iter().copied().collect(), channel.about.clone())
        });
        groups.chain(channels).collect()
    }

    /// Adds a basic group.
    pub fn group(&mut self, id: i64, title: &str, members: &[i64]) {
        let members = members.iter().copied().collect();
        let group = Group {
            title: title.into(),
            members,
            creator: None,
            about: String::new(),
            became: None,
        };
        self.groups.insert(id, group);
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
