//! Matrix as the framework needs it: an appservice's requests to a homeserver ([`Intent`]), and the homeserver's
//! requests to it ([`appservice`]). How bytes travel is a [`Carrier`]'s affair: HTTP, or straight into a router in the
//! same process.
//!
//! Nothing here sends twice: a send is one request, and whether and when it is repeated is for the caller to decide, who
//! has a durable outbox. Only reads are repeated here, briefly.

pub mod appservice;
mod carrier;
mod error;
mod intent;
mod memory;
mod request;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use landbridge_registration::Token;

pub use carrier::{Body, ByteStream, Carrier, CarrierError, HttpCarrier, RouterCarrier};
pub use error::MatrixError;
pub use intent::{
    Direction, Downloaded, Intent, Members, MessagesPage, Profile, ReadMarkers, RoomState,
    Versions, Whoami,
};

use crate::kv::KeyValue;
use memory::Memory;

/// Who we are to the homeserver.
#[derive(Clone, Debug)]
pub struct MatrixConfig {
    /// The homeserver's name, the part of Matrix IDs after the colon.
    pub server_name: String,
    /// The registration's `id`.
    pub appservice_id: String,
    /// The registration's `as_token`.
    pub as_token: Token,
    /// Localpart of the bridge's bot.
    pub bot_localpart: String,
    /// How long a request may take, uploads and downloads aside.
    pub timeout: Duration,
    /// The largest file uploaded or downloaded, in bytes.
    pub max_media_bytes: u64,
}

impl MatrixConfig {
    /// With a timeout of 30 seconds and files of at most 50 MiB.
    pub fn new(
        server_name: &str,
        appservice_id: &str,
        as_token: Token,
        bot_localpart: &str,
    ) -> Self {
        Self {
            server_name: server_name.to_owned(),
            appservice_id: appservice_id.to_owned(),
            as_token,
            bot_localpart: bot_localpart.to_owned(),
            timeout: Duration::from_secs(30),
            max_media_bytes: 50 * 1024 * 1024,
        }
    }
}

/// The homeserver, as one appservice sees it. Cheap to clone.
#[derive(Clone)]
pub struct Matrix {
    inner: Arc<Inner>,
}

struct Inner {
    carrier: Arc<dyn Carrier>,
    config: MatrixConfig,
    memory: Memory,
}

impl Matrix {
    /// Over `carrier`, remembering in `kv` which ghosts are registered, joined and named how.
    pub fn new(config: MatrixConfig, carrier: Arc<dyn Carrier>, kv: Arc<dyn KeyValue>) -> Self {
        Self { inner: Arc::new(Inner { carrier, config, memory: Memory::new(kv) }) }
    }

    /// The homeserver's name.
    pub fn server_name(&self) -> &str {
        &self.inner.config.server_name
    }

    /// The registration's `id`.
    pub fn appservice_id(&self) -> &str {
        &self.inner.config.appservice_id
    }

    /// The largest file, in bytes.
    pub fn max_media_bytes(&self) -> u64 {
        self.inner.config.max_media_bytes
    }

    /// The Matrix ID of the bridge's bot.
    pub fn bot_id(&self) -> String {
        self.user_id(&self.inner.config.bot_localpart)
    }

    /// The Matrix ID of a local user.
    pub fn user_id(&self, localpart: &str) -> String {
        format!("@{localpart}:{}", self.inner.config.server_name)
    }

    /// Whether a Matrix ID is of this homeserver.
    pub fn is_local(&self, user_id: &str) -> bool {
        user_id.split_once(':').is_some_and(|(_, server)| server == self.inner.config.server_name)
    }

    /// Acts as the bridge's bot.
    pub fn bot(&self) -> Intent {
        Intent::new(self.clone(), self.bot_id(), None)
    }

    /// Acts as a ghost: any user of the appservice's namespace.
    pub fn ghost(&self, user_id: &str) -> Intent {
        Intent::new(self.clone(), user_id.to_owned(), None)
    }

    /// Acts as a person. With a token of theirs it is their own session; without, the appservice masquerades, which
    /// works where its namespace includes them (with our homeserver, or by an `as_token` made for it).
    pub fn puppet(&self, user_id: &str, token: Option<Token>) -> Intent {
        Intent::puppet(self.clone(), user_id.to_owned(), token)
    }

    /// Somebody's membership changed, seen in a transaction or done by us: keeps the memory of joins right.
    pub async fn note_membership(
        &self,
        room_id: &str,
        user_id: &str,
        joined: bool,
    ) -> Result<(), MatrixError> {
        self.inner.memory.set_joined(room_id, user_id, joined).await.map_err(MatrixError::from)
    }

    /// Whether it was our doing that this person joined; to be asked once, when they have joined or left. An event that says that
    /// somebody joined has no room for a key by which we would know it.
    pub(crate) fn was_made_to_join(&self, room_id: &str, user_id: &str) -> bool {
        self.inner.memory.end_join(room_id, user_id)
    }

    /// A room is gone or no longer ours: forgets who was in it.
    pub async fn forget_room(&self, room_id: &str) -> Result<(), MatrixError> {
        self.inner.memory.forget_room(room_id).await.map_err(MatrixError::from)
    }
}
