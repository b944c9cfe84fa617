//! Turns invites by address into invites of users, once an identity server has signed whose the address is (Client-Server API,
//! "Third-party Invites").

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use ruma::events::TimelineEventType;
use ruma::serde::Base64;
use ruma::signatures::{to_canonical_json_string_for_signing, verify_canonical_json_bytes};
use ruma::third_party_invite::IdentityServerBase64PublicKey;
use ruma::{CanonicalJsonValue, OwnedUserId, SigningKeyAlgorithm, UserId};
use serde::Deserialize;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};
use url::Url;

use super::Identity;
use crate::app::App;
use crate::event::{Event, canonical_object};
use crate::http::error::{ApiError, ApiResult};
use crate::outbound::Ask;
use crate::room::{Draft, Membership, Room};

const KIND: &str = "m.room.third_party_invite";
/// The signatures of one proof, and the keys of one invite, that are looked at; there are one and two.
const MOST: usize = 10;
/// How long a server may take to say whether a key is good.
const TIME: Duration = Duration::from_secs(20);
/// The longest answer to that, in bytes.
const ANSWER_BYTES: usize = 4 << 10;

/// Where identity servers say whether a key is good (Identity Service API, "Key management").
const VALIDITY: [&str; 4] = [
    "/_matrix/identity/v2/pubkey/isvalid",
    "/_matrix/identity/v2/pubkey/ephemeral/isvalid",
    "/_matrix/identity/api/v1/pubkey/isvalid",
    "/_matrix/identity/api/v1/pubkey/ephemeral/isvalid",
];

/// The keys in the content of an `m.room.third_party_invite` event. It names one in itself, and may name more.
#[derive(Default, Deserialize)]
struct Keys {
    #[serde(flatten)]
    first: Option<Key>,
    #[serde(default)]
    public_keys: Vec<Key>,
}

#[derive(Clone, Deserialize)]
struct Key {
    public_key: IdentityServerBase64PublicKey,
    key_validity_url: Option<String>,
}

#[derive(Deserialize)]
struct Validity {
    valid: bool,
}

/// Invites a user to a room by an invite of an address, which `signed` says is the user's. Nothing happens if the user is there or
/// invited already. 403 `M_FORBIDDEN` if the room has no such invite, nobody whom the room trusts has signed it, or the user was made to
/// leave since: members can read what was signed, and it must not bring back whoever was removed.
pub async fn redeem(
    app: &App,
    room: &Room,
    user: &UserId,
    signed: &Map<String, Value>,
) -> ApiResult<()> {
    match room.snapshot().member(user) {
        Some((Membership::Join | Membership::Invite, _)) => return Ok(()),
        Some((Membership::Leave | Membership::Ban, nid)) => {
            let event = app.rooms.events(&[nid]).await?.pop();
            if event.is_none_or(|event| event.pdu.sender != user) {
                return Err(ApiError::forbidden("The user was removed from the room"));
            }
        }
        Some((Membership::Knock, _)) | None => {}
    }
    if text(signed, "mxid")? != user.as_str() {
        return Err(ApiError::forbidden("What was signed is about another user"));
    }
    let event = invite(room, signed).await?;
    if event.pdu.sender.server_name() != app.config.server_name {
        return Err(ApiError::forbidden("Whoever invited is on another server"));
    }
    let keys: Keys = serde_json::from_str(event.pdu.content().get()).unwrap_or_default();
    let key = keys.signer(signed)?;
    let key = key.ok_or_else(|| ApiError::forbidden("No key of the invite has signed that"))?;
    app.identity.must_be_valid(app, key).await?;

    let mut content = app.profiles.member_content(user, "invite").await?;
    content.insert(
        "third_party_invite".to_owned(),
        json!({
            "display_name": event.pdu.content_str("display_name").unwrap_or_default(),
            "signed": signed,
        }),
    );
    let content = to_raw_value(&content).map_err(ApiError::internal)?;
    let kind = TimelineEventType::RoomMember;
    room.send(Draft::state(event.pdu.sender.clone(), kind, user.as_str(), content)).await?;
    Ok(())
}

/// Who invited the address that `signed` is about.
pub async fn inviter(room: &Room, signed: &Map<String, Value>) -> ApiResult<OwnedUserId> {
    Ok(invite(room, signed).await?.pdu.sender.clone())
}

/// The invite of an address that `signed` is about.
async fn invite(room: &Room, signed: &Map<String, Value>) -> ApiResult<Arc<Event>> {
    let event = room.state_event(KIND, text(signed, "token")?).await?;
    event.ok_or_else(|| ApiError::forbidden("The room has no such invite"))
}

fn text<'a>(signed: &'a Map<String, Value>, key: &str) -> ApiResult<&'a str> {
    let missing = || ApiError::missing_param(format!("{key} of what was signed is missing"));
    signed.get(key).and_then(Value::as_str).ok_or_else(missing)
}

