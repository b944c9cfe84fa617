//! What an administrator may decide. The doc comments here are the reference: `landbridge config` prints them.
//!
//! Sizes are in bytes and times in the unit that the key's name ends with. Secrets never appear in `Debug` output, nor
//! when a configuration is serialised.

mod calls;
mod discovery;
mod email;
mod limits;
mod listen;
mod notices;
mod oauth;
mod push;
mod secret;
mod sso;
mod turn;
mod url_previews;

use std::collections::BTreeMap;
use std::path::PathBuf;

use ipnet::IpNet;
use ruma::OwnedServerName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use calls::{DelayedEventPolicy, RtcPolicy};
pub use discovery::{Contact, PolicyServer, Support};
pub use email::{Email, SmtpSecurity};
pub use limits::{Rate, RateLimits};
pub use listen::{Listen, TlsListen};
pub use notices::ServerNotices;
pub use oauth::{Delegation, OAuth};
pub use push::PushPolicy;
pub use secret::Secret;
pub use sso::{ClientAuth, RequiredClaim, Sso, SsoProvider};
pub use turn::Turn;
pub use url_previews::UrlPreviewPolicy;

/// The homeserver.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The server's name: what stands after the colon in user IDs. It can't be changed once the server has data.
    #[schemars(with = "String")]
    pub server_name: OwnedServerName,
    /// The folder for everything that the server keeps (SQLite database, signing key, media). Created with mode 0700.
    pub data_dir: PathBuf,
    /// The address under which clients reach the server, published in `/.well-known/matrix/client` and used for links.
    pub public_base_url: Option<String>,
    /// Where and how the server listens.
    pub listen: Listen,
    /// The database.
    pub database: DatabaseConfig,
    /// Who may create accounts.
    pub registration: Registration,
    /// How accounts are protected.
    pub accounts: AccountPolicy,
    /// Signing in through identity providers.
    pub sso: Sso,
    /// Signing in by OAuth 2.0.
    pub oauth: OAuth,
    /// What rooms are like.
    pub rooms: RoomPolicy,
    /// Uploaded files.
    pub media: MediaPolicy,
    /// Previews of links.
    pub url_previews: UrlPreviewPolicy,
    /// Push notifications.
    pub push: PushPolicy,
    /// Bridges and other application services.
    pub appservices: AppservicePolicy,
    /// Events that are sent later.
    pub delayed_events: DelayedEventPolicy,
    /// How calls are carried.
    pub rtc: RtcPolicy,
    /// How many requests are served to whom.
    pub rate_limits: RateLimits,
    /// How the server connects to others.
    pub outbound: Outbound,
    /// Notices from the server to its users.
    pub server_notices: ServerNotices,
    /// How e-mail is sent.
    pub email: Email,
    /// The identity servers on which users may publish their addresses: names, each with its address, as in
    /// `"id.example.org" = "https://id.example.org"`.
    pub identity_servers: BTreeMap<String, String>,
    /// The one of them that `/.well-known/matrix/client` proposes to clients, by its name. Unset: the only one, and none of several.
    pub default_identity_server: Option<String>,
    /// The TURN server for calls.
    pub turn: Turn,
    /// Who helps the server's users.
    pub support: Support,
    /// A policy server under this server's name.
    pub policy_server: PolicyServer,
}

/// The database.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `sqlite:PATH` or `postgres://user:password@host/name`. Unset: `homeserver.db` in the data folder.
    pub url: Option<Secret>,
    /// Connections for reading (SQLite) or in all (Postgres). Unset: a number that fits the machine.
    pub connections: Option<u32>,
}

/// Who may create accounts.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Registration {
    /// Whether anyone may register. Without `tokens` nothing but a free name is asked of them (`m.login.dummy`).
    pub open: bool,
    /// Tokens of which one must be shown to register (`m.login.registration_token`); they let people register even when
    /// registration isn't `open`. So do those that administrators make (`landbridge user token`), but where anyone may register
    /// and none stands here, nobody is asked for one.
    pub tokens: Vec<Secret>,
    /// Whether guests may register: accounts without a password that may only look at rooms that let them.
    pub guests: bool,
    /// The key for `/_synapse/admin/v1/register`, with which scripts create accounts, administrators too.
    pub shared_secret: Option<Secret>,
}

