//! What is known about servers, channels and people: asked when a room is made, plumbed or brought up to date.

use std::time::Duration;

use landbridge_framework::{
    NetError, PortalKey,
    event::{ChatInfo, ChatKind, JoinRule, Member, Membership, Sender, UserInfo},
};

use super::{Discord, PortalMeta};
use crate::{
    client::{ApiError, Call, Hub, Wait},
    convert::to_matrix::{guild_icon, tags},
    decode::{join_rule, join_rule_of_posts, profile},
    ids::{Id, Person, Place},
    wire::{Channel, ChannelKind, GuildMember, User},
};

/// The most members that are asked for to find who has which power.
const MEMBERS: usize = 10_000;
/// How long the making of a room waits for the bot's connection.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything known about a chat.
pub(super) async fn info(
    hub: &Hub,
    key: &PortalKey<Discord>,
) -> Result<ChatInfo<Discord>, NetError> {
    match key.id {
        Place::Guild(guild) => guild_info(hub, guild).await,
        Place::Channel(channel) => channel_info(hub, channel).await,
        Place::Posts(forum) => posts_info(hub, forum).await,
    }
}

async fn guild_info(hub: &Hub, guild: Id) -> Result<ChatInfo<Discord>, NetError> {
    let face = known(hub, |hub| hub.cache().face(guild)).await;
    let face = face.ok_or_else(|| NetError::permanent("the bridge's bot is not in this server"))?;
    Ok(ChatInfo {
        kind: ChatKind::Space,
        name: Some(face.name),
        topic: face.description.filter(|text| !text.is_empty()),
        avatar: face.icon.as_deref().and_then(|hash| guild_icon(guild, hash)),
        join_rule: if hub.checked.is_whole(guild) { JoinRule::Public } else { JoinRule::Invite },
        meta: Some(PortalMeta { guild: Some(guild), ..PortalMeta::default() }),
        ..ChatInfo::default()
    })
}

/// The space of a forum's posts, where they have rooms: it stands beside the forum's own room, in which posts are begun.
async fn posts_info(hub: &Hub, forum: Id) -> Result<ChatInfo<Discord>, NetError> {
    let (guild, channel) = found(hub, forum).await?;
    Ok(ChatInfo {
        kind: ChatKind::Space,
        name: Some(channel.room_name()),
        topic: channel.topic.filter(|topic| !topic.is_empty()),
        parent: Some(Place::Channel(forum)),
        position: Some(channel.position),
        join_rule: join_rule_of_posts(hub.is_open(guild, forum)),
        meta: Some(PortalMeta { guild: Some(guild), ..PortalMeta::default() }),
        ..ChatInfo::default()
    })
}

/// A channel and its server.
async fn found(hub: &Hub, id: Id) -> Result<(Id, Channel), NetError> {
    if hub.checked.is_closed(id) {
        return Err(NetError::permanent("this channel may not be bridged"));
    }
    match known(hub, |hub| hub.cache().channel(id).map(|(g, c)| (g, c.clone()))).await {
        Some(found) => Ok(found),
        None => ask_channel(hub, id).await,
    }
}

async fn channel_info(hub: &Hub, id: Id) -> Result<ChatInfo<Discord>, NetError> {
    let (guild, channel) = found(hub, id).await?;
    let parent = channel.parent_id;
    let thread = channel.kind.is_thread();
    let post = thread && hub.cache().is_post(id);
    let kind = match channel.kind {
        ChannelKind::Category => ChatKind::Space,
        _ => ChatKind::Channel,
    };
    let parent_place = match parent {
        Some(forum) if post => Place::Posts(forum),
        Some(parent) => Place::Channel(parent),
        None => Place::Guild(guild),
    };
    let topic = if post { tags(&hub.cache().tags(id)) } else { channel.topic.clone() };
    let mut info = ChatInfo {
        kind,
        name: Some(channel.room_name()),
        topic: topic.filter(|topic| !topic.is_empty()),
        parent: Some(parent_place),
        position: Some(channel.position),
        invite: hub.invited(id).into_iter().collect(),
        join_rule: join_rule(channel.kind, hub.is_open(guild, id)),
        meta: Some(PortalMeta {
            guild: Some(guild),
            parent: parent.filter(|_| thread),
            forum: channel.kind.is_forum(),
        }),
        ..ChatInfo::default()
    };
    if hub.checked.config.gateway.members && kind == ChatKind::Channel {
        info.members = powerful(hub, guild, id).await?;
    }
    Ok(info)
}

/// A channel that isn't known: a thread that was put away, or one that the bot doesn't see.
async fn ask_channel(hub: &Hub, id: Id) -> Result<(Id, Channel), NetError> {
    let channel: Channel =
        hub.rest.ask(Call::get(format!("channels/{id}")), Wait::Yes).await.map_err(
            |error: ApiError| match error {
                ApiError::Refused { .. } => NetError::permanent(
                    "there is no such channel, or the bridge's bot doesn't see it",
                ),
                error => error.into(),
            },
        )?;
    let guild = channel.guild_id.ok_or_else(|| {
        NetError::permanent("direct messages are not bridged: a bot has one with each person, not one for each of its users")
    })?;
    hub.cache_mut().put_channel(guild, channel.clone());
    Ok((guild, channel))
}

/// Those whose roles give them power in a channel.
async fn powerful(hub: &Hub, guild: Id, channel: Id) -> Result<Vec<Member<Discord>>, NetError> {
    let all = match hub.members(guild, MEMBERS).await {
        Ok(all) => all,
        Err(error @ ApiError::Refused { .. }) => {
            tracing::warn!(%guild, %error, "the members can't be asked for: is the intent Server Members on?");
            return Ok(Vec::new());
        }
        Err(error) => return Err(error.into()),
    };
    let cache = hub.cache();
    let member = |member: &GuildMember| {
        let user = member.user.as_ref()?;
        let level = cache.power(guild, channel, user.id, member);
        (level > 0 && Some(user.id) != hub.me_now().map(|me| me.user)).then(|| Member {
            user: Sender::User(Person::User(user.id)),
            membership: Membership::Join,
            power: Some(level),
            info: Some(profile(user, Some((guild, member)))),
        })
    };
    Ok(all.iter().filter_map(member).collect())
}

/// Something of the cache, which may only be on its way.
async fn known<T>(hub: &Hub, ask: impl Fn(&Hub) -> Option<T>) -> Option<T> {
    if let Some(found) = ask(hub) {
        return Some(found);
    }
    // Who is asked before the bot is connected knows nothing yet.
    if hub.cache().guilds().next().is_none() {
        let patient = async {
            while hub.cache().guilds().next().is_none() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, patient).await;
    }
    ask(hub)
}

/// What somebody looks like.
pub(super) async fn user(hub: &Hub, id: &Person) -> Result<UserInfo, NetError> {
    if let Some(known) = hub.person(id) {
        return Ok(known);
    }
    match id {
        Person::User(user) => {
            let found: User = hub.rest.ask(Call::get(format!("users/{user}")), Wait::Yes).await?;
            hub.note_person(None, &found, None);
            Ok(profile(&found, None))
        }
        // Its name came with what it said, and is applied from there.
        Person::Webhook(..) => {
            Ok(UserInfo { name: Some("Webhook".into()), bot: true, ..UserInfo::default() })
        }
    }
}
