//! Ghosts: the Matrix users that stand for users of the network.

use landbridge_database::args;

use super::{Batch, Store, StoreError};

/// A ghost, as its Matrix profile was last set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GhostRow {
    pub(crate) id: String,
    pub(crate) mxid: String,
    pub(crate) name: Option<String>,
    pub(crate) avatar: Option<String>,
    pub(crate) avatar_mxc: Option<String>,
    pub(crate) bot: bool,
    /// When the network was last asked about them; 0 is never.
    pub(crate) checked_at: i64,
}

impl Store {
    pub(crate) async fn ghost(&self, id: &str) -> Result<Option<GhostRow>, StoreError> {
        let row = self
            .db
            .fetch_optional(
                "SELECT id, mxid, name, avatar, avatar_mxc, bot, checked_at FROM ghost WHERE id = $1",
                args![id],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(GhostRow {
            id: row.text(0)?,
            mxid: row.text(1)?,
            name: row.opt_text(2)?,
            avatar: row.opt_text(3)?,
            avatar_mxc: row.opt_text(4)?,
            bot: row.bool(5)?,
            checked_at: row.int(6)?,
        }))
    }
    /// The network's user that a ghost stands for.
    pub(crate) async fn ghost_of_mxid(&self, mxid: &str) -> Result<Option<String>, StoreError> {
        let row =
            self.db.fetch_optional("SELECT id FROM ghost WHERE mxid = $1", args![mxid]).await?;
        Ok(row.map(|row| row.text(0)).transpose()?)
    }
}

impl Batch {
    pub(crate) fn save_ghost(&mut self, g: &GhostRow) {
        self.push(
            "INSERT INTO ghost (id, mxid, name, avatar, avatar_mxc, bot, checked_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, avatar = excluded.avatar,
               avatar_mxc = excluded.avatar_mxc, bot = excluded.bot, checked_at = excluded.checked_at",
            args![
                &g.id,
                &g.mxid,
                g.name.clone(),
                g.avatar.clone(),
                g.avatar_mxc.clone(),
                g.bot,
                g.checked_at
            ],
        );
    }
}
