//! Finding people and channels.

use std::time::Duration;

use landbridge_framework::event::UserInfo;
use landbridge_framework::{Directory, NetError, PortalKey, Scope};

use super::{Irc, IrcClient};
use crate::client::{ClientHandle, SendFailure};
use crate::ids::{Chat, Nick};
use crate::{chan, nick};

const PATIENCE: Duration = Duration::from_secs(15);

/// WHOIS, and channels by name.
pub(super) struct IrcDirectory;

impl IrcClient {
    /// A connection that can ask: the user's own, or the bot's.
    pub(super) async fn asking(&self) -> Result<ClientHandle, SendFailure> {
        if let Some(puppet) =
            self.account.owner.as_deref().and_then(|owner| self.hub.pool.existing(owner))
        {
            puppet.handle.online(PATIENCE).await?;
            return Ok(puppet.handle.clone());
        }
        self.hub.online_listener(PATIENCE).await
    }
}

impl Directory<Irc> for IrcDirectory {
    async fn resolve(&self, client: &IrcClient, query: &str) -> Result<Option<Nick>, NetError> {
        if !nick::is_valid(query) {
            return Ok(None);
        }
        let found = client
            .asking()
            .await
            .map_err(NetError::temporary)?
            .whois(query)
            .await
            .map_err(NetError::temporary)?;
        Ok(found.map(|whois| Nick::new(&client.hub.network, client.hub.fold(&whois.nick))))
    }

    /// IRC can't be searched; a nick that fits exactly is found, and those in the bridged channels that begin so.
    async fn search(
        &self,
        client: &IrcClient,
        query: &str,
    ) -> Result<Vec<(Nick, UserInfo)>, NetError> {
        let folded = client.hub.fold(query);
        let mut found = client.hub.tracker().beginning_with(&folded, 20);
        if found.is_empty()
            && let Some(nick) = self.resolve(client, query).await?
        {
            found.push((nick.nick, query.to_owned()));
        }
        Ok(found
            .into_iter()
            .map(|(folded, nick)| (Nick::new(&client.hub.network, folded), UserInfo::named(nick)))
            .collect())
    }

    async fn open_dm(&self, client: &IrcClient, user: &Nick) -> Result<PortalKey<Irc>, NetError> {
        // A private conversation is between two nicks: the bot's isn't the user's.
        if client.account.owner.is_none() {
            return Err(NetError::permanent(
                "log in first: private messages on IRC need a nick of your own (`login guest`)",
            ));
        }
        let id =
            Chat::Query { network: user.network.clone(), nick: user.nick.clone(), owner: None };
        Ok(PortalKey { id, scope: Scope::Private(client.account.clone()) })
    }

    async fn find_chat(
        &self,
        client: &IrcClient,
        query: &str,
    ) -> Result<Option<PortalKey<Irc>>, NetError> {
        let query = query.trim();
        let named = query.split_once('/').and_then(|(network, channel)| {
            let hub = client.hubs.values().find(|hub| hub.name == network)?;
            Some((hub, channel))
        });
        let (hub, channel) = named.unwrap_or((client.hub_of(""), query));
        if !chan::is_valid(channel) || hub.config.is_closed(channel) {
            return Ok(None);
        }
        let id = Chat::channel(&hub.network, hub.fold(channel));
        Ok(Some(PortalKey { id, scope: Scope::Shared }))
    }
}
