//! The Client-Server API: one file per module of the spec, in the spec's names.

pub mod account;
pub mod account_data;
pub mod aliases;
pub mod appservice_directory;
pub mod appservice_ping;
pub mod batch_send;
pub mod create_room;
pub mod dehydrated_device;
pub mod delayed_events;
pub mod devices;
pub mod email_confirm;
pub mod email_unsubscribe;
pub mod event_context;
pub mod fallback;
pub mod filter;
pub mod key_backup;
pub mod keys;
pub mod login;
pub mod media;
mod member_rollback;
pub mod members;
pub mod membership;
pub mod messages;
pub mod mutual_rooms;
pub mod notifications;
pub mod oauth;
pub mod old_events;
pub mod old_sync;
pub mod openid;
pub mod presence;
pub mod profile;
pub mod public_rooms;
pub mod push_rules;
pub mod pushers;
pub mod receipts;
pub mod register;
pub mod relations;
pub mod rendezvous;
pub mod report;
pub mod request_token;
pub(crate) mod room_access;
pub mod room_summary;
pub mod room_upgrades;
pub mod rtc;
pub mod search;
pub mod send;
pub mod server_admin;
pub mod sliding_sync;
pub mod space_hierarchy;
pub mod sso;
pub mod state;
mod suspension;
pub mod sync;
pub mod third_party;
mod third_party_invites;
pub mod thread_subscriptions;
pub mod threepids;
pub mod to_device;
pub mod typing;
pub mod uia;
pub mod url_previews;
pub mod user_directory;
pub mod versions;
pub mod voip;
pub mod well_known;
pub mod yeet;

use std::sync::Arc;

use axum::Router;

use crate::admin;
use crate::app::App;
use crate::federation;
use crate::http::observe::observe;
use crate::http::router::{Route, build};
use crate::pages;

/// All endpoints, one table per module. Tests compare them with the spec's OpenAPI data.
pub fn routes() -> Vec<Route<Arc<App>>> {
    let tables = [
        account::routes(),
        account_data::routes(),
        aliases::routes(),
        appservice_directory::routes(),
        appservice_ping::routes(),
        batch_send::routes(),
        create_room::routes(),
        dehydrated_device::routes(),
        delayed_events::routes(),
        devices::routes(),
        email_confirm::routes(),
        email_unsubscribe::routes(),
        event_context::routes(),
        fallback::routes(),
        filter::routes(),
        key_backup::routes(),
        keys::routes(),
        login::routes(),
        media::routes(),
        members::routes(),
        membership::routes(),
        messages::routes(),
        notifications::routes(),
        mutual_rooms::routes(),
        oauth::routes(),
        openid::routes(),
        old_events::routes(),
        old_sync::routes(),
        presence::routes(),
        profile::routes(),
        public_rooms::routes(),
        push_rules::routes(),
        pushers::routes(),
        receipts::routes(),
        register::routes(),
        relations::routes(),
        rendezvous::routes(),
        report::routes(),
        request_token::routes(),
        room_summary::routes(),
        room_upgrades::routes(),
        rtc::routes(),
        search::routes(),
        send::routes(),
        server_admin::routes(),
        space_hierarchy::routes(),
        sliding_sync::routes(),
        sso::routes(),
        state::routes(),
        sync::routes(),
        third_party::routes(),
        thread_subscriptions::routes(),
        threepids::routes(),
        to_device::routes(),
        typing::routes(),
        uia::routes(),
        url_previews::routes(),
        user_directory::routes(),
        versions::routes(),
        voip::routes(),
        well_known::routes(),
        yeet::routes(),
        admin::health::routes(),
        admin::local::routes(),
        admin::mas::routes(),
        admin::notices::routes(),
        admin::media::routes(),
        admin::register::routes(),
        admin::registration_tokens::routes(),
        admin::reports::routes(),
        admin::rooms::routes(),
        admin::server_info::routes(),
        admin::users::routes(),
        admin::welcome::routes(),
        admin::work::routes(),
        federation::keys::routes(),
        federation::onbind::routes(),
        federation::openid::routes(),
        pages::routes(),
    ];
    tables.into_iter().flatten().collect()
}

/// Everything the server serves.
pub fn router(app: &Arc<App>) -> Router {
    let observed = axum::middleware::from_fn_with_state(Arc::clone(app), observe);
    let router = build([routes()]);
    #[cfg(feature = "testing")]
    let router = crate::http::record::recorded(router);
    router.layer(observed).with_state(Arc::clone(app))
}
