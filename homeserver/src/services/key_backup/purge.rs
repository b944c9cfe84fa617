//! Takes the keys of deleted backups away, a few in each commit. What is left to do is read from the tables, so that a
//! restart forgets nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use ruma::UserId;

use super::DELETED_AT_ONCE;
use crate::app::App;
use crate::http::error::ApiResult;
use crate::storage::key_backup::{self as table, Selection};

const RETRY: Duration = Duration::from_secs(5);
/// Closed accounts leave backups behind without waking anyone.
const LOOK_EVERY: Duration = Duration::from_hours(1);

/// Works until the server stops.
pub async fn run(app: Arc<App>) {
    loop {
        match all(&app).await {
            Ok(()) => {
                // Woken, or it is time: both mean to look again.
                let _ = tokio::time::timeout(LOOK_EVERY, app.key_backups.purge.notified()).await;
            }
            Err(error) => {
                tracing::warn!(%error, "a deleted key backup could not be taken away, trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn all(app: &App) -> ApiResult<()> {
    while let Some((user, version)) = table::deleted(&app.db).await? {
        while !some(app, &user, version).await? {}
    }
    Ok(())
}

/// Deletes some of the keys, and the backup after the last of them; whether that is done.
async fn some(app: &App, user: &UserId, version: i64) -> ApiResult<bool> {
    let user = user.to_owned();
    let done = app.committer.run(move |tx| {
        let user = user.clone();
        async move {
            let limit = DELETED_AT_ONCE;
            let deleted = table::delete(tx, &user, version, Selection::All, limit).await?;
            if deleted == limit {
                return Ok(false);
            }
            table::purge(tx, &user, version).await?;
            Ok(true)
        }
        .boxed()
    });
    Ok(done.await?)
}
