//! Where the server listens.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where and how the server listens.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Addresses for plain HTTP, for use behind a reverse proxy or on the machine itself. All paths are served.
    pub http: Vec<SocketAddr>,
    /// Addresses for HTTPS, usually port 8448 for other homeservers. All paths are served.
    pub tls: Vec<TlsListen>,
    /// Whether a reverse proxy in front tells clients' addresses in `X-Forwarded-For`. Never turn it on without one: anyone
    /// could then choose the address that rate limits see.
    pub behind_proxy: bool,
    /// For how long requests may finish when the server is stopped.
    pub drain_seconds: u64,
}

/// An HTTPS address.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsListen {
    /// The address.
    pub address: SocketAddr,
    /// The file with the certificate and its chain (PEM).
    pub certificate: PathBuf,
    /// The file with the private key (PEM).
    pub key: PathBuf,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            http: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 8008))],
            tls: Vec::new(),
            behind_proxy: false,
            drain_seconds: 10,
        }
    }
}
