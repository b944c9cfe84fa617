//! Previews of links (Client-Server API, "Content repository").

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use serde::Deserialize;

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Query;
use crate::http::json::RawReply;
use crate::http::limit::Limit;
use crate::http::router::{Route, get};
use crate::outbound::FetchError;
use crate::services::url_previews::PreviewError;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v1/media/preview_url", preview),
        get("/_matrix/media/v3/preview_url", preview),
    ]
}

#[derive(Deserialize)]
struct Params {
    url: String,
    /// The time of which the preview should be. There is one of each page, the newest, which the specification lets us
    /// answer with.
    #[serde(rename = "ts")]
    _ts: Option<i64>,
}

async fn preview(
    State(app): State<Arc<App>>,
    requester: Requester,
    Query(params): Query<Params>,
) -> ApiResult<RawReply> {
    requester.limit(&app, Limit::Other)?;
    let told = app.url_previews.preview(&params.url).await?;
    Ok(RawReply(told.as_bytes().to_vec().into()))
}

impl From<PreviewError> for ApiError {
    fn from(error: PreviewError) -> Self {
        let text = error.to_string();
        match error {
            PreviewError::Off => Self::unrecognized(),
            PreviewError::BadUrl(_) => Self::invalid_param(text),
            PreviewError::Busy => Self::limit_exceeded(Duration::from_secs(5)),
            PreviewError::Fetch(error) => match &*error {
                FetchError::NotHttp => Self::invalid_param(text),
                FetchError::Refused | FetchError::NotPublic => Self::forbidden(text),
                // What went wrong between us and the other side is for the log: it would tell who asks about our network.
                // It is no fault of this server's, which is what a 5xx would say.
                error => {
                    tracing::debug!(%error, "a page could not be fetched for a preview");
                    Self::not_found("The page could not be fetched")
                }
            },
            PreviewError::Media(_)
            | PreviewError::Storage(_)
            | PreviewError::Commit(_)
            | PreviewError::Lost(_) => Self::internal(text),
        }
    }
}
