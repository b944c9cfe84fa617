//! The server's Ed25519 signing key.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use ruma::{OwnedServerName, ServerName};
use sha2::{Digest as _, Sha256};

/// A key that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The version isn't one or more of `[a-zA-Z0-9_]` (appendices, "Signing details").
    #[error("the key version {0:?} may only have the characters a-z, A-Z, 0-9 and _")]
    Version(String),
    /// Not a key as [`ServerKey::to_text`] writes it.
    #[error("not a signing key: expected `ed25519 VERSION SEED`")]
    Text,
}

/// The key that this server signs with, and the name it signs as. Never printed.
#[derive(Clone)]
pub struct ServerKey {
    server: OwnedServerName,
    id: String,
    key: SigningKey,
}

impl ServerKey {
    /// The key with this 32-byte seed. `version` is what follows `ed25519:` in its id.
    pub fn new(server: &ServerName, version: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        if version.is_empty()
            || !version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(KeyError::Version(version.to_owned()));
        }
        Ok(Self {
            server: server.to_owned(),
            id: format!("ed25519:{version}"),
            key: SigningKey::from_bytes(seed),
        })
    }

    /// Reads what [`Self::to_text`] wrote; it is the format of Synapse's key files too.
    pub fn from_text(server: &ServerName, text: &str) -> Result<Self, KeyError> {
        let mut words = text.split_whitespace();
        let (Some("ed25519"), Some(version), Some(seed), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(KeyError::Text);
        };
        let seed =
            STANDARD_NO_PAD.decode(seed.trim_end_matches('=')).map_err(|_| KeyError::Text)?;
        Self::new(server, version, &seed.try_into().map_err(|_| KeyError::Text)?)
    }

    /// The line to keep in the key file. It is the secret itself.
    pub fn to_text(&self) -> String {
        let version = self.id.strip_prefix("ed25519:").unwrap_or(&self.id);
        format!("ed25519 {version} {}\n", STANDARD_NO_PAD.encode(self.key.to_bytes()))
    }

    /// The server that signs.
    pub fn server(&self) -> &ServerName {
        &self.server
    }

    /// The key's id, `ed25519:VERSION`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key in unpadded base64.
    pub fn public(&self) -> String {
        STANDARD_NO_PAD.encode(self.key.verifying_key().as_bytes())
    }

    /// The signature of `bytes` in unpadded base64.
    pub fn sign(&self, bytes: &[u8]) -> String {
        STANDARD_NO_PAD.encode(self.key.sign(bytes).to_bytes())
    }

    /// A secret for `purpose` that only the holder of this key can compute.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        Sha256::new().chain_update(self.key.to_bytes()).chain_update(purpose).finalize().into()
    }
}

impl std::fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerKey")
            .field("server", &self.server)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
