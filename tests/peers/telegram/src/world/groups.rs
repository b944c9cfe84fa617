//! Basic groups: each member has numbers of their own for their messages, and they may become supergroups.

use std::collections::BTreeSet;

use grammers_tl_types as tl;

use super::{Message, Other, Place, What, World, now};
use crate::build::{self, DATE};

pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) members: BTreeSet<i64>,
    /// Who has begun it, and when.
    pub(crate) creator: Option<(i64, i32)>,
    pub(crate) about: String,
    /// The number of its picture.
    pub(crate) picture: Option<i64>,
    /// Those of its members who are administrators, besides its creator.
    pub(crate) administrators: BTreeSet<i64>,
    /// Who was in it.
    pub(crate) left: BTreeSet<i64>,
    /// What everybody may not do.
    pub(crate) rights: tl::types::ChatBannedRights,
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
            picture: None,
            administrators: BTreeSet::new(),
            left: BTreeSet::new(),
            rights: build::allowed(),
            became: None,
        };
        self.groups.insert(id, group);
    }

    /// Adds a basic group that somebody has begun.
    pub fn own_group(&mut self, id: i64, title: &str, creator: i64, others: &[i64]) {
        self.group(id, title, others);
        if let Some(group) = self.groups.get_mut(&id) {
            group.members.insert(creator);
            group.creator = Some((creator, DATE));
        }
    }

    /// Somebody becomes an administrator of a basic group, or is none any more: everybody in it is told. `false`: that is so already.
    pub fn appoint(&mut self, group: i64, who: i64, administrator: bool) -> bool {
        let Some(there) = self.groups.get_mut(&group) else { return false };
        let changed = if administrator {
            there.administrators.insert(who)
        } else {
            there.administrators.remove(&who)
        };
        if changed {
            let update = tl::types::UpdateChatParticipantAdmin {
                chat_id: group,
                user_id: who,
                is_admin: administrator,
                version: 1,
            };
            self.tell_members(Place::Group(group), &update.into());
        }
        changed
    }

    /// A message of a direct chat or basic group, which one of those who have it means by their own number.
    fn mailed(&mut self, who: i64, number: i32) -> Option<(usize, &mut Message)> {
        let (_, at) = *self.people.get(&who)?.mailbox.get(&number)?;
        Some((at, self.direct.get_mut(at)?.as_mut()?))
    }

    fn tell_holders(&mut self, at: usize, what: impl Fn(i32) -> What) {
        for (holder, number) in self.holders(at) {
            self.log_person(holder, what(number));
        }
    }

    /// Somebody changes what they said in a direct chat or basic group, by their own number of it.
    pub fn edit_direct(&mut self, who: i64, number: i32, text: &str) {
        let Some((at, message)) = self.mailed(who, number) else { return };
        message.text = text.into();
        message.edited = Some(now());
        self.tell_holders(at, What::Edit);
    }

    /// Somebody pins what was said in a direct chat or basic group, or no longer, by their own number of it.
    pub fn pin_direct(&mut self, who: i64, number: i32, pinned: bool) {
        let Some((at, message)) = self.mailed(who, number) else { return };
        message.pinned = pinned;
        self.tell_holders(at, |number| What::Pin(number, pinned));
    }

    /// The numbers that somebody has of what was said in a basic group, in order.
    pub fn numbers(&self, who: i64, group: i64) -> Vec<i32> {
        self.mail(who, Other::Group(group)).into_iter().map(|(number, _)| number).collect()
    }

    /// The number that somebody has of what is another's number of it.
    pub fn number_of(&self, viewer: i64, who: i64, number: i32) -> Option<i32> {
        let (_, at) = *self.people.get(&who)?.mailbox.get(&number)?;
        let mine = self.people.get(&viewer)?.mailbox.iter();
        mine.into_iter().find(|(_, (_, other))| *other == at).map(|(number, _)| *number)
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
