//! `/_synapse/admin/v1/register`: accounts made by scripts that know the shared secret, in Synapse's form, because tools
//! and test suites speak it.

use std::sync::Arc;

use axum::extract::State;
use hmac::{Hmac, Mac};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha1::Sha1;

use crate::app::App;
use crate::client::login::session;
use crate::client::oauth::must_be_legacy;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::{Json, Reply};
use crate::http::router::{Route, get, post};
use crate::services::accounts::new_user_id;
use crate::services::sessions::SessionRequest;
use crate::storage::accounts::{Account, Kind};

const PATH: &str = "/_synapse/admin/v1/register";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![get(PATH, nonce), post(PATH, register)]
}

fn secret(app: &App) -> ApiResult<&str> {
    let secret = app.config.registration.shared_secret.as_ref();
    secret
        .map(crate::config::Secret::expose)
        .ok_or_else(|| ApiError::unknown("Shared secret registration is not enabled"))
}

async fn nonce(State(app): State<Arc<App>>) -> ApiResult<Reply<Value>> {
    secret(&app)?;
    Ok(Reply(json!({ "nonce": app.nonces.give() })))
}

#[derive(Deserialize)]
struct Register {
    nonce: String,
    username: String,
    password: String,
    #[serde(default)]
    admin: bool,
    user_type: Option<String>,
    displayname: Option<String>,
    mac: String,
    #[serde(default)]
    inhibit_login: bool,
}

/// What the `mac` is of: the fields with zero bytes between them.
fn mac_of(secret: &str, body: &Register) -> ApiResult<Hmac<Sha1>> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).map_err(ApiError::internal)?;
    let admin = if body.admin { "admin" } else { "notadmin" };
    for (i, part) in [&body.nonce, &body.username, &body.password, admin].into_iter().enumerate() {
        if i > 0 {
            mac.update(&[0]);
        }
        mac.update(part.as_bytes());
    }
    if let Some(user_type) = &body.user_type {
        mac.update(&[0]);
        mac.update(user_type.as_bytes());
    }
    Ok(mac)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok()).collect()
}

async fn register(
    State(app): State<Arc<App>>,
    Json(body): Json<Register>,
) -> ApiResult<Reply<Map<String, Value>>> {
    must_be_legacy(&app)?;
    let secret = secret(&app)?;
    if !app.nonces.take(&body.nonce) {
        return Err(ApiError::unknown("The nonce is unknown, used or too old"));
    }
    let mac = unhex(&body.mac).ok_or_else(|| ApiError::invalid_param("mac must be hexadecimal"))?;
    if mac_of(secret, &body)?.verify_slice(&mac).is_err() {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "M_UNKNOWN", "HMAC incorrect"));
    }
    let user_id = new_user_id(&body.username, &app.config.server_name)?;
    let account = Account {
        password: Some(app.accounts.hash_password(&body.password).await?),
        admin: body.admin,
        ..Account::new(user_id.clone(), Kind::User)
    };
    app.accounts.create(account).await?;
    if let Some(name) = body.displayname {
        app.profiles.set(&user_id, "displayname", Value::from(name)).await?;
    }
    if body.inhibit_login {
        return Ok(Reply(Map::from_iter([("user_id".to_owned(), json!(user_id))])));
    }
    session(&app, &user_id, SessionRequest::default()).await.map(Reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_is_of_the_fields_with_zero_bytes_between() {
        let body = Register {
            nonce: "n".to_owned(),
            username: "u".to_owned(),
            password: "p".to_owned(),
            admin: false,
            user_type: None,
            displayname: None,
            mac: String::new(),
            inhibit_login: false,
        };
        let mut by_hand = Hmac::<Sha1>::new_from_slice(b"secret").unwrap();
        by_hand.update(b"n\0u\0p\0notadmin");
        let mac = by_hand.finalize().into_bytes();
        assert!(mac_of("secret", &body).unwrap().verify_slice(&mac).is_ok());
        assert!(mac_of("other", &body).unwrap().verify_slice(&mac).is_err());
        assert_eq!(unhex("0aFF"), Some(vec![10, 255]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("éé"), None);
    }
}
