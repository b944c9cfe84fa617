//! Hashing passwords: Argon2id, away from the threads that serve requests, and only as many at once as there are cores.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::config::AccountPolicy;

/// Passwords longer than this are refused: hashing them would be a way to keep the server busy.
pub const MAX_BYTES: usize = 512;

/// Hashing didn't work; only a broken machine or a damaged database does that.
#[derive(Debug, Clone, thiserror::Error)]
#[error("a password could not be hashed or compared: {0}")]
pub struct HashError(String);

/// Hashes and compares passwords.
#[derive(Debug, Clone)]
pub struct Hasher {
    argon: Argon2<'static>,
    slots: Arc<Semaphore>,
    /// A hash that no password fits: compared with when there is no account, so that the answer takes as long.
    decoy: Arc<str>,
}

impl Hasher {
    /// A hasher with the costs that the settings ask for.
    pub fn new(policy: &AccountPolicy) -> Result<Self, HashError> {
        let params = Params::new(policy.password_memory_kib, policy.password_passes, 1, None)
            .map_err(|error| HashError(error.to_string()))?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let decoy = hash_with(&argon, &crate::services::sessions::random_token())?;
        Ok(Self { argon, slots: Arc::new(Semaphore::new(cores)), decoy: decoy.into() })
    }

    /// The PHC string for a password.
    pub async fn hash(&self, password: String) -> Result<String, HashError> {
        let argon = self.argon.clone();
        self.away(move || hash_with(&argon, &password)).await
    }

    /// Whether a password fits a hash. Without a hash nothing fits, after the same time.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, HashError> {
        let (argon, decoy) = (self.argon.clone(), self.decoy.clone());
        self.away(move || {
            let text = hash.as_deref().unwrap_or(&decoy);
            let parsed = PasswordHash::new(text).map_err(|error| HashError(error.to_string()))?;
            let fits = argon.verify_password(password.as_bytes(), &parsed).is_ok();
            Ok(fits && hash.is_some())
        })
        .await
    }

    async fn away<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let slot = self
            .slots
            .clone()
            .acquire_owned()
            .await
            .map_err(|error| HashError(error.to_string()))?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(slot);
            result
        });
        done.await.map_err(|error| HashError(error.to_string()))?
    }
}

fn hash_with(argon: &Argon2<'_>, password: &str) -> Result<String, HashError> {
    let hash: PasswordHash =
        argon.hash_password(password.as_bytes()).map_err(|error| HashError(error.to_string()))?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_fits_its_hash() {
        let policy = AccountPolicy {
            password_memory_kib: 8,
            password_passes: 1,
            ..AccountPolicy::default()
        };
        let hasher = Hasher::new(&policy).unwrap();
        let hash = hasher.hash("übers3kr1t".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(hasher.verify("übers3kr1t".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify("ubers3kr1t".to_owned(), Some(hash)).await.unwrap());
        assert!(!hasher.verify("übers3kr1t".to_owned(), None).await.unwrap());
        assert!(hasher.verify("x".to_owned(), Some("rubbish".to_owned())).await.is_err());
    }
}
