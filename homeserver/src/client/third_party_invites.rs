//! Invites by e-mail address or telephone number (Client-Server API, "Third-party Invites"): the identity server knows whose it is,
//! or keeps the invite until somebody shows that it is theirs.

use std::time::Duration;

use futures::future::try_join_all;
use http::StatusCode;
use ruma::OwnedUserId;
use ruma::events::TimelineEventType;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::client::room_access::{content_field, raw};
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::room::{Draft, Room};

/// How long identity servers may take for all who are invited in one request.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest address, in bytes.
const MAX_ADDRESS: usize = 512;

/// Whom to invite, and which identity server to ask, as a client says it (`definitions/invite_3pid.yaml`).
#[derive(Debug, Default, Deserialize)]
pub(super) struct ByAddress {
    id_server: Option<String>,
    id_access_token: Option<String>,
    medium: Option<String>,
    address: Option<String>,
}

/// The same, complete.
#[derive(Debug)]
pub(super) struct Invited {
    id_server: String,
    id_access_token: String,
    medium: String,
    address: String,
}

impl ByAddress {
    /// Whether it says nothing.
    pub(super) const fn is_empty(&self) -> bool {
        self.medium.is_none() && self.address.is_none()
    }

    /// What a client says, if it is all there.
    pub(super) fn check(self) -> ApiResult<Invited> {
        let needed = |value: Option<String>, key: &str| value.ok_or_else(|| ApiError::missing(key));
        let invited = Invited {
            medium: needed(self.medium, "medium")?,
            address: needed(self.address, "address")?,
            id_server: needed(self.id_server, "id_server")?,
            id_access_token: needed(self.id_access_token, "id_access_token")?,
        };
        if !matches!(invited.medium.as_str(), "email" | "msisdn") {
            return Err(ApiError::invalid_param("medium must be email or msisdn"));
        }
        if !(1..=MAX_ADDRESS).contains(&invited.address.len()) {
            let text = format!("address must have 1 to {MAX_ADDRESS} bytes");
            return Err(ApiError::invalid_param(text));
        }
        Ok(invited)
    }
}

/// The users whom identity servers know by addresses, in the same order. All are asked together, within one limit.
pub(super) async fn look_up_all(
    app: &App,
    invited: &[Invited],
) -> ApiResult<Vec<Option<OwnedUserId>>> {
    in_time(try_join_all(invited.iter().map(|invited| look_up(app, invited)))).await
}

/// Has identity servers keep invites, and tells the room: all together, within one limit.
pub(super) async fn keep_all(
    app: &App,
    requester: &Requester,
    room: &Room,
    invited: &[Invited],
) -> ApiResult<()> {
    let kept = invited.iter().map(|invited| keep(app, requester, room, invited));
    in_time(try_join_all(kept)).await.map(drop)
}

/// What identity servers answer to several requests, unless it takes too long.
async fn in_time<T>(asked: impl Future<Output = ApiResult<T>>) -> ApiResult<T> {
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
        let text = "The identity server takes too long";
        Err(ApiError::new(StatusCode::GATEWAY_TIMEOUT, "M_UNKNOWN", text))
    })
}

/// The user whom the identity server knows by an address.
pub(super) async fn look_up(app: &App, invited: &Invited) -> ApiResult<Option<OwnedUserId>> {
    let Invited { id_server, id_access_token, medium, address } = invited;
    app.identity.lookup(id_server, id_access_token, medium, address).await
}

/// Has the identity server keep an invite, and tells the room.
pub(super) async fn keep(
    app: &App,
    requester: &Requester,
    room: &Room,
    invited: &Invited,
) -> ApiResult<()> {
    let described = describe(app, requester, room, invited).await?;
    let Invited { id_server, id_access_token, .. } = invited;
    let stored = app.identity.store_invite(id_server, id_access_token, &described).await?;
    let content = Map::from_iter(stored.content());
    let kind = TimelineEventType::RoomThirdPartyInvite;
    let draft = Draft::state(requester.user.clone(), kind, stored.token, raw(&content)?);
    room.send(draft).await?;
    Ok(())
}

/// 403 for those who may not invite to a room.
pub(super) fn may_invite(requester: &Requester, room: &Room) -> ApiResult<()> {
    let snapshot = room.snapshot();
    if !snapshot.is_joined(&requester.user) {
        return Err(ApiError::forbidden("You are not in the room"));
    }
    let power = snapshot.power_levels();
    if power.is_some_and(|power| power.user(&requester.user) < power.invite) {
        return Err(ApiError::forbidden("You may not invite to this room"));
    }
    Ok(())
}

/// What the identity server tells the invited of the room (Identity Service API, "Invitation storage").
async fn describe(
    app: &App,
    requester: &Requester,
    room: &Room,
    invited: &Invited,
) -> ApiResult<Value> {
    let mut described = json!({
        "medium": invited.medium,
        "address": invited.address,
        "room_id": room.id(),
        "sender": requester.user,
        "room_join_rules": room.snapshot().join_rule(),
    });
    for (key, kind, field) in [
        ("room_alias", "m.room.canonical_alias", "alias"),
        ("room_avatar_url", "m.room.avatar", "url"),
        ("room_name", "m.room.name", "name"),
        ("room_type", "m.room.create", "type"),
    ] {
        if let Some(value) = content_field(room, kind, field).await? {
            described[key] = json!(value);
        }
    }
    let profile = app.profiles.get(&requester.user).await?;
    for (key, field) in
        [("sender_display_name", "displayname"), ("sender_avatar_url", "avatar_url")]
    {
        if let Some(value) = profile.get(field) {
            described[key] = value.clone();
        }
    }
    Ok(described)
}
