//! The application services of this server (Application Service API): who they are, what is theirs, how they
//! are reached.
//!
//! Registrations come from a folder and from bridges in the same process. They can be read again while the
//! server runs: a service keeps its number, and with it its place in every room's interest, as long as it is
//! registered. Looking somebody up costs no I/O.

mod directory;
mod folder;
mod ping;
mod query;
mod service;
mod third_party;
mod transport;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use axum::Router;
use landbridge_registration::{
    Conflict, IndexError, Interest as Claim, Mask, NamespaceIndex, Registration, Severity,
    conflicts,
};
use ruma::{OwnedServerName, RoomAliasId, RoomId, UserId};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

pub use self::directory::InstanceId;
pub use self::folder::FolderError;
pub use self::ping::PingError;
pub use self::service::Appservice;
pub use self::third_party::Fields;
pub use self::transport::{Answer, CallError};
use crate::config::Config;
use crate::room::{Interest, InterestSource};

/// Why the registrations cannot be used together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppserviceError {
    /// A file cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Two services clash.
    #[error("{0}")]
    Conflict(Conflict),
    /// The namespaces cannot be compiled.
    #[error(transparent)]
    Namespaces(#[from] IndexError),
    /// A bot's localpart makes no user id on this server.
    #[error("application service `{id}`: its sender_localpart makes no user id here: {reason}")]
    Sender {
        /// The service.
        id: String,
        /// What is wrong with the id.
        reason: String,
    },
    /// There is no service of that id.
    #[error("there is no application service `{0}`")]
    Unknown(String),
    /// The extra root certificate cannot be read.
    #[error("outbound.extra_root_certificate {file}: {source}")]
    Root {
        /// The file.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The client for requests to services could not be built.
    #[error("the HTTP client for application services could not be built: {0}")]
    Client(#[source] reqwest::Error),
}

/// The application services. Clones share them.
#[derive(Clone)]
pub struct Appservices(Arc<Inner>);

struct Inner {
    server_name: OwnedServerName,
    folder: Option<PathBuf>,
    http: reqwest::Client,
    table: ArcSwap<Table>,
    /// Registrations of bridges in this process, by id.
    in_process: Mutex<HashMap<String, Registration>>,
    /// Rises with every change of the table.
    generation: watch::Sender<u64>,
}

/// Everything that changes together.
struct Table {
    index: NamespaceIndex,
    /// By number; a number whose service has gone stays empty until it is needed.
    services: Vec<Option<Arc<Appservice>>>,
    by_id: HashMap<String, Arc<Appservice>>,
    by_token: HashMap<[u8; 32], Arc<Appservice>>,
    /// Those that want events.
    listening: Mask,
    generation: u64,
}

impl Appservices {
    /// Reads the registrations of the configured folder.
    pub fn open(config: &Config) -> Result<Self, AppserviceError> {
        let server_name = config.server_name.clone();
        let empty = Table::build(&server_name, Vec::new(), 0)?;
        let extra_root = match &config.outbound.extra_root_certificate {
            Some(file) => Some(std::fs::read(file).map_err(|source| AppserviceError::Root {
                file: file.display().to_string(),
                source,
            })?),
            None => None,
        };
        let services = Self(Arc::new(Inner {
            server_name,
            folder: config.appservices.directory.clone(),
            http: transport::client(extra_root.as_deref()).map_err(AppserviceError::Client)?,
            table: ArcSwap::from_pointee(empty),
            in_process: Mutex::default(),
            generation: watch::Sender::new(0),
        }));
        services.reload()?;
        Ok(services)
    }

    /// Reads the folder again. When anything is wrong, nothing changes.
    pub fn reload(&self) -> Result<(), AppserviceError> {
        let mut in_process = self.lock();
        self.rebuild(&mut in_process)
    }

    /// Registers, or updates, a bridge in this process. Its token is valid from now on, and its transactions
    /// wait until [`attach`](Self::attach) says where to deliver them.
    pub fn register(&self, registration: Registration) -> Result<(), AppserviceError> {
        let mut in_process = self.lock();
        let id = registration.id.clone();
        let before = in_process.insert(id.clone(), registration);
        let result = self.rebuild(&mut in_process);
        if result.is_err() {
            match before {
                Some(registration) => in_process.insert(id, registration),
                None => in_process.remove(&id),
            };
        }
        result
    }

    /// Delivers a service's transactions to a router in this process, from now on or instead of the one before.
    pub fn attach(&self, id: &str, router: Router) -> Result<(), AppserviceError> {
        let service = self.by_id(id).ok_or_else(|| AppserviceError::Unknown(id.to_owned()))?;
        service.attach(router);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Registration>> {
        self.0.in_process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds the table anew from the folder and the bridges in this process, which win over files of the
    /// same id.
    fn rebuild(
        &self,
        in_process: &mut HashMap<String, Registration>,
    ) -> Result<(), AppserviceError> {
        let mut wanted = match &self.0.folder {
            Some(folder) => folder::read(folder)?,
            None => Vec::new(),
        };
        wanted.retain(|(_, registration)| !in_process.contains_key(&registration.id));
        let mut registrations: Vec<(Registration, bool)> =
            wanted.into_iter().map(|(_, registration)| (registration, false)).collect();
        registrations.extend(in_process.values().map(|registration| (registration.clone(), true)));
        for conflict in conflicts(registrations.iter().map(|(registration, _)| registration)) {
            match conflict.severity {
                Severity::Error => return Err(AppserviceError::Conflict(conflict)),
                Severity::Warning => {
                    tracing::warn!(%conflict, "application services disturb each other");
                }
            }
        }
        let old = self.0.table.load();
        let mut slots: Vec<Option<Arc<Appservice>>> = vec![None; old.services.len()];
        let mut new = Vec::new();
        for (registration, in_process) in registrations {
            match old.by_id.get(&registration.id) {
                Some(before) if before.is_same(&registration, in_process) => {
                    slots[before.number()] = Some(before.clone());
                }
                Some(before) => {
                    let service = self.service(registration, before.number(), in_process)?;
                    service.inherit(before);
                    slots[before.number()] = Some(Arc::new(service));
                }
                None => new.push((registration, in_process)),
            }
        }
        for (registration, in_process) in new {
            // A number that was never used, so that no room still counts it for somebody else; a used one
            // only when there is no other.
            let number = match slots.iter().position(Option::is_none) {
                Some(free) if slots.len() >= Mask::CAPACITY => free,
                _ => slots.len(),
            };
            let service = Arc::new(self.service(registration, number, in_process)?);
            if number == slots.len() {
                slots.push(Some(service));
            } else {
                slots[number] = Some(service);
            }
        }
        let generation = old.generation + 1;
        let table = Table::build(&self.0.server_name, slots, generation)?;
        self.0.table.store(Arc::new(table));
        self.0.generation.send_replace(generation);
        Ok(())
    }

    fn service(
        &self,
        registration: Registration,
        number: usize,
        in_process: bool,
    ) -> Result<Appservice, AppserviceError> {
        Appservice::new(registration, number, in_process, &self.0.server_name, self.0.http.clone())
    }

    /// The service that shows this `as_token`.
    pub fn by_token(&self, as_token: &str) -> Option<Arc<Appservice>> {
        // Looked up by its hash, so that the time taken tells nothing about the tokens there are.
        let service = self.0.table.load().by_token.get(&digest(as_token)).cloned()?;
        service.is_alive();
        Some(service)
    }

    /// The service of this id.
    pub fn by_id(&self, id: &str) -> Option<Arc<Appservice>> {
        self.0.table.load().by_id.get(id).cloned()
    }

    /// The service with this number.
    pub fn by_number(&self, number: usize) -> Option<Arc<Appservice>> {
        self.0.table.load().services.get(number).cloned().flatten()
    }

    /// All services.
    pub fn all(&self) -> Vec<Arc<Appservice>> {
        self.0.table.load().services.iter().flatten().cloned().collect()
    }

    /// Tells when services were added, changed or removed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.generation.subscribe()
    }

    /// What a user id means to the services.
    pub fn user(&self, user: &UserId) -> Claim {
        self.0.table.load().index.user(user.as_str())
    }

    /// What an alias means to the services.
    pub fn alias(&self, alias: &RoomAliasId) -> Claim {
        self.0.table.load().index.alias(alias.as_str())
    }

    /// Whether a user id lies in an exclusive namespace of a service other than `except`: nobody else may
    /// create it (`M_EXCLUSIVE`).
    pub fn exclusive_user(&self, user: &UserId, except: Option<&str>) -> bool {
        let table = self.0.table.load();
        table.index.user(user.as_str()).excludes(table.number(except))
    }

    /// The same for an alias.
    pub fn exclusive_alias(&self, alias: &RoomAliasId, except: Option<&str>) -> bool {
        let table = self.0.table.load();
        table.index.alias(alias.as_str()).excludes(table.number(except))
    }

    /// Whether a user belongs to any service, so that nobody of flesh and blood reads what they get.
    pub fn is_ghost(&self, user: &UserId) -> bool {
        !self.user(user).exclusive.is_empty()
    }

    /// The services of an interest that want events.
    pub fn listeners(&self, interest: Interest) -> Vec<Arc<Appservice>> {
        let table = self.0.table.load();
        (interest & table.listening)
            .iter()
            .filter_map(|number| table.services.get(number).cloned().flatten())
            .collect()
    }
}

impl Table {
    fn build(
        server_name: &ruma::ServerName,
        services: Vec<Option<Arc<Appservice>>>,
        generation: u64,
    ) -> Result<Self, AppserviceError> {
        let all = || services.iter().flatten();
        let index = NamespaceIndex::build(
            server_name.as_str(),
            all().map(|service| (service.number(), service.registration())),
        )?;
        let listening = all()
            .filter(|service| service.wants_traffic())
            .fold(Mask::EMPTY, |mask, service| mask | Mask::single(service.number()));
        Ok(Self {
            index,
            by_id: all().map(|service| (service.id().to_owned(), service.clone())).collect(),
            by_token: all()
                .map(|service| (digest(service.registration().as_token.expose()), service.clone()))
                .collect(),
            listening,
            services,
            generation,
        })
    }

    fn number(&self, id: Option<&str>) -> Option<usize> {
        self.by_id.get(id?).map(|service| service.number())
    }

    fn interest(&self, mask: Mask) -> Interest {
        mask & self.listening
    }
}

impl InterestSource for Appservices {
    fn of_user(&self, user: &UserId) -> Interest {
        let table = self.0.table.load();
        table.interest(table.index.user(user.as_str()).interested)
    }

    fn of_alias(&self, alias: &RoomAliasId) -> Interest {
        let table = self.0.table.load();
        table.interest(table.index.alias(alias.as_str()).interested)
    }

    fn of_room(&self, room: &RoomId) -> Interest {
        let table = self.0.table.load();
        table.interest(table.index.room(room.as_str()).interested)
    }

    fn generation(&self) -> u64 {
        self.0.table.load().generation
    }
}

impl std::fmt::Debug for Appservices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all().iter().map(|service| service.id().to_owned())).finish()
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests;
