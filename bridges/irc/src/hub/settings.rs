//! The connection settings of the bot and of puppets.

use std::time::Duration;

use super::Hub;
use crate::client::{Interest, Sasl, Secret, Settings};
use crate::nick::nick_for;
use crate::pool::Identity;

/// What the bot's ident is made from, where a puppet's is made from a Matrix ID.
const BOT: &str = "bot";
/// The nick length before the server has told its own: what every server allows.
const SAFE_NICK: usize = 9;

impl Hub {
    /// The bot's connection.
    pub fn bot_settings(&self) -> Settings {
        let config = &self.config;
        Settings {
            host: config.host.clone(),
            port: config.port,
            tls: config.tls.then(|| config.tls_options.clone()),
            password: config.password.clone(),
            nick: config.nick.clone(),
            // Like a puppet's: what a bot of a killed run still says must not be taken for somebody else's words.
            username: self.ident_of(BOT),
            realname: config.realname.clone(),
            sasl: config.sasl.clone(),
            nickserv: config.nickserv_password.clone(),
            flood: config.flood,
            interest: Interest::Channels,
            user_modes: config.user_modes.clone(),
            regain: true,
            connect_timeout: Duration::from_secs(config.connect_timeout.max(1)),
            ping_interval: Duration::from_secs(config.ping_interval.max(5)),
            min_backoff: Duration::from_secs(config.reconnect_min.max(1)),
            max_backoff: Duration::from_secs(config.reconnect_max.max(1)),
            random: self.random.clone(),
        }
    }

    /// The longest nick the network takes, as far as known.
    pub fn nick_len(&self) -> usize {
        self.listener()
            .and_then(|handle| handle.snapshot())
            .map_or(SAFE_NICK, |me| me.isupport.nick_len)
    }

    /// The nick a Matrix user is to have.
    pub fn nick_of(&self, mxid: &str, display: Option<&str>) -> String {
        let localpart = mxid.trim_start_matches('@').split(':').next().unwrap_or_default();
        nick_for(&self.config.puppets.nick, display, localpart, self.nick_len())
    }

    /// A puppet's connection: of a Matrix user without further ado, or with an account of their own.
    pub fn puppet_settings(
        &self,
        mxid: &str,
        display: Option<&str>,
        identity: Option<&Identity>,
    ) -> Settings {
        let nick = identity
            .and_then(|identity| identity.nick.clone())
            .unwrap_or_else(|| self.nick_of(mxid, display));
        let realname = self
            .config
            .puppets
            .realname
            .replace("$MXID", mxid)
            .replace("$DISPLAY", display.unwrap_or(mxid));
        let sasl = identity.and_then(|identity| {
            let (account, password) = (identity.account.clone()?, identity.password.clone()?);
            Some(Sasl::Plain { account, password })
        });
        let nickserv: Option<Secret> = identity.and_then(|identity| identity.password.clone());
        // The bot's client certificate is the bot's identity, and stays its own.
        let tls = self.config.tls.then(|| crate::client::Tls {
            client_certificate: None,
            ..self.config.tls_options.clone()
        });
        Settings {
            nick,
            username: self.ident_of(mxid),
            realname,
            sasl,
            nickserv,
            tls,
            interest: Interest::Private,
            regain: identity.is_some(),
            ..self.bot_settings()
        }
    }
}
