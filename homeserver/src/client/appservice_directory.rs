//! Services publish rooms under their networks (Application Service API, "Published room directories").

use std::sync::Arc;

use axum::extract::State;
use futures::FutureExt as _;
use ruma::OwnedRoomId;
use serde::Deserialize;

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, put};
use crate::storage::appservice_directory as rows;

/// The longest name of a network, in bytes.
const MAX_NETWORK: usize = 255;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![put("/_matrix/client/v3/directory/list/appservice/{networkId}/{roomId}", publish)]
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Visibility {
    Public,
    Private,
}

#[derive(Deserialize)]
struct Publish {
    visibility: Visibility,
}

async fn publish(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((network, room)): Path<(String, OwnedRoomId)>,
    Json(body): Json<Publish>,
) -> ApiResult<Reply<Empty>> {
    let service = requester
        .appservice
        .clone()
        .ok_or_else(|| ApiError::forbidden("Only application services have such directories"))?;
    requester.limit(&app, Limit::Other)?;
    if network.is_empty() || network.len() > MAX_NETWORK {
        return Err(ApiError::invalid_param("networkId is empty or too long"));
    }
    let room = app.rooms.get(&room).await?.nid();
    app.committer
        .run(move |tx| {
            let (service, network) = (service.clone(), network.clone());
            async move {
                match body.visibility {
                    Visibility::Public => rows::add(tx, service.id(), &network, room).await,
                    Visibility::Private => rows::remove(tx, service.id(), &network, room).await,
                }
            }
            .boxed()
        })
        .await?;
    Ok(EMPTY)
}
