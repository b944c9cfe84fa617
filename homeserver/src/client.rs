//! The Client-Server API: one file per module of the spec, in the spec's names.

use std::sync::Arc;

use axum::Router;

use crate::{
    app::App,
    http::{observe::observe, router::build},
};

/// Everything the server serves.
pub fn router(app: &Arc<App>) -> Router {
    let observed = axum::middleware::from_fn_with_state(Arc::clone(app), observe);
    build::<Arc<App>>([]).layer(observed).with_state(Arc::clone(app))
}
