//! Dehydrated devices ([MSC3814](https://github.com/matrix-org/matrix-spec-proposals/pull/3814)), under their unstable name.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use ruma::OwnedDeviceId;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::{Json, JsonOrEmpty, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, delete, get, post, put};
use crate::nid::Pos;
use crate::services::keys::{Dehydration, Upload};

/// Messages in one answer, unless fewer are asked for.
const MAX_MESSAGES: i64 = 100;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        put(DEVICE, store),
        get(DEVICE, load),
        delete(DEVICE, remove),
        get(EVENTS, events),
        post(EVENTS, events_by_body),
    ]
}

const DEVICE: &str = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";
const EVENTS: &str =
    "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{deviceId}/events";

#[derive(Deserialize)]
struct Body {
    device_id: OwnedDeviceId,
    device_data: Box<RawValue>,
    initial_device_display_name: Option<String>,
    device_keys: Option<Box<RawValue>>,
    one_time_keys: Option<BTreeMap<String, Box<RawValue>>>,
    fallback_keys: Option<BTreeMap<String, Box<RawValue>>>,
}

async fn store(
    State(app): State<Arc<App>>,
    requester: Requester,
    Json(body): Json<Body>,
) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Other)?;
    let device_id = body.device_id;
    let new = Dehydration {
        device_id: device_id.clone(),
        device_data: body.device_data,
        display_name: body.initial_device_display_name,
        keys: Upload {
            device_keys: body.device_keys,
            one_time_keys: body.one_time_keys,
            fallback_keys: body.fallback_keys,
        },
    };
    let old = app.keys.dehydrate(&requester.user, new, app.clock.now_ms()).await?;
    if let Some(old) = old {
        app.devices.forget(&requester.user, &[old]);
    }
    Ok(Reply(json!({ "device_id": device_id })))
}

async fn load(State(app): State<Arc<App>>, requester: Requester) -> ApiResult<Reply<Value>> {
    let device = app.keys.dehydrated(&requester.user).await?;
    let data: Value = serde_json::from_str(&device.device_data).map_err(ApiError::internal)?;
    Ok(Reply(json!({ "device_id": device.device_id, "device_data": data })))
}

async fn remove(State(app): State<Arc<App>>, requester: Requester) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Other)?;
    let id = app.keys.forget_dehydrated(&requester.user).await?;
    app.devices.forget(&requester.user, std::slice::from_ref(&id));
    Ok(Reply(json!({ "device_id": id })))
}

#[derive(Deserialize)]
struct Page {
    from: Option<String>,
    limit: Option<u32>,
}

#[derive(Default, Deserialize)]
struct Batch {
    next_batch: Option<String>,
}

/// As the proposal has it today: a token only where there is more.
async fn events(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(device): Path<OwnedDeviceId>,
    Query(page): Query<Page>,
) -> ApiResult<Reply<Map<String, Value>>> {
    messages(&app, &requester, &device, page.from.as_deref(), page.limit, false).await
}

/// As the proposal had it before, and as clients have it: always a token, until an answer without events.
async fn events_by_body(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(device): Path<OwnedDeviceId>,
    Query(page): Query<Page>,
    JsonOrEmpty(batch): JsonOrEmpty<Batch>,
) -> ApiResult<Reply<Map<String, Value>>> {
    messages(&app, &requester, &device, batch.next_batch.as_deref(), page.limit, true).await
}

async fn messages(
    app: &App,
    requester: &Requester,
    device: &OwnedDeviceId,
    from: Option<&str>,
    limit: Option<u32>,
    always: bool,
) -> ApiResult<Reply<Map<String, Value>>> {
    let generation = app.feed.generation();
    let from = match from {
        Some(text) => position(text, generation)
            .ok_or_else(|| ApiError::invalid_param("That is no token of this endpoint"))?,
        None => 0,
    };
    let limit = limit.map_or(MAX_MESSAGES, i64::from).clamp(1, MAX_MESSAGES);
    let to = app.feed.head();
    let found = app.keys.dehydrated_messages(&requester.user, device, (from, to), limit).await?;
    let more = found.len() as i64 == limit;
    let last = found.last().map_or(from, |(pos, _)| *pos);
    let events: Result<Vec<Value>, _> =
        found.iter().map(|(_, message)| serde_json::from_str(message)).collect();
    let mut answer = Map::new();
    answer.insert("events".to_owned(), Value::Array(events.map_err(ApiError::internal)?));
    if more || always {
        answer.insert("next_batch".to_owned(), Value::from(format!("d1_{generation}_{last}")));
    }
    Ok(Reply(answer))
}

/// The position in a token. One of another generation of the database begins anew.
fn position(token: &str, generation: i64) -> Option<Pos> {
    let mut parts = token.strip_prefix("d1_")?.split('_').map(str::parse::<i64>);
    let (of, pos) = (parts.next()?.ok()?, parts.next()?.ok()?);
    if parts.next().is_some() || pos < 0 {
        return None;
    }
    Some(if of == generation { pos } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_know_their_database() {
        assert_eq!(position("d1_3_17", 3), Some(17));
        assert_eq!(position("d1_2_17", 3), Some(0));
        for bad in ["", "d1_", "d1_3", "d1_3_-1", "d1_3_1_1", "s1_3_1", "d1_3_x"] {
            assert_eq!(position(bad, 3), None, "{bad}");
        }
    }
}
