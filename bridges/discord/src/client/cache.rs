//! What is known about servers and their channels: told by the gateway when it connects, and kept up to date by it.

use std::collections::BTreeMap;

use twilight_model::guild::Permissions;

use crate::{
    convert::from_matrix::Emojis,
    ids::Id,
    raw::RoleName,
    wire::{Channel, Emoji, Guild, GuildMember, Overwrite, Role},
};

/// Everything known about the servers the bot is in.
#[derive(Debug, Default)]
pub struct Cache {
    guilds: BTreeMap<Id, Known>,
    /// Channels and threads that are not put away, by identifier, with their server.
    channels: BTreeMap<Id, (Id, Channel)>,
}

/// A server.
#[derive(Debug, Default)]
struct Known {
    name: String,
    icon: Option<String>,
    description: Option<String>,
    owner: Id,
    roles: BTreeMap<Id, Role>,
    emojis: Emojis,
}

/// What is shown of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuildFace {
    /// What it is called.
    pub name: String,
    /// The hash of its picture.
    pub icon: Option<String>,
    /// What it is for.
    pub description: Option<String>,
}

impl Cache {
    /// A server, told whole.
    pub fn put_guild(&mut self, guild: Guild) {
        let id = guild.id;
        if guild.unavailable {
            return;
        }
        let mut old = BTreeMap::new();
        self.channels.retain(|channel, (of, known)| {
            if *of == id {
                old.insert(*channel, known.last_message_id);
            }
            *of != id
        });
        for mut channel in guild.channels.into_iter().chain(guild.threads) {
            // What was told may be older than what has been sent meanwhile.
            let before = old.get(&channel.id).copied().flatten();
            channel.last_message_id = channel.last_message_id.max(before);
            self.channels.insert(channel.id, (id, channel));
        }
        let known = self.guilds.entry(id).or_default();
        known.name = guild.name;
        known.icon = guild.icon;
        known.description = guild.description;
        known.owner = guild.owner_id;
        known.roles = guild.roles.into_iter().map(|role| (role.id, role)).collect();
        known.emojis = emojis(guild.emojis);
    }

    /// What `GUILD_UPDATE` says: no channels.
    pub fn change_guild(&mut self, guild: Guild) {
        let known = self.guilds.entry(guild.id).or_default();
        known.name = guild.name;
        known.icon = guild.icon;
        known.description = guild.description;
        known.owner = guild.owner_id;
        if !guild.roles.is_empty() {
            known.roles = guild.roles.into_iter().map(|role| (role.id, role)).collect();
        }
    }

    /// The bot is no longer in a server.
    pub fn drop_guild(&mut self, guild: Id) {
        self.guilds.remove(&guild);
        self.channels.retain(|_, (of, _)| *of != guild);
    }

    /// A server has other emoji.
    pub fn set_emojis(&mut self, guild: Id, list: Vec<Emoji>) {
        self.guilds.entry(guild).or_default().emojis = emojis(list);
    }

    /// A role is new or has changed.
    pub fn put_role(&mut self, guild: Id, role: Role) {
        self.guilds.entry(guild).or_default().roles.insert(role.id, role);
    }

    /// A role was deleted.
    pub fn drop_role(&mut self, guild: Id, role: Id) {
        if let Some(known) = self.guilds.get_mut(&guild) {
            known.roles.remove(&role);
        }
    }

    /// A channel or thread is new or has changed.
    pub fn put_channel(&mut self, guild: Id, mut channel: Channel) {
        if let Some((_, old)) = self.channels.get(&channel.id) {
            channel.last_message_id = channel.last_message_id.max(old.last_message_id);
        }
        self.channels.insert(channel.id, (guild, channel));
    }

    /// A channel was deleted, and what was in it.
    pub fn drop_channel(&mut self, channel: Id) {
        self.channels.remove(&channel);
        let threads = |c: &Channel| c.kind.is_thread() && c.parent_id == Some(channel);
        self.channels.retain(|_, (_, known)| !threads(known));
    }

    /// When something was pinned in a channel last; nothing is pinned if there is no time.
    pub fn note_pin(&mut self, channel: Id, at: Option<String>) {
        if let Some((_, known)) = self.channels.get_mut(&channel) {
            known.last_pin_timestamp = at;
        }
    }

    /// The newest message of a channel.
    pub fn note_message(&mut self, channel: Id, message: Id) {
        if let Some((_, known)) = self.channels.get_mut(&channel) {
            known.last_message_id = known.last_message_id.max(Some(message));
        }
    }

    /// A channel or thread, and its server.
    pub fn channel(&self, id: Id) -> Option<(Id, &Channel)> {
        self.channels.get(&id).map(|(guild, channel)| (*guild, channel))
    }

