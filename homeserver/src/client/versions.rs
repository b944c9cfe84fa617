//! What the server speaks: versions and capabilities (Client-Server API, "API Versions", "Capabilities negotiation").

use std::sync::Arc;

use axum::extract::State;
use ruma::RoomVersionId;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::ApiResult;
use crate::http::json::Reply;
use crate::http::router::{Route, get};

/// The versions of the spec that are served.
const VERSIONS: [&str; 27] = [
    "r0.0.1", "r0.1.0", "r0.2.0", "r0.3.0", "r0.4.0", "r0.5.0", "r0.6.0", "r0.6.1", "v1.1", "v1.2",
    "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "v1.12", "v1.13",
    "v1.14", "v1.15", "v1.16", "v1.17", "v1.18", "v1.19",
];

/// Proposals that bridges and clients ask for by name.
const FEATURES: [&str; 31] = [
    "com.beeper.arbitrary_member_change",
    "com.beeper.arbitrary_profile_meta",
    "com.beeper.batch_sending",
    "com.beeper.msc4169",
    "com.beeper.msc4437",
    "com.beeper.room_create_autojoin_invites",
    "com.beeper.room_yeeting",
    "fi.mau.msc2246.stable",
    "fi.mau.msc2659.stable",
    "io.element.msc4190",
    "org.landbridge.durable_appservice",
    "org.matrix.msc2409",
    "org.matrix.msc3202",
    "org.matrix.msc3916.stable",
    "org.matrix.msc3967",
    "org.matrix.msc4108",
    "org.matrix.msc4140",
    "org.matrix.msc4143",
    "org.matrix.msc4155",
    "org.matrix.msc4190",
    "org.matrix.msc4222",
    "org.matrix.msc4306",
    "org.matrix.msc4308",
    "org.matrix.msc4326",
    "org.matrix.msc4354",
    "org.matrix.msc4380.stable",
    "org.matrix.simplified_msc3575",
    "uk.half-shot.msc2666.query_mutual_rooms",
    "uk.half-shot.msc2666.query_mutual_rooms.stable",
    "uk.tcpip.msc4133",
    "uk.tcpip.msc4133.stable",
];

/// The room versions of the spec that are stable, all of which the server knows.
const ROOM_VERSIONS: [&str; 12] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/versions", versions),
        get("/_matrix/client/v3/capabilities", capabilities),
    ]
}

async fn versions() -> Reply<Value> {
    let features: Map<String, Value> =
        FEATURES.into_iter().map(|name| (name.to_owned(), Value::Bool(true))).collect();
    Reply(json!({ "versions": VERSIONS, "unstable_features": features }))
}

async fn capabilities(
    State(app): State<Arc<App>>,
    requester: Requester,
) -> ApiResult<Reply<Value>> {
    let available: Map<String, Value> = ROOM_VERSIONS
        .into_iter()
        .filter(|version| {
            RoomVersionId::try_from(*version).is_ok_and(|version| version.rules().is_some())
        })
        .map(|version| (version.to_owned(), Value::from("stable")))
        .collect();
    let on = json!({ "enabled": true });
    let mut answer = json!({
        "capabilities": {
            "m.room_versions": { "default": app.config.rooms.default_version, "available": available },
            // Where a client was granted its session by OAuth 2.0, that is done in a browser.
            "m.change_password": { "enabled": !requester.oauth },
            "m.set_displayname": on,
            "m.set_avatar_url": on,
            "m.profile_fields": on,
            "uk.tcpip.msc4133.profile_fields": on,
            "m.3pid_changes": { "enabled": app.mailer.is_on() && !requester.oauth },
            "m.get_login_token": { "enabled": !requester.oauth },
            "m.forget_forced_upon_leave": { "enabled": false },
            "m.webpush": { "enabled": true, "vapid": app.vapid.public() },
        }
    });
    // Left out for whoever may do neither.
    if app.accounts.is_admin(&requester.user).await? {
        answer["capabilities"]["m.account_moderation"] = json!({ "suspend": true, "lock": true });
    }
    Ok(Reply(answer))
}
