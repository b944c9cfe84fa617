//! A server that speaks `MTProto` to unmodified clients, for tests: everything after the key exchange, which clients do only with Telegram
//! itself. Client and server make their keys of a seed instead.
//!
//! It has people, a bot, direct chats, basic groups, supergroups with counters of their own, forums, differences, history, files and
//! logins; it can drop connections, answers and updates, repeat updates, and ask to be left alone.

mod build;
mod keys;
mod packet;
mod rpc;
mod serve;
mod world;

use std::{
    net::SocketAddrV4,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{net::TcpListener, task::JoinHandle};

pub use world::{Asked, CODE, Faults, Passed, Place, Said, Sent, Shown, World, carried};

/// The server. It ends when this is dropped.
pub struct Peer {
    world: Arc<Mutex<World>>,
    seed: String,
    address: SocketAddrV4,
    serving: JoinHandle<()>,
}

impl Peer {
    /// Listens on a free port of the loopback interface, with keys of this seed.
    ///
    /// # Errors
    ///
    /// When it can't listen.
    pub async fn start(seed: &str) -> std::io::Result<Self> {
        Self::listen(seed, SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0)).await
    }

    /// Listens on an address.
    ///
    /// # Errors
    ///
    /// When it can't listen.
    pub async fn listen(seed: &str, address: SocketAddrV4) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let std::net::SocketAddr::V4(address) = listener.local_addr()? else {
            return Err(std::io::Error::other("not an IPv4 address"));
        };
        let world = Arc::new(Mutex::new(World::default()));
        let keys = Arc::new(keys::Keys::of(seed));
        let serving = tokio::spawn(serve::accept(listener, world.clone(), keys));
        Ok(Self { world, seed: seed.to_owned(), address, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// The key of a session by which another program has logged somebody in.
    pub fn foreign_session(&self, who: i64) -> [u8; 256] {
        let key = keys::foreign(&self.seed);
        self.world().signed_in.insert(keys::id(&key), who);
        key
    }

    /// Everything it knows, to look at or to change.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.serving.abort();
        self.world().cut_connections();
    }
}
