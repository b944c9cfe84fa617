//! What one connection needs to know.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A password: never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Everything one connection needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Host name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// TLS, where the server is reached by it.
    pub tls: Option<Tls>,
    /// The server's password (`PASS`).
    pub password: Option<Secret>,
    /// The nick we want.
    pub nick: String,
    /// The user name ("ident").
    pub username: String,
    /// The real name ("gecos").
    pub realname: String,
    /// How to log in to the network's services.
    pub sasl: Option<Sasl>,
    /// A password for `NickServ`, used where SASL isn't offered.
    pub nickserv: Option<Secret>,
    /// How fast we may send; `None` takes the preset of the server's software.
    pub flood: Option<FloodLimits>,
    /// Which lines the owner of the connection wants to see.
    pub interest: Interest,
    /// Modes to set on ourselves once online, for example `+B`.
    pub user_modes: Option<String>,
    /// Whether to take the wanted nick as soon as whoever has it leaves it. Not for a puppet's: a person whose connection broke must
    /// find their nick free when they are back.
    pub regain: bool,
    /// How long a connection attempt may take, registration included.
    pub connect_timeout: Duration,
    /// Silence after which we ask the server whether it is there; after half as long again the connection counts as dead.
    pub ping_interval: Duration,
    /// The first pause before a new attempt; doubles up to `max_backoff`.
    pub min_backoff: Duration,
    /// The longest pause before a new attempt.
    pub max_backoff: Duration,
    /// Random numbers: for the connection's epoch and the jitter of pauses.
    pub random: Random,
}

/// A source of random numbers, given by the owner.
#[derive(Clone)]
pub struct Random(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Random {
    /// Wraps a generator.
    pub fn new(next: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(next))
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        (self.0)()
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

/// How TLS is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The SHA-256 fingerprint of the server's certificate, in hex with or without colons. Where it is set, that certificate and no
    /// other is accepted, whoever signed it: the way to trust a server with a certificate of its own making.
    pub fingerprint: Option<String>,
    /// A PEM file with more roots to trust.
    pub ca_file: Option<PathBuf>,
    /// A PEM file with our certificate and its key, for SASL EXTERNAL (`CertFP`).
    pub client_certificate: Option<PathBuf>,
}

/// How to log in to the network's services while connecting (IRCv3 SASL).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "mechanism")]
pub enum Sasl {
    /// By account name and password.
    Plain {
        /// The account.
        account: String,
        /// Its password.
        password: Secret,
    },
    /// By the TLS client certificate.
    External,
}

/// How fast a connection may send: a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FloodLimits {
    /// Commands that may go out at once.
    pub burst: f64,
    /// Commands a second after that.
    pub per_second: f64,
}

/// Which lines the owner of a connection wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// All that happens in its channels: the listening connection.
    Channels,
    /// Only what is said to itself, and what happens to itself: a puppet.
    Private,
}
