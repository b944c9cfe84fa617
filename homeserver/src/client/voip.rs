//! Credentials for the TURN server that relays calls (Client-Server API, "Voice over IP").

use std::sync::Arc;

use axum::extract::State;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use ruma::UserId;
use serde_json::{Value, json};
use sha1::Sha1;

use crate::app::App;
use crate::config::Turn;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::Reply;
use crate::http::limit::Limit;
use crate::http::router::{Route, get};

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![get("/_matrix/client/v3/voip/turnServer", turn_server)]
}

async fn turn_server(State(app): State<Arc<App>>, requester: Requester) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Other)?;
    let turn = &app.config.turn;
    let (username, password) = credentials(turn, &requester.user, app.clock.now_ms() / 1000)?
        .ok_or_else(|| ApiError::not_found("There is no TURN server here"))?;
    Ok(Reply(json!({
        "username": username,
        "password": password,
        "uris": turn.uris,
        "ttl": turn.lifetime_seconds,
    })))
}

/// User name and password; with a shared secret, made for the user as TURN servers check them (the TURN REST API draft,
/// `draft-uberti-behave-turn-rest`).
fn credentials(turn: &Turn, user: &UserId, now: i64) -> ApiResult<Option<(String, String)>> {
    if turn.uris.is_empty() {
        return Ok(None);
    }
    if let Some(secret) = &turn.shared_secret {
        let username = format!("{}:{user}", now.saturating_add_unsigned(turn.lifetime_seconds));
        let mut mac =
            Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes()).map_err(ApiError::internal)?;
        mac.update(username.as_bytes());
        let password = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        return Ok(Some((username, password)));
    }
    Ok(turn
        .username
        .clone()
        .zip(turn.password.as_ref().map(|password| password.expose().to_owned())))
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;
    use crate::config::Secret;

    #[test]
    fn the_password_is_the_mac_of_the_name_with_its_end() {
        let turn = Turn {
            uris: vec!["turn:t".to_owned()],
            shared_secret: Some(Secret::new("Jefe")),
            lifetime_seconds: 60,
            ..Turn::default()
        };
        let (name, password) = credentials(&turn, user_id!("@a:b"), 1000).unwrap().unwrap();
        assert_eq!(name, "1060:@a:b");
        // printf %s '1060:@a:b' | openssl dgst -sha1 -hmac Jefe -binary | base64
        assert_eq!(password, "eBoy/aMdF4H5aaUMc2eZ7gwXcAc=");
        assert_eq!(credentials(&Turn::default(), user_id!("@a:b"), 0).unwrap(), None);
    }
}