/// How accounts are protected.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccountPolicy {
    /// Memory for hashing one password (Argon2id), in KiB. The default is OWASP's recommendation.
    pub password_memory_kib: u32,
    /// Passes over that memory.
    pub password_passes: u32,
    /// The fewest characters a password may have.
    pub password_minimum_length: usize,
    /// For how long an access token is good when the client can refresh it.
    pub access_token_lifetime_seconds: u64,
    /// For how long a user-interactive session may take.
    pub uia_session_lifetime_seconds: u64,
    /// Whether devices without an account may begin the sign-in by a QR code, so that it is them who show the code (MSC4388).
    pub rendezvous_without_account: bool,
}

/// What rooms are like.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoomPolicy {
    /// The version of rooms whose creator asks for none.
    pub default_version: String,
    /// Whether anyone may publish rooms in the directory; otherwise administrators and application services only.
    pub publish_by_anyone: bool,
    /// Whether the list of public rooms may be read without an account.
    pub public_list_without_account: bool,
    /// Whether users who share no room find each other in the user directory.
    pub user_directory_shows_all: bool,
}

/// Uploaded files.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MediaPolicy {
    /// The folder for files. Unset: `media` in the data folder.
    pub directory: Option<PathBuf>,
    /// The largest file that may be uploaded.
    pub max_upload_bytes: u64,
    /// How much one user may upload in all; 0 is without limit. Application services are exempt.
    pub quota_bytes_per_user: u64,
    /// Whether the old paths, which ask for no access token, serve files uploaded from now on.
    pub unauthenticated: bool,
    /// The most pixels of an image that thumbnails are made of.
    pub max_thumbnail_source_pixels: u64,
    /// For how long an asynchronous upload may be awaited.
    pub async_upload_lifetime_seconds: u64,
}

/// Bridges and other application services.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AppservicePolicy {
    /// A folder of registration files (`*.yaml`, `*.json`). Read at start, and again on SIGHUP.
    pub directory: Option<PathBuf>,
}

/// How the server connects to others.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Outbound {
    /// A file with one more root certificate (PEM) to trust, for application services, and whatever else the server
    /// connects to, behind HTTPS with a certificate of your own.
    pub extra_root_certificate: Option<PathBuf>,
    /// Ranges of addresses (`127.0.0.0/8`) that the server connects to when others name them, in links for example, though
    /// they are not public.
    #[schemars(with = "Vec<String>")]
    pub allowed_addresses: Vec<IpNet>,
    /// Ranges of addresses that it never connects to when others name them, public or allowed as they may be.
    #[schemars(with = "Vec<String>")]
    pub denied_addresses: Vec<IpNet>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server_name: OwnedServerName::try_from("localhost")
                .expect("localhost is a server name"),
            data_dir: PathBuf::from("landbridge-data"),
            public_base_url: None,
            listen: Listen::default(),
            database: DatabaseConfig::default(),
            registration: Registration::default(),
            accounts: AccountPolicy::default(),
            sso: Sso::default(),
            oauth: OAuth::default(),
            rooms: RoomPolicy::default(),
            media: MediaPolicy::default(),
            url_previews: UrlPreviewPolicy::default(),
            push: PushPolicy::default(),
            appservices: AppservicePolicy::default(),
            delayed_events: DelayedEventPolicy::default(),
            rtc: RtcPolicy::default(),
            rate_limits: RateLimits::default(),
            outbound: Outbound::default(),
            server_notices: ServerNotices::default(),
            email: Email::default(),
            identity_servers: BTreeMap::new(),
            default_identity_server: None,
            turn: Turn::default(),
            support: Support::default(),
            policy_server: PolicyServer::default(),
        }
    }
}

impl Default for AccountPolicy {
    fn default() -> Self {
        Self {
            password_memory_kib: 19_456,
            password_passes: 2,
            password_minimum_length: 8,
            access_token_lifetime_seconds: 300,
            uia_session_lifetime_seconds: 900,
            rendezvous_without_account: false,
        }
    }
}

impl Default for RoomPolicy {
    fn default() -> Self {
        Self {
            default_version: "12".to_owned(),
            publish_by_anyone: true,
            public_list_without_account: false,
            user_directory_shows_all: false,
        }
    }
}

impl Default for MediaPolicy {
    fn default() -> Self {
        Self {
            directory: None,
            max_upload_bytes: 100 << 20,
            quota_bytes_per_user: 0,
            unauthenticated: false,
            max_thumbnail_source_pixels: 40_000_000,
            async_upload_lifetime_seconds: 86_400,
        }
    }
}