    /// All channels and threads of a server.
    pub fn channels_of(&self, guild: Id) -> impl Iterator<Item = &Channel> {
        self.channels.values().filter(move |(of, _)| *of == guild).map(|(_, channel)| channel)
    }

    /// The threads of a channel that are not put away.
    pub fn threads_of(&self, channel: Id) -> impl Iterator<Item = &Channel> {
        self.channels
            .values()
            .map(|(_, known)| known)
            .filter(move |c| c.kind.is_thread() && c.parent_id == Some(channel))
    }

    /// Whether a channel is a post of a forum.
    pub fn is_post(&self, id: Id) -> bool {
        let parent = self.channels.get(&id).and_then(|(_, post)| post.parent_id);
        let forum = parent.and_then(|forum| self.channels.get(&forum));
        forum.is_some_and(|(_, forum)| forum.kind.is_forum())
    }

    /// What the tags are called that a post of a forum carries.
    pub fn tags(&self, post: Id) -> Vec<String> {
        let Some((_, post)) = self.channels.get(&post) else { return Vec::new() };
        let forum = post.parent_id.and_then(|forum| self.channels.get(&forum));
        let known = forum.map_or(&[][..], |(_, forum)| forum.available_tags.as_slice());
        let name = |id: &Id| Some(known.iter().find(|tag| tag.id == *id)?.name.clone());
        post.applied_tags.iter().filter_map(name).collect()
    }

    /// The servers.
    pub fn guilds(&self) -> impl Iterator<Item = Id> {
        self.guilds.keys().copied()
    }

    /// What is shown of a server.
    pub fn face(&self, guild: Id) -> Option<GuildFace> {
        self.guilds.get(&guild).map(|known| GuildFace {
            name: known.name.clone(),
            icon: known.icon.clone(),
            description: known.description.clone(),
        })
    }

    /// A server's own emoji.
    pub fn emojis(&self, guild: Id) -> Emojis {
        self.guilds.get(&guild).map(|known| known.emojis.clone()).unwrap_or_default()
    }

    /// What a role is called.
    pub fn role(&self, guild: Id, role: Id) -> Option<RoleName> {
        let role = self.guilds.get(&guild)?.roles.get(&role)?;
        Some(RoleName { name: role.name.clone(), colour: role.color })
    }

    /// What a member may do in a channel (API reference, "Permission Overwrites").
    pub fn permissions(&self, guild: Id, channel: Id, user: Id, roles: &[Id]) -> Permissions {
        let Some(known) = self.guilds.get(&guild) else { return Permissions::empty() };
        if known.owner == user {
            return Permissions::all();
        }
        let of = |role: &Id| {
            known.roles.get(role).map_or(Permissions::empty(), |r| bits(&r.permissions))
        };
        let mut allowed = of(&guild);
        for role in roles {
            allowed |= of(role);
        }
        if allowed.contains(Permissions::ADMINISTRATOR) {
            return Permissions::all();
        }
        // A thread has the permissions of its channel.
        let mut place = self.channels.get(&channel).map(|(_, channel)| channel);
        if let Some(thread) = place.filter(|channel| channel.kind.is_thread()) {
            place = thread.parent_id.and_then(|id| self.channels.get(&id)).map(|(_, c)| c);
        }
        let overwrites: &[Overwrite] =
            place.map_or(&[][..], |channel| channel.permission_overwrites.as_slice());
        let apply = |allowed: Permissions, deny: Permissions, allow: Permissions| {
            allowed.difference(deny).union(allow)
        };
        for overwrite in overwrites.iter().filter(|o| o.id == guild) {
            allowed = apply(allowed, bits(&overwrite.deny), bits(&overwrite.allow));
        }
        let (mut deny, mut allow) = (Permissions::empty(), Permissions::empty());
        for overwrite in overwrites.iter().filter(|o| o.id != guild && roles.contains(&o.id)) {
            deny |= bits(&overwrite.deny);
            allow |= bits(&overwrite.allow);
        }
        allowed = apply(allowed, deny, allow);
        for overwrite in overwrites.iter().filter(|o| o.kind == 1 && o.id == user) {
            allowed = apply(allowed, bits(&overwrite.deny), bits(&overwrite.allow));
        }
        allowed
    }

    /// Whether everybody in the server sees a channel: its first role has the server's own number.
    pub fn is_open(&self, guild: Id, channel: Id) -> bool {
        self.permissions(guild, channel, guild, &[]).contains(Permissions::VIEW_CHANNEL)
    }

    /// The power level that a member's roles stand for.
    pub fn power(&self, guild: Id, channel: Id, user: Id, member: &GuildMember) -> i64 {
        level(self.permissions(guild, channel, user, &member.roles))
    }
}

fn bits(text: &str) -> Permissions {
    Permissions::from_bits_truncate(text.parse().unwrap_or_default())
}

