//! One's addresses (Client-Server API, "Adding Account Administrative Contact Information").

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use ruma::UserId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::client::oauth::must_be_legacy;
use crate::client::uia;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, get, post};
use crate::services::identity::Credentials;
use crate::services::threepids::{Purpose, folded, shown, tell, unbinding, unproven};
use crate::services::uia::Auth;
use crate::storage::threepid_binds::Bind;

/// The most addresses of one user that identity servers may publish: taking them back costs a request each.
const MOST_BINDS: usize = 50;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/account/3pid", list),
        post("/_matrix/client/v3/account/3pid", bind_old),
        post("/_matrix/client/v3/account/3pid/add", add),
        post("/_matrix/client/v3/account/3pid/bind", bind),
        post("/_matrix/client/v3/account/3pid/delete", delete),
        post("/_matrix/client/v3/account/3pid/unbind", unbind),
    ]
}

async fn list(State(app): State<Arc<App>>, requester: Requester) -> ApiResult<Reply<Value>> {
    let known = app.threepids.list(&requester.user).await?;
    let shown: Vec<Value> = known.iter().map(shown).collect();
    Ok(Reply(json!({ "threepids": shown })))
}

#[derive(Deserialize)]
struct Add {
    auth: Option<Auth>,
    client_secret: Option<String>,
    sid: Option<String>,
}

async fn add(
    State(app): State<Arc<App>>,
    requester: Requester,
    Json(body): Json<Add>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    let sid = body.sid.ok_or_else(|| ApiError::missing("sid"))?;
    let secret = body.client_secret.ok_or_else(|| ApiError::missing("client_secret"))?;
    let proven = app.threepids.proven(Purpose::Add, &sid, &secret).await?;
    uia::confirm(&app, &requester, "account/3pid/add", body.auth.as_ref()).await?;
    let address = proven.threepid().1.to_owned();
    app.threepids.add(&requester.user, proven).await?;
    tell::address_added(&app, &requester.user, &address).await;
    Ok(EMPTY)
}

#[derive(Deserialize)]
struct OldBind {
    three_pid_creds: Credentials,
}

async fn bind_old(
    state: State<Arc<App>>,
    requester: Requester,
    Json(body): Json<OldBind>,
) -> ApiResult<Reply<Empty>> {
    bind(state, requester, Json(body.three_pid_creds)).await.map_err(|error| {
        match &*error.errcode {
            // What identity servers say of sessions that are not good.
            "M_NO_VALID_SESSION"
            | "M_SESSION_NOT_VALIDATED"
            | "M_SESSION_EXPIRED"
            | "M_INCORRECT_CLIENT_SECRET" => unproven().status(StatusCode::FORBIDDEN),
            _ => error,
        }
    })
}

async fn bind(
    State(app): State<Arc<App>>,
    requester: Requester,
    Json(credentials): Json<Credentials>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    if app.threepids.binds(&requester.user).await?.len() >= MOST_BINDS {
        let text = format!("A user may have {MOST_BINDS} addresses on identity servers");
        return Err(ApiError::forbidden(text));
    }
    let bind = app.identity.bind(&requester.user, &credentials).await?;
    app.threepids.set_bind(&requester.user, bind, true).await?;
    Ok(EMPTY)
}

#[derive(Deserialize)]
struct Named {
    id_server: Option<String>,
    medium: Option<String>,
    address: Option<String>,
}

impl Named {
    /// The medium and the address.
    fn threepid(&self) -> ApiResult<(&str, &str)> {
        let medium = self.medium.as_deref().ok_or_else(|| ApiError::missing("medium"))?;
        if !matches!(medium, "email" | "msisdn") {
            return Err(ApiError::invalid_param("medium must be email or msisdn"));
        }
        Ok((medium, self.address.as_deref().ok_or_else(|| ApiError::missing("address"))?))
    }
}

async fn delete(
    State(app): State<Arc<App>>,
    requester: Requester,
    Json(body): Json<Named>,
) -> ApiResult<Reply<Value>> {
    must_be_legacy(&app)?;
    requester.limit(&app, Limit::Other)?;
    let (medium, address) = body.threepid()?;
    // It is the account's no more, whatever identity servers say and however long they take.
    if app.threepids.delete(&requester.user, medium, address).await? {
        tell::address_removed(&app, &requester.user, address);
    }
    take_back(&app, &requester.user, &body).await
}

async fn unbind(
    State(app): State<Arc<App>>,
    requester: Requester,
    Json(body): Json<Named>,
) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Other)?;
    take_back(&app, &requester.user, &body).await
}

/// Unbinds one address from the identity server that is named, else from those that it was bound on.
async fn take_back(app: &Arc<App>, user: &UserId, named: &Named) -> ApiResult<Reply<Value>> {
    let (medium, address) = named.threepid()?;
    let mut binds = match &named.id_server {
        Some(server) => vec![Bind {
            medium: medium.to_owned(),
            address: address.to_owned(),
            id_server: server.clone(),
        }],
        None => app.threepids.binds(user).await?,
    };
    let same = folded(medium, address);
    binds.retain(|bind| bind.medium == medium && folded(medium, &bind.address) == same);
    // Where nobody knows an identity server, there is nothing that can be done.
    let done = !binds.is_empty() && unbinding::now(app, user, binds).await;
    Ok(Reply(json!({ "id_server_unbind_result": unbind_result(done) })))
}

/// What an `id_server_unbind_result` says.
pub(crate) const fn unbind_result(done: bool) -> &'static str {
    if done { "success" } else { "no-support" }
}
