//! The network over HTTP: routes, who is asking, and nothing of what the network does ([`super::service`]).

mod auth;
mod follow;
mod routes;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{delete, get, patch, post, put},
};

use super::{Shared, faults, limits, page};

/// What handlers share.
pub(crate) type App = Arc<Shared>;

/// All routes.
pub(crate) fn router(app: App) -> Router {
    let api = Router::new()
        .route("/api/whoami", get(routes::whoami))
        .route("/api/people", get(routes::people).post(routes::add_person))
        .route("/api/people/{person}", get(routes::person).patch(routes::rename_person))
        .route("/api/people/{person}/token", post(routes::new_token))
        .route("/api/people/{person}/keys/{key}", get(routes::done_with_key))
        .route("/api/chats", get(routes::chats).post(routes::new_chat))
        .route("/api/chats/{chat}", get(routes::chat).patch(routes::describe))
        .route("/api/chats/{chat}/members/{person}", put(routes::join).merge(delete(routes::leave)))
        .route("/api/chats/{chat}/messages", get(routes::messages).post(routes::send))
        .route("/api/chats/{chat}/typing", put(routes::set_typing))
        .route("/api/chats/{chat}/read", put(routes::mark_read))
        .route(
            "/api/messages/{message}",
            patch(routes::edit).get(routes::message).delete(routes::delete),
        )
        .route("/api/messages/{message}/reactions", put(routes::react))
        .route("/api/messages/{message}/vote", put(routes::vote))
        .route("/api/messages/{message}/closed", put(routes::close))
        .route("/api/events", get(follow::poll))
        .route("/api/stream", get(follow::stream))
        .route("/api/faults", get(routes::faults).put(routes::set_faults))
        .route("/api/session", post(auth::begin_session).delete(auth::end_session))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), faults::play))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), auth::same_site))
        .layer(DefaultBodyLimit::max(limits::MAX_BODY));
    Router::new()
        .merge(api)
        .merge(page::routes())
        .route("/health", get(async || "ok\n"))
        .with_state(app)
}
