//! What a bridge shows to everybody, beside what it answers to its homeserver: the provisioning API and links to files.

use std::sync::Arc;

use axum::Router;
use landbridge_registration::Token;
use rand::TryRng;
use url::Url;

use super::BridgeError;
use crate::{
    clock::Clock,
    config::BridgeConfig,
    control::Control,
    kv::KeyValue,
    matrix::Matrix,
    media::{self, PublicMedia},
    network::StartError,
    provisioning::{self, ProvisioningConfig},
    store::{Store, StoreError},
};

/// Where the key is kept that signs links: drawn once, so that links outlive restarts.
const KEY: &str = "media/public-key";

/// What gives links to files, if the bridge has an address for them.
pub(super) async fn links(
    config: &BridgeConfig,
    store: &Arc<Store>,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<PublicMedia>>, BridgeError> {
    let Some(address) = &config.public_address else { return Ok(None) };
    let base = Url::parse(address)
        .map_err(|error| StartError(format!("public_address is no address: {error}")))?;
    let corrupt = |error: &dyn std::fmt::Display| StoreError::Corrupt(error.to_string());
    let stored = store.get(KEY).await.map_err(|error| corrupt(&error))?;
    let stored = stored.and_then(|text| crate::IdempotencyKey::from_hex(&text));
    let key = if let Some(key) = stored {
        key
    } else {
        let mut bytes = [0; 32];
        rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|error| corrupt(&error))?;
        let key = crate::IdempotencyKey(bytes);
        store.put(KEY, &key.to_hex()).await.map_err(|error| corrupt(&error))?;
        key
    };
    let valid_ms = i64::from(config.link_days) * 86_400_000;
    Ok(Some(Arc::new(PublicMedia::new(base, key.0, valid_ms, clock.clone()))))
}

/// The routes.
pub(super) fn router(
    config: &BridgeConfig,
    control: Arc<dyn Control>,
    matrix: &Matrix,
    store: Arc<Store>,
    links: Option<Arc<PublicMedia>>,
) -> Router {
    let settings = ProvisioningConfig {
        shared_secret: config.provisioning.shared_secret.clone().map(Token::new),
        allow_matrix_auth: config.provisioning.matrix_auth,
    };
    let router = provisioning::router(control, matrix.clone(), store, settings);
    match links {
        Some(links) => router.merge(media::public_router(links, matrix.clone())),
        None => router,
    }
}