impl Keys {
    /// The key that has signed an object.
    fn signer(&self, signed: &Map<String, Value>) -> ApiResult<Option<&Key>> {
        let bad = |error: &dyn std::fmt::Display| ApiError::bad_json(error.to_string());
        let text = Value::Object(signed.clone()).to_string();
        let object = canonical_object(&text).map_err(|error| bad(&error))?;
        let text = to_canonical_json_string_for_signing(&object).map_err(|error| bad(&error))?;
        let Some(CanonicalJsonValue::Object(servers)) = object.get("signatures") else {
            return Ok(None);
        };
        let signatures = servers.values().filter_map(CanonicalJsonValue::as_object).flatten();
        let signatures = signatures.filter(|(id, _)| id.starts_with("ed25519:"));
        for signature in signatures.filter_map(|(_, value)| value.as_str()).take(MOST) {
            let Ok(signature) = Base64::<ruma::serde::base64::Standard>::parse(signature) else {
                continue;
            };
            let fits = |key: &&Key| {
                key.public_key.decode().is_ok_and(|public| {
                    let algorithm = SigningKeyAlgorithm::Ed25519;
                    let (signature, text) = (signature.as_bytes(), text.as_bytes());
                    verify_canonical_json_bytes(&algorithm, &public, signature, text).is_ok()
                })
            };
            if let Some(key) = self.first.iter().chain(&self.public_keys).take(MOST).find(fits) {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}

impl Identity {
    /// Asks whether a key is still good, where the invite says whom to ask. 403 when it isn't, 502 when nobody says.
    async fn must_be_valid(&self, app: &App, key: &Key) -> ApiResult<()> {
        let Some(url) = &key.key_validity_url else { return Ok(()) };
        let unanswered = || {
            let text = "Nobody says whether the invite's key is still good";
            ApiError::new(StatusCode::BAD_GATEWAY, "M_UNKNOWN", text)
        };
        let mut url = Url::parse(url).map_err(|_| unanswered())?;
        url.query_pairs_mut().append_pair("public_key", &key.public_key);
        let answer = if self.is_known(&url) {
            self.call(self.http.get(url)).await?
        } else {
            // Whoever invites names the address.
            let ask = Ask {
                accept: "application/json",
                language: None,
                max_bytes: ANSWER_BYTES,
                beginning: false,
                admits: &|_| true,
            };
            let fetched = tokio::time::timeout(TIME, app.outbound.get(url, &ask)).await;
            fetched.ok().and_then(Result::ok).ok_or_else(unanswered)?.body
        };
        let validity: Validity = serde_json::from_slice(&answer).map_err(|_| unanswered())?;
        if validity.valid {
            Ok(())
        } else {
            Err(ApiError::forbidden("The invite's key is no longer good"))
        }
    }

    /// Whether a URL is where a server that the administrator names says whether a key is good. Members of rooms choose it, and
    /// nothing else there is asked for in their name.
    fn is_known(&self, url: &Url) -> bool {
        self.servers.values().any(|base| says_validity(base, url))
    }
}

/// Whether a URL is one of the endpoints of an identity server that say whether a key is good. Servers still name them as they were in the
/// first version of the API.
fn says_validity(base: &str, url: &Url) -> bool {
    let Ok(base) = Url::parse(base) else { return false };
    let path = url.path().strip_prefix(base.path().trim_end_matches('/'));
    let plain = url.username().is_empty() && url.password().is_none();
    plain && base.origin() == url.origin() && path.is_some_and(|path| VALIDITY.contains(&path))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    fn keys(content: Value) -> Keys {
        serde_json::from_value(content).unwrap()
    }

    #[test]
    fn known_servers_are_asked_about_keys_and_nothing_else() {
        let says = |base: &str, url: &str| says_validity(base, &Url::parse(url).unwrap());
        let good = "https://id.test/_matrix/identity/v2/pubkey/isvalid";
        assert!(says("https://id.test", good) && says("https://id.test/", good));
        let below = "https://id.test/a/_matrix/identity/api/v1/pubkey/ephemeral/isvalid";
        assert!(says("https://id.test/a/", below) && !says("https://id.test", below));
        for bad in [
            "https://id.test/",
            "https://id.test/internal",
            "https://id.test/_matrix/identity/v2/pubkey/isvalid/../../../../../internal",
            "https://id.test/x/_matrix/identity/v2/pubkey/isvalid",
            "https://id.test:444/_matrix/identity/v2/pubkey/isvalid",
            "http://id.test/_matrix/identity/v2/pubkey/isvalid",
            "https://me@id.test/_matrix/identity/v2/pubkey/isvalid",
        ] {
            assert!(!says("https://id.test", bad), "{bad}");
        }
    }

    #[test]
    fn the_key_that_signed_is_found_however_it_is_named() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let signature = key.sign(br#"{"mxid":"@a:b","token":"t"}"#).to_bytes();
        let signature = BASE64_STANDARD_NO_PAD.encode(signature);
        let mut signed = Map::new();
        signed.insert("token".to_owned(), json!("t"));
        signed.insert("mxid".to_owned(), json!("@a:b"));
        signed.insert("signatures".to_owned(), json!({ "id": { "ed25519:0": signature } }));
        let public = key.verifying_key();
        let other = json!({ "public_key": BASE64_STANDARD_NO_PAD.encode([1; 32]) });
        for name in [BASE64_STANDARD_NO_PAD.encode(public), BASE64_URL_SAFE_NO_PAD.encode(public)] {
            let named = json!({ "public_key": name, "key_validity_url": "https://id" });
            let alone = keys(named.clone());
            let found = alone.signer(&signed).unwrap().unwrap();
            assert_eq!(found.key_validity_url.as_deref(), Some("https://id"));
            assert!(
                keys(json!({ "public_keys": [other, named] })).signer(&signed).unwrap().is_some()
            );
        }
        assert!(keys(json!({ "public_keys": [other] })).signer(&signed).unwrap().is_none());
        // An invite that was taken back has no content.
        assert!(keys(json!({})).signer(&signed).unwrap().is_none());
        signed.insert("mxid".to_owned(), json!("@c:b"));
        let named = json!({ "public_key": BASE64_STANDARD_NO_PAD.encode(public) });
        assert!(keys(named).signer(&signed).unwrap().is_none());
    }
}
