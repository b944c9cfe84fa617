//! Pushers (Client-Server API, "Push Notifications").

use std::sync::Arc;

use axum::extract::State;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use url::Url;

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, get, post};
use crate::storage::pushers::PusherKey;

const MAX_APP_ID: usize = 64;
const MAX_PUSHKEY: usize = 512;
const MAX_BYTES: usize = 16_384;
/// The path that a push gateway serves (Push Gateway API).
const GATEWAY_PATH: &str = "/_matrix/push/v1/notify";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![get("/_matrix/client/v3/pushers", list), post("/_matrix/client/v3/pushers/set", set)]
}

async fn list(State(app): State<Arc<App>>, requester: Requester) -> ApiResult<Reply<Value>> {
    let pushers = app.pushers.list(&requester.user).await?;
    let pushers: Result<Vec<Box<RawValue>>, _> =
        pushers.into_iter().map(RawValue::from_string).collect();
    Ok(Reply(json!({ "pushers": pushers.map_err(ApiError::internal)? })))
}

fn text<'a>(body: &'a Map<String, Value>, key: &str) -> ApiResult<&'a str> {
    match body.get(key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(ApiError::bad_json(format!("{key} must be a string"))),
        None => Err(ApiError::missing_param(format!("{key} is missing"))),
    }
}

/// Checks a pusher and keeps what the spec knows of it.
fn definition(body: &Map<String, Value>) -> ApiResult<String> {
    let mut kept = Map::new();
    for key in ["app_id", "pushkey", "kind", "app_display_name", "device_display_name", "lang"] {
        kept.insert(key.to_owned(), Value::from(text(body, key)?));
    }
    if let Some(tag) = body.get("profile_tag").and_then(Value::as_str) {
        kept.insert("profile_tag".to_owned(), Value::from(tag));
    }
    let data = body
        .get("data")
        .and_then(Value::as_object)
        .ok_or_else(|| ApiError::missing_param("data is missing"))?;
    match text(body, "kind")? {
        "http" => {
            let url = text(data, "url")?;
            let fits = Url::parse(url)
                .is_ok_and(|url| url.scheme() == "https" && url.path() == GATEWAY_PATH);
            if !fits {
                let error =
                    format!("data.url must be an https address with the path {GATEWAY_PATH}");
                return Err(ApiError::invalid_param(error));
            }
        }
        other => {
            return Err(ApiError::invalid_param(format!(
                "Pushers of kind {other:?} are not served here"
            )));
        }
    }
    kept.insert("data".to_owned(), Value::Object(data.clone()));
    let definition = Value::Object(kept).to_string();
    if definition.len() > MAX_BYTES {
        return Err(ApiError::too_large(format!("A pusher may have {MAX_BYTES} bytes")));
    }
    Ok(definition)
}

async fn set(
    State(app): State<Arc<App>>,
    requester: Requester,
    Json(body): Json<Map<String, Value>>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    let key = PusherKey {
        app_id: text(&body, "app_id")?.to_owned(),
        pushkey: text(&body, "pushkey")?.to_owned(),
    };
    if key.app_id.len() > MAX_APP_ID || key.pushkey.len() > MAX_PUSHKEY {
        let error = format!("app_id may have {MAX_APP_ID} bytes and pushkey {MAX_PUSHKEY}");
        return Err(ApiError::invalid_param(error));
    }
    match body.get("kind") {
        Some(Value::Null) => app.pushers.delete(&requester.user, key).await?,
        None => return Err(ApiError::missing_param("kind is missing; null deletes a pusher")),
        Some(_) => {
            let append = body.get("append").and_then(Value::as_bool).unwrap_or(false);
            let device = requester.device.as_deref();
            app.pushers.set(&requester.user, device, key, definition(&body)?, append).await?;
        }
    }
    Ok(EMPTY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pusher_needs_a_gateway() {
        let mut body = json!({
            "app_id": "a", "pushkey": "k", "kind": "http", "app_display_name": "A", "device_display_name": "D",
            "lang": "en", "data": { "url": "https://push.example.org/_matrix/push/v1/notify" }, "append": true
        });
        let kept = definition(body.as_object().unwrap()).unwrap();
        assert!(!kept.contains("append"));
        body["data"]["url"] = json!("http://10.0.0.1/");
        assert_eq!(definition(body.as_object().unwrap()).unwrap_err().errcode, "M_INVALID_PARAM");
        body["kind"] = json!("email");
        assert!(definition(body.as_object().unwrap()).is_err());
    }
}
