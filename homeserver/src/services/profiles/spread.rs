//! Carries changed names and avatars into the rooms of their users, one room after the other.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use ruma::events::TimelineEventType;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};

use super::{AVATAR_URL, DISPLAYNAME};
use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::nid::RoomNid;
use crate::room::{Draft, RoomError};
use crate::storage::profiles::{self, ProfileJob};

/// Rooms after which the progress is written down.
const STEP: usize = 50;
const RETRY: Duration = Duration::from_secs(5);

/// Works until the server stops. What is left then is done after the next start.
pub async fn run(app: Arc<App>) {
    loop {
        match all(&app).await {
            Ok(()) => app.profiles.work.notified().await,
            Err(error) => {
                tracing::warn!(%error, "a changed profile could not be carried into rooms, trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn all(app: &App) -> ApiResult<()> {
    for job in profiles::jobs(&app.db).await? {
        one(app, job).await?;
    }
    Ok(())
}

async fn one(app: &App, mut job: ProfileJob) -> ApiResult<()> {
    let mut rooms: Vec<RoomNid> = app.rooms.joined(&job.user_id).await?;
    rooms.retain(|room| *room > job.after_room);
    rooms.sort_unstable();
    for (done, nid) in rooms.into_iter().enumerate() {
        match update(app, &job, nid).await {
            Ok(()) => {}
            // The room's own rules forbid it: nothing that trying again would change.
            Err(error) if error.status.is_client_error() => {
                tracing::debug!(room = %nid, %error, "a profile was left as it was");
            }
            Err(error) => return Err(error),
        }
        job.after_room = nid;
        if done % STEP == STEP - 1 {
            let step = job.clone();
            app.committer
                .run(move |tx| {
                    let step = step.clone();
                    async move { profiles::advance_job(tx, &step).await }.boxed()
                })
                .await?;
        }
    }
    app.committer
        .run(move |tx| {
            let job = job.clone();
            async move { profiles::end_job(tx, &job).await }.boxed()
        })
        .await?;
    Ok(())
}

async fn update(app: &App, job: &ProfileJob, nid: RoomNid) -> ApiResult<()> {
    let Some(room) = app.rooms.find(nid).await? else { return Ok(()) };
    let Some(event) = room.state_event("m.room.member", job.user_id.as_str()).await? else {
        return Ok(());
    };
    let mut content: Map<String, Value> =
        serde_json::from_str(event.pdu.content().get()).map_err(ApiError::internal)?;
    if content.get("membership").and_then(Value::as_str) != Some("join") {
        return Ok(());
    }
    let before = content.clone();
    let profile = app.profiles.get(&job.user_id).await?;
    for field in [DISPLAYNAME, AVATAR_URL] {
        match profile.get(field) {
            Some(value) => drop(content.insert(field.to_owned(), value.clone())),
            None => drop(content.remove(field)),
        }
    }
    if content == before {
        return Ok(());
    }
    let raw = to_raw_value(&content).map_err(ApiError::internal)?;
    let draft =
        Draft::state(job.user_id.clone(), TimelineEventType::RoomMember, job.user_id.as_str(), raw);
    match room.send(draft).await {
        Ok(_) => Ok(()),
        Err(RoomError::Busy) => Err(ApiError::internal("the room is too busy")),
        Err(error) => Err(error.into()),
    }
}