/// A setting that contradicts another, or that the server can't work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ConfigError {
    /// The setting, as a dotted path.
    pub key: &'static str,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl Config {
    /// The URL of the database: the one that is set, or SQLite in the data folder.
    pub fn database_url(&self) -> String {
        match &self.database.url {
            Some(url) => url.expose().to_owned(),
            None => format!("sqlite:{}", self.data_dir.join("homeserver.db").display()),
        }
    }

    /// The address below which this server offers signing in by OAuth 2.0, without a slash at its end; none where it doesn't.
    pub fn oauth_base(&self) -> Option<&str> {
        self.oauth.base(self.public_base_url.as_deref())
    }

    /// Checks what types can't: called once at start.
    pub fn check(&self) -> Result<(), ConfigError> {
        let fail = |key, problem: &str| Err(ConfigError { key, problem: problem.to_owned() });
        if ruma::RoomVersionId::try_from(self.rooms.default_version.as_str())
            .ok()
            .and_then(|version| version.rules())
            .is_none()
        {
            return fail(
                "rooms.default_version",
                "not a room version that this server knows; it knows 1 to 12",
            );
        }
        if self.accounts.password_memory_kib < 8 || self.accounts.password_passes == 0 {
            return fail(
                "accounts",
                "password_memory_kib must be at least 8 and password_passes at least 1",
            );
        }
        if let Some(url) = &self.public_base_url
            && !url.starts_with("https://")
            && !url.starts_with("http://")
        {
            return fail("public_base_url", "must start with https:// or http://");
        }
        self.oauth.check(self.public_base_url.as_deref())?;
        if self.oauth.delegation.is_some() && !self.sso.providers.is_empty() {
            return fail(
                "sso.providers",
                "must not be set beside oauth.delegation: name them there",
            );
        }
        self.server_notices.check(&self.server_name)?;
        let is_web = |base: &String| base.starts_with("https://") || base.starts_with("http://");
        if !self.identity_servers.values().all(is_web) {
            return fail("identity_servers", "each address must start with https:// or http://");
        }
        if let Some(name) = &self.default_identity_server
            && !self.identity_servers.contains_key(name)
        {
            return fail("default_identity_server", "must be one of identity_servers");
        }
        self.email.check(self.public_base_url.as_deref())?;
        self.turn.check()?;
        self.support.check()?;
        self.policy_server.check()?;
        self.rtc.check()?;
        self.sso.check(self.public_base_url.as_deref())?;
        self.rate_limits.check()
    }
}

#[cfg(test)]
mod tests {
    use figment::Figment;
    use figment::providers::{Format, Toml};

    use super::*;

    fn read(text: &str) -> Result<Config, Box<figment::Error>> {
        Figment::from(Toml::string(text)).extract().map_err(Box::new)
    }

    #[test]
    fn the_default_is_sound() {
        Config::default().check().unwrap();
        read("").unwrap().check().unwrap();
    }

    #[test]
    fn unknown_keys_and_versions_are_refused() {
        assert!(read("server_nmae = 'x.org'").is_err());
        let config = read("rooms.default_version = '99'").unwrap();
        assert_eq!(config.check().unwrap_err().key, "rooms.default_version");
    }

    #[test]
    fn the_identity_server_that_is_proposed_is_one_that_is_named() {
        let config = read("default_identity_server = 'id.org'").unwrap();
        assert_eq!(config.check().unwrap_err().key, "default_identity_server");
        let known = "default_identity_server = 'id.org'\nidentity_servers = { 'id.org' = 'https://id.org' }";
        read(known).unwrap().check().unwrap();
    }

    #[test]
    fn browsers_stay_signed_in_for_as_long_as_they_can() {
        for (seconds, good) in [("60", true), ("0", false), ("34560001", false)] {
            let config =
                read(&format!("oauth.browser_session_lifetime_seconds = {seconds}")).unwrap();
            assert_eq!(config.check().is_ok(), good, "{seconds}");
        }
    }

    #[test]
    fn a_transport_says_its_type() {
        let config =
            read("[[rtc.transports]]\ntype = 'livekit'\nlivekit_service_url = 'https://x'");
        config.unwrap().check().unwrap();
        let config = read("[[rtc.transports]]\nlivekit_service_url = 'https://x'").unwrap();
        assert_eq!(config.check().unwrap_err().key, "rtc.transports");
    }

    #[test]
    fn secrets_stay_out_of_debug_and_serialised_output() {
        let config = read(
            "registration.shared_secret = 'hunter2'\ndatabase.url = 'postgres://u:hunter2@h/d'",
        )
        .unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"));
        assert_eq!(config.database_url(), "postgres://u:hunter2@h/d");
    }
}
