//! The provisioning API: what the bot's commands do, for programs. Paths and bodies are those of mautrix bridges
//! (`/_matrix/provision/v3`), which clients and managers speak already; `bridge` and `unbridge` are ours.

mod answer;
mod auth;
mod groups;
mod logins;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use landbridge_registration::Token;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::control::{Contact, Control, ControlError, authority};
use crate::kv::KeyValue;
use crate::matrix::Matrix;
use answer::{Problem, contact};
use auth::Authenticator;
use logins::Logins;

/// Who may use the API.
#[derive(Clone, Debug, Default)]
pub struct ProvisioningConfig {
    /// Whoever knows this may act for every user, named by `?user_id=`. At least 16 characters; none: nobody may.
    pub shared_secret: Option<Token>,
    /// Whether users of our homeserver may use their Matrix access token.
    pub allow_matrix_auth: bool,
}

/// What the routes share.
pub(crate) struct Api {
    control: Arc<dyn Control>,
    matrix: Matrix,
    kv: Arc<dyn KeyValue>,
    auth: Authenticator,
    logins: Logins,
}

/// Who asks.
#[derive(Clone)]
pub(crate) struct User(String);

type Shared = State<Arc<Api>>;
type Answer = Result<Json<Value>, Problem>;

/// The API's router, below `/_matrix/provision/v3`. Logins that are going on die with it.
pub fn router(
    control: Arc<dyn Control>,
    matrix: Matrix,
    kv: Arc<dyn KeyValue>,
    config: ProvisioningConfig,
) -> Router {
    let auth = Authenticator::new(config);
    let api = Arc::new(Api { control, matrix, kv, auth, logins: Logins::default() });
    let routes = Router::new()
        .route("/whoami", get(whoami))
        .route("/capabilities", get(capabilities))
        .route("/login/flows", get(flows))
        .route("/login/start/{flow}", post(logins::start))
        .route("/login/step/{process}/{step}/{kind}", post(logins::step))
        .route("/login/cancel/{process}", post(logins::cancel))
        .route("/logout/{login}", post(logout))
        .route("/logins", get(list_logins))
        .route("/search_users", post(search))
        .route("/resolve_identifier/{identifier}", get(resolve))
        .route("/create_dm/{identifier}", post(create_dm))
        .route("/create_group/{kind}", post(groups::create))
        .route("/bridge/{room}", post(bridge))
        .route("/unbridge/{room}", post(unbridge))
        .fallback(unrecognized)
        .method_not_allowed_fallback(unrecognized_method)
        .layer(middleware::from_fn_with_state(api.clone(), authorize))
        .with_state(api);
    Router::new().nest("/_matrix/provision/v3", routes)
}

/// Lets web clients in (CORS), finds out who asks, and whether they may.
async fn authorize(State(api): Shared, mut request: Request, next: Next) -> Response {
    let mut response = if request.method() == Method::OPTIONS {
        Json(json!({})).into_response()
    } else {
        match api.auth.user(&api.matrix, request.headers(), request.uri()).await {
            Ok(user) if api.control.level(&user) >= crate::permissions::Level::User => {
                request.extensions_mut().insert(User(user));
                next.run(request).await
            }
            Ok(_) => Problem::forbidden("you may not log in to this bridge").into_response(),
            Err(problem) => problem.into_response(),
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, OPTIONS"),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Authorization, Content-Type"),
    );
    response
}

/// Which of their logins is meant.
#[derive(Deserialize)]
struct Which {
    login_id: Option<String>,
}

async fn whoami(State(api): Shared, Extension(User(user)): Extension<User>) -> Answer {
    let about = api.control.about();
    let logins = api.control.logins(&user).await?;
    let room = api.kv.get(&format!("{}{user}", crate::commands::MANAGEMENT_OF)).await;
    let room = room.map_err(|error| ControlError::Failed(error.to_string()))?;
    let mut body = json!({
        "network": network(&api),
        "login_flows": flow_list(&api),
        "homeserver": api.matrix.server_name(),
        "bridge_bot": about.bot,
        "command_prefix": about.command_prefix,
        "logins": logins.iter().map(answer::login).collect::<Vec<_>>(),
    });
    if let Some(room) = room {
        body["management_room"] = room.into();
    }
    Ok(Json(body))
}

fn network(api: &Api) -> Value {
    let about = api.control.about();
    let mut network = json!({
        "displayname": about.network_name, "network_url": about.network_url,
        "network_id": about.network_id, "beeper_bridge_type": about.network_id,
    });
    if let Some(icon) = about.network_icon {
        network["network_icon"] = icon.into();
    }
    network
}

