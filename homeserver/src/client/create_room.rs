//! Creating rooms (Client-Server API, "Creation").

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use ruma::events::TimelineEventType;
use ruma::{CanonicalJsonObject, OwnedUserId, RoomAliasId, RoomVersionId, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::app::App;
use crate::client::aliases::may_have;
use crate::client::membership::carry_over;
use crate::client::public_rooms::{is_public, may_publish};
use crate::client::third_party_invites::{ByAddress, Invited, keep_all, look_up_all, may_invite};
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::{JsonOrEmpty, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, post};
use crate::room::{CreateRoom, Invitee, Preset};
use crate::services::invitations::may_be_invited;

/// The most people that can be invited by address: each costs requests to an identity server.
const MOST_BY_ADDRESS: usize = 50;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![post("/_matrix/client/v3/createRoom", create)]
}

#[derive(Deserialize)]
struct InitialState {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    state_key: String,
    content: Box<RawValue>,
}

#[derive(Default, Deserialize)]
struct Body {
    visibility: Option<String>,
    room_alias_name: Option<String>,
    name: Option<String>,
    topic: Option<String>,
    #[serde(default)]
    invite: Vec<OwnedUserId>,
    #[serde(default)]
    invite_3pid: Vec<ByAddress>,
    room_version: Option<String>,
    creation_content: Option<CanonicalJsonObject>,
    #[serde(default)]
    initial_state: Vec<InitialState>,
    preset: Option<String>,
    #[serde(default)]
    is_direct: bool,
    power_level_content_override: Option<CanonicalJsonObject>,
    #[serde(default, rename = "com.beeper.auto_join_invites")]
    auto_join_invites: bool,
}

/// A user with the profile that their member event will show.
pub(crate) async fn invitee(app: &App, user: &UserId) -> ApiResult<Invitee> {
    let mut profile = app.profiles.member_content(user, "invite").await?;
    profile.remove("membership");
    let profile = ruma::canonical_json::try_from_json_map(profile).map_err(ApiError::internal)?;
    Ok(Invitee { user: user.to_owned(), profile })
}

/// The room version that a request asks for, or the default.
pub(crate) fn version(app: &App, asked: Option<&str>) -> ApiResult<RoomVersionId> {
    let name = asked.unwrap_or(&app.config.rooms.default_version);
    let unsupported = || {
        let text = format!("Room version {name:?} is not known");
        ApiError::new(StatusCode::BAD_REQUEST, "M_UNSUPPORTED_ROOM_VERSION", text)
    };
    let version = RoomVersionId::try_from(name).map_err(|_| unsupported())?;
    if version.rules().is_none() { Err(unsupported()) } else { Ok(version) }
}

fn preset(name: Option<&str>, public: bool) -> ApiResult<Preset> {
    match name {
        Some("private_chat") => Ok(Preset::PrivateChat),
        Some("trusted_private_chat") => Ok(Preset::TrustedPrivateChat),
        Some("public_chat") => Ok(Preset::PublicChat),
        None => Ok(if public { Preset::PublicChat } else { Preset::PrivateChat }),
        Some(other) => Err(ApiError::invalid_param(format!("{other:?} is no preset"))),
    }
}

/// Those who are invited by address.
struct ByAddresses {
    /// Whom the identity servers know.
    known: Vec<OwnedUserId>,
    /// The others.
    unknown: Vec<Invited>,
}

/// Asks the identity servers for those who are invited by address. Each counts as an invite of its own.
async fn by_addresses(
    app: &App,
    requester: &Requester,
    asked: Vec<ByAddress>,
) -> ApiResult<ByAddresses> {
    if asked.len() > MOST_BY_ADDRESS {
        let text = format!("At most {MOST_BY_ADDRESS} people can be invited by address at once");
        return Err(ApiError::invalid_param(text));
    }
    let asked: Vec<Invited> = asked.into_iter().map(ByAddress::check).collect::<ApiResult<_>>()?;
    let mut sorted = ByAddresses { known: Vec::new(), unknown: Vec::new() };
    for _ in &asked {
        requester.limit(app, Limit::Join)?;
    }
    let found = look_up_all(app, &asked).await?;
    for (invited, user) in asked.into_iter().zip(found) {
        match user {
            Some(user) => sorted.known.push(user),
            None => sorted.unknown.push(invited),
        }
    }
    Ok(sorted)
}

async fn create(
    State(app): State<Arc<App>>,
    requester: Requester,
    JsonOrEmpty(body): JsonOrEmpty<Body>,
) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Join)?;
    let public = body.visibility.as_deref().map_or(Ok(false), is_public)?;
    may_publish(&app, &requester, public).await?;
    let alias = match body.room_alias_name.as_deref().filter(|name| !name.is_empty()) {
        None => None,
        Some(name) => {
            if name.contains(':') || name.chars().any(|c| c.is_whitespace() || c == '\0') {
                return Err(ApiError::invalid_param(
                    "room_alias_name must have no colons or spaces",
                ));
            }
            let alias = RoomAliasId::parse(format!("#{name}:{}", app.config.server_name))
                .map_err(|error| ApiError::invalid_param(error.to_string()))?;
            may_have(&app, &requester, &alias)?;
            Some(alias)
        }
    };
    let ByAddresses { known, unknown } = by_addresses(&app, &requester, body.invite_3pid).await?;
    let mut invites = Vec::with_capacity(body.invite.len() + known.len());
    for user in body.invite.iter().chain(&known) {
        may_be_invited(&app, &requester.user, user).await?;
        invites.push(invitee(&app, user).await?);
    }
    // Only the appservice's own users: nobody else is made to join.
    let own = |user: &&OwnedUserId| {
        requester.appservice.as_ref().is_some_and(|service| service.owns_user(user))
    };
    let joining =
        body.invite.iter().filter(|_| body.auto_join_invites).filter(own).cloned().collect();
    let has_alias = alias.is_some();
    let request = CreateRoom {
        creator: invitee(&app, &requester.user).await?,
        version: version(&app, body.room_version.as_deref())?,
        preset: preset(body.preset.as_deref(), public)?,
        creation_content: body.creation_content.unwrap_or_default(),
        alias,
        name: body.name,
        topic: body.topic,
        initial_state: body
            .initial_state
            .into_iter()
            .map(|state| (TimelineEventType::from(state.kind), state.state_key, state.content))
            .collect(),
        power_level_content_override: body.power_level_content_override,
        invites,
        is_direct: body.is_direct,
        join_invited: joining,
        ts: None,
        published: public,
        replaces: None,
    };
    let room = app.rooms.create(request).await?;
    if has_alias {
        room.aliases_changed();
    }
    carry_over(&app, &room, &requester.user).await?;
    // The identity server wants to know the room's ID, which is there only now. Should it refuse, the client is told so: the room is there,
    // and its creator sees it, but somebody is missing. The error names the room, so that nobody makes another.
    if !unknown.is_empty() {
        let kept = async {
            may_invite(&requester, &room)?;
            keep_all(&app, &requester, &room, &unknown).await
        };
        kept.await.map_err(|error| error.with("room_id", room.id().as_str()))?;
    }
    Ok(Reply(json!({ "room_id": room.id() })))
}
