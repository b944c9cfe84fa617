//! How chats, users and logins of IRC are named for ever. The default network's name is empty in all of them, so that its ghosts are
//! `@irc_nick` and its aliases `#irc_#channel`. Names are folded: IRC's are case-insensitive.

use landbridge_framework::{BadId, RemoteId};

/// A chat.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Chat {
    /// A channel.
    Channel {
        /// The network.
        network: String,
        /// The channel's folded name, its sign included.
        name: String,
    },
    /// A private conversation with a nick.
    Query {
        /// The network.
        network: String,
        /// The folded nick.
        nick: String,
        /// The Matrix user whose puppet it is with, where they have no login of their own.
        owner: Option<String>,
    },
}

/// The signs a channel's name may begin with.
const SIGNS: [char; 4] = ['#', '&', '+', '!'];

impl Chat {
    /// A channel by its folded name.
    pub fn channel(network: &str, name: impl Into<String>) -> Self {
        Self::Channel { network: network.to_owned(), name: name.into() }
    }

    /// The network it is on.
    pub fn network(&self) -> &str {
        match self {
            Self::Channel { network, .. } | Self::Query { network, .. } => network,
        }
    }

    /// What a line to it is addressed to.
    pub fn target(&self) -> &str {
        match self {
            Self::Channel { name, .. } => name,
            Self::Query { nick, .. } => nick,
        }
    }
}

impl RemoteId for Chat {
    fn encode(&self) -> String {
        match self {
            Self::Channel { network, name } if network.is_empty() => name.clone(),
            Self::Channel { network, name } => format!("{network}/{name}"),
            // A channel begins with its sign and a network with a letter: the colon can't be mistaken.
            Self::Query { network, nick, owner } => {
                format!(":{network}/{nick}!{}", owner.as_deref().unwrap_or_default())
            }
        }
    }

    fn decode(text: &str) -> Result<Self, BadId> {
        let bad = || BadId(text.to_owned());
        if let Some(query) = text.strip_prefix(':') {
            let (network, rest) = query.split_once('/').ok_or_else(bad)?;
            let (nick, owner) = rest.split_once('!').ok_or_else(bad)?;
            let owner = (!owner.is_empty()).then(|| owner.to_owned());
            return Ok(Self::Query { network: network.to_owned(), nick: nick.to_owned(), owner });
        }
        if text.starts_with(SIGNS) {
            return Ok(Self::channel("", text));
        }
        let (network, name) = text.split_once('/').ok_or_else(bad)?;
        if network.is_empty() || !name.starts_with(SIGNS) {
            return Err(bad());
        }
        Ok(Self::channel(network, name))
    }
}

/// A user: a nick on a network.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nick {
    /// The network.
    pub network: String,
    /// The folded nick.
    pub nick: String,
}

impl Nick {
    /// A folded nick of a network.
    pub fn new(network: &str, nick: impl Into<String>) -> Self {
        Self { network: network.to_owned(), nick: nick.into() }
    }
}

impl RemoteId for Nick {
    fn encode(&self) -> String {
        // Some networks allow the slash in nicks.
        if self.network.is_empty() && !self.nick.contains('/') {
            self.nick.clone()
        } else {
            format!("{}/{}", self.network, self.nick)
        }
    }

    fn decode(text: &str) -> Result<Self, BadId> {
        let (network, nick) = text.split_once('/').unwrap_or(("", text));
        if nick.is_empty() {
            return Err(BadId(text.to_owned()));
        }
        Ok(Self::new(network, nick))
    }
}

/// A login: the network's bot, or a Matrix user's own account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// The network.
    pub network: String,
    /// The Matrix user; `None` is the bot.
    pub owner: Option<String>,
}

impl RemoteId for Account {
    fn encode(&self) -> String {
        format!("{}/{}", self.network, self.owner.as_deref().unwrap_or("bot"))
    }

    fn decode(text: &str) -> Result<Self, BadId> {
        let (network, owner) = text.split_once('/').ok_or_else(|| BadId(text.to_owned()))?;
        let owner = (owner != "bot").then(|| owner.to_owned());
        Ok(Self { network: network.to_owned(), owner })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn are_named_as_the_documentation_says() {
        assert_eq!(Chat::channel("", "#a/b").encode(), "#a/b");
        assert_eq!(Chat::channel("oftc", "#a").encode(), "oftc/#a");
        assert_eq!(Nick::new("", "casey").encode(), "casey");
        assert_eq!(Nick::new("oftc", "casey").encode(), "oftc/casey");
        assert!(
            Chat::decode("nosign").is_err()
                && Chat::decode("net/nosign").is_err()
                && Chat::decode("/#x").is_err()
        );
        assert!(Nick::decode("net/").is_err());
    }

    proptest! {
        #[test]
        fn names_are_read_as_written(network in "[a-z0-9-]{0,5}", nick in "[a-z\\[\\]/|_-]{1,9}", chan in "[#&+!][^ ,\\x07]{0,12}", owner in proptest::option::of("@[a-z]{1,5}:[a-z.]{1,9}(:[0-9]{1,4})?")) {
            let ids = [Chat::channel(&network, &chan), Chat::Query { network: network.clone(), nick: nick.clone(), owner: owner.clone() }];
            for id in ids {
                prop_assert_eq!(Chat::decode(&id.encode()).unwrap(), id);
            }
            let user = Nick::new(&network, &nick);
            prop_assert_eq!(Nick::decode(&user.encode()).unwrap(), user);
            let account = Account { network, owner };
            prop_assert_eq!(Account::decode(&account.encode()).unwrap(), account);
        }
    }
}
