//! What becomes of people and supergroups: their names and pictures, who is in them and what everybody may do there.

use std::collections::BTreeSet;

use grammers_tl_types as tl;

use super::{Message, Place, World};
use crate::build::{self, DATE, peer_channel};

/// A supergroup, as a test sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub title: String,
    /// What it says about itself.
    pub about: String,
    /// The bytes of its picture.
    pub picture: Option<Vec<u8>>,
    /// Who is in it.
    pub members: BTreeSet<i64>,
    /// Who of them are administrators, besides its creator.
    pub administrators: BTreeSet<i64>,
    /// Who may not come back.
    pub banned: BTreeSet<i64>,
    /// After how many seconds what is said in it disappears.
    pub timer: Option<i32>,
}

impl World {
    /// A supergroup as it is now.
    pub fn shown(&self, channel: i64) -> Shown {
        let Some(there) = self.channels.get(&channel) else { return Shown::default() };
        Shown {
            title: there.title.clone(),
            about: there.about.clone(),
            picture: there.picture.and_then(|picture| self.files.get(&picture).cloned()),
            members: there.members.clone(),
            administrators: there.administrators.clone(),
            banned: there.banned.clone(),
            timer: there.timer,
        }
    }

    /// What everybody may not do in a supergroup.
    pub fn rights(&self, channel: i64) -> tl::types::ChatBannedRights {
        self.channels.get(&channel).map_or_else(build::allowed, |there| there.rights.clone())
    }

