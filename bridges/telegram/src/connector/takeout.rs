//! Reading the past as an export (core.telegram.org/api/takeout): Telegram limits it less, after the account's owner has allowed it in
//! one of Telegram's own apps.

use grammers_tl_types as tl;
use landbridge_framework::{Closed, prelude::*};

use super::send::Me;
use crate::client::{ApiError, Live};

/// The stream whose cursor is the export's number; nothing while there is none.
const STREAM: &str = "takeout";

/// Begins an export, or ends it.
pub(super) async fn takeout(Via(client): Me, Args(words): Args) -> Result<String, SendError> {
    if client.relays() {
        return Err(SendError::refused("bots can't export; log in with your own account"));
    }
    let live = client.live()?;
    match words.first().map(String::as_str) {
        Some("begin") => begin(&live).await,
        Some("end") => end(&live).await,
        _ => Ok(match running(&live).await? {
            Some(_) => "History is read as an export. `takeout end` ends that.".into(),
            None => "History is read as Telegram's apps do. `takeout begin` begins an export, which Telegram limits less.".into(),
        }),
    }
}

async fn begin(live: &Live) -> Result<String, SendError> {
    if running(live).await?.is_some() {
        return Ok("History is read as an export already.".into());
    }
    let request = tl::functions::account::InitTakeoutSession {
        contacts: false,
        message_users: true,
        message_chats: true,
        message_megagroups: true,
        message_channels: true,
        files: false,
        file_max_size: None,
    };
    match live.api.invoke(&request).await {
        Ok(tl::enums::account::Takeout::Takeout(takeout)) => {
            keep(live, &takeout.id.to_string()).await?;
            Ok("From now on history is read as an export. `takeout end` ends that.".into())
        }
        Err(error) if error.name() == Some("TAKEOUT_INIT_DELAY") => {
            let hours = error.wait().map_or(24, |(wait, _)| wait.as_secs().div_ceil(3600));
            Ok(format!(
                "Telegram has asked you, in its own app, whether that is allowed: allow it there and write `takeout begin` again. \
                 Otherwise it is possible in {hours} hours."
            ))
        }
        Err(error) => Err(error.into()),
    }
}

async fn end(live: &Live) -> Result<String, SendError> {
    let Some(takeout_id) = running(live).await? else {
        return Ok("There is no export.".into());
    };
    let query = tl::functions::account::FinishTakeoutSession { success: true };
    match live.api.invoke(&tl::functions::InvokeWithTakeout { takeout_id, query }).await {
        // It has ended by itself, or was ended by another app.
        Err(error) if is_over(&error) => {}
        answer => drop(answer?),
    }
    keep(live, "").await?;
    Ok("The export is ended.".into())
}

async fn running(live: &Live) -> Result<Option<i64>, ApiError> {
    let stored = live.inbox.cursor_of(STREAM).await.map_err(closed)?;
    Ok(stored.and_then(|id| id.parse().ok()))
}

async fn keep(live: &Live, id: &str) -> Result<(), ApiError> {
    live.inbox.put_all(Vec::new(), Some((STREAM, id))).await.map(drop).map_err(closed)
}

#[allow(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn closed(closed: Closed) -> ApiError {
    ApiError::Unreachable(closed.to_string())
}

fn is_over(error: &ApiError) -> bool {
    error.is("TAKEOUT_INVALID") || error.is("TAKEOUT_REQUIRED")
}

/// Asks for a piece of the past: as part of the export, if there is one.
pub(super) async fn past<R>(live: &Live, query: R) -> Result<R::Return, ApiError>
where
    R: tl::RemoteCall + Clone,
{
    let Some(takeout_id) = running(live).await? else { return live.api.invoke(&query).await };
    let request = tl::functions::InvokeWithTakeout { takeout_id, query: query.clone() };
    match live.api.invoke(&request).await {
        Err(error) if is_over(&error) => {
            tracing::info!("the export has ended; history is read without it");
            keep(live, "").await?;
            live.api.invoke(&query).await
        }
        answer => answer,
    }
}
