//! What rooms do when nobody asks for anything: put away idle ones, forget old transaction ids.

use std::time::Duration;

use super::{RoomError, Rooms};
use crate::storage::txns;

/// How often idle rooms are put away.
const TIDY: Duration = Duration::from_mins(1);

/// How often old transaction ids are forgotten, in turns of [`TIDY`].
const PRUNE_EVERY: u32 = 60;

/// How long a transaction id is remembered.
const REMEMBERED_MS: i64 = 31 * 24 * 60 * 60 * 1000;

impl Rooms {
    /// Runs for as long as the server does.
    pub async fn upkeep(self) {
        let mut turn = 0;
        loop {
            tokio::time::sleep(TIDY).await;
            self.put_away_idle();
            turn = (turn + 1) % PRUNE_EVERY;
            if turn == 1
                && let Err(error) = self.forget_old_transactions().await
            {
                tracing::warn!(%error, "old transaction ids could not be forgotten");
            }
        }
    }

    /// Forgets transaction ids that are older than a month, some at a time, so that nobody waits long behind it.
    pub(super) async fn forget_old_transactions(&self) -> Result<(), RoomError> {
        let before = self.0.ctx.clock.now_ms() - REMEMBERED_MS;
        loop {
            let gone = self
                .0
                .ctx
                .committer
                .run(move |tx| Box::pin(async move { txns::prune(tx, before).await }))
                .await?;
            if gone == 0 {
                return Ok(());
            }
        }
    }
}
