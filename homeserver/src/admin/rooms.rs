//! Rooms, in the form of Synapse's admin API.

mod deletion;
mod list;
mod people;
mod timeline;

use std::sync::Arc;

use crate::app::App;
use crate::http::router::Route;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    let mut routes = list::routes();
    routes.extend(deletion::routes());
    routes.extend(people::routes());
    routes.extend(timeline::routes());
    routes
}