fn flow_list(api: &Api) -> Vec<Value> {
    let flows = api.control.login_flows().into_iter();
    flows
        .map(|flow| json!({ "id": flow.id, "name": flow.title, "description": flow.title }))
        .collect()
}

async fn capabilities(State(api): Shared) -> Answer {
    Ok(Json(json!({
        "network": network(&api),
        "resolve_identifier": { "create_dm": true, "lookup_username": true, "search": true, "contact_list": false },
        "group_creation": groups::kinds(&*api.control),
    })))
}

async fn flows(State(api): Shared) -> Answer {
    Ok(Json(json!({ "flows": flow_list(&api) })))
}

async fn list_logins(State(api): Shared, Extension(User(user)): Extension<User>) -> Answer {
    let logins = api.control.logins(&user).await?;
    Ok(Json(json!({ "login_ids": logins.into_iter().map(|login| login.id).collect::<Vec<_>>() })))
}

async fn logout(
    State(api): Shared,
    Extension(User(user)): Extension<User>,
    Path(login): Path<String>,
) -> Answer {
    if login == "all" {
        // The bridge's own are nobody's to end.
        let logins = api.control.logins(&user).await?;
        for login in logins.into_iter().filter(|login| !login.system) {
            api.control.logout(&user, &login.id).await?;
        }
    } else {
        api.control.logout(&user, &login).await?;
    }
    Ok(Json(json!({})))
}

async fn find(api: &Api, user: &str, which: &Which, query: &str) -> Result<Contact, Problem> {
    let found = api.control.resolve(user, which.login_id.as_deref(), query).await?;
    found.ok_or_else(|| ControlError::NotFound("there is nobody of that name".into()).into())
}

async fn resolve(
    State(api): Shared,
    Extension(User(user)): Extension<User>,
    Path(query): Path<String>,
    Query(which): Query<Which>,
) -> Answer {
    Ok(Json(contact(&find(&api, &user, &which, &query).await?)))
}

async fn create_dm(
    State(api): Shared,
    Extension(User(user)): Extension<User>,
    Path(query): Path<String>,
    Query(which): Query<Which>,
) -> Answer {
    let mut found = find(&api, &user, &which, &query).await?;
    found.dm_room =
        Some(api.control.start_chat(&user, which.login_id.as_deref(), &found.id).await?);
    Ok(Json(contact(&found)))
}

async fn search(
    State(api): Shared,
    Extension(User(user)): Extension<User>,
    Query(which): Query<Which>,
    body: axum::body::Bytes,
) -> Answer {
    let body = answer::object(&body)?;
    let query = body["query"].as_str().ok_or_else(|| Problem::missing("query"))?;
    let found = api.control.search(&user, which.login_id.as_deref(), query).await?;
    Ok(Json(json!({ "results": found.iter().map(contact).collect::<Vec<_>>() })))
}

async fn bridge(
    State(api): Shared,
    Extension(User(user)): Extension<User>,
    Path(room): Path<String>,
    Query(which): Query<Which>,
    body: axum::body::Bytes,
) -> Answer {
    let body = answer::object(&body)?;
    let chat = body["chat"].as_str().ok_or_else(|| Problem::missing("chat"))?;
    may_decide(&api, &user, &room).await?;
    if api.control.portal(&room).await?.is_some() {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "M_ROOM_IN_USE",
            "that room is bridged already",
        ));
    }
    let portal = api.control.bridge(&user, &room, which.login_id.as_deref(), chat).await?;
    Ok(Json(json!({ "portal": portal })))
}

async fn unbridge(
    State(api): Shared,
    Extension(User(user)): Extension<User>,
    Path(room): Path<String>,
) -> Answer {
    may_decide(&api, &user, &room).await?;
    api.control.unbridge(&user, &room).await?;
    Ok(Json(json!({})))
}

/// The bridge's admins may always; others need power in the room.
async fn may_decide(api: &Api, user: &str, room: &str) -> Result<(), Problem> {
    if api.control.level(user) < crate::permissions::Level::Admin {
        authority::require_power(&api.matrix, room, user).await?;
    }
    Ok(())
}

async fn unrecognized() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "M_UNRECOGNIZED", "there is no such endpoint")
}

async fn unrecognized_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "M_UNRECOGNIZED",
        "that endpoint takes another method",
    )
}
