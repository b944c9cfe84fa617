//! What administrators do to files: take them out of sight, protect them from that, delete them.

use std::collections::BTreeSet;

use futures::FutureExt as _;
use ruma::UserId;

use super::{Media, MediaError};
use crate::storage::media_admin::{self, File, QuarantineChange};

/// Files that are looked at or deleted at once.
const PIECE: i64 = 500;

impl Media {
    /// A file of this server, as administrators see it.
    pub async fn file(&self, id: &str) -> Result<Option<File>, MediaError> {
        Ok(media_admin::get(&self.0.db, id).await?)
    }

    /// A page of a user's files, and how many there are in all.
    pub async fn files_of(
        &self,
        user: &UserId,
        order: (&str, bool),
        page: (i64, i64),
    ) -> Result<(Vec<File>, i64), MediaError> {
        Ok(media_admin::of_user(&self.0.db, user.as_str(), order, page).await?)
    }

    /// Takes files out of sight with all that have the same bytes; protected ones stay. How many went.
    pub async fn quarantine(&self, ids: Vec<String>, by: &UserId) -> Result<u64, MediaError> {
        let mut count = 0;
        for id in ids {
            let Some(file) = self.file(&id).await? else { continue };
            if file.protected {
                continue;
            }
            let (sha256, by) = (file.sha256, by.to_string());
            count += self
                .0
                .committer
                .run(move |tx| {
                    let (sha256, by) = (sha256.clone(), by.clone());
                    async move { media_admin::quarantine(tx, &sha256, &by).await }.boxed()
                })
                .await?;
        }
        Ok(count)
    }

    /// Takes all of a user's files out of sight.
    pub async fn quarantine_of(&self, user: &UserId, by: &UserId) -> Result<u64, MediaError> {
        let (mut from, mut count) = (0, 0);
        loop {
            let (files, _) = self.files_of(user, ("media_id", false), (from, PIECE)).await?;
            if files.is_empty() {
                return Ok(count);
            }
            from += files.len() as i64;
            count += self.quarantine(files.into_iter().map(|file| file.id).collect(), by).await?;
        }
    }

    /// Shows a file again, with all that have the same bytes; `false` when there is none.
    pub async fn release(&self, id: &str) -> Result<bool, MediaError> {
        let Some(file) = self.file(id).await? else { return Ok(false) };
        self.0
            .committer
            .run(move |tx| {
                let sha256 = file.sha256.clone();
                async move { media_admin::release(tx, &sha256).await }.boxed()
            })
            .await?;
        Ok(true)
    }

    /// What was taken out of sight and shown again after a change, in order.
    pub async fn quarantine_changes(
        &self,
        after: i64,
        limit: i64,
    ) -> Result<Vec<QuarantineChange>, MediaError> {
        Ok(media_admin::quarantine_changes(&self.0.db, after, limit).await?)
    }

    /// Keeps a file from being taken out of sight, or no longer; `false` when there is none.
    pub async fn protect(&self, id: &str, protected: bool) -> Result<bool, MediaError> {
        let id = id.to_owned();
        Ok(self
            .0
            .committer
            .run(move |tx| {
                let id = id.clone();
                async move { media_admin::protect(tx, &id, protected).await }.boxed()
            })
            .await?)
    }

    /// Deletes files, and their bytes where no other id stands for them. Those that were there.
    pub async fn delete(&self, ids: Vec<String>) -> Result<Vec<String>, MediaError> {
        let mut deleted = Vec::new();
        for id in ids {
            if self.file(&id).await?.is_none() {
                continue;
            }
            // Nobody may record the same bytes between the look at who else has them and their going.
            let _alone = self.0.recording.write().await;
            let gone = id.clone();
            let orphan = self
                .0
                .committer
                .run(move |tx| {
                    let gone = gone.clone();
                    async move { media_admin::delete(tx, &gone).await }.boxed()
                })
                .await?;
            if let Some(sha256) = orphan {
                self.0.blobs.delete(&sha256).await?;
            }
            deleted.push(id);
        }
        Ok(deleted)
    }

    /// Deletes the files that nobody was served since a time and that are larger than `bytes`; those in `kept` and the protected
    /// ones stay.
    pub async fn delete_unused(
        &self,
        before_ms: i64,
        bytes: i64,
        kept: &BTreeSet<String>,
    ) -> Result<Vec<String>, MediaError> {
        let (mut after, mut deleted) = (String::new(), Vec::new());
        loop {
            let page = (after.as_str(), PIECE);
            let files = media_admin::unused(&self.0.db, before_ms, bytes, page).await?;
            let Some(last) = files.last() else { return Ok(deleted) };
            after.clone_from(&last.id);
            let ids = files.into_iter().map(|file| file.id).filter(|id| !kept.contains(id));
            deleted.extend(self.delete(ids.collect()).await?);
        }
    }

    /// The ids of this server's files among some `mxc:` addresses.
    pub fn ours<'a>(&self, uris: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
        let ours = format!("mxc://{}/", self.0.server_name);
        let ids = uris.into_iter().filter_map(|uri| uri.strip_prefix(ours.as_str()));
        ids.map(ToOwned::to_owned).collect()
    }

    /// The avatars of this server's users that are files of this server.
    pub async fn profile_pictures(&self) -> Result<BTreeSet<String>, MediaError> {
        let values = media_admin::profile_pictures(&self.0.db).await?;
        let uris: Vec<String> =
            values.iter().filter_map(|json| serde_json::from_str(json).ok()).collect();
        Ok(self.ours(uris.iter().map(String::as_str)))
    }
}
