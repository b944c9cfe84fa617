//! Emptying a room: its users of this server leave and forget it, its aliases and its places in directories go, and where an
//! administrator wants that, a new room tells its people why.

use std::collections::BTreeSet;

use futures::{FutureExt as _, StreamExt as _, stream};
use ruma::events::TimelineEventType;
use ruma::{OwnedRoomId, OwnedUserId, RoomAliasId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::Deletion;
use crate::app::App;
use crate::client::create_room::{invitee, version};
use crate::http::error::{ApiError, ApiResult};
use crate::room::{CreateRoom, Draft, Membership, Preset, Room};
use crate::storage::appservice_directory;
use crate::storage::jobs::Job;

/// How many leave at once.
const AT_ONCE: usize = 64;
/// The level of those who come into the new room: they may read, and nothing else.
const SILENT: i64 = -10;

/// What has come of emptying a room, as Synapse's API tells it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Shutdown {
    /// Who was in the room and has left it, or is about to.
    pub kicked_users: Vec<OwnedUserId>,
    /// Who could not leave.
    pub failed_to_kick_users: Vec<OwnedUserId>,
    /// Its aliases, which are those of the new room now, if there is one.
    pub local_aliases: Vec<String>,
    /// The new room.
    pub new_room_id: Option<OwnedRoomId>,
}

/// Empties a room, and writes down in `job` what has come of it.
pub(super) async fn shut_down(
    app: &App,
    room: &Room,
    request: &Deletion,
    job: &mut Job,
) -> ApiResult<Shutdown> {
    let mut done: Shutdown = serde_json::from_str(&job.result).map_err(ApiError::internal)?;
    let mut new_room = None;
    if let Some(creator) = &request.new_room_user_id {
        let made = match &done.new_room_id {
            Some(id) => app.rooms.get(id).await?,
            None => make_new_room(app, creator, request).await?,
        };
        done.new_room_id = Some(made.id().to_owned());
        save(app, job, &done).await?;
        new_room = Some(made);
    }
    if done.local_aliases.is_empty() {
        done.local_aliases = app.directory.aliases(room.nid()).await?;
    }
    let mut joined: BTreeSet<OwnedUserId> =
        members(app, room, &[Membership::Join]).into_iter().collect();
    joined.extend(done.kicked_users);
    done.kicked_users = joined.iter().cloned().collect();
    // Before anybody leaves: whoever has left when this breaks off is still to come into the new room.
    save(app, job, &done).await?;
    unlist(app, room, new_room.as_ref()).await?;

    let mut all = joined.clone();
    all.extend(members(app, room, &[Membership::Invite, Membership::Knock]));
    let mut leaving = stream::iter(all)
        .map(|user| {
            let (joined, new_room) = (joined.contains(&user), new_room.as_ref());
            async move {
                let mut left = leave(app, room, &user).await;
                if let (Ok(()), true, Some(new_room)) = (&left, joined, new_room) {
                    left = join(app, new_room, &user).await;
                }
                (user, left)
            }
        })
        .buffer_unordered(AT_ONCE);
    let mut failed = BTreeSet::new();
    while let Some((user, left)) = leaving.next().await {
        match left {
            Ok(()) => {}
            Err(error) if error.status.is_server_error() => return Err(error),
            Err(error) => {
                tracing::warn!(%user, room = %room.id(), %error, "a user could not leave a room that is deleted");
                failed.insert(user);
            }
        }
    }
    done.kicked_users.retain(|user| !failed.contains(user));
    done.failed_to_kick_users = failed.into_iter().collect();
    save(app, job, &done).await?;
    Ok(done)
}

async fn save(app: &App, job: &mut Job, done: &Shutdown) -> ApiResult<()> {
    job.result = serde_json::to_string(done).map_err(ApiError::internal)?;
    app.jobs.save(job).await?;
    Ok(())
}

/// Takes a room's aliases and its places in directories away, or gives them to another room. The aliases it had.
pub async fn unlist(app: &App, room: &Room, heir: Option<&Room>) -> ApiResult<Vec<String>> {
    let aliases = app.directory.aliases(room.nid()).await?;
    if let Some(heir) = heir {
        app.directory.replace((room.nid(), room.id()), (heir.nid(), heir.id())).await?;
        heir.aliases_changed();
    } else {
        for alias in aliases.iter().filter_map(|alias| RoomAliasId::parse(alias).ok()) {
            app.directory.remove(&alias).await?;
        }
    }
    app.directory.publish(room.id(), false).await?;
    let nid = room.nid();
    app.committer.run(move |tx| appservice_directory::forget(tx, nid).boxed()).await?;
    room.aliases_changed();
    Ok(aliases)
}

/// The users of this server with one of these memberships.
pub fn members(app: &App, room: &Room, memberships: &[Membership]) -> Vec<OwnedUserId> {
    let snapshot = room.snapshot();
    snapshot
        .state
        .members()
        .filter(|(_, entry)| entry.membership.is_some_and(|is| memberships.contains(&is)))
        .filter_map(|(user, _)| UserId::parse(user).ok())
        .filter(|user| user.server_name() == app.config.server_name)
        .collect()
}

/// Makes a user leave and forget a room.
pub async fn leave(app: &App, room: &Room, user: &UserId) -> ApiResult<()> {
    let inside = [Membership::Join, Membership::Invite, Membership::Knock];
    if room.snapshot().membership(user).is_none_or(|is| !inside.contains(&is)) {
        return Ok(app.rooms.forget(user, room).await?);
    }
    let content = RawValue::from_string(r#"{"membership":"leave"}"#.to_owned())
        .map_err(ApiError::internal)?;
    let draft =
        Draft::state(user.to_owned(), TimelineEventType::RoomMember, user.as_str(), content);
    room.send(draft).await?;
    Ok(app.rooms.forget(user, room).await?)
}

async fn join(app: &App, room: &Room, user: &UserId) -> ApiResult<()> {
    let content = app.profiles.member_content(user, "join").await?;
    let content = to_raw_value(&content).map_err(ApiError::internal)?;
    let draft =
        Draft::state(user.to_owned(), TimelineEventType::RoomMember, user.as_str(), content);
    room.send(draft).await?;
    Ok(())
}

async fn make_new_room(app: &App, creator: &UserId, request: &Deletion) -> ApiResult<Room> {
    let levels = ruma::canonical_json::try_from_json_map(serde_json::Map::from_iter([(
        "users_default".to_owned(),
        json!(SILENT),
    )]));
    let room = app
        .rooms
        .create(CreateRoom {
            name: Some(request.room_name.clone()),
            power_level_content_override: Some(levels.map_err(ApiError::internal)?),
            ..CreateRoom::new(invitee(app, creator).await?, version(app, None)?, Preset::PublicChat)
        })
        .await?;
    let content = json!({ "msgtype": "m.text", "body": request.message });
    let content = to_raw_value(&content).map_err(ApiError::internal)?;
    room.send(Draft::message(creator.to_owned(), TimelineEventType::RoomMessage, content)).await?;
    Ok(room)
}
