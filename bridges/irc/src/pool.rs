//! The puppets: a connection for each Matrix user who speaks, within limits, closed when idle.

mod puppet;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use puppet::Puppet;

use crate::client::Secret;
use crate::hub::Hub;

/// A puppet silent for less isn't put out to make room for another.
const SPARED: Duration = Duration::from_mins(2);

/// A Matrix user's own account on the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The nick they want.
    pub nick: Option<String>,
    /// Their services account.
    pub account: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
}

/// Why a Matrix user has no puppet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPuppet {
    /// They are switched off.
    #[error("connections for Matrix users are switched off")]
    Off,
    /// There are as many as allowed, and none is idle.
    #[error("all connections for Matrix users are taken")]
    Full,
}

/// The puppets of a network by Matrix ID.
#[derive(Debug, Default)]
pub struct Pool {
    puppets: Mutex<HashMap<String, Arc<Puppet>>>,
    identities: Mutex<HashMap<String, Identity>>,
}

impl Pool {
    /// A Matrix user has an account of their own: their puppet uses it, from now on, and stays connected.
    pub fn set_identity(&self, mxid: &str, identity: Identity) {
        let changed = lock(&self.identities).get(mxid) != Some(&identity);
        if changed {
            lock(&self.identities).insert(mxid.to_owned(), identity);
            self.close(mxid);
        }
    }

    /// The account is logged out.
    pub fn forget_identity(&self, mxid: &str) {
        lock(&self.identities).remove(mxid);
        self.close(mxid);
    }

    /// The puppet of a Matrix user, if it is there already.
    pub fn existing(&self, mxid: &str) -> Option<Arc<Puppet>> {
        lock(&self.puppets).get(mxid).filter(|puppet| !puppet.is_closed()).cloned()
    }

    /// The puppet of a Matrix user; its connection is begun if there is none.
    pub fn get(
        &self,
        hub: &Arc<Hub>,
        mxid: &str,
        display: Option<&str>,
    ) -> Result<Arc<Puppet>, NoPuppet> {
        if let Some(puppet) = self.existing(mxid) {
            puppet.touch();
            return Ok(puppet);
        }
        let identity = lock(&self.identities).get(mxid).cloned();
        if !hub.config.puppets.enabled && identity.is_none() {
            return Err(NoPuppet::Off);
        }
        let mut puppets = lock(&self.puppets);
        puppets.retain(|_, puppet| !puppet.is_closed());
        if puppets.len() >= hub.config.puppets.max && identity.is_none() {
            let idle = puppets
                .values()
                .filter(|p| !p.personal && p.idle() > SPARED)
                .max_by_key(|p| p.idle())
                .map(|p| p.mxid.clone());
            let idle = idle.ok_or(NoPuppet::Full)?;
            if let Some(puppet) = puppets.remove(&idle) {
                puppet.stop.cancel();
            }
        }
        let puppet = Puppet::connect(hub, mxid, display, identity.as_ref());
        puppets.insert(mxid.to_owned(), Arc::clone(&puppet));
        Ok(puppet)
    }

    /// Closes a Matrix user's puppet.
    pub fn close(&self, mxid: &str) {
        if let Some(puppet) = lock(&self.puppets).remove(mxid) {
            puppet.stop.cancel();
        }
    }

    /// Closes all puppets.
    pub fn close_all(&self) {
        for (_, puppet) in lock(&self.puppets).drain() {
            puppet.stop.cancel();
        }
    }

    /// Closes the puppets that have been silent for `idle`.
    pub fn reap(&self, idle: Duration) {
        lock(&self.puppets).retain(|_, puppet| {
            let keep = !puppet.is_closed() && (puppet.personal || puppet.idle() < idle);
            if !keep {
                puppet.stop.cancel();
            }
            keep
        });
    }

    /// All puppets.
    pub fn all(&self) -> Vec<Arc<Puppet>> {
        lock(&self.puppets).values().cloned().collect()
    }

    /// How many puppets there are.
    pub fn len(&self) -> usize {
        lock(&self.puppets).len()
    }

    /// Whether there is no puppet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
