//! What the server says to its users (Client-Server API, "Server Notices"): a user of the server's own invites each of them to one
//! room, and writes there.

use futures::FutureExt;
use http::StatusCode;
use ruma::events::TimelineEventType;
use ruma::{CanonicalJsonObject, OwnedUserId, RoomId, RoomVersionId, UserId};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::room::{CreateRoom, Draft, Invitee, Membership, Preset, Room, RoomError, TxnKey};
use crate::services::account_data::RoomKey;
use crate::services::profiles::{AVATAR_URL, DISPLAYNAME};
use crate::storage::accounts::{Account, Kind};
use crate::storage::server_notices;

/// The tag by which clients know the room.
const TAG: &str = "m.server_notice";
/// Below what sending takes, so that nobody answers where nobody reads.
const LISTENERS: i64 = -10;

/// Notices are sent one after the other, so that nobody gets two rooms.
#[derive(Debug, Default)]
pub struct ServerNotices(Mutex<()>);

/// A notice: an event for a user's room.
#[derive(Debug)]
pub struct Notice {
    /// For whom.
    pub user: OwnedUserId,
    /// The event's type.
    pub kind: TimelineEventType,
    /// Its state key, if it is state.
    pub state_key: Option<String>,
    /// Its content.
    pub content: Box<RawValue>,
    /// What makes a repetition of the request known.
    pub txn: Option<TxnKey>,
}

/// Sends a notice, after making the user's room and inviting the user where that is needed. The event's ID.
pub async fn send(app: &App, notice: Notice) -> ApiResult<String> {
    let _one = app.server_notices.0.lock().await;
    let sender = sender(app).await?;
    let room = room(app, &sender, &notice.user).await?;
    if !app.account_data.tags(&notice.user, room.id().as_str()).await?.contains_key(TAG) {
        let key = RoomKey { id: room.id().to_owned(), nid: room.nid() };
        app.account_data.tag(&notice.user, key, TAG, Some(Map::new())).await?;
    }
    if !matches!(
        room.snapshot().membership(&notice.user),
        Some(Membership::Join | Membership::Invite)
    ) {
        let content = app.profiles.member_content(&notice.user, "invite").await?;
        let content = to_raw_value(&content).map_err(ApiError::internal)?;
        let kind = TimelineEventType::RoomMember;
        room.send(Draft::state(sender.clone(), kind, notice.user.as_str(), content)).await?;
    }
    let draft = Draft {
        state_key: notice.state_key,
        txn: notice.txn,
        ..Draft::message(sender, notice.kind, notice.content)
    };
    Ok(room.send(draft).await?.event_id.to_string())
}

/// Whether this is the room in which the server speaks to a user.
pub async fn is_room_of(app: &App, user: &UserId, room: &RoomId) -> ApiResult<bool> {
    Ok(server_notices::get(&app.db, user).await?.is_some_and(|known| known == room))
}

/// 403 `M_CANNOT_LEAVE_SERVER_NOTICE_ROOM`, for an invite that can't be rejected.
pub async fn may_leave(app: &App, user: &UserId, room: &Room) -> ApiResult<()> {
    let invited = room.snapshot().membership(user) == Some(Membership::Invite);
    if invited && is_room_of(app, user, room.id()).await? {
        let text = "You cannot reject this invite";
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM",
            text,
        ));
    }
    Ok(())
}

/// The same for a member event that a user sets.
pub async fn may_leave_by(
    app: &App,
    user: &UserId,
    room: &Room,
    content: &RawValue,
) -> ApiResult<()> {
    let content: Map<String, Value> = serde_json::from_str(content.get()).unwrap_or_default();
    if content.get("membership").and_then(Value::as_str) == Some("leave") {
        may_leave(app, user, room).await?;
    }
    Ok(())
}

/// The user that notices come from, with its name and picture.
async fn sender(app: &App) -> ApiResult<OwnedUserId> {
    let config = &app.config.server_notices;
    let user = config.sender(&app.config.server_name).map_err(ApiError::internal)?;
    match app.accounts.get(&user).await? {
        None => app.accounts.create(Account::new(user.clone(), Kind::User)).await?,
        Some(account) if account.password.is_some() || account.appservice.is_some() => {
            let text = format!("{user} is somebody's account; set server_notices.user to another");
            return Err(ApiError::unknown(text));
        }
        Some(_) => {}
    }
    let profile = app.profiles.get(&user).await?;
    let shown =
        [(DISPLAYNAME, Some(&config.display_name)), (AVATAR_URL, config.avatar_url.as_ref())];
    for (field, value) in shown {
        let value = value.map(|value| Value::from(value.as_str()));
        if let Some(value) = value.filter(|value| profile.get(field) != Some(value)) {
            app.profiles.set(&user, field, value).await?;
        }
    }
    Ok(user)
}

/// The room of a user. It is known before anybody is invited: a crash leaves at most a room that nobody sees.
async fn room(app: &App, sender: &UserId, user: &UserId) -> ApiResult<Room> {
    if let Some(id) = server_notices::get(&app.db, user).await? {
        match app.rooms.get(&id).await {
            Ok(room) if room.snapshot().is_joined(sender) => return Ok(room),
            // Somebody has taken the room apart: another takes its place.
            Ok(_) | Err(RoomError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let room = app.rooms.create(request(app, sender).await?).await?;
    let (owner, id) = (user.to_owned(), room.id().to_owned());
    app.committer
        .run(move |tx| {
            let (owner, id) = (owner.clone(), id.clone());
            async move { server_notices::set(tx, &owner, &id).await }.boxed()
        })
        .await?;
    Ok(room)
}

async fn request(app: &App, sender: &UserId) -> ApiResult<CreateRoom> {
    let object = |value: Value| -> ApiResult<CanonicalJsonObject> {
        let Value::Object(map) = value else { return Ok(CanonicalJsonObject::new()) };
        ruma::canonical_json::try_from_json_map(map).map_err(ApiError::internal)
    };
    let mut profile = app.profiles.member_content(sender, "join").await?;
    profile.remove("membership");
    let config = &app.config.server_notices;
    let mut initial_state = Vec::new();
    if let Some(url) = &config.avatar_url {
        let content = to_raw_value(&json!({ "url": url })).map_err(ApiError::internal)?;
        initial_state.push((TimelineEventType::RoomAvatar, String::new(), content));
    }
    let version = app.config.rooms.default_version.as_str();
    let version = RoomVersionId::try_from(version).map_err(ApiError::internal)?;
    let creator = Invitee { user: sender.to_owned(), profile: object(Value::Object(profile))? };
    Ok(CreateRoom {
        creation_content: object(json!({ "m.federate": false }))?,
        name: Some(config.display_name.clone()),
        initial_state,
        power_level_content_override: Some(object(json!({ "users_default": LISTENERS }))?),
        ..CreateRoom::new(creator, version, Preset::PrivateChat)
    })
}
