//! What follows once the new room is there. That an upgrade was begun is durable with the new room, so a crash in between
//! leaves nothing out: each step looks whether it is done already, and all of them are taken again after the next start.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use ruma::UserId;
use ruma::events::TimelineEventType;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::app::App;
use crate::client::membership::carry_over;
use crate::client::room_access::raw;
use crate::http::error::{ApiError, ApiResult};
use crate::room::{Draft, Room, RoomError};
use crate::storage::upgrades::{self, Upgrade};

const CANONICAL: &str = "m.room.canonical_alias";
const POWER: &str = "m.room.power_levels";
const RETRY: Duration = Duration::from_secs(5);

/// Wakes those who finish upgrades.
#[derive(Debug, Default)]
pub struct Upgrades(Notify);

/// Finishes what was left of upgrades, until the server stops.
pub async fn run(app: Arc<App>) {
    loop {
        match all(&app).await {
            Ok(()) => app.upgrades.0.notified().await,
            Err(error) => {
                tracing::warn!(%error, "an upgrade of a room could not be finished, trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn all(app: &App) -> ApiResult<()> {
    for upgrade in upgrades::all(&app.db).await? {
        match steps(app, &upgrade).await {
            Ok(()) => {}
            // Who upgraded may not do the rest any more: trying again would not change that.
            Err(error) if error.status.is_client_error() => {
                tracing::warn!(room = %upgrade.old, %error, "an upgrade of a room stays as it is");
            }
            Err(error) => return Err(error),
        }
        end(app, &upgrade).await?;
    }
    Ok(())
}

/// Does all that follows. What fails is tried again in the background.
pub(super) async fn finish(app: &App, upgrade: &Upgrade) -> ApiResult<()> {
    let done = async {
        steps(app, upgrade).await?;
        end(app, upgrade).await
    };
    let result = done.await;
    if result.is_err() {
        app.upgrades.0.notify_one();
    }
    result
}

async fn end(app: &App, upgrade: &Upgrade) -> ApiResult<()> {
    let new = upgrade.new;
    app.committer.run(move |tx| async move { upgrades::end(tx, new).await }.boxed()).await?;
    Ok(())
}

async fn steps(app: &App, upgrade: &Upgrade) -> ApiResult<()> {
    let (old, new) = (app.rooms.handle(upgrade.old).await?, app.rooms.handle(upgrade.new).await?);
    let user = &*upgrade.user;
    close(app, &old, &new, user).await?;
    app.directory.replace((old.nid(), old.id()), (new.nid(), new.id())).await?;
    old.aliases_changed();
    new.aliases_changed();
    move_canonical_alias(&old, &new, user).await?;
    quieten(&old, user).await?;
    carry_over(app, &new, user).await
}

/// Says in the old room where the new one is, unless a later upgrade has said so already.
async fn close(app: &App, old: &Room, new: &Room, user: &UserId) -> ApiResult<()> {
    if let Some(event) = old.state_event(super::TOMBSTONE, "").await?
        && let Some(id) = event.pdu.content_str("replacement_room")
        && let Ok(id) = ruma::RoomId::parse(id)
    {
        match app.rooms.get(&id).await {
            Ok(known) if known.nid() >= new.nid() => return Ok(()),
            Ok(_) | Err(RoomError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let content = json!({ "body": "This room has been replaced", "replacement_room": new.id() });
    send(old, user, super::TOMBSTONE, &content).await
}

async fn send(room: &Room, user: &UserId, kind: &str, content: &Value) -> ApiResult<()> {
    let content = serde_json::value::to_raw_value(content).map_err(ApiError::internal)?;
    let draft = Draft::state(user.to_owned(), TimelineEventType::from(kind), "", content);
    room.send(draft).await?;
    Ok(())
}

/// Gives the new room the old one's main alias, and only then takes it from the old one: in between it is known.
async fn move_canonical_alias(old: &Room, new: &Room, user: &UserId) -> ApiResult<()> {
    let Some(event) = old.state_event(CANONICAL, "").await? else { return Ok(()) };
    let content: Value = serde_json::from_str(event.pdu.content().get()).unwrap_or_default();
    if content.as_object().is_none_or(Map::is_empty) {
        return Ok(());
    }
    send(new, user, CANONICAL, &content).await?;
    let snapshot = old.snapshot();
    if snapshot.power_levels().is_some_and(|power| power.may_send(user, CANONICAL, true)) {
        send(old, user, CANONICAL, &json!({})).await?;
    }
    Ok(())
}

/// Takes the right to talk from ordinary members of the old room, if the user may.
async fn quieten(old: &Room, user: &UserId) -> ApiResult<()> {
    let snapshot = old.snapshot();
    let Some(power) = snapshot.power_levels().filter(|power| power.may_send(user, POWER, true))
    else {
        return Ok(());
    };
    let level = (power.users_default + 1).max(50);
    if power.user(user) < level || (power.events_default >= level && power.invite >= level) {
        return Ok(());
    }
    let Some(event) = old.state_event(POWER, "").await? else { return Ok(()) };
    let mut content: Map<String, Value> =
        serde_json::from_str(event.pdu.content().get()).unwrap_or_default();
    content.insert("events_default".to_owned(), json!(power.events_default.max(level)));
    content.insert("invite".to_owned(), json!(power.invite.max(level)));
    let draft =
        Draft::state(user.to_owned(), TimelineEventType::RoomPowerLevels, "", raw(&content)?);
    match old.send(draft).await {
        // Levels above the user's own in the event forbid the change; the room is replaced all the same.
        Ok(_) | Err(RoomError::Forbidden(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
