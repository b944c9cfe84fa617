//! Finding people and channels by what people call them.

use landbridge_framework::{Directory, NetError, PortalKey, event::UserInfo};

use super::{Discord, DiscordClient};
use crate::{
    client::{Call, Hub, Wait},
    decode::profile,
    ids::{Id, Person, Place},
    wire::{ChannelKind, GuildMember},
};

/// How many people a search gives.
const FOUND: usize = 20;

/// The servers the bot is in.
pub(crate) struct Servers;

impl Directory<Discord> for Servers {
    async fn resolve(
        &self,
        client: &DiscordClient,
        query: &str,
    ) -> Result<Option<Person>, NetError> {
        let query =
            query.trim().trim_start_matches("<@").trim_end_matches('>').trim_start_matches('!');
        if let Ok(id) = query.parse::<Id>() {
            return match super::chat::user(&client.hub, &Person::User(id)).await {
                Ok(_) => Ok(Some(Person::User(id))),
                Err(NetError::Permanent(_)) => Ok(None),
                Err(error) => Err(error),
            };
        }
        let found = search(&client.hub, query.trim_start_matches('@')).await?;
        let name = query.trim_start_matches('@').to_lowercase();
        Ok(found.into_iter().find_map(|member| {
            let user = member.user?;
            (user.username.to_lowercase() == name).then_some(Person::User(user.id))
        }))
    }

    async fn search(
        &self,
        client: &DiscordClient,
        query: &str,
    ) -> Result<Vec<(Person, UserInfo)>, NetError> {
        let found = search(&client.hub, query.trim().trim_start_matches('@')).await?;
        let info = |member: GuildMember| {
            let user = member.user.as_ref()?;
            Some((Person::User(user.id), profile(user, None)))
        };
        Ok(found.into_iter().filter_map(info).collect())
    }

    async fn open_dm(&self, _: &DiscordClient, _: &Person) -> Result<PortalKey<Discord>, NetError> {
        Err(NetError::permanent(
            "direct messages are not bridged: Discord lets programs write them only as themselves, so that all users of this bridge would \
             share one conversation with each person",
        ))
    }

    async fn find_chat(
        &self,
        client: &DiscordClient,
        query: &str,
    ) -> Result<Option<PortalKey<Discord>>, NetError> {
        let found = find(&client.hub, query.trim())?;
        Ok(found.map(PortalKey::shared))
    }
}

async fn search(hub: &Hub, name: &str) -> Result<Vec<GuildMember>, NetError> {
    let guilds: Vec<Id> = hub.cache().guilds().collect();
    let mut found: Vec<GuildMember> = Vec::new();
    for guild in guilds.into_iter().take(20) {
        let call = Call::get(format!("guilds/{guild}/members/search"))
            .query("query", name)
            .query("limit", FOUND);
        let some: Vec<GuildMember> = hub.rest.ask(call, Wait::Yes).await?;
        for member in some {
            let Some(user) = &member.user else { continue };
            let known = |other: &GuildMember| other.user.as_ref().is_some_and(|u| u.id == user.id);
            if !found.iter().any(known) {
                found.push(member);
            }
        }
        if found.len() >= FOUND {
            break;
        }
    }
    found.truncate(FOUND);
    Ok(found)
}

/// A channel by its number, its mention, its link, its name, or its server's name and its own: `Server/#channel`.
fn find(hub: &Hub, query: &str) -> Result<Option<Place>, NetError> {
    let plain = query.trim_start_matches("<#").trim_end_matches('>');
    if let Ok(id) = plain.parse::<Id>() {
        let cache = hub.cache();
        let guild = cache.face(id).is_some() && cache.channel(id).is_none();
        return Ok(Some(if guild { Place::Guild(id) } else { Place::Channel(id) }));
    }
    if let Some((_, path)) = query.split_once("/channels/") {
        let channel = path.split('/').nth(1).and_then(|id| id.parse::<Id>().ok());
        return Ok(channel.map(Place::Channel));
    }
    let (server, name) = match query.rsplit_once("/#").or_else(|| query.rsplit_once('/')) {
        Some((server, name)) => (Some(server.trim()), name),
        None => (None, query),
    };
    let name = name.trim_start_matches('#').to_lowercase();
    let cache = hub.cache();
    let mut found: Vec<(String, Id)> = Vec::new();
    for guild in cache.guilds() {
        let called = cache.face(guild).map(|face| face.name).unwrap_or_default();
        if server.is_some_and(|server| {
            !server.eq_ignore_ascii_case(&called) && server != guild.to_string()
        }) {
            continue;
        }
        let here = cache.channels_of(guild).filter(|channel| {
            channel.kind != ChannelKind::Category && channel.title().to_lowercase() == name
        });
        found.extend(here.map(|channel| (called.clone(), channel.id)));
    }
    match found.as_slice() {
        [] => Ok(None),
        [(_, id)] => Ok(Some(Place::Channel(*id))),
        several => {
            let ways: Vec<String> =
                several.iter().take(10).map(|(server, id)| format!("{server} ({id})")).collect();
            Err(NetError::permanent(format!(
                "several channels are called that: {}. Say which by its number",
                ways.join(", ")
            )))
        }
    }
}
