//! Keys for end-to-end encryption (Client-Server API, "End-to-end encryption").

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::extract::State;
use ruma::OwnedUserId;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::app::App;
use crate::client::uia;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract;
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, get, post};
use crate::services::device_lists::{Changes, between};
use crate::services::keys::{CrossSigningKeys, Found, SignedObjects, Stored, Upload};
use crate::services::uia::Auth;
use crate::sync::token::SyncToken;

/// Users whose keys may be asked for at once.
const MAX_USERS: usize = 10_000;

/// Devices of which a key may be claimed at once, and keys that may be signed at once.
const MAX_AT_ONCE: usize = 10_000;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        post("/_matrix/client/v3/keys/upload", upload),
        post("/_matrix/client/v3/keys/query", query),
        post("/_matrix/client/v3/keys/claim", claim),
        get("/_matrix/client/v3/keys/changes", changes),
        post("/_matrix/client/v3/keys/signatures/upload", signatures),
        post("/_matrix/client/v3/keys/device_signing/upload", device_signing),
    ]
}

async fn upload(
    State(app): State<Arc<App>>,
    requester: Requester,
    Json(body): Json<Upload>,
) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Other)?;
    let counts = app.keys.upload(&requester.user, requester.device()?, body).await?;
    app.outbox.keys_changed(&requester.user, requester.device()?);
    Ok(Reply(json!({ "one_time_key_counts": counts })))
}

#[derive(Deserialize)]
struct Query {
    device_keys: BTreeMap<OwnedUserId, HashSet<String>>,
}

fn few<T>(users: &BTreeMap<OwnedUserId, T>) -> ApiResult<()> {
    if users.len() > MAX_USERS {
        return Err(ApiError::invalid_param(format!("Ask for at most {MAX_USERS} users at once")));
    }
    Ok(())
}

fn few_of_each<T>(users: &BTreeMap<OwnedUserId, BTreeMap<String, T>>) -> ApiResult<()> {
    if users.values().map(BTreeMap::len).sum::<usize>() > MAX_AT_ONCE {
        return Err(ApiError::invalid_param(format!("Name at most {MAX_AT_ONCE} keys at once")));
    }
    few(users)
}

async fn query(
    State(app): State<Arc<App>>,
    requester: Requester,
    Json(body): Json<Query>,
) -> ApiResult<Reply<Found>> {
    few(&body.device_keys)?;
    app.keys.query(&requester.user, body.device_keys).await.map(Reply)
}

#[derive(Deserialize)]
struct Claim {
    one_time_keys: BTreeMap<OwnedUserId, BTreeMap<String, String>>,
}

async fn claim(
    State(app): State<Arc<App>>,
    requester: Requester,
    Json(body): Json<Claim>,
) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Other)?;
    few_of_each(&body.one_time_keys)?;
    let here = &app.config.server_name;
    let (wanted, elsewhere): (BTreeMap<_, _>, BTreeMap<_, _>) =
        body.one_time_keys.into_iter().partition(|(user, _)| user.server_name() == here);
    let failures: BTreeMap<String, Value> =
        elsewhere.into_keys().map(|user| (user.server_name().to_string(), json!({}))).collect();
    let claimed = app.keys.claim(wanted).await?;
    for (user, device) in claimed.iter().flat_map(|(user, by)| by.keys().map(move |id| (user, id)))
    {
        app.outbox.keys_changed(user, device.as_str().into());
    }
    Ok(Reply(json!({ "one_time_keys": claimed, "failures": failures })))
}

#[derive(Deserialize)]
struct Span {
    from: String,
    to: String,
}

async fn changes(
    State(app): State<Arc<App>>,
    requester: Requester,
    extract::Query(span): extract::Query<Span>,
) -> ApiResult<Reply<Changes>> {
    let token = |name: &str, text: &str| {
        text.parse::<SyncToken>()
            .map_err(|error| ApiError::invalid_param(format!("{name}: {error}")))
    };
    requester.limit(&app, Limit::Other)?;
    let (from, _) = (token("from", &span.from)?, token("to", &span.to)?);
    // Positions from before a restore say nothing about today's.
    let from = if from.generation == app.feed.generation() { from.pos } else { 0 };
    // Of each user's changes only the last is kept, and it may lie after `to`, which is but a hint: a client that is told of it
    // now and again later loses nothing.
    between(&app.db, &app.rooms, &requester.user, from, app.feed.head()).await.map(Reply)
}

async fn signatures(
    State(app): State<Arc<App>>,
    requester: Requester,
    Json(body): Json<SignedObjects>,
) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Other)?;
    few_of_each(&body)?;
    let failures = app.keys.sign(&requester.user, body).await?;
    Ok(Reply(json!({ "failures": failures })))
}

#[derive(Deserialize)]
struct DeviceSigning {
    auth: Option<Auth>,
    master_key: Option<Box<RawValue>>,
    self_signing_key: Option<Box<RawValue>>,
    user_signing_key: Option<Box<RawValue>>,
}

async fn device_signing(
    State(app): State<Arc<App>>,
    requester: Requester,
    Json(body): Json<DeviceSigning>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    let keys = CrossSigningKeys {
        master_key: body.master_key,
        self_signing_key: body.self_signing_key,
        user_signing_key: body.user_signing_key,
    };
    let stored = app.keys.set_cross_signing(&requester.user, &keys, false).await?;
    if stored == Stored::NeedsConfirmation {
        if !app.keys.may_replace(&requester.user, app.clock.now_ms()).await? {
            let name = "keys/device_signing/upload";
            uia::confirm_reset(&app, &requester, name, body.auth.as_ref()).await?;
        }
        app.keys.set_cross_signing(&requester.user, &keys, true).await?;
    }
    Ok(EMPTY)
}
