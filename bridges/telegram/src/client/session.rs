//! What a connection remembers: data centres, and the keys agreed upon with them. Kept in the bridge's own database, in the login and
//! in a cursor of its stream; never in a file of its own.

use std::{
    collections::BTreeMap,
    net::{SocketAddrV4, SocketAddrV6},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use grammers_session::{
    BoxFuture, Session, SessionData,
    types::{DcOption, PeerId, PeerInfo, UpdateState, UpdatesState},
};
use landbridge_framework::{Closed, Inbox};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};

use crate::{
    config::{Config, TestServer},
    connector::Telegram,
};

/// The stream whose cursor is the session.
const STREAM: &str = "session";

/// A session as it is stored. Holds keys: never logged.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredSession {
    /// Tells sessions of one login apart: a renewed login begins a new one.
    pub nonce: String,
    /// The data centre that has the account.
    pub home: i32,
    /// What is known of data centres.
    pub dcs: Vec<StoredDc>,
}

/// A data centre, and the key agreed upon with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDc {
    /// Its number.
    pub id: i32,
    /// Its address.
    pub v4: SocketAddrV4,
    /// Its other address.
    pub v6: SocketAddrV6,
    /// The key, in base64.
    pub key: Option<String>,
}

/// The session could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("the session could not be stored: {0}")]
pub struct NotKept(String);

impl From<Closed> for NotKept {
    fn from(closed: Closed) -> Self {
        Self(closed.to_string())
    }
}

/// A session as grammers uses it. What changes is stored before the request goes on that changed it.
pub struct Kept {
    nonce: String,
    data: Mutex<Data>,
    inbox: OnceLock<Inbox<Telegram>>,
}

struct Data {
    home: i32,
    dcs: BTreeMap<i32, DcOption>,
}

impl Kept {
    /// A new session: with Telegram, or with the server of a test.
    pub fn new(config: &Config, nonce: String) -> Self {
        let known = SessionData::default();
        let mut data = Data { home: known.home_dc, dcs: known.dc_options.into_iter().collect() };
        if let Some(server) = &config.test_server {
            data.home = server.dc;
            data.dcs = BTreeMap::from([(server.dc, of_test_server(server, &nonce))]);
        }
        Self { nonce, data: Mutex::new(data), inbox: OnceLock::new() }
    }

    /// The session as it was stored.
    pub fn restored(config: &Config, stored: &StoredSession) -> Self {
        let kept = Self::new(config, stored.nonce.clone());
        {
            let mut data = kept.data();
            if stored.home != 0 {
                data.home = stored.home;
            }
            for dc in &stored.dcs {
                let key =
                    dc.key.as_ref().and_then(|key| STANDARD.decode(key).ok()?.try_into().ok());
                data.dcs
                    .insert(dc.id, DcOption { id: dc.id, ipv4: dc.v4, ipv6: dc.v6, auth_key: key });
            }
            // The address of a test's server may change between its starts; the keys stay.
            if let Some(server) = &config.test_server
                && let Some(dc) = data.dcs.get_mut(&server.dc)
            {
                dc.ipv4 = server.address;
            }
        }
        kept
    }

