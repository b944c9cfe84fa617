//! The Client-Server API: one file per module of the spec, in the spec's names.

use std::sync::Arc;

use axum::Router;

use crate::{app::App, http::router::build};

/// Everything the server serves.
pub fn router(app: &Arc<App>) -> Router {
    build::<Arc<App>>([]).with_state(Arc::clone(app))
}
