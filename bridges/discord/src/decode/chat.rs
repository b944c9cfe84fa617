//! Servers, channels, people, and what passes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use landbridge_framework::{
    PortalKey,
    event::{
        Body, ChatDelta, JoinRule, MemberChange, Membership, PowerLevels, Presence, RemoteEvent,
        Sender, TypingKind, UserInfo,
    },
};
use serde::Deserialize;

use super::{At, user};
use crate::{
    connector::Discord,
    convert::to_matrix::{avatar, guild_icon, placed, tags},
    ids::{Id, Person, Place},
    wire::{Channel, ChannelKind, Guild, GuildMember, User},
};

type Events = Vec<RemoteEvent<Discord>>;

/// The channel's pinned messages, as they were asked for when `CHANNEL_PINS_UPDATE` came.
pub const PINS: &str = "PINS";
/// Somebody has left the server: told once for each of its rooms.
pub const GONE: &str = "GONE";
/// A room is for everybody, or no longer.
pub const OPEN: &str = "OPEN";
/// What somebody may do has changed: told once for each room.
pub const POWER: &str = "POWER";
/// How a channel or thread stands when a session begins.
pub const CHANNEL_STANDS: &str = "CHANNEL_STANDS";
/// How a server stands then.
pub const GUILD_STANDS: &str = "GUILD_STANDS";
/// Somebody looks different.
pub const PROFILE: &str = "PROFILE";

/// How long Discord shows that somebody types, unless they say something.
const TYPING: Duration = Duration::from_secs(10);

/// `TYPING_START`.
#[derive(Deserialize)]
pub(super) struct Typing {
    user_id: Id,
}

/// Somebody types.
pub(super) fn typing(at: &At<'_>, typing: &Typing) -> Events {
    if typing.user_id == at.scene.bot {
        return Vec::new();
    }
    let body = Body::Typing { kind: TypingKind::Text, timeout: TYPING };
    vec![at.known(user(typing.user_id), UNIX_EPOCH, "typing", body)]
}

/// `PRESENCE_UPDATE`, which bots get only with the privileged intent.
#[derive(Deserialize)]
pub(super) struct PresenceUpdate {
    user: User,
    #[serde(default)]
    status: String,
}

/// Somebody came, went or idles.
pub(super) fn presence(at: &At<'_>, update: &PresenceUpdate) -> Events {
    let presence = match update.status.as_str() {
        "online" => Presence::Online,
        "idle" => Presence::Away(None),
        "dnd" => Presence::Away(Some("Do not disturb".into())),
        _ => Presence::Offline,
    };
    vec![at.known(user(update.user.id), UNIX_EPOCH, "presence", Body::Presence(presence))]
}

/// A channel has another name, topic or category.
pub(super) fn channel_changed(at: &At<'_>, channel: &Channel) -> Events {
    let parent = channel.parent_id.map(Place::Channel).or(channel.guild_id.map(Place::Guild));
    let thread = channel.kind.is_thread();
    let standing = at.raw.name == CHANNEL_STANDS;
    let topic = match &at.scene.thread {
        Some(thread) if thread.post => Some(tags(&thread.tags).unwrap_or_default()),
        // Threads have none, and belong where their channel does.
        _ => (!thread).then(|| channel.topic.clone().unwrap_or_default()),
    };
    let delta = ChatDelta {
        name: Some(channel.room_name()),
        topic: topic.clone(),
        parent: (!thread).then_some(parent),
        standing,
        ..ChatDelta::default()
    };
    let mut events = vec![at.known(Sender::System, now_of(at), at.stamp("channel"), delta)];
    let name = Some(channel.room_name());
    let of_them = ChatDelta { name, topic, standing, ..ChatDelta::default() };
    events.extend(of_posts(at, "posts", of_them));
    events
}

/// The same about the space of a forum's posts.
fn of_posts(
    at: &At<'_>,
    what: &str,
    body: impl Into<Body<Discord>>,
) -> Option<RemoteEvent<Discord>> {
    let portal = PortalKey::shared(Place::Posts(at.scene.channel));
    let event = RemoteEvent::new(portal, Sender::System, now_of(at), at.stamp(what), body);
    (at.scene.forum && at.scene.thread.is_none()).then(|| event.only_in_known_portals())
}

/// Who may join the space of a forum's posts: whoever may be in the forum's room.
pub(crate) fn join_rule_of_posts(open: bool) -> JoinRule {
    if open { JoinRule::Public } else { JoinRule::Parent }
}

/// Who may join a channel's room: everybody where it is open; in a thread's room those of its channel's.
pub(crate) fn join_rule(kind: ChannelKind, open: bool) -> JoinRule {
    match kind {
        ChannelKind::PrivateThread => JoinRule::Invite,
        _ if open => JoinRule::Public,
        ChannelKind::Thread => JoinRule::Parent,
        _ => JoinRule::Invite,
    }
}

