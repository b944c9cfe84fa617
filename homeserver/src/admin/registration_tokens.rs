//! Tokens that let people register, in the form of Synapse's admin API. Those in the settings are not told here.

use std::sync::Arc;

use axum::extract::State;
use rand::RngExt as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::request::{Admin, Params};
use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Field, JsonOrEmpty, Reply};
use crate::http::router::{Route, delete, get, post, put};
use crate::services::registration_tokens::Change;
use crate::storage::registration_tokens::RegistrationToken;

const ONE: &str = "/_synapse/admin/v1/registration_tokens/{token}";
/// The longest token.
const MAX_LENGTH: usize = 64;
/// The length of a token that is made up unless the request names one.
const LENGTH: usize = 16;
/// What a token may have in it.
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_synapse/admin/v1/registration_tokens", list),
        post("/_synapse/admin/v1/registration_tokens/new", create),
        get(ONE, show),
        put(ONE, change),
        delete(ONE, remove),
    ]
}

fn shown(token: &RegistrationToken, pending: i64) -> Value {
    json!({
        "token": token.token,
        "uses_allowed": token.uses_allowed,
        "pending": pending,
        "completed": token.completed,
        "expiry_time": token.expiry_ms,
    })
}

fn unknown(token: &str) -> ApiError {
    ApiError::not_found(format!("There is no registration token {token:?}"))
}

async fn list(State(app): State<Arc<App>>, _: Admin, params: Params) -> ApiResult<Reply<Value>> {
    let (valid, now) = (params.flag("valid")?, app.clock.now_ms());
    let all_pending = app.uia.all_pending();
    let tokens: Vec<Value> = app
        .registration_tokens
        .all()
        .await?
        .iter()
        .map(|token| (token, all_pending.get(&token.token).copied().unwrap_or(0)))
        .filter(|(token, pending)| valid.is_none_or(|valid| valid == token.is_good(now, *pending)))
        .map(|(token, pending)| shown(token, pending))
        .collect();
    Ok(Reply(json!({ "registration_tokens": tokens })))
}

async fn show(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(token): Path<String>,
) -> ApiResult<Reply<Value>> {
    let found = app.registration_tokens.get(&token).await?.ok_or_else(|| unknown(&token))?;
    Ok(Reply(shown(&found, app.uia.pending(&token))))
}

fn check_uses(uses: Option<i64>) -> ApiResult<Option<i64>> {
    match uses {
        Some(..0) => Err(ApiError::invalid_param("uses_allowed must not be negative")),
        uses => Ok(uses),
    }
}

fn check_expiry(app: &App, expiry: Option<i64>) -> ApiResult<Option<i64>> {
    match expiry {
        Some(until) if until < app.clock.now_ms() => {
            Err(ApiError::invalid_param("expiry_time must not be in the past"))
        }
        expiry => Ok(expiry),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct New {
    token: Option<String>,
    length: Option<i64>,
    uses_allowed: Option<i64>,
    expiry_time: Option<i64>,
}

impl New {
    /// The token that is asked for, or one that nobody guesses.
    fn name(&self) -> ApiResult<String> {
        if let Some(token) = &self.token {
            if token.is_empty() || token.len() > MAX_LENGTH {
                let text = format!("token must have 1 to {MAX_LENGTH} characters");
                return Err(ApiError::invalid_param(text));
            }
            if !token.bytes().all(|byte| LETTERS.contains(&byte)) {
                let text = "token may have letters, digits and . _ ~ - in it";
                return Err(ApiError::invalid_param(text));
            }
            return Ok(token.clone());
        }
        let length = self.length.map_or(Some(LENGTH), |length| usize::try_from(length).ok());
        let length =
            length.filter(|length| (1..=MAX_LENGTH).contains(length)).ok_or_else(|| {
                ApiError::invalid_param(format!("length must be a number from 1 to {MAX_LENGTH}"))
            })?;
        let mut random = rand::rng();
        let letters = (0..length).map(|_| LETTERS[random.random_range(0..LETTERS.len())]);
        Ok(letters.map(char::from).collect())
    }
}

async fn create(
    State(app): State<Arc<App>>,
    _: Admin,
    JsonOrEmpty(body): JsonOrEmpty<New>,
) -> ApiResult<Reply<Value>> {
    let new = RegistrationToken {
        token: body.name()?,
        uses_allowed: check_uses(body.uses_allowed)?,
        completed: 0,
        expiry_ms: check_expiry(&app, body.expiry_time)?,
    };
    if !app.registration_tokens.create(new.clone()).await? {
        return Err(ApiError::invalid_param("There is such a token already"));
    }
    Ok(Reply(shown(&new, 0)))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Changed {
    uses_allowed: Field<i64>,
    expiry_time: Field<i64>,
}

async fn change(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(token): Path<String>,
    JsonOrEmpty(body): JsonOrEmpty<Changed>,
) -> ApiResult<Reply<Value>> {
    let change = Change {
        uses_allowed: body.uses_allowed.checked(check_uses)?,
        expiry_ms: body.expiry_time.checked(|at| check_expiry(&app, at))?,
    };
    let changed = app.registration_tokens.change(&token, change).await?;
    let changed = changed.ok_or_else(|| unknown(&token))?;
    Ok(Reply(shown(&changed, app.uia.pending(&token))))
}

async fn remove(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(token): Path<String>,
) -> ApiResult<Reply<Empty>> {
    if app.registration_tokens.delete(&token).await? { Ok(EMPTY) } else { Err(unknown(&token)) }
}