    /// Adds a supergroup that somebody has begun.
    pub fn own_channel(&mut self, id: i64, title: &str, creator: i64, others: &[i64]) {
        self.channel(id, title, others);
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.members.insert(creator);
            channel.creator = Some((creator, DATE));
        }
    }

    /// Makes a supergroup a channel, where only administrators write.
    pub fn broadcast(&mut self, channel: i64) {
        if let Some(channel) = self.channels.get_mut(&channel) {
            channel.broadcast = true;
        }
    }

    /// Somebody takes another name; whoever is connected is told.
    pub fn rename(&mut self, who: i64, name: &str) {
        let Some(person) = self.people.get_mut(&who) else { return };
        person.name = name.into();
        let update = tl::types::UpdateUserName {
            user_id: who,
            first_name: name.into(),
            last_name: String::new(),
            usernames: Vec::new(),
        };
        self.tell_others(who, &update.into());
    }

    /// Somebody shows another picture; whoever is connected is told.
    pub fn portray(&mut self, who: i64, bytes: &[u8]) {
        let picture = self.keep(bytes);
        let Some(person) = self.people.get_mut(&who) else { return };
        person.picture = Some(picture);
        self.tell_others(who, &tl::types::UpdateUser { user_id: who }.into());
    }

    /// Tells everybody but one person.
    pub(crate) fn tell_others(&mut self, who: i64, update: &tl::enums::Update) {
        let others: Vec<i64> = self.people.keys().copied().filter(|other| *other != who).collect();
        for other in others {
            self.push(other, vec![update.clone()]);
        }
    }

    /// Tells everybody who is in a supergroup.
    fn tell_members(&mut self, channel: i64, update: &tl::enums::Update) {
        let members = self.channels.get(&channel).map(|channel| channel.members.clone());
        for member in members.into_iter().flatten() {
            self.push(member, vec![update.clone()]);
        }
    }

    /// Somebody gives a supergroup another name. `false`: it has that one.
    pub fn entitle(&mut self, by: i64, channel: i64, title: &str) -> bool {
        let Some(there) = self.channels.get_mut(&channel) else { return false };
        if there.title == title {
            return false;
        }
        there.title = title.into();
        let action = tl::types::MessageActionChatEditTitle { title: title.into() };
        self.add(Place::Channel(channel), Message::happened(by, action));
        true
    }

    /// A supergroup says something else about itself, of which there is no message.
    pub fn describe(&mut self, channel: i64, about: &str) {
        if let Some(there) = self.channels.get_mut(&channel) {
            there.about = about.into();
        }
        self.tell_members(channel, &tl::types::UpdateChannel { channel_id: channel }.into());
    }

    /// Somebody gives a supergroup another picture, or none.
    pub fn picture(&mut self, by: i64, channel: i64, bytes: Option<&[u8]>) {
        let picture = bytes.map(|bytes| (self.keep(bytes), bytes.len()));
        if let Some(there) = self.channels.get_mut(&channel) {
            there.picture = picture.map(|(number, _)| number);
        }
        let happened = match picture {
            Some((number, size)) => {
                let photo = build::photo(number, size).into();
                Message::happened(by, tl::types::MessageActionChatEditPhoto { photo })
            }
            None => Message::happened(by, tl::enums::MessageAction::ChatDeletePhoto),
        };
        self.add(Place::Channel(channel), happened);
    }

    /// Somebody comes into a supergroup, by themselves or by another. `false`: they are there.
    pub fn bring(&mut self, by: i64, channel: i64, who: i64) -> bool {
        let Some(there) = self.channels.get_mut(&channel) else { return false };
        if there.banned.contains(&who) || !there.members.insert(who) {
            return false;
        }
        there.left.remove(&who);
        let action = tl::types::MessageActionChatAddUser { users: vec![who] };
        self.add(Place::Channel(channel), Message::happened(by, action));
        true
    }

    /// Somebody leaves a supergroup, or is put out of it. `false`: they are not there.
    pub fn remove(&mut self, by: i64, channel: i64, who: i64) -> bool {
        let Some(there) = self.channels.get_mut(&channel) else { return false };
        if !there.members.remove(&who) {
            return false;
        }
        there.left.insert(who);
        there.administrators.remove(&who);
        let action = tl::types::MessageActionChatDeleteUser { user_id: who };
        self.add(Place::Channel(channel), Message::happened(by, action));
        // Whoever is out of it is told of nothing but that.
        self.push(who, vec![tl::types::UpdateChannel { channel_id: channel }.into()]);
        true
    }

    /// Somebody is put out of a supergroup for good, or may come back: of this the bots in it are told.
    pub fn ban(&mut self, by: i64, channel: i64, who: i64, banned: bool) {
        let Some(there) = self.channels.get_mut(&channel) else { return };
        let before = there.participant(who);
        if banned {
            there.banned.insert(who);
        } else {
            there.banned.remove(&who);
        }
        if banned {
            self.remove(by, channel, who);
        }
        self.tell_standing(by, channel, who, before.as_ref());
    }

    /// Somebody becomes an administrator of a supergroup, or is none any more: of this the bots in it are told.
    pub fn promote(&mut self, by: i64, channel: i64, who: i64, administrator: bool) {
        let Some(there) = self.channels.get_mut(&channel) else { return };
        let before = there.participant(who);
        if administrator {
            there.administrators.insert(who);
        } else {
            there.administrators.remove(&who);
        }
        self.tell_standing(by, channel, who, before.as_ref());
    }

    fn tell_standing(
        &mut self,
        by: i64,
        channel: i64,
        who: i64,
        before: Option<&tl::enums::ChannelParticipant>,
    ) {
        let Some(there) = self.channels.get(&channel) else { return };
        let (now, members) = (there.participant(who), there.members.clone());
        for member in members {
            let Some(bot) = self.people.get_mut(&member).filter(|person| person.bot) else {
                continue;
            };
            bot.qts += 1;
            let update = tl::types::UpdateChannelParticipant {
                via_chatlist: false,
                channel_id: channel,
                date: DATE,
                actor_id: by,
                user_id: who,
                prev_participant: before.cloned(),
                new_participant: now.clone(),
                invite: None,
                qts: bot.qts,
            };
            self.push(member, vec![update.into()]);
        }
    }

    /// What everybody may not do in a supergroup is changed.
    pub fn permit(&mut self, channel: i64, rights: &tl::types::ChatBannedRights) {
        let Some(there) = self.channels.get_mut(&channel) else { return };
        there.rights = rights.clone();
        let update = tl::types::UpdateChatDefaultBannedRights {
            peer: peer_channel(channel),
            default_banned_rights: rights.clone().into(),
            version: 1,
        };
        self.tell_members(channel, &update.into());
    }

    /// Somebody lets what is said in a supergroup disappear after so many seconds, or no longer. `false`: that is so already.
    pub fn expire(&mut self, by: i64, channel: i64, seconds: Option<i32>) -> bool {
        let Some(there) = self.channels.get_mut(&channel) else { return false };
        if there.timer == seconds {
            return false;
        }
        there.timer = seconds;
        let period = seconds.unwrap_or(0);
        let action = tl::types::MessageActionSetMessagesTtl { period, auto_setting_from: None };
        self.add(Place::Channel(channel), Message::happened(by, action));
        true
    }
}
