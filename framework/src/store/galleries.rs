//! Events that show several messages of the network: galleries (MSC4274), whichever side they come from.

use landbridge_database::{Row, args};

use super::{Batch, Store, StoreError};

/// A gallery's event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GalleryRow {
    pub(crate) event_id: String,
    /// What it shows, as the portal keeps it.
    pub(crate) body: String,
}

fn read(row: &Row) -> Result<GalleryRow, StoreError> {
    Ok(GalleryRow { event_id: row.text(0)?, body: row.text(1)? })
}

impl Store {
    pub(crate) async fn gallery(&self, event_id: &str) -> Result<Option<GalleryRow>, StoreError> {
        let row = self
            .db
            .fetch_optional(
                "SELECT event_id, body FROM gallery WHERE event_id = $1",
                args![event_id],
            )
            .await?;
        row.as_ref().map(read).transpose()
    }
    /// The event that shows an album of the network.
    pub(crate) async fn gallery_of_album(
        &self,
        portal: i64,
        album: &str,
    ) -> Result<Option<GalleryRow>, StoreError> {
        let row = self
            .db
            .fetch_optional(
                "SELECT event_id, body FROM gallery WHERE portal_id = $1 AND album = $2 AND album <> ''",
                args![portal, album],
            )
            .await?;
        row.as_ref().map(read).transpose()
    }
}

impl Batch {
    /// Records a gallery, or what it shows now; an album's name stays as it was.
    pub(crate) fn save_gallery(&mut self, event_id: &str, portal: i64, album: &str, body: &str) {
        self.push(
            "INSERT INTO gallery (event_id, portal_id, album, body) VALUES ($1, $2, $3, $4)
             ON CONFLICT (event_id) DO UPDATE SET body = excluded.body",
            args![event_id, portal, album, body],
        );
    }
}
