//! The Playground's network: a chat service of its own over HTTP, with a web page, so that bridging can be tried with nothing else
//! installed and tested against something that can be killed.
//!
//! Everything it acknowledges is on disk. Changes that carry a key happen once however often they are asked for.

mod api;
mod error;
mod faults;
pub(crate) mod limits;
mod page;
mod service;
mod store;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use axum::Router;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use landbridge_database::Database;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

pub use error::NetworkError;
pub use limits::MAX_TEXT;
pub use service::Now;

use crate::wire::{ChatKind, NewChat, Person};
use faults::FaultBoard;
use service::{Caller, Service};
use store::Store;

/// How a network is opened.
#[derive(Clone)]
pub struct Options {
    /// Its own token; without one, everybody who reaches its address may do everything.
    pub token: Option<String>,
    /// Whether `PUT /api/faults` may make it misbehave, for tests.
    pub faults: bool,
    /// The clock.
    pub now: Now,
}

impl Options {
    /// An open network without faults on the system's clock.
    pub fn open() -> Self {
        Self { token: None, faults: false, now: Arc::new(system_now) }
    }
}

fn system_now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A running network.
#[derive(Clone)]
pub struct Playground {
    shared: Arc<Shared>,
}

/// What every request reaches.
struct Shared {
    service: Service,
    faults: Option<FaultBoard>,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Playground {
    /// Opens the network that lives in a folder, which must exist.
    pub async fn open(folder: &Path, options: Options) -> Result<Self, NetworkError> {
        let url = format!("sqlite:{}", folder.join("playground.db").display());
        let db = Database::open(&url, &landbridge_database::Options::default()).await?;
        db.migrate(&store::schema::MIGRATIONS).await?;
        Self::over(db, options).await
    }

    async fn over(db: Database, options: Options) -> Result<Self, NetworkError> {
        let service = Service::open(Store::new(db), options.now, options.token.as_deref()).await?;
        Ok(Self {
            shared: Arc::new(Shared {
                service,
                faults: options.faults.then(FaultBoard::default),
                streams: Arc::new(Semaphore::new(limits::MAX_STREAMS)),
                stop: CancellationToken::new(),
            }),
        })
    }

    /// Puts the first people and the first chat on an empty network: Alice, Bob and Carol in the lobby, and `bot`, the bridge's account.
    pub async fn seed(&self, bot: &str) -> Result<(), NetworkError> {
        let service = &self.shared.service;
        if !service.people("").await?.is_empty() {
            return Ok(());
        }
        let people = [
            ("alice", "Alice", false),
            ("bob", "Bob", false),
            ("carol", "Carol", false),
            (bot, "Landbridge", true),
        ];
        for (id, name, bot) in people {
            service
                .add_person(&Caller::Network, Person { id: id.into(), name: name.into(), bot })
                .await?;
        }
        let lobby = NewChat {
            actor: Some("alice".into()),
            key: Some("seed".into()),
            id: Some("lobby".into()),
            kind: ChatKind::Group,
            name: Some("Lobby".into()),
            topic: Some("Say hello from both sides".into()),
            members: vec!["bob".into(), "carol".into(), bot.into()],
        };
        service.new_chat(&Caller::Network, lobby).await?;
        Ok(())
    }

    /// The API and the page.
    pub fn router(&self) -> Router {
        api::router(Arc::clone(&self.shared))
    }

    /// Answers on a listener until `stop`, then lets running requests end.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let signal = async move {
            stop.cancelled().await;
            // Waiting polls and open pages end too; otherwise they would hold the shutdown up.
            shared.stop.cancel();
        };
        axum::serve(listener, self.router()).with_graceful_shutdown(signal).await
    }
}

/// 32 random bytes as text.
fn random_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}
