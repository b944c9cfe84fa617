//! Who sends web push messages: the server shows push services that it is the one to which its users subscribed
//! (VAPID, [RFC 8292](https://www.rfc-editor.org/rfc/rfc8292)).

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::HeaderValue;
use landbridge_database::Database;
use ring::error::Unspecified;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;
use url::Url;

use crate::commit::{CommitError, Committer};
use crate::storage::{StorageError, server};

/// The fact that holds the key: PKCS #8, in Base64.
const FACT: &str = "vapid_key";
/// For how long a token is good; RFC 8292 allows a day.
const LIFETIME_S: i64 = 12 * 60 * 60;

/// Why the key could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VapidError {
    /// It could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// It could not be made.
    #[error("no key could be made")]
    Random,
}

/// The server's key for web push.
pub struct Vapid {
    key: EcdsaKeyPair,
    public: String,
    subject: String,
}

impl Vapid {
    /// The key that the database holds; made at the first start, since subscriptions are bound to it for as long as they last. `subject`
    /// is the URL by which push services can find out whose server it is.
    pub async fn open(
        db: &Database,
        committer: &Committer,
        subject: String,
    ) -> Result<Self, VapidError> {
        let random = SystemRandom::new();
        let stored = if let Some(stored) = server::get(db, FACT).await? {
            stored
        } else {
            let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
            let made = BASE64_STANDARD.encode(made.map_err(|Unspecified| VapidError::Random)?);
            let stored = made.clone();
            committer
                .run(move |tx| {
                    let made = made.clone();
                    Box::pin(async move { server::set(tx, FACT, &made).await })
                })
                .await?;
            stored
        };
        let damaged = || StorageError::Damaged("the key for web push".to_owned());
        let bytes = BASE64_STANDARD.decode(stored).map_err(|_| damaged())?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &bytes, &random);
        let key = key.map_err(|_| damaged())?;
        let public = BASE64_URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
        Ok(Self { key, public, subject })
    }

    /// The public key as browsers take it: the uncompressed form, in URL-safe Base64.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The header `Authorization` of a request to a push service.
    pub(crate) fn authorization(&self, url: &Url, now_ms: i64) -> Result<HeaderValue, Unspecified> {
        let header = json!({ "typ": "JWT", "alg": "ES256" });
        let claims = json!({
            "aud": url.origin().ascii_serialization(),
            "exp": now_ms / 1000 + LIFETIME_S,
            "sub": self.subject,
        });
        let part = |part: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes())?;
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        let mut value =
            HeaderValue::from_str(&format!("vapid t={signed}.{signature}, k={}", self.public))
                .map_err(|_| Unspecified)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl std::fmt::Debug for Vapid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vapid").field("public", &self.public).finish_non_exhaustive()
    }
}