fn emojis(list: Vec<Emoji>) -> Emojis {
    list.into_iter()
        .filter_map(|emoji| Some((emoji.name.clone()?, (emoji.id?, emoji.animated))))
        .collect()
}

/// Roles as power levels: who governs the server or the channel, who moderates, and everybody else.
fn level(permissions: Permissions) -> i64 {
    if permissions.contains(Permissions::ADMINISTRATOR) {
        90
    } else if permissions.intersects(Permissions::MANAGE_GUILD | Permissions::MANAGE_CHANNELS) {
        75
    } else if permissions.intersects(
        Permissions::MANAGE_MESSAGES | Permissions::KICK_MEMBERS | Permissions::BAN_MEMBERS,
    ) {
        50
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ChannelKind;

    fn cache() -> Cache {
        let mut cache = Cache::default();
        cache.put_guild(
            serde_json::from_value(serde_json::json!({
                "id": "1", "name": "Testers", "owner_id": "9",
                "roles": [
                    { "id": "1", "name": "@everyone", "permissions": "3072" },
                    { "id": "2", "name": "Mods", "color": 255, "permissions": "8192" },
                    { "id": "3", "name": "Admins", "permissions": "8" },
                ],
                "emojis": [{ "id": "7", "name": "blob", "animated": true }],
                "channels": [
                    { "id": "10", "type": 0, "name": "general", "permission_overwrites": [
                        { "id": "1", "type": 0, "allow": "0", "deny": "2048" },
                        { "id": "2", "type": 0, "allow": "2048", "deny": "0" },
                        { "id": "5", "type": 1, "allow": "16", "deny": "0" },
                    ] },
                ],
                "threads": [{ "id": "11", "type": 11, "name": "aside", "parent_id": "10" }],
            }))
            .unwrap(),
        );
        cache
    }

    #[test]
    fn permissions_follow_roles_and_channels() {
        let cache = cache();
        let may = |user: u64, roles: &[u64], channel: u64| {
            let roles: Vec<Id> = roles.iter().copied().map(Id).collect();
            cache.permissions(Id(1), Id(channel), Id(user), &roles)
        };
        assert!(!may(4, &[], 10).contains(Permissions::SEND_MESSAGES));
        assert!(may(4, &[2], 10).contains(Permissions::SEND_MESSAGES));
        assert!(
            may(4, &[2], 11).contains(Permissions::SEND_MESSAGES),
            "a thread is as its channel"
        );
        assert!(cache.is_open(Id(1), Id(10)));
        let hidden = Overwrite { id: Id(1), kind: 0, deny: "1024".into(), allow: String::new() };
        let mut hiding = cache.channel(Id(10)).unwrap().1.clone();
        hiding.permission_overwrites.push(hidden);
        let mut closed = self::cache();
        closed.put_channel(Id(1), hiding);
        assert!(!closed.is_open(Id(1), Id(10)));
        assert!(!closed.is_open(Id(1), Id(11)), "nor its thread");
        assert!(may(4, &[], 99).contains(Permissions::SEND_MESSAGES));
        assert!(may(5, &[], 10).contains(Permissions::MANAGE_CHANNELS));
        assert_eq!(level(may(9, &[], 10)), 90);
        assert_eq!(level(may(4, &[3], 10)), 90);
        assert_eq!(level(may(5, &[], 10)), 75);
        assert_eq!(level(may(4, &[2], 10)), 50);
        assert_eq!(level(may(4, &[], 10)), 0);
    }

    #[test]
    fn what_goes_is_forgotten() {
        let mut cache = cache();
        assert_eq!(cache.role(Id(1), Id(2)).unwrap().colour, 255);
        assert_eq!(cache.emojis(Id(1))["blob"], (Id(7), true));
        assert_eq!(cache.threads_of(Id(10)).count(), 1);
        cache.note_message(Id(10), Id(50));
        cache.put_channel(Id(1), Channel { id: Id(10), ..Channel::default() });
        assert_eq!(cache.channel(Id(10)).unwrap().1.last_message_id, Some(Id(50)));
        let told = Channel { id: Id(10), last_message_id: Some(Id(40)), ..Channel::default() };
        cache.put_guild(Guild { id: Id(1), channels: vec![told], ..Guild::default() });
        assert_eq!(cache.channel(Id(10)).unwrap().1.last_message_id, Some(Id(50)), "it is older");
        cache.put_channel(
            Id(1),
            Channel {
                id: Id(11),
                kind: ChannelKind::Thread,
                parent_id: Some(Id(10)),
                ..Channel::default()
            },
        );
        cache.drop_channel(Id(10));
        assert!(cache.channel(Id(11)).is_none());
        cache.drop_guild(Id(1));
        assert!(cache.face(Id(1)).is_none());
    }
}
