//! Links by which people stop e-mails without logging in. Whoever has the e-mail may stop it; nothing is kept for that.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use ruma::UserId;
use sha2::Sha256;
use url::form_urlencoded::Serializer;

use crate::app::App;
use crate::event::ServerKey;

/// Where the page is.
pub const PATH: &str = "/_landbridge/email/unsubscribe";

/// The link that stops the e-mails to a user's address.
pub(super) fn link(app: &App, user: &UserId, pushkey: &str) -> String {
    let base = app.config.public_base_url.as_deref().unwrap_or_default().trim_end_matches('/');
    let token = mac(&app.key, user, pushkey).finalize().into_bytes();
    let query = Serializer::new(String::new())
        .append_pair("user", user.as_str())
        .append_pair("address", pushkey)
        .append_pair("token", &BASE64_URL_SAFE_NO_PAD.encode(token))
        .finish();
    format!("{base}{PATH}?{query}")
}

/// Whether a link is one of ours.
pub fn fits(key: &ServerKey, user: &UserId, pushkey: &str, token: &str) -> bool {
    let token = BASE64_URL_SAFE_NO_PAD.decode(token);
    token.is_ok_and(|token| mac(key, user, pushkey).verify_slice(&token).is_ok())
}

fn mac(key: &ServerKey, user: &UserId, pushkey: &str) -> Hmac<Sha256> {
    let secret = key.derive("links that stop e-mails");
    let mac = Hmac::<Sha256>::new_from_slice(&secret).expect("HMAC takes keys of any length");
    // No user ID has a zero in it.
    mac.chain_update(user.as_str()).chain_update([0]).chain_update(pushkey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_for_one_address_of_one_user() {
        let server = ruma::server_name!("h");
        let key = ServerKey::new(server, "1", &[1; 32]).unwrap();
        let (alice, bob) = (ruma::user_id!("@alice:h"), ruma::user_id!("@bob:h"));
        let token = mac(&key, alice, "a@b").finalize().into_bytes();
        let token = BASE64_URL_SAFE_NO_PAD.encode(token);
        assert!(fits(&key, alice, "a@b", &token));
        assert!(!fits(&key, bob, "a@b", &token));
        assert!(!fits(&key, alice, "c@b", &token));
        assert!(!fits(&key, alice, "a@b", "") && !fits(&key, alice, "a@b", "?"));
        let other = ServerKey::new(server, "1", &[2; 32]).unwrap();
        assert!(!fits(&other, alice, "a@b", &token));
    }
}
