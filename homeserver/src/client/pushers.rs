//! Pushers (Client-Server API, "Push Notifications"; MSC4174 for those of web push).

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use serde_json::{Map, Value, json};
use url::Url;

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, get, post};
use crate::outbound::Outbound;
use crate::outbox::push::email;
use crate::outbox::push::webpush::{KIND, Recipient};
use crate::storage::pushers::{Pusher, PusherKey};

const MAX_APP_ID: usize = 64;
const MAX_PUSHKEY: usize = 512;
const MAX_BYTES: usize = 16_384;
/// The path that a push gateway serves (Push Gateway API).
const GATEWAY_PATH: &str = "/_matrix/push/v1/notify";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/pushers", list),
        post("/_matrix/client/v3/pushers/set", set),
        post("/_matrix/client/v3/pushers/ack", acknowledge),
    ]
}

async fn list(State(app): State<Arc<App>>, requester: Requester) -> ApiResult<Reply<Value>> {
    let pushers = app.pushers.list(&requester.user).await?;
    let shown = |pusher: Pusher| {
        let mut shown: Map<String, Value> = serde_json::from_str(&pusher.definition)?;
        if shown.get("kind").and_then(Value::as_str) == Some(KIND) {
            shown.insert("activated".to_owned(), pusher.active.into());
        }
        Ok::<_, serde_json::Error>(shown)
    };
    let pushers: Result<Vec<_>, _> = pushers.into_iter().map(shown).collect();
    Ok(Reply(json!({ "pushers": pushers.map_err(ApiError::internal)? })))
}

fn text<'a>(body: &'a Map<String, Value>, key: &str) -> ApiResult<&'a str> {
    match body.get(key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(ApiError::bad_json(format!("{key} must be a string"))),
        None => Err(ApiError::missing(key)),
    }
}

/// Checks a pusher and keeps what the spec knows of it.
fn definition(outbound: &Outbound, body: &Map<String, Value>) -> ApiResult<String> {
    let mut kept = Map::new();
    for key in ["app_id", "pushkey", "kind", "app_display_name", "device_display_name", "lang"] {
        kept.insert(key.to_owned(), Value::from(text(body, key)?));
    }
    if let Some(tag) = body.get("profile_tag").and_then(Value::as_str) {
        kept.insert("profile_tag".to_owned(), Value::from(tag));
    }
    let data =
        body.get("data").and_then(Value::as_object).ok_or_else(|| ApiError::missing("data"))?;
    match text(body, "kind")? {
        "http" => {
            let url = text(data, "url")?;
            let url = Url::parse(url).ok().filter(|url| url.path() == GATEWAY_PATH);
            let url = url.ok_or_else(|| {
                let text = format!("data.url must be an https URL with the path {GATEWAY_PATH}");
                ApiError::invalid_param(text)
            })?;
            may_push_to(outbound, &url)?;
        }
        KIND => {
            let url = Url::parse(text(data, "url")?);
            let url = url.map_err(|_| ApiError::invalid_param("data.url must be an https URL"))?;
            may_push_to(outbound, &url)?;
            if Recipient::parse(text(body, "pushkey")?, text(data, "auth")?).is_none() {
                return Err(ApiError::invalid_param(
                    "pushkey must be a P-256 public key in its uncompressed form and data.auth 16 bytes, both in URL-safe \
                     Base64 without padding",
                ));
            }
        }
        email::KIND => {}
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

fn may_push_to(outbound: &Outbound, url: &Url) -> ApiResult<()> {
    outbound.may_post(url).map_err(|error| {
        ApiError::invalid_param(format!("data.url can't be used for notifications: {error}"))
    })
}

async fn set(
    State(app): State<Arc<App>>,
    requester: Requester,
    Json(body): Json<Map<String, Value>>,
) -> ApiResult<(StatusCode, Reply<Empty>)> {
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
            let definition = definition(&app.outbound, &body)?;
            let user = &requester.user;
            if body.get("kind").and_then(Value::as_str) == Some(email::KIND) {
                email::may_set(&app, user, &key).await?;
            }
            let asked = app.pushers.set(user, device, key, definition, append).await?;
            app.push.added(&app, user).await?;
            if asked {
                return Ok((StatusCode::CREATED, EMPTY));
            }
        }
    }
    Ok((StatusCode::OK, EMPTY))
}

async fn acknowledge(
    State(app): State<Arc<App>>,
    requester: Requester,
    Json(body): Json<Map<String, Value>>,
) -> ApiResult<Reply<Empty>> {
    let (app_id, token) = (text(&body, "app_id")?, text(&body, "ack_token")?);
    app.pushers.answer(&requester.user, app_id.to_owned(), token.to_owned()).await?;
    app.push.added(&app, &requester.user).await?;
    Ok(EMPTY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pusher_needs_a_gateway_that_may_be_reached() {
        let outbound = Outbound::new(&crate::config::Outbound::default(), None).unwrap();
        let body = json!({
            "app_id": "a", "pushkey": "k", "kind": "http", "app_display_name": "A", "device_display_name": "D",
            "lang": "en", "data": { "url": "https://push.example.org/_matrix/push/v1/notify" }, "append": true
        });
        let kept = definition(&outbound, body.as_object().unwrap()).unwrap();
        assert!(!kept.contains("append"));
        let refused = |change: &dyn Fn(&mut Value)| {
            let mut body = body.clone();
            change(&mut body);
            definition(&outbound, body.as_object().unwrap()).unwrap_err().errcode
        };
        for url in [
            "http://push.example.org/_matrix/push/v1/notify",
            "https://push.example.org/",
            "https://10.0.0.1/_matrix/push/v1/notify",
            "https://[::1]/_matrix/push/v1/notify",
            "https://me:secret@push.example.org/_matrix/push/v1/notify",
            "ftp://push.example.org/_matrix/push/v1/notify",
            "nothing",
        ] {
            assert_eq!(
                refused(&|body| body["data"]["url"] = json!(url)),
                "M_INVALID_PARAM",
                "{url}"
            );
        }
        assert_eq!(refused(&|body| body["data"] = json!({})), "M_MISSING_PARAM");
        assert_eq!(refused(&|body| body["data"]["url"] = json!(5)), "M_BAD_JSON");
        assert_eq!(refused(&|body| body["lang"] = Value::Null), "M_BAD_JSON");
        assert_eq!(refused(&|body| body["kind"] = json!("fax")), "M_INVALID_PARAM");
        let long = json!("x".repeat(MAX_BYTES));
        assert_eq!(refused(&|body| body["data"]["more"] = long.clone()), "M_TOO_LARGE");
    }
}
