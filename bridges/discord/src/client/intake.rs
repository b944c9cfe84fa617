//! What becomes of each thing the gateway says: known to the cache, stored for the bridge, passed on, or answered.

use std::collections::BTreeMap;

use landbridge_framework::EventKey;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Hub, session::Cursor};
use crate::{
    convert::to_matrix::edit_version,
    decode::{CHANNEL_STANDS, GONE, GUILD_STANDS, OPEN, PINS, POWER, PROFILE, RETAGGED, key_of},
    ids::{Id, Person},
    raw::{PAST, Raw, Scene},
    wire::{Channel, Emoji, Guild, GuildMember, Message, Role, User},
};

/// What is to be done with something that the gateway said.
#[derive(Debug, Default)]
pub struct Taken {
    /// To be stored, in order.
    pub store: Vec<(EventKey, Raw)>,
    /// Of value only now.
    pub passing: Vec<Raw>,
    /// The channel whose pins have changed: they have to be asked for.
    pub pins: Option<Id>,
    /// The post whose title or tags have changed: its first message shows them, and has to be asked for.
    pub post: Option<Id>,
    /// Somebody used a command.
    pub interaction: Option<Value>,
    /// The newest message in it.
    pub newest: Option<Id>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Place {
    id: Id,
    guild_id: Option<Id>,
    channel_id: Option<Id>,
    user_id: Option<Id>,
    message_id: Option<Id>,
    role_id: Option<Id>,
    answer_id: Option<u64>,
    user: Option<User>,
    role: Option<Role>,
    emojis: Option<Vec<Emoji>>,
    threads: Option<Vec<Channel>>,
    last_pin_timestamp: Option<String>,
    unavailable: bool,
}

/// An event of a form that this bridge doesn't know: counted and left out, so that it doesn't end the connection.
pub(super) fn unreadable(name: &str, error: &serde_json::Error) {
    tracing::warn!(event = name, %error, "an event of Discord's can't be read, and is left out");
    metrics::counter!("landbridge_discord_unreadable_events_total").increment(1);
}

fn parse<T: for<'de> Deserialize<'de> + Default>(name: &str, data: &Value) -> T {
    T::deserialize(data).unwrap_or_else(|error| {
        unreadable(name, &error);
        T::default()
    })
}

/// One thing the gateway said.
pub struct Said<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its data.
    pub data: Value,
    /// The session, before this.
    pub cursor: &'a Cursor,
    /// Its number in the session.
    pub sequence: u64,
}

impl Hub {
    /// Takes one thing that the gateway said.
    pub fn take(&self, said: Said<'_>) -> Taken {
        let mut taken = Taken::default();
        let place: Place = match said.data {
            Value::Object(_) => parse(said.name, &said.data),
            _ => Place::default(),
        };
        match said.name {
            "MESSAGE_CREATE" => self.take_message(&said, &mut taken),
            "MESSAGE_UPDATE" => {
                let message: Message = parse(said.name, &said.data);
                self.note_message(&message, place.guild_id);
                if let Some(scene) = self.scene_of(&message, place.guild_id) {
                    taken.store.push(self.stamped(&said, "", scene));
                }
            }
            "MESSAGE_DELETE"
            | "MESSAGE_DELETE_BULK"
            | "MESSAGE_REACTION_ADD"
            | "MESSAGE_REACTION_REMOVE"
            | "MESSAGE_REACTION_REMOVE_ALL" => {
                let channel = place.channel_id.unwrap_or_default();
                if let Some(scene) = self.scene(place.guild_id, channel) {
                    self.note_member(&said.data, place.guild_id);
                    taken.store.push(self.stamped(&said, "", scene));
                }
            }
            "MESSAGE_POLL_VOTE_ADD" | "MESSAGE_POLL_VOTE_REMOVE" => {
                let channel = place.channel_id.unwrap_or_default();
                if let (Some(mut scene), Some(user), Some(poll)) =
                    (self.scene(place.guild_id, channel), place.user_id, place.message_id)
                {
                    let chosen = said.name.ends_with("ADD");
                    let answer = place.answer_id.unwrap_or_default();
                    scene.votes = Some(self.votes.note(poll, user, answer, chosen));
                    taken.store.push(self.stamped(&said, "", scene));
                }
            }
            "TYPING_START" => {
                self.note_member(&said.data, place.guild_id);
                let channel = place.channel_id.unwrap_or_default();
                if let Some(scene) = self.scene(place.guild_id, channel) {
                    taken.passing.push(self.stamped(&said, "", scene).1);
                }
            }
            "PRESENCE_UPDATE" => {
                let scene = Scene { guild: place.guild_id, ..Scene::default() };
                taken.passing.push(self.stamped(&said, "", scene).1);
            }
            "CHANNEL_PINS_UPDATE" => {
                let channel = place.channel_id.unwrap_or_default();
                // Known also where there is no room yet.
                self.cache_mut().note_pin(channel, place.last_pin_timestamp.clone());
                let scene = self.scene(place.guild_id, channel);
                taken.pins = scene.filter(|scene| self.shows_pins(scene)).map(|_| channel);
            }
            "INTERACTION_CREATE" => taken.interaction = Some(said.data),
            _ => self.take_rest(&said, &place, &mut taken),
        }
        taken
    }