/// A channel is seen by everybody in its server, or no longer.
pub(super) fn opened(at: &At<'_>) -> Events {
    let Some(open) = at.scene.public else { return Vec::new() };
    let kind = match &at.scene.thread {
        Some(thread) if thread.private => ChannelKind::PrivateThread,
        Some(_) => ChannelKind::Thread,
        None => ChannelKind::Text,
    };
    let delta = |rule| ChatDelta { join_rule: Some(rule), ..ChatDelta::default() };
    let own = delta(join_rule(kind, open));
    let mut events = vec![at.known(Sender::System, now_of(at), at.stamp("open"), own)];
    events.extend(of_posts(at, "posts", delta(join_rule_of_posts(open))));
    events
}

/// The channel was deleted.
pub(super) fn channel_gone(at: &At<'_>) -> Events {
    let body = || Body::ChatGone { for_me_only: false };
    let mut events = vec![at.known(Sender::System, now_of(at), at.stamp("gone"), body())];
    events.extend(of_posts(at, "posts", body()));
    events
}

/// The server has another name or picture.
pub(super) fn guild_changed(at: &At<'_>, guild: &Guild) -> Events {
    let icon = guild.icon.as_deref().and_then(|hash| guild_icon(guild.id, hash));
    let delta = ChatDelta {
        name: Some(guild.name.clone()),
        topic: Some(guild.description.clone().unwrap_or_default()),
        avatar: Some(icon),
        standing: at.raw.name == GUILD_STANDS,
        ..ChatDelta::default()
    };
    let portal = PortalKey::shared(Place::Guild(guild.id));
    let event = RemoteEvent::new(portal, Sender::System, now_of(at), at.stamp("guild"), delta);
    vec![event.only_in_known_portals()]
}

/// What a user looks like, in a server if they are somebody else there.
pub(crate) fn profile(user: &User, member: Option<(Id, &GuildMember)>) -> UserInfo {
    let nick = member.and_then(|(_, member)| member.nick.as_deref()).filter(|n| !n.is_empty());
    let there = member.and_then(|(guild, member)| Some((guild, member.avatar.as_deref()?)));
    UserInfo {
        name: Some(nick.unwrap_or_else(|| user.name()).to_owned()),
        avatar: Some(avatar(user.id, user.avatar.as_deref(), there)),
        bot: user.bot,
        identifiers: Vec::new(),
    }
}

fn changed(at: &At<'_>, user: &User, info: UserInfo) -> RemoteEvent<Discord> {
    let guild = at.scene.guild.unwrap_or_default();
    let body = Body::UserChanged { user: Person::User(user.id), info: Some(info) };
    let portal = PortalKey::shared(Place::Guild(guild));
    let key = at.stamp(&format!("user:{}", user.id));
    RemoteEvent::new(portal, Sender::System, now_of(at), key, body).only_in_known_portals()
}

/// A member has another nick, picture or roles.
pub(super) fn member_changed(at: &At<'_>, member: &GuildMember) -> Events {
    let Some(user) = &member.user else { return Vec::new() };
    let guild = at.scene.guild.unwrap_or_default();
    vec![changed(at, user, profile(user, Some((guild, member))))]
}

/// A user has another name or picture.
pub(super) fn user_changed(at: &At<'_>, user: &User) -> Events {
    vec![changed(at, user, profile(user, None))]
}

/// Who left.
#[derive(Deserialize)]
pub(super) struct Gone {
    user: User,
    #[serde(default)]
    banned: bool,
}

/// Somebody left the server, or was put out of it.
pub(super) fn member_gone(at: &At<'_>, gone: &Gone) -> Events {
    let membership = if gone.banned { Membership::Ban } else { Membership::Leave };
    let change = MemberChange::new(Person::User(gone.user.id), membership);
    let sender = if gone.banned { Sender::System } else { user(gone.user.id) };
    let key = at.stamp(&format!("gone:{}", gone.user.id));
    vec![at.known(sender, now_of(at), key, vec![change])]
}

/// Whose power.
#[derive(Deserialize)]
pub(super) struct Powered {
    user_id: Id,
}

/// Somebody's roles allow something else than before.
pub(super) fn power_changed(at: &At<'_>, powered: &Powered) -> Events {
    let Some(level) = at.scene.power else { return Vec::new() };
    let power = PowerLevels {
        users: vec![(Sender::User(Person::User(powered.user_id)), level)],
        ..PowerLevels::default()
    };
    let delta = ChatDelta { power: Some(power), ..ChatDelta::default() };
    let key = at.stamp(&format!("power:{}", powered.user_id));
    vec![at.known(Sender::System, now_of(at), key, delta)]
}

/// What is pinned.
#[derive(Deserialize)]
pub(super) struct Pinned {
    ids: Vec<Id>,
}

/// The pinned messages, oldest pin first.
pub(super) fn pinned(at: &At<'_>, pinned: &Pinned) -> Events {
    let ids = pinned.ids.iter().map(|id| placed(*id, at.scene)).collect();
    vec![at.known(Sender::System, now_of(at), at.stamp("pins"), Body::Pins { ids })]
}

/// When it came: what it is about has no time of its own. It is part of what is stored, so that reading it again gives the same.
fn now_of(at: &At<'_>) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(at.raw.received_ms)
}
