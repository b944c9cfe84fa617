//! Redacting what a user has said, in the background (Synapse's Redact User API).
//!
//! Each event is redacted in the name of its sender. Whoever is out of the room by now can't do that: then the administrator does
//! it who asked, or else whoever has most power in the room. What was redacted already is passed over, so that work which
//! broke off can begin again.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use http::StatusCode;
use ruma::events::TimelineEventType;
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::jobs::{Jobs, RETRY};
use crate::app::App;
use crate::event::{Event, Flags};
use crate::http::error::{ApiError, ApiResult};
use crate::nid::TimelineOrd;
use crate::room::{Draft, Membership, Room, RoomError};
use crate::storage::jobs::{self as rows, Job, Kind, Status};
use crate::storage::{StorageError, said};

/// Events that are looked at in one query.
const PIECE: i64 = 500;
/// Redactions of a room that are under way at once.
const AT_ONCE: usize = 16;
/// Events that could not be redacted and are named.
const MAX_NAMED: usize = 1_000;
const REDACTION: &str = "m.room.redaction";

/// What is to be redacted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Redaction {
    /// The administrator who asks.
    pub by: OwnedUserId,
    /// Whether he does it himself everywhere.
    pub himself: bool,
    /// In which rooms.
    pub rooms: Vec<OwnedRoomId>,
    /// What the redactions give as their reason.
    pub reason: Option<String>,
    /// How many of the user's newest events in each room.
    pub limit: usize,
    /// Only what was sent then or later.
    pub from_ms: i64,
    /// Only what was sent then or before.
    pub until_ms: i64,
}

/// What has come of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// What could not be redacted, and why.
    pub failed_redactions: BTreeMap<OwnedEventId, String>,
}

impl Redaction {
    /// Has it done to what a user has said. The ID of the work.
    pub async fn start(&self, jobs: &Jobs, user: &UserId) -> ApiResult<String> {
        let request = serde_json::to_string(self).map_err(ApiError::internal)?;
        let result = serde_json::to_string(&Outcome::default()).map_err(ApiError::internal)?;
        jobs.start(Kind::Redact, user.as_str(), request, result).await
    }

    /// Who may try to redact an event of `user` in a room, in this order.
    fn hands(&self, app: &App, room: &Room, user: &UserId) -> Vec<OwnedUserId> {
        if self.himself {
            return vec![self.by.clone()];
        }
        let mut hands = Vec::new();
        if user.server_name() == app.config.server_name && room.snapshot().is_joined(user) {
            hands.push(user.to_owned());
        }
        if self.by != user {
            hands.push(self.by.clone());
        }
        hands.extend(mightiest(app, room).filter(|mighty| mighty != user && *mighty != self.by));
        hands
    }

    fn content(&self) -> ApiResult<Box<RawValue>> {
        let content = self.reason.as_ref().map_or(json!({}), |reason| json!({ "reason": reason }));
        to_raw_value(&content).map_err(ApiError::internal)
    }
}

/// The user of this server in a room with the most power, if that suffices to redact what others said.
fn mightiest(app: &App, room: &Room) -> Option<OwnedUserId> {
    let snapshot = room.snapshot();
    let levels = snapshot.power_levels()?;
    let ours = format!(":{}", app.config.server_name);
    let joined = snapshot.state.members().filter(|(user, entry)| {
        entry.membership == Some(Membership::Join) && user.ends_with(&ours)
    });
    joined
        .filter_map(|(user, _)| UserId::parse(user).ok())
        .filter(|user| {
            levels.user(user) >= levels.redact && levels.may_send(user, REDACTION, false)
        })
        .max_by_key(|user| levels.user(user))
}

/// Works until the server stops.
pub async fn run(app: Arc<App>) {
    loop {
        match all(&app).await {
            Ok(()) => app.jobs.wanted(Kind::Redact).await,
            Err(error) => {
                tracing::warn!(%error, "redacting what a user said broke off, trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn all(app: &App) -> ApiResult<()> {
    let mut result = Ok(());
    for mut job in rows::open(&app.db, &[Kind::Redact]).await? {
        let done = redact(app, &mut job).await;
        result = app.jobs.end(job, done).await.and(result);
    }
    result
}

async fn redact(app: &App, job: &mut Job) -> ApiResult<()> {
    let request: Redaction = serde_json::from_str(&job.request).map_err(ApiError::internal)?;
    let user = UserId::parse(&job.subject)
        .map_err(|_| StorageError::Damaged(format!("job {}: {:?}", job.id, job.subject)))?;
    job.status = Status::Active;
    app.jobs.save(job).await?;
    let mut outcome = Outcome::default();
    for id in &request.rooms {
        let room = match app.rooms.get(id).await {
            // It was deleted meanwhile.
            Err(RoomError::NotFound) => continue,
            room => room?,
        };
        in_room(app, &room, &user, &request, &mut outcome).await?;
        job.result = serde_json::to_string(&outcome).map_err(ApiError::internal)?;
        app.jobs.save(job).await?;
    }
    tracing::info!(%user, by = %request.by, "what a user said was redacted");
    Ok(())
}

async fn in_room(
    app: &App,
    room: &Room,
    user: &UserId,
    request: &Redaction,
    outcome: &mut Outcome,
) -> ApiResult<()> {
    let hands = request.hands(app, room, user);
    let (mut below, mut left) = (TimelineOrd::MAX, request.limit);
    while left > 0 {
        let times = (request.from_ms, request.until_ms);
        let limit = i64::try_from(left).unwrap_or(PIECE).min(PIECE);
        let placed = said::by_user(&app.db, room.nid(), user.as_str(), below, times, limit).await?;
        let Some(last) = placed.last() else { return Ok(()) };
        below = last.ord;
        left -= placed.len().min(left);
        let nids: Vec<_> = placed.iter().map(|placed| placed.nid).collect();
        let events = app.rooms.events(&nids).await?;
        let mut done = stream::iter(events)
            .filter(|event| std::future::ready(!event.flags.has(Flags::REDACTED)))
            .map(|event| {
                let hands = &hands;
                async move {
                    let done = one(room, hands, &event, request).await;
                    (event.pdu.event_id.clone(), done)
                }
            })
            .buffer_unordered(AT_ONCE);
        while let Some((id, done)) = done.next().await {
            let Err(error) = done else { continue };
            if error.status.is_server_error() {
                return Err(error);
            }
            if outcome.failed_redactions.len() < MAX_NAMED {
                outcome.failed_redactions.insert(id, error.error.into_owned());
            }
        }
    }
    Ok(())
}

/// Redacts one event, in the name of the first who may.
async fn one(
    room: &Room,
    hands: &[OwnedUserId],
    event: &Event,
    request: &Redaction,
) -> ApiResult<()> {
    let mut refusal = ApiError::forbidden("Nobody of this server may redact in that room");
    for sender in hands {
        let draft = Draft {
            redacts: Some(event.pdu.event_id.clone()),
            ..Draft::message(sender.clone(), TimelineEventType::RoomRedaction, request.content()?)
        };
        match room.send(draft).await {
            Ok(_) => return Ok(()),
            Err(RoomError::Forbidden(text)) => refusal = ApiError::forbidden(text),
            // It begins again later.
            Err(error @ RoomError::Busy) => {
                return Err(ApiError::from(error).status(StatusCode::SERVICE_UNAVAILABLE));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(refusal)
}
