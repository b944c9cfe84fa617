//! History. Pages are raw events: they run through the same inbox, decoding and dedupe as live ones. What belongs before
//! what is there already is imported where the homeserver can do that (`com.beeper.batch_sending`).

use std::{sync::Arc, time::Duration};

use crate::{
    engine::{Engine, Failure},
    history::{Dir, Next, PageQuery},
    network::NetError,
    portal::Portal,
    rate::backoff_ms,
    store::{BackfillRow, Batch, NewTask, StoreError},
};

/// How often it is looked for history to fetch, when nobody asked.
const LOOK: Duration = Duration::from_secs(10);

impl Engine {
    /// Fetches history until the bridge stops.
    pub(crate) async fn backfill_loop(self: Arc<Self>) {
        loop {
            let rows = self.store.ready_backfill(self.now(), 8).await;
            let rows = match rows {
                Ok(rows) if rows.is_empty() => {
                    // Elapsed or woken: either way it is looked again.
                    let _ = tokio::time::timeout(LOOK, self.store.history.notified()).await;
                    continue;
                }
                Ok(rows) => rows,
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::error!(%error, "history can't be looked for");
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
            };
            for row in rows {
                if let Err(failure) = self.fetch_history(row).await {
                    tracing::error!(error = %failure, "history can't be fetched");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn fetch_history(self: &Arc<Self>, mut row: BackfillRow) -> Result<(), Failure> {
        let now = self.now();
        let mut batch = Batch::new();
        let Some(portal) = self.portal(row.portal).await? else {
            batch.backfill_done(row.portal, &row.dir, Some("the portal is gone"));
            self.store.commit(batch).await?;
            return Ok(());
        };
        let Some(account) = self.logins.account(&row.login) else {
            row.not_before = now + 10_000;
            batch.save_backfill(&row);
            self.store.commit(batch).await?;
            return Ok(());
        };
        let limit = row.remaining.min(i64::from(self.config.backfill.page)).max(1);
        let query = PageQuery {
            dir: if row.dir == "older" { Dir::Older } else { Dir::Newer },
            anchor: row.anchor.clone(),
            cursor: row.cursor.clone(),
            thread: None,
            limit: usize::try_from(limit).unwrap_or(1),
        };
        let page = match account.page(&portal.row().key, query).await {
            Ok(page) => page,
            Err(NetError::Temporary { reason, after }) => {
                tracing::info!(reason, "history waits");
                let wait = after.map_or_else(
                    || backoff_ms(row.attempts, row.portal),
                    |after| after.as_millis() as i64,
                );
                row.not_before = now + wait;
                row.attempts += 1;
                batch.save_backfill(&row);
                self.store.commit(batch).await?;
                return Ok(());
            }
            Err(NetError::Permanent(reason)) => {
                batch.backfill_done(row.portal, &row.dir, Some(&reason));
                self.store.commit(batch).await?;
                return Ok(());
            }
        };
        let (entries, next) = page;
        let count = entries.len() as i64;
        if row.dir == "older" && !self.can_import().await? {
            batch.backfill_done(
                row.portal,
                &row.dir,
                Some("the homeserver can't put it before the rest"),
            );
            self.store.commit(batch).await?;
            return Ok(());
        }
        if row.dir == "older" {
            self.import(&portal, &row.login, entries).await?;
        } else {
            self.put(&row.login, entries, None).await?;
        }
        row.remaining -= count;
        row.attempts = 0;
        row.not_before = 0;
        match next {
            _ if row.remaining <= 0 => batch.backfill_done(row.portal, &row.dir, None),
            Next::Done => batch.backfill_done(row.portal, &row.dir, None),
            Next::Cursor(cursor) => {
                row.cursor = Some(cursor);
                batch.save_backfill(&row);
            }
            Next::Later(cursor, wait) => {
                row.cursor = Some(cursor);
                row.not_before = now + wait.as_millis() as i64;
                batch.save_backfill(&row);
            }
        }
        self.store.commit(batch).await?;
        Ok(())
    }

    /// The newest history of a chat whose room was just made: it comes before what made the room. `true`: there was some,
    /// and what waits in the portal has been put behind it.
    pub(crate) async fn history_first(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        via: &str,
    ) -> Result<bool, Failure> {
        let limit = self.config.backfill.on_create as usize;
        if limit == 0 || !self.connector.abilities().history {
            return Ok(false);
        }
        let Some(account) = self.logins.account(via) else { return Ok(false) };
        let Some(login) = self.login_for_decoding(via).await? else { return Ok(false) };
        let query = PageQuery { dir: Dir::Older, anchor: None, cursor: None, thread: None, limit };
        let key = portal.row().key;
        let (entries, next) = match account.page(&key, query).await {
            Ok(page) => page,
            Err(error @ NetError::Temporary { .. }) => return Err(error.into()),
            Err(NetError::Permanent(reason)) => {
                tracing::warn!(reason, "a chat's history can't be had");
                return Ok(false);
            }
        };
        let next = match next {
            Next::Done => None,
            Next::Cursor(cursor) | Next::Later(cursor, _) => Some(cursor),
        };
        let now = self.now();
        let mut batch = Batch::new();
        let mut numbered = Vec::new();
        for entry in entries {
            let decoded = crate::engine::guarded(|| self.connector.decode(&login, &entry.raw));
            let events = match decoded {
                Ok(Ok(events)) => Some(events),
                _ => None,
            };
            // What is shown in rooms of its own (a thread's past among its chat's) is left to those.
            if let Some(events) = &events
                && !events.iter().any(|event| self.belongs(&portal.row(), event))
            {
                continue;
            }
            let seq = self.store.next_id();
            batch.hold_inbox(seq, via, &entry.key, entry.raw, now);
            numbered.push((seq, events));
        }
        // Held until its tasks are there: the decoder would put them behind what waits already.
        let taken = self.store.commit(batch).await?;
        let mut batch = Batch::new();
        let mut found = false;
        let first = self.store.next_id();
        for ((seq, events), taken) in numbered.into_iter().zip(taken) {
            if taken == 0 {
                continue;
            }
            let Some(events) = events else {
                batch.inbox_dead(seq, "it can't be decoded");
                continue;
            };
            for (place, event) in events
                .into_iter()
                .enumerate()
                .filter(|(_, event)| self.belongs(&portal.row(), event))
            {
                found = true;
                let task = self.store.next_id();
                batch.add_task(&NewTask {
                    seq: task,
                    portal: portal.id,
                    key: &event.key.0,
                    inbox_seq: seq,
                    place: place as i64,
                    now,
                });
            }
            batch.inbox_done(seq);
        }
        if found {
            let waiting = self.store.ready_tasks(portal.id, 1).await?;
            if let Some(lowest) = waiting.first() {
                let step = self.store.skip_ids(lowest.seq);
                batch.requeue_tasks(portal.id, first, step);
            }
        }
        if self.config.backfill.older > 0 && next.is_some() {
            batch.save_backfill(&BackfillRow {
                portal: portal.id,
                dir: "older".into(),
                login: via.to_owned(),
                cursor: next,
                anchor: None,
                remaining: i64::from(self.config.backfill.older),
                not_before: 0,
                attempts: 0,
            });
        }
        self.store.commit(batch).await?;
        Ok(found)
    }
}
