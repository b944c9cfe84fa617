//! What the server tells the world of itself under `/.well-known/matrix`.

use std::collections::BTreeMap;

use base64::Engine as _;
use ruma::UserId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Who helps the server's users, published in `/.well-known/matrix/support`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Support {
    /// People to write to.
    pub contacts: Vec<Contact>,
    /// A page with help, as an `https://` or `http://` address.
    pub page: Option<String>,
}

/// Somebody who helps; `matrix_id` or `email_address` must be set.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// What for: `m.role.admin` for anything, `m.role.security` for what is confidential, or a name of your own.
    pub role: String,
    /// Their Matrix ID; better one on another server, for when this one is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matrix_id: Option<String>,
    /// Their e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_address: Option<String>,
}

/// The keys of a policy server under this server's name, published in `/.well-known/matrix/policy_server`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyServer {
    /// Its public keys by algorithm, in unpadded base64; `ed25519` must be among them. Without any, nothing is published.
    pub public_keys: BTreeMap<String, String>,
}

impl Support {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let fail = |key, problem: &str| Err(ConfigError { key, problem: problem.to_owned() });
        for contact in &self.contacts {
            if contact.matrix_id.is_none() && contact.email_address.is_none() {
                return fail("support.contacts", "each needs matrix_id or email_address");
            }
            if contact.matrix_id.as_deref().is_some_and(|id| UserId::parse(id).is_err()) {
                return fail("support.contacts", "matrix_id must be like @name:example.org");
            }
        }
        let is_web = |page: &str| page.starts_with("https://") || page.starts_with("http://");
        if self.page.as_deref().is_some_and(|page| !is_web(page)) {
            return fail("support.page", "must start with https:// or http://");
        }
        Ok(())
    }
}

impl PolicyServer {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let fail =
            |problem: &str| Err(ConfigError { key: "policy_server", problem: problem.to_owned() });
        if self.public_keys.is_empty() {
            return Ok(());
        }
        let Some(key) = self.public_keys.get("ed25519") else {
            return fail("public_keys must have ed25519");
        };
        // The spec's own example is in the URL-safe alphabet, its text says base64: either may be meant.
        let standard = base64::prelude::BASE64_STANDARD_NO_PAD.decode(key);
        let bytes = standard.or_else(|_| base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(key));
        match bytes {
            Ok(bytes) if bytes.len() == 32 => Ok(()),
            _ => fail("public_keys.ed25519 must be 32 bytes in unpadded base64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_needs_an_address_and_a_policy_server_a_key() {
        let contact =
            Contact { role: "m.role.admin".to_owned(), matrix_id: None, email_address: None };
        let support = Support { contacts: vec![contact], page: None };
        assert_eq!(support.check().unwrap_err().key, "support.contacts");
        let page = Support { page: Some("example.org".to_owned()), ..Support::default() };
        assert_eq!(page.check().unwrap_err().key, "support.page");
        let key = "6yhHGKhCiXTSEN2ksjV7kX_N6rBQZ3Xb-M7LlC6NS-s".to_owned();
        let keys = |name: &str, key: String| PolicyServer {
            public_keys: BTreeMap::from([(name.to_owned(), key)]),
        };
        keys("ed25519", key.clone()).check().unwrap();
        assert!(keys("ed25519", "short".to_owned()).check().is_err());
        assert!(keys("curve25519", key).check().is_err());
    }
}
