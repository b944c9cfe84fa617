//! The network's own emoji, as they are on Matrix: each picture is uploaded once, and is known again when it comes back.

use landbridge_database::{Row, args};

use super::{Batch, Store, StoreError};

/// An emoji of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EmojiRow {
    /// Its identifier on the network.
    pub(crate) id: String,
    /// Its name, without colons.
    pub(crate) shortcode: String,
    /// The file it was uploaded from; `None` where it came from Matrix.
    pub(crate) source: Option<String>,
    pub(crate) mxc: String,
}

fn read(row: &Row) -> Result<EmojiRow, StoreError> {
    Ok(EmojiRow {
        id: row.text(0)?,
        shortcode: row.text(1)?,
        source: row.opt_text(2)?,
        mxc: row.text(3)?,
    })
}

impl Store {
    async fn emoji_where(
        &self,
        sql: &'static str,
        value: &str,
    ) -> Result<Option<EmojiRow>, StoreError> {
        self.db.fetch_optional(sql, args![value]).await?.as_ref().map(read).transpose()
    }
    /// By its identifier on the network.
    pub(crate) async fn emoji(&self, id: &str) -> Result<Option<EmojiRow>, StoreError> {
        self.emoji_where("SELECT id, shortcode, source, mxc FROM emoji WHERE id = $1", id).await
    }
    /// By its picture. Where several look the same, the one seen last.
    pub(crate) async fn emoji_of_mxc(&self, mxc: &str) -> Result<Option<EmojiRow>, StoreError> {
        self.emoji_where(
            "SELECT id, shortcode, source, mxc FROM emoji WHERE mxc = $1 ORDER BY seen_at DESC LIMIT 1",
            mxc,
        )
        .await
    }
    /// By its name. Where several are called so, the one seen last.
    pub(crate) async fn emoji_called(&self, name: &str) -> Result<Option<EmojiRow>, StoreError> {
        self.emoji_where(
            "SELECT id, shortcode, source, mxc FROM emoji WHERE shortcode = $1 ORDER BY seen_at DESC LIMIT 1",
            name,
        )
        .await
    }
}

impl Batch {
    /// An emoji of the network has this picture on Matrix.
    pub(crate) fn save_emoji(&mut self, e: &EmojiRow, now: i64) {
        self.push(
            "INSERT INTO emoji (id, shortcode, source, mxc, seen_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (id) DO UPDATE SET shortcode = excluded.shortcode, source = excluded.source,
               mxc = excluded.mxc, seen_at = excluded.seen_at",
            args![&e.id, &e.shortcode, e.source.clone(), &e.mxc, now],
        );
    }
    /// The network took an emoji that nothing was known of.
    pub(crate) fn learn_emoji(&mut self, e: &EmojiRow, now: i64) {
        self.push(
            "INSERT INTO emoji (id, shortcode, source, mxc, seen_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            args![&e.id, &e.shortcode, e.source.clone(), &e.mxc, now],
        );
    }
}
