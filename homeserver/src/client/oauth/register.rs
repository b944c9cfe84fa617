//! Registering clients (RFC 7591; Client-Server API, "Dynamic client registration flow").

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Map, Value};

use super::error::{OAuthError, OAuthResult, unstored};
use super::{base, limit};
use crate::app::App;
use crate::http::auth::Address;
use crate::http::json::{Reply, parse, read_body};
use crate::http::limit::Limit;

/// More metadata than this is refused.
const MAX_METADATA: usize = 32 << 10;

pub(super) async fn register(
    State(app): State<Arc<App>>,
    Address(address): Address,
    request: Request,
) -> OAuthResult<Response> {
    base(&app)?;
    limit(&app, "oauth registration", address, Limit::Login)?;
    let bytes = read_body(request.into_body(), MAX_METADATA).await?;
    let asked: Map<String, Value> =
        parse(&bytes).map_err(|error| OAuthError::new("invalid_client_metadata", error.error))?;
    let client = match app.oauth.register(&asked).await? {
        Ok(client) => client,
        Err(refused) => return Err(OAuthError::new(refused.error, refused.description)),
    };
    let mut answer = client.metadata;
    answer.insert("client_id".to_owned(), client.id.into());
    Ok(unstored((StatusCode::CREATED, Reply(answer)).into_response()))
}