    fn take_message(&self, said: &Said<'_>, taken: &mut Taken) {
        let message: Message = parse(said.name, &said.data);
        let guild = said.data.get("guild_id").and_then(|id| Id::deserialize(id).ok());
        taken.newest = Some(message.id);
        self.cache_mut().note_message(message.channel_id, message.id);
        self.note_message(&message, guild);
        if let Some(scene) = self.scene_of(&message, guild) {
            taken.store.extend(self.power_of(said, &message, &scene));
            let (_, raw) = self.stamped(said, "", scene);
            taken.store.push((EventKey(key_of(message.id)), raw));
        }
    }

    /// What the roles of somebody who speaks allow them, if that is news.
    fn power_of(
        &self,
        said: &Said<'_>,
        message: &Message,
        scene: &Scene,
    ) -> Option<(EventKey, Raw)> {
        let (guild, member) = (scene.guild?, message.member.as_ref()?);
        let user =
            message.author.as_ref().filter(|_| message.webhook_id.is_none() && !scene.ours)?;
        let level = self.cache().power(guild, message.channel_id, user.id, member);
        let mut room = scene.clone();
        if !self.has_room(scene) {
            // It is the channel's room in which they speak.
            room.thread = None;
        }
        if !self.is_new_power(room.place(), user.id, level) {
            return None;
        }
        let scene = Scene { power: Some(level), open: false, ..room };
        let (key, mut raw) = self.stamped(said, "power", scene);
        raw.name = POWER.into();
        raw.data = json!({ "user_id": user.id });
        Some((key, raw))
    }

    /// A message that was read from history.
    pub fn past(&self, guild: Option<Id>, data: Value) -> Option<(EventKey, Raw)> {
        let message: Message = parse(PAST, &data);
        self.note_message(&message, guild);
        let scene = self.scene_of(&message, guild)?;
        let raw =
            Raw { name: PAST.into(), data, stamp: String::new(), received_ms: self.now(), scene };
        // Changed since it was stored, it is news; who knows the change already finds it by its version.
        let key = match message.edited_timestamp {
            Some(_) => format!("past:{}:{}", message.id, edit_version(&message)),
            None => key_of(message.id),
        };
        Some((EventKey(key), raw))
    }

    /// The pins of a channel, as they were asked for.
    pub fn pinned(&self, channel: Id, ids: &[Id], stamp: String) -> Option<(EventKey, Raw)> {
        let scene = self.scene(None, channel)?;
        let data = json!({ "ids": ids });
        let key = EventKey(format!("gw:{stamp}:pins"));
        Some((key, Raw { name: PINS.into(), data, stamp, received_ms: self.now(), scene }))
    }

    /// A post's first message, as it was asked for when its title or tags had changed.
    pub fn retagged(&self, data: Value, stamp: String) -> Option<(EventKey, Raw)> {
        let message: Message = parse(RETAGGED, &data);
        let scene = self.scene_of(&message, None)?;
        let key = EventKey(format!("gw:{stamp}:tags"));
        Some((key, Raw { name: RETAGGED.into(), data, stamp, received_ms: self.now(), scene }))
    }

