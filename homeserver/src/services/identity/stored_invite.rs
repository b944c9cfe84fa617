//! What identity servers know of addresses: whose they are, and the invites that they keep (Identity Service API, "Association
//! lookup", "Invitation storage").

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Identity, nonsense};
use crate::http::error::ApiResult;
use crate::services::threepids::folded;

/// The keys that may redeem one invite; there are two.
const MOST_KEYS: usize = 10;

/// An invite that an identity server keeps.
#[derive(Debug, Clone, Deserialize)]
pub struct StoredInvite {
    /// Its name.
    pub token: String,
    public_keys: Vec<PublicKey>,
    display_name: String,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
struct PublicKey {
    public_key: String,
    key_validity_url: String,
}

#[derive(Deserialize)]
struct HashDetails {
    lookup_pepper: String,
    algorithms: Vec<String>,
}

#[derive(Deserialize)]
struct Found {
    mappings: BTreeMap<String, String>,
}

impl StoredInvite {
    /// The content of the `m.room.third_party_invite` event.
    pub fn content(&self) -> Vec<(String, Value)> {
        let mut content = vec![
            ("display_name".to_owned(), json!(self.display_name)),
            ("public_keys".to_owned(), json!(self.public_keys)),
        ];
        // For room versions and clients from before there were several.
        if let Some(first) = self.public_keys.first() {
            content.push(("public_key".to_owned(), json!(first.public_key)));
            content.push(("key_validity_url".to_owned(), json!(first.key_validity_url)));
        }
        content
    }
}

impl Identity {
    /// Whose an address is. The identity server is shown a hash of it only.
    pub async fn lookup(
        &self,
        server: &str,
        token: &str,
        medium: &str,
        address: &str,
    ) -> ApiResult<Option<OwnedUserId>> {
        match self.lookup_once(server, token, medium, address).await {
            // The pepper was changed between the two requests.
            Err(error) if error.errcode == "M_INVALID_PEPPER" => {
                self.lookup_once(server, token, medium, address).await
            }
            found => found,
        }
    }

    async fn lookup_once(
        &self,
        server: &str,
        token: &str,
        medium: &str,
        address: &str,
    ) -> ApiResult<Option<OwnedUserId>> {
        let base = self.base(server)?;
        let url = format!("{base}/_matrix/identity/v2/hash_details");
        let details = self.call(self.http.get(url).bearer_auth(token)).await?;
        let details: HashDetails =
            serde_json::from_slice(&details).map_err(|_| nonsense(server))?;
        if !details.algorithms.iter().any(|known| known == "sha256") {
            return Err(nonsense(server));
        }
        let hash = hash(medium, address, &details.lookup_pepper);
        let body =
            json!({ "addresses": [hash], "algorithm": "sha256", "pepper": details.lookup_pepper });
        let url = format!("{base}/_matrix/identity/v2/lookup");
        let found = self.call(self.http.post(url).bearer_auth(token).json(&body)).await?;
        let found: Found = serde_json::from_slice(&found).map_err(|_| nonsense(server))?;
        let Some(user) = found.mappings.get(&hash) else { return Ok(None) };
        UserId::parse(user).map(Some).map_err(|_| nonsense(server))
    }

    /// Has an invite kept until its address is somebody's.
    pub async fn store_invite(
        &self,
        server: &str,
        token: &str,
        invite: &Value,
    ) -> ApiResult<StoredInvite> {
        let url = format!("{}/_matrix/identity/v2/store-invite", self.base(server)?);
        let stored = self.call(self.http.post(url).bearer_auth(token).json(invite)).await?;
        let stored: StoredInvite = serde_json::from_slice(&stored).map_err(|_| nonsense(server))?;
        let keys = 1..=MOST_KEYS;
        if !(1..=255).contains(&stored.token.len()) || !keys.contains(&stored.public_keys.len()) {
            return Err(nonsense(server));
        }
        Ok(stored)
    }
}

fn hash(medium: &str, address: &str, pepper: &str) -> String {
    let text = format!("{} {medium} {pepper}", folded(medium, address));
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hashed_as_the_spec_has_it() {
        // The examples of the Identity Service API.
        let pepper = "matrixrocks";
        assert_eq!(
            hash("email", "alice@example.com", pepper),
            "4kenr7N9drpCJ4AfalmlGQVsOn3o2RHjkADUpXJWZUc"
        );
        // Both are one address (Appendices, "3PID Types").
        assert_eq!(
            hash("email", "Strauß@Example.com", pepper),
            hash("email", "strauss@example.com", pepper)
        );
        assert_eq!(
            hash("msisdn", "18005552067", pepper),
            "nlo35_T5fzSGZzJApqu8lgIudJvmOQtDaHtr-I4rU7I"
        );
    }
}
