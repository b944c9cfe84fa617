//! Reactions: who reacted to what, with which event.

use landbridge_database::{Row, Value, args};

use super::{Batch, Store, StoreError};

/// A reaction. Its sender is `u:` and a user of the network, `l:` and a login, or `m:` and a relayed Matrix user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReactionRow {
    pub(crate) portal: i64,
    pub(crate) remote_id: String,
    pub(crate) part: String,
    pub(crate) sender: String,
    pub(crate) emoji: String,
    pub(crate) event_id: String,
    pub(crate) ts: i64,
}

fn read(row: &Row) -> Result<ReactionRow, StoreError> {
    Ok(ReactionRow {
        portal: row.int(0)?,
        remote_id: row.text(1)?,
        part: row.text(2)?,
        sender: row.text(3)?,
        emoji: row.text(4)?,
        event_id: row.text(5)?,
        ts: row.int(6)?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT portal_id, remote_id, part, sender, emoji, event_id, ts FROM reaction ",
            $rest
        )
    };
}

impl Store {
    async fn reactions_where(
        &self,
        sql: &'static str,
        args: Vec<Value>,
    ) -> Result<Vec<ReactionRow>, StoreError> {
        self.db.fetch(sql, args).await?.iter().map(read).collect()
    }
    /// All reactions to a message, oldest first.
    pub(crate) async fn reactions(
        &self,
        portal: i64,
        remote_id: &str,
    ) -> Result<Vec<ReactionRow>, StoreError> {
        self.reactions_where(
            select!("WHERE portal_id = $1 AND remote_id = $2 ORDER BY ts, emoji"),
            args![portal, remote_id],
        )
        .await
    }
    pub(crate) async fn reaction_of_event(
        &self,
        event_id: &str,
    ) -> Result<Option<ReactionRow>, StoreError> {
        Ok(self.reactions_where(select!("WHERE event_id = $1"), args![event_id]).await?.pop())
    }
}

impl Batch {
    /// Records a reaction; a repeated one takes the newer event.
    pub(crate) fn add_reaction(&mut self, r: &ReactionRow) {
        self.push(
            "INSERT INTO reaction (portal_id, remote_id, part, sender, emoji, event_id, ts)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (portal_id, remote_id, part, sender, emoji) DO UPDATE SET event_id = excluded.event_id",
            args![r.portal, &r.remote_id, &r.part, &r.sender, &r.emoji, &r.event_id, r.ts],
        );
    }
    pub(crate) fn remove_reaction(&mut self, event_id: &str) {
        self.push("DELETE FROM reaction WHERE event_id = $1", args![event_id]);
    }
}