    /// What stands over the first message of a post: its title and its tags.
    fn head_of(&self, id: Id) -> Option<(String, Vec<String>)> {
        let cache = self.cache();
        let title = cache.channel(id).filter(|_| cache.is_post(id)).map(|(_, c)| c.title().into());
        title.map(|title| (title, cache.tags(id)))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.now_ms()).unwrap_or_default()
    }

    fn stamped(&self, said: &Said<'_>, what: &str, scene: Scene) -> (EventKey, Raw) {
        let stamp = said.cursor.stamp(said.sequence);
        let raw = Raw {
            name: said.name.to_owned(),
            data: said.data.clone(),
            stamp: stamp.clone(),
            received_ms: self.now(),
            scene,
        };
        (EventKey(format!("gw:{stamp}:{what}")), raw)
    }

    /// Where a message stands, with the names of what it mentions.
    fn scene_of(&self, message: &Message, guild: Option<Id>) -> Option<Scene> {
        let mut scene = self.scene(guild, message.channel_id)?;
        let me = self.me_now().unwrap_or_default();
        let by_hook = message.webhook().is_some() && message.application_id == Some(me.application);
        scene.ours = by_hook || message.author.as_ref().is_some_and(|author| author.id == me.user);
        let cache = self.cache();
        if let Some(guild) = scene.guild {
            let roles = message.mention_roles.iter();
            scene.roles = roles.filter_map(|id| Some((*id, cache.role(guild, *id)?))).collect();
        }
        scene.channels = named(&cache, message);
        if let Some(thread) = scene.thread.as_mut().filter(|t| t.post && t.id == message.id) {
            thread.tags = cache.tags(message.id);
        }
        Some(scene)
    }

    fn note_message(&self, message: &Message, guild: Option<Id>) {
        if let (Some(author), None) = (&message.author, message.webhook_id) {
            self.note_person(guild, author, message.member.as_ref());
        }
        for user in &message.mentions {
            self.note_person(guild, user, user.member.as_deref());
        }
        if let (Some(webhook), Some(author)) = (message.webhook(), &message.author) {
            let person = Person::of_webhook(webhook, author.name());
            let picture =
                crate::convert::to_matrix::avatar(webhook, author.avatar.as_deref(), None);
            let info = landbridge_framework::event::UserInfo {
                name: Some(author.name().to_owned()),
                avatar: author.avatar.is_some().then_some(picture),
                bot: true,
                identifiers: Vec::new(),
            };
            self.note_webhook(person, info);
        }
        let forwarded = message.message_snapshots.iter().flat_map(|s| &s.message.attachments);
        for file in message.attachments.iter().chain(forwarded) {
            self.note_address(file.id, file.url.clone());
        }
    }

    /// The member that some events bring along.
    fn note_member(&self, data: &Value, guild: Option<Id>) {
        if let Some(member) = data.get("member").and_then(|m| GuildMember::deserialize(m).ok())
            && let Some(user) = &member.user
        {
            self.note_person(guild, user, Some(&member));
        }
    }

    /// Servers, channels, roles, members.
    fn take_rest(&self, said: &Said<'_>, place: &Place, taken: &mut Taken) {
        let guild = place.guild_id.unwrap_or_default();
        match said.name {
            "GUILD_CREATE" => {
                self.cache_mut().put_guild(parse::<Guild>(said.name, &said.data));
                taken.store.extend(self.standing(said, place.id));
            }
            "GUILD_UPDATE" => {
                self.cache_mut().change_guild(parse(said.name, &said.data));
                let scene = Scene { guild: Some(place.id), ..Scene::default() };
                taken.store.push(self.stamped(said, "", scene));
            }
            "GUILD_DELETE" if !place.unavailable => self.cache_mut().drop_guild(place.id),
            "GUILD_ROLE_CREATE" | "GUILD_ROLE_UPDATE" => {
                if let Some(role) = place.role.clone() {
                    let put = || self.cache_mut().put_role(guild, role);
                    taken.store.extend(self.opening(said, guild, put));
                }
            }
            "GUILD_ROLE_DELETE" => {
                self.cache_mut().drop_role(guild, place.role_id.unwrap_or_default());
            }
            "GUILD_EMOJIS_UPDATE" => {
                self.cache_mut().set_emojis(guild, place.emojis.clone().unwrap_or_default());
            }
            "CHANNEL_CREATE" | "CHANNEL_UPDATE" | "THREAD_CREATE" | "THREAD_UPDATE" => {
                self.take_channel(said, guild, taken);
            }
            "CHANNEL_DELETE" | "THREAD_DELETE" => {
                if let Some(scene) =
                    self.scene(Some(guild), place.id).filter(|scene| self.has_room(scene))
                {
                    taken.store.push(self.stamped(said, "", scene));
                }
                self.cache_mut().drop_channel(place.id);
            }
            "THREAD_LIST_SYNC" => {
                for thread in place.threads.clone().unwrap_or_default() {
                    self.cache_mut().put_channel(guild, thread);
                }
            }
            "GUILD_MEMBER_ADD" => {
                let member: GuildMember = parse(said.name, &said.data);
                if let Some(user) = &member.user {
                    self.note_person(Some(guild), user, Some(&member));
                }
            }
            "GUILD_MEMBER_UPDATE" => {
                let member: GuildMember = parse(said.name, &said.data);
                let Some(user) = &member.user else { return };
                // Most members never say anything, and have no ghost that could change.
                let known = self.person(&Person::User(user.id)).is_some();
                self.note_person(Some(guild), user, Some(&member));
                if !known {
                    return;
                }
                let scene = Scene { guild: Some(guild), ..Scene::default() };
                taken.store.push(self.stamped(said, "", scene));
                for channel in self.bridged_in(guild) {
                    let Some(mut scene) = self.scene(Some(guild), channel) else { continue };
                    let level = self.cache().power(guild, channel, user.id, &member);
                    if !self.is_new_power(channel, user.id, level) {
                        continue;
                    }
                    scene.power = Some(level);
                    let (key, mut raw) = self.stamped(said, &channel.to_string(), scene);
                    raw.name = POWER.into();
                    raw.data = json!({ "user_id": user.id });
                    taken.store.push((key, raw));
                }
            }
            "USER_UPDATE" => {
                let (key, mut raw) = self.stamped(said, "", Scene::default());
                raw.name = PROFILE.into();
                taken.store.push((key, raw));
            }
            "GUILD_MEMBER_REMOVE" | "GUILD_BAN_ADD" => {
                let Some(user) = place.user.as_ref().map(|user| user.id) else { return };
                let banned = said.name == "GUILD_BAN_ADD";
                for channel in self.bridged_in(guild) {
                    let Some(scene) = self.scene(Some(guild), channel) else { continue };
                    let (key, mut raw) = self.stamped(said, &channel.to_string(), scene);
                    raw.name = GONE.into();
                    raw.data = json!({ "user": { "id": user }, "banned": banned });
                    taken.store.push((key, raw));
                }
            }
            _ => {}
        }
    }

    /// How a server and its bridged channels stand when a session begins: they may have changed while nobody listened.
    fn standing(&self, said: &Said<'_>, guild: Id) -> Vec<(EventKey, Raw)> {
        let bridged = self.bridged_in(guild);
        let stamp = said.cursor.stamp(said.sequence);
        let received_ms = self.now();
        let told = |id: Id, name: &str, data: Value, scene: Scene| {
            let key = EventKey(format!("gw:{stamp}:stands:{id}"));
            (key, Raw { name: name.into(), data, stamp: stamp.clone(), received_ms, scene })
        };
        let mut all = Vec::new();
        if !bridged.is_empty() {
            let face = ["id", "name", "icon", "description"];
            let face = face.into_iter().map(|field| (field.to_owned(), said.data[field].clone()));
            let scene = Scene { guild: Some(guild), ..Scene::default() };
            all.push(told(guild, GUILD_STANDS, Value::Object(face.collect()), scene));
        }
        let lists =
            ["channels", "threads"].into_iter().filter_map(|list| said.data[list].as_array());
        for channel in lists.flatten() {
            let id = channel.get("id").and_then(|id| Id::deserialize(id).ok());
            let Some(id) = id.filter(|id| bridged.contains(id)) else { continue };
            let Some(mut scene) = self.scene(Some(guild), id).filter(|scene| self.has_room(scene))
            else {
                continue;
            };
            if let Some(thread) = &mut scene.thread {
                thread.tags = self.cache().tags(id);
            }
            // Here Discord leaves out what goes without saying.
            let mut channel = channel.clone();
            channel["guild_id"] = json!(guild);
            all.push(told(id, CHANNEL_STANDS, channel, scene));
        }
        all
    }

    /// A channel, or a thread, as it is now.
    fn take_channel(&self, said: &Said<'_>, guild: Id, taken: &mut Taken) {
        let channel: Channel = parse(said.name, &said.data);
        let id = channel.id;
        let before = self.head_of(id);
        let put = || self.cache_mut().put_channel(guild, channel);
        taken.store.extend(self.opening(said, guild, put));
        if before.is_some() && before != self.head_of(id) && self.scene(Some(guild), id).is_some() {
            taken.post = Some(id);
        }
        if said.name.ends_with("UPDATE")
            && let Some(mut scene) =
                self.scene(Some(guild), id).filter(|scene| self.has_room(scene))
        {
            if let Some(thread) = &mut scene.thread {
                thread.tags = self.cache().tags(id);
            }
            taken.store.push(self.stamped(said, "", scene));
        }
    }

    /// Makes a change, and says which rooms are for everybody by it that weren't, or no longer.
    fn opening(&self, said: &Said<'_>, guild: Id, change: impl FnOnce()) -> Vec<(EventKey, Raw)> {
        let rooms = if self.checked.is_whole(guild) { self.bridged_in(guild) } else { Vec::new() };
        let before: Vec<bool> = rooms.iter().map(|room| self.is_open(guild, *room)).collect();
        change();
        let stamp = said.cursor.stamp(said.sequence);
        let changed = rooms.into_iter().zip(before);
        changed
            .filter(|(room, was)| self.is_open(guild, *room) != *was)
            .filter_map(|(room, _)| self.openness(guild, room, &stamp))
            .collect()
    }

    /// The rooms of servers that are bridged whole that must not be open: it may have changed while nobody was told.
    pub fn hidden(&self, guilds: &[Id], stamp: &str) -> Vec<(EventKey, Raw)> {
        let whole = guilds.iter().filter(|guild| self.checked.is_whole(**guild));
        let rooms =
            whole.flat_map(|guild| self.bridged_in(*guild).into_iter().map(|r| (*guild, r)));
        rooms
            .filter(|(guild, room)| !self.is_open(*guild, *room))
            .filter_map(|(guild, room)| self.openness(guild, room, stamp))
            .collect()
    }

    fn openness(&self, guild: Id, room: Id, stamp: &str) -> Option<(EventKey, Raw)> {
        let mut scene = self.scene(Some(guild), room)?;
        scene.public = Some(self.is_open(guild, room));
        let raw = Raw {
            name: OPEN.into(),
            data: Value::Null,
            stamp: stamp.into(),
            received_ms: self.now(),
            scene,
        };
        Some((EventKey(format!("gw:{stamp}:open:{room}")), raw))
    }

    /// The bridged channels of a server.
    pub fn bridged_in(&self, guild: Id) -> Vec<Id> {
        let cache = self.cache();
        let of = |channel: &Id| cache.channel(*channel).is_some_and(|(known, _)| known == guild);
        self.bridged().into_iter().filter(of).collect()
    }
}

/// The names of the channels that a message mentions, and of the one it was forwarded from.
fn named(cache: &super::cache::Cache, message: &Message) -> BTreeMap<Id, String> {
    let forwarded = message.message_snapshots.iter().filter_map(|s| s.message.content.as_deref());
    let texts = message.content.as_deref().into_iter().chain(forwarded);
    let in_embeds = message.embeds.iter().flat_map(|embed| {
        let fields = embed.fields.iter().map(|field| field.value.as_str());
        embed.description.as_deref().into_iter().chain(fields)
    });
    let mut ids: Vec<Id> = Vec::new();
    for text in texts.chain(in_embeds) {
        let mentions = text.split("<#").skip(1).filter_map(|rest| rest.split('>').next());
        ids.extend(mentions.filter_map(|id| id.parse::<Id>().ok()));
    }
    ids.extend(message.message_reference.as_ref().and_then(|reference| reference.channel_id));
    ids.truncate(100);
    ids.into_iter().filter_map(|id| Some((id, cache.channel(id)?.1.title().to_owned()))).collect()
}

#[cfg(test)]
mod tests;
