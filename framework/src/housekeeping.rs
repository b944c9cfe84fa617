//! What is done from time to time: parked events whose message never came, handled rows from long ago.

use std::{sync::Arc, time::Duration};

use crate::{
    engine::{Engine, Failure},
    store::Batch,
};

/// How often.
const PERIOD: Duration = Duration::from_mins(1);
/// How many rows of a queue go at once: a long transaction would hold up everything else.
const CHUNK: i64 = 500;
/// How often handled rows are looked for, in periods.
const PRUNE_EVERY: u64 = 60;

impl Engine {
    /// Keeps house until the bridge stops.
    pub(crate) async fn keep_house(self: Arc<Self>) {
        let mut round: u64 = 0;
        loop {
            if let Err(failure) = self.tidy(round.is_multiple_of(PRUNE_EVERY)).await {
                tracing::warn!(error = %failure, "tidying up failed");
            }
            round += 1;
            tokio::time::sleep(PERIOD).await;
        }
    }

    async fn tidy(self: &Arc<Self>, prune: bool) -> Result<(), Failure> {
        let now = self.now();
        loop {
            let overdue = self.store.overdue_parked(now, CHUNK).await?;
            if overdue.is_empty() {
                break;
            }
            let mut batch = Batch::new();
            for seq in overdue {
                batch.drop_parked(seq);
            }
            self.store.commit(batch).await?;
        }
        if prune && self.config.keep_days > 0 {
            // Where rooms are read back, that must reach no further than what is kept.
            self.catch_up_all(true).await?;
            let before = now - i64::from(self.config.keep_days) * 86_400_000;
            while self.store.prune(before, CHUNK).await? > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }
}
