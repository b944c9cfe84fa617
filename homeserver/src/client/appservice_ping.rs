//! A service has this server ping it (Application Service API, "Pinging").

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{JsonOrEmpty, Reply};
use crate::http::router::{Route, post};
use crate::services::appservices::PingError;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![post("/_matrix/client/v1/appservice/{appserviceId}/ping", ping)]
}

#[derive(Default, Deserialize)]
struct Ping {
    transaction_id: Option<String>,
}

async fn ping(
    State(_): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<String>,
    JsonOrEmpty(body): JsonOrEmpty<Ping>,
) -> ApiResult<Reply<Value>> {
    let service = requester.appservice.filter(|service| service.id() == id).ok_or_else(|| {
        ApiError::forbidden("The access token is not that application service's as_token")
    })?;
    let took = service.ping(body.transaction_id.as_deref()).await?;
    Ok(Reply(json!({ "duration_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX) })))
}

impl From<PingError> for ApiError {
    fn from(error: PingError) -> Self {
        let text = error.to_string();
        match error {
            PingError::NoUrl => Self::new(StatusCode::BAD_REQUEST, "M_URL_NOT_SET", text),
            PingError::BadStatus { status, body } => {
                Self::new(StatusCode::BAD_GATEWAY, "M_BAD_STATUS", text)
                    .with("status", status)
                    .with("body", body)
            }
            PingError::Timeout => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, "M_CONNECTION_TIMEOUT", text)
            }
            PingError::Failed(_) => Self::new(StatusCode::BAD_GATEWAY, "M_CONNECTION_FAILED", text),
        }
    }
}
