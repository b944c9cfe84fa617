//! One application service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use landbridge_registration::{NamespaceIndex, Registration};
use ruma::{OwnedUserId, RoomAliasId, ServerName, UserId};
use tokio::sync::Notify;

use super::AppserviceError;
use super::transport::Transport;

/// An application service, as its registration has it.
pub struct Appservice {
    registration: Registration,
    number: usize,
    in_process: bool,
    sender: OwnedUserId,
    /// Its own namespaces alone: what it may act as does not depend on others.
    own: NamespaceIndex,
    transport: Transport,
    signs: Arc<Signs>,
}

/// Signs of life, which outlive a change of the registration.
#[derive(Default)]
pub(crate) struct Signs {
    /// Whether a transaction could not be delivered and waits to be tried again.
    pub(crate) stalled: AtomicBool,
    /// Wakes the delivery: the service has shown itself alive.
    pub(crate) alive: Notify,
}

impl Appservice {
    pub(super) fn new(
        registration: Registration,
        number: usize,
        in_process: bool,
        server_name: &ServerName,
        http: reqwest::Client,
    ) -> Result<Self, AppserviceError> {
        let sender = UserId::parse(registration.sender(server_name.as_str())).map_err(|error| {
            AppserviceError::Sender { id: registration.id.clone(), reason: error.to_string() }
        })?;
        let own = NamespaceIndex::build(server_name.as_str(), [(0, &registration)])?;
        let transport = Transport::new(http, &registration);
        let signs = Arc::default();
        Ok(Self { registration, number, in_process, sender, own, transport, signs })
    }

    /// Takes over what a service of the same id had before its registration changed.
    pub(super) fn inherit(&self, before: &Self) {
        self.transport.inherit(&before.transport);
    }

    pub(super) fn is_same(&self, registration: &Registration, in_process: bool) -> bool {
        self.registration == *registration && self.in_process == in_process
    }

    /// Its id, which never changes.
    pub fn id(&self) -> &str {
        &self.registration.id
    }

    /// Its registration.
    pub const fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Its number in interests.
    pub const fn number(&self) -> usize {
        self.number
    }

    /// Its own user.
    pub fn sender(&self) -> &UserId {
        &self.sender
    }

    /// Whether it may act as this user: its sender, or in its namespaces (Application Service API, "Identity
    /// assertion").
    pub fn owns_user(&self, user: &UserId) -> bool {
        !self.own.user(user.as_str()).interested.is_empty()
    }

    /// Whether it may act as people of this server as well as its own users: a bridge of this very process, or one whose
    /// registration says so.
    pub fn double_puppets(&self) -> bool {
        self.in_process || self.registration.double_puppets()
    }

    /// Whether an alias lies in its namespaces.
    pub fn owns_alias(&self, alias: &RoomAliasId) -> bool {
        !self.own.alias(alias.as_str()).interested.is_empty()
    }

    /// Whether limits of rate are for its users. They never are for its sender.
    pub fn rate_limited(&self) -> bool {
        self.registration.rate_limited.unwrap_or(true)
    }

    /// Whether it manages devices without logging in (MSC4190).
    pub const fn device_management(&self) -> bool {
        self.registration.msc4190
    }

    /// Whether it is a bridge of this very process, configured by whoever configured the server.
    pub const fn in_process(&self) -> bool {
        self.in_process
    }

    /// Whether events go to it: it has a URL, or runs in this process.
    pub const fn wants_traffic(&self) -> bool {
        self.registration.url.is_some() || self.in_process
    }

    /// Whether it provides a third-party protocol.
    pub fn provides(&self, protocol: &str) -> bool {
        self.registration.protocols.iter().any(|one| one == protocol)
    }

    /// How it is reached.
    pub(crate) const fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Its signs of life.
    pub(crate) const fn signs(&self) -> &Arc<Signs> {
        &self.signs
    }

    /// Delivers to a router in this process from now on.
    pub(super) fn attach(&self, router: Router) {
        self.transport.attach(router);
        self.signs.alive.notify_one();
    }

    /// It has made a request: if its transactions are held up, they are tried again.
    pub(super) fn is_alive(&self) {
        if self.signs.stalled.load(Ordering::Relaxed) {
            self.signs.alive.notify_one();
        }
    }
}

impl std::fmt::Debug for Appservice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Appservice").field(&self.registration).finish()
    }
}
