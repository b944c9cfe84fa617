//! `/_synapse/admin/v1/send_server_notice`: notices to users, in Synapse's form, because tools speak it.

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use ruma::events::TimelineEventType;
use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{JsonOrEmpty, Reply, parse_object};
use crate::http::router::{Route, post, put};
use crate::room::TxnKey;
use crate::services::server_notices::{self, Notice};

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        post("/_synapse/admin/v1/send_server_notice", send),
        put("/_synapse/admin/v1/send_server_notice/{txnId}", send_once),
    ]
}

#[derive(Default, Deserialize)]
struct Body {
    user_id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    state_key: Option<String>,
    content: Option<Box<RawValue>>,
}

impl Body {
    /// The recipient, who must be one of ours, and the content.
    async fn check(&self, app: &App) -> ApiResult<(OwnedUserId, Box<RawValue>)> {
        let user = self.user_id.as_deref().ok_or_else(|| ApiError::missing("user_id"))?;
        let content = self.content.as_deref().ok_or_else(|| ApiError::missing("content"))?;
        let user = UserId::parse(user)
            .map_err(|error| ApiError::invalid_param(format!("user_id: {error}")))?;
        if user.server_name() != app.config.server_name {
            return Err(ApiError::invalid_param("Notices go to users of this server only"));
        }
        if !app.accounts.active(&user).await? {
            return Err(ApiError::not_found("There is no such user"));
        }
        Ok((user, parse_object(content.get().as_bytes())?))
    }
}

async fn notify(
    app: &App,
    requester: &Requester,
    body: Body,
    txn: Option<TxnKey>,
) -> ApiResult<Reply<Value>> {
    requester.must_be_admin(app).await?;
    let (user, content) = body.check(app).await?;
    let kind = body.kind.map_or(TimelineEventType::RoomMessage, TimelineEventType::from);
    let notice = Notice { user, kind, state_key: body.state_key, content, txn };
    Ok(Reply(json!({ "event_id": server_notices::send(app, notice).await? })))
}

async fn send(
    State(app): State<Arc<App>>,
    requester: Requester,
    JsonOrEmpty(body): JsonOrEmpty<Body>,
) -> ApiResult<Reply<Value>> {
    notify(&app, &requester, body, None).await
}

async fn send_once(
    State(app): State<Arc<App>>,
    requester: Requester,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    JsonOrEmpty(body): JsonOrEmpty<Body>,
) -> ApiResult<Reply<Value>> {
    let txn = TxnKey { scope: requester.txn_scope(), path: format!("PUT {}", uri.path()), id };
    notify(&app, &requester, body, Some(txn)).await
}
