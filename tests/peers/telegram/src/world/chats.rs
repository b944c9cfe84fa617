//! What becomes of people and groups: their names and pictures, who is in them and what everybody may do there.

use std::collections::BTreeSet;

use grammers_tl_types as tl;

use super::{Message, Other, Place, World};
use crate::build::{self, DATE, peer_channel};

/// A group or supergroup, as a test sees it.
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
    /// A group or supergroup as it is now.
    pub fn shown(&self, place: Place) -> Shown {
        let picture = |number: Option<i64>| self.files.get(&number?).cloned();
        match place {
            Place::Channel(id) => self.channels.get(&id).map(|there| Shown {
                title: there.title.clone(),
                about: there.about.clone(),
                picture: picture(there.picture),
                members: there.members.clone(),
                administrators: there.administrators.clone(),
                banned: there.banned.clone(),
                timer: there.timer,
            }),
            Place::Group(id) => self.groups.get(&id).map(|there| Shown {
                title: there.title.clone(),
                about: there.about.clone(),
                picture: picture(there.picture),
                members: there.members.clone(),
                administrators: there.administrators.clone(),
                ..Shown::default()
            }),
            Place::Direct(..) => None,
        }
        .unwrap_or_default()
    }

    /// What everybody may not do in a group or supergroup.
    pub fn rights(&self, place: Place) -> tl::types::ChatBannedRights {
        let rights = match place {
            Place::Channel(id) => self.channels.get(&id).map(|there| &there.rights),
            Place::Group(id) => self.groups.get(&id).map(|there| &there.rights),
            Place::Direct(..) => None,
        };
        rights.cloned().unwrap_or_else(build::allowed)
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

    /// Tells everybody who is in a group or supergroup.
    pub(crate) fn tell_members(&mut self, place: Place, update: &tl::enums::Update) {
        for member in self.shown(place).members {
            self.push(member, vec![update.clone()]);
        }
    }

    /// Somebody gives a group or supergroup another name. `false`: it has that one.
    pub fn entitle(&mut self, by: i64, place: Place, title: &str) -> bool {
        let there = match place {
            Place::Channel(id) => self.channels.get_mut(&id).map(|there| &mut there.title),
            Place::Group(id) => self.groups.get_mut(&id).map(|there| &mut there.title),
            Place::Direct(..) => None,
        };
        let Some(there) = there.filter(|there| *there != title) else { return false };
        *there = title.into();
        let action = tl::types::MessageActionChatEditTitle { title: title.into() };
        self.add(place, Message::happened(by, action));
        true
    }

    /// A group or supergroup says something else about itself, of which there is no message. `false`: it says that.
    pub fn describe(&mut self, place: Place, about: &str) -> bool {
        let (there, update) = match place {
            Place::Channel(channel_id) => (
                self.channels.get_mut(&channel_id).map(|there| &mut there.about),
                tl::types::UpdateChannel { channel_id }.into(),
            ),
            Place::Group(chat_id) => (
                self.groups.get_mut(&chat_id).map(|there| &mut there.about),
                tl::types::UpdateChat { chat_id }.into(),
            ),
            Place::Direct(..) => return false,
        };
        let Some(there) = there.filter(|there| *there != about) else { return false };
        *there = about.into();
        self.tell_members(place, &update);
        true
    }

    /// Somebody gives a group or supergroup another picture, or none.
    pub fn picture(&mut self, by: i64, place: Place, bytes: Option<&[u8]>) {
        let picture = bytes.map(|bytes| (self.keep(bytes), bytes.len()));
        let there = match place {
            Place::Channel(id) => self.channels.get_mut(&id).map(|there| &mut there.picture),
            Place::Group(id) => self.groups.get_mut(&id).map(|there| &mut there.picture),
            Place::Direct(..) => None,
        };
        if let Some(there) = there {
            *there = picture.map(|(number, _)| number);
        }
        let happened = match picture {
            Some((number, size)) => {
                let photo = build::photo(number, size).into();
                Message::happened(by, tl::types::MessageActionChatEditPhoto { photo })
            }
            None => Message::happened(by, tl::enums::MessageAction::ChatDeletePhoto),
        };
        self.add(place, happened);
    }

    /// Somebody comes into a group or supergroup, by themselves or by another. `false`: they are there.
    pub fn bring(&mut self, by: i64, place: Place, who: i64) -> bool {
        let came = match place {
            Place::Channel(id) => self.channels.get_mut(&id).is_some_and(|there| {
                let came = !there.banned.contains(&who) && there.members.insert(who);
                came && {
                    there.left.remove(&who);
                    true
                }
            }),
            Place::Group(id) => self.groups.get_mut(&id).is_some_and(|there| {
                there.left.remove(&who);
                there.members.insert(who)
            }),
            Place::Direct(..) => false,
        };
        if came {
            let action = tl::types::MessageActionChatAddUser { users: vec![who] };
            self.add(place, Message::happened(by, action));
        }
        came
    }

    /// Somebody leaves a group or supergroup, or is put out of it. `false`: they are not there.
    pub fn remove(&mut self, by: i64, place: Place, who: i64) -> bool {
        let happened =
            Message::happened(by, tl::types::MessageActionChatDeleteUser { user_id: who });
        match place {
            Place::Channel(channel_id) => {
                let Some(there) = self.channels.get_mut(&channel_id) else { return false };
                if !there.members.remove(&who) {
                    return false;
                }
                there.left.insert(who);
                there.administrators.remove(&who);
                self.add(place, happened);
                // Whoever is out of it is told of nothing but that.
                self.push(who, vec![tl::types::UpdateChannel { channel_id }.into()]);
            }
            Place::Group(id) => {
                let there = self.groups.get_mut(&id);
                let Some(there) = there.filter(|there| there.members.contains(&who)) else {
                    return false;
                };
                // It is the last that they are told.
                let told = there.members.clone();
                there.members.remove(&who);
                there.administrators.remove(&who);
                there.left.insert(who);
                self.deliver_in(id, Message { date: super::now(), ..happened }, told);
            }
            Place::Direct(..) => return false,
        }
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
            self.remove(by, Place::Channel(channel), who);
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

    /// What everybody may not do in a group or supergroup is changed.
    pub fn permit(&mut self, place: Place, rights: &tl::types::ChatBannedRights) {
        let (there, peer) = match place {
            Place::Channel(id) => {
                (self.channels.get_mut(&id).map(|there| &mut there.rights), peer_channel(id))
            }
            Place::Group(id) => {
                (self.groups.get_mut(&id).map(|there| &mut there.rights), Other::Group(id).peer())
            }
            Place::Direct(..) => return,
        };
        let Some(there) = there else { return };
        *there = rights.clone();
        let update = tl::types::UpdateChatDefaultBannedRights {
            peer,
            default_banned_rights: rights.clone().into(),
            version: 1,
        };
        self.tell_members(place, &update.into());
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