    /// The session that the login has gone on with, or the one it began with.
    pub async fn load(
        config: &Config,
        began: &StoredSession,
        inbox: Inbox<Telegram>,
    ) -> Result<Self, Closed> {
        let stored = inbox.cursor_of(STREAM).await?;
        let stored = stored.and_then(|text| serde_json::from_str::<StoredSession>(&text).ok());
        let stored = stored.filter(|stored| stored.nonce == began.nonce);
        let kept = Self::restored(config, stored.as_ref().unwrap_or(began));
        // Set once, here.
        let _ = kept.inbox.set(inbox);
        Ok(kept)
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be stored.
    pub fn stored(&self) -> StoredSession {
        let data = self.data();
        let dcs = data.dcs.values().map(|dc| StoredDc {
            id: dc.id,
            v4: dc.ipv4,
            v6: dc.ipv6,
            key: dc.auth_key.map(|key| STANDARD.encode(key)),
        });
        StoredSession { nonce: self.nonce.clone(), home: data.home, dcs: dcs.collect() }
    }

    /// The data centre that has the account.
    pub fn home(&self) -> i32 {
        self.data().home
    }

    async fn keep(&self) -> Result<(), NotKept> {
        // While somebody logs in there is nothing to store it in: the login takes it when it is done.
        let Some(inbox) = self.inbox.get() else { return Ok(()) };
        let text =
            serde_json::to_string(&self.stored()).map_err(|error| NotKept(error.to_string()))?;
        inbox.put_all(Vec::new(), Some((STREAM, &text))).await?;
        Ok(())
    }
}

fn of_test_server(server: &TestServer, nonce: &str) -> DcOption {
    let ip = server.address.ip().to_ipv6_mapped();
    DcOption {
        id: server.dc,
        ipv4: server.address,
        ipv6: SocketAddrV6::new(ip, server.address.port(), 0, 0),
        auth_key: server.key_seed.as_ref().map(|seed| test_key(&seed.0, nonce)),
    }
}

/// How many keys a test's server knows.
const SLOTS: u16 = 16_384;

/// The key that a test's server and its client make of their seed: the one of the slot that the session's nonce falls into.
pub fn test_key(seed: &str, nonce: &str) -> [u8; 256] {
    let nonce = Sha512::digest(nonce.as_bytes());
    let slot = u16::from_be_bytes([nonce[0], nonce[1]]) % SLOTS;
    let mut key = [0; 256];
    for (at, chunk) in key.chunks_exact_mut(64).enumerate() {
        let mut hash = Sha512::new();
        hash.update((seed.len() as u64).to_be_bytes());
        hash.update(seed.as_bytes());
        hash.update(slot.to_be_bytes());
        hash.update([at as u8]);
        chunk.copy_from_slice(&hash.finalize());
    }
    key
}

impl Session for Kept {
    type Error = NotKept;

    fn home_dc_id(&self) -> Result<i32, NotKept> {
        Ok(self.home())
    }

    fn set_home_dc_id(&self, dc_id: i32) -> BoxFuture<'_, Result<(), NotKept>> {
        Box::pin(async move {
            self.data().home = dc_id;
            self.keep().await
        })
    }

    fn dc_option(&self, dc_id: i32) -> Result<Option<DcOption>, NotKept> {
        Ok(self.data().dcs.get(&dc_id).cloned())
    }

    fn set_dc_option(&self, dc_option: &DcOption) -> BoxFuture<'_, Result<(), NotKept>> {
        let new = dc_option.clone();
        Box::pin(async move {
            let old = self.data().dcs.insert(new.id, new.clone());
            // Telegram tells all addresses at each connection.
            if old.as_ref() == Some(&new) { Ok(()) } else { self.keep().await }
        })
    }

    // People and the state of updates are kept elsewhere: see `peers` and `follow`.
    fn peer(&self, _: PeerId) -> BoxFuture<'_, Result<Option<PeerInfo>, NotKept>> {
        Box::pin(std::future::ready(Ok(None)))
    }
    fn cache_peer(&self, _: PeerInfo) -> BoxFuture<'_, Result<(), NotKept>> {
        Box::pin(std::future::ready(Ok(())))
    }
    fn updates_state(&self) -> BoxFuture<'_, Result<UpdatesState, NotKept>> {
        Box::pin(std::future::ready(Ok(UpdatesState::default())))
    }
    fn set_update_state(&self, _: UpdateState) -> BoxFuture<'_, Result<(), NotKept>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn a_session_comes_back() {
        let kept = Kept::new(&Config::default(), "n".into());
        kept.data().home = 4;
        if let Some(dc) = kept.data().dcs.get_mut(&4) {
            dc.auth_key = Some([7; 256]);
        }
        let stored = kept.stored();
        let text = serde_json::to_string(&stored).unwrap();
        let back = Kept::restored(&Config::default(), &serde_json::from_str(&text).unwrap());
        assert_eq!(back.home(), 4);
        assert_eq!(back.data().dcs[&4].auth_key, Some([7; 256]));
        assert!(back.stored() == stored);
    }

    #[test]
    fn each_session_of_a_test_has_its_own_key() {
        let server = TestServer {
            address: "127.0.0.1:1".parse().unwrap(),
            dc: 2,
            key_seed: Some(Secret("s".into())),
        };
        let config = Config { test_server: Some(server), ..Config::default() };
        let key = |nonce: &str| Kept::new(&config, nonce.into()).data().dcs[&2].auth_key.unwrap();
        assert_ne!(key("a"), key("b"));
        assert_eq!(key("a"), test_key("s", "a"));
    }
}
