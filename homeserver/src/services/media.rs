//! The content repository: files by `mxc://` URI (Client-Server API, "Content repository").
//!
//! A file's bytes lie once in the object store, by their hash; the database says which media ids stand
//! for them. Bytes are streamed both ways and are durable before the id is.

mod blobs;
mod error;
mod moderation;
mod thumbnail;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use landbridge_database::Database;
use object_store::GetRange;
use rand::RngExt as _;
use ruma::OwnedServerName;
use ruma::UserId;

pub use self::blobs::{BlobStream, Blobs};
pub use self::error::MediaError;
use self::thumbnail::Thumbnailer;
pub use self::thumbnail::{Method, Size, Thumbnail, ThumbnailRequest};
use self::waiting::Waiting;
use crate::clock::Clock;
use crate::commit::Committer;
use crate::config::{Config, MediaPolicy};
use crate::storage::media::{self as rows, FileRow};
use crate::storage::media_admin;

/// How many ids one user may hold that still await their file.
const MAX_PENDING: i64 = 100;
const ID_CHARS: usize = 24;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Who uploads.
#[derive(Clone, Copy, Debug)]
pub struct Uploader<'a> {
    /// The user.
    pub user: &'a UserId,
    /// Whether quotas are not for them: application services upload for a whole network.
    pub exempt: bool,
}

/// What the uploader says about the file.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// The `Content-Type` of the upload.
    pub content_type: Option<String>,
    /// The name of the file.
    pub filename: Option<String>,
}

/// An id given out for an upload to come.
#[derive(Clone, Debug)]
pub struct Reserved {
    /// The media id.
    pub id: String,
    /// Until when the upload is awaited, in milliseconds since 1970.
    pub expires_ms: i64,
}

/// The content repository of this server.
#[derive(Clone)]
pub struct Media(Arc<Inner>);

struct Inner {
    server_name: OwnedServerName,
    policy: MediaPolicy,
    db: Database,
    committer: Committer,
    clock: Arc<dyn Clock>,
    blobs: Blobs,
    thumbnailer: Thumbnailer,
    waiting: Waiting,
    /// Held for reading while a file's bytes are known to be there and its id isn't recorded yet.
    recording: tokio::sync::RwLock<()>,
}

impl Media {
    /// Opens the repository in the folder that the configuration names.
    pub fn open(
        config: &Config,
        db: Database,
        committer: Committer,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, MediaError> {
        let folder =
            config.media.directory.clone().unwrap_or_else(|| config.data_dir.join("media"));
        let blobs = Blobs::local(&folder)?;
        Ok(Self::with_blobs(config, db, committer, clock, blobs))
    }

    /// A repository whose bytes lie in another object store than a folder.
    pub fn with_blobs(
        config: &Config,
        db: Database,
        committer: Committer,
        clock: Arc<dyn Clock>,
        blobs: Blobs,
    ) -> Self {
        Self(Arc::new(Inner {
            server_name: config.server_name.clone(),
            policy: config.media.clone(),
            db,
            committer,
            clock,
            thumbnailer: Thumbnailer::new(blobs.clone(), config.media.max_thumbnail_source_pixels),
            blobs,
            waiting: Waiting::default(),
            recording: tokio::sync::RwLock::default(),
        }))
    }

    /// The largest file that may be uploaded, in bytes.
    pub fn max_upload_bytes(&self) -> u64 {
        self.0.policy.max_upload_bytes
    }

    /// The URI of a media id of this server.
    pub fn uri(&self, id: &str) -> String {
        format!("mxc://{}/{id}", self.0.server_name)
    }

    /// Whether a server name in a URI is this server's.
    pub fn is_ours(&self, server_name: &str) -> bool {
        self.0.server_name == server_name
    }

    /// Gives out an id whose file is uploaded later (`POST /_matrix/media/v1/create`).
    pub async fn create(&self, who: Uploader<'_>) -> Result<Reserved, MediaError> {
        let now = self.0.clock.now_ms();
        let lifetime = self.0.policy.async_upload_lifetime_seconds.saturating_mul(1000);
        let reserved = Reserved { id: new_id(), expires_ms: now.saturating_add_unsigned(lifetime) };
        let (id, user) = (reserved.id.clone(), who.user.to_string());
        let (expires, exempt) = (reserved.expires_ms, who.exempt);
        let free = self
            .0
            .committer
            .run(move |tx| {
                let (id, user) = (id.clone(), user.clone());
                Box::pin(async move {
                    rows::prune(tx, now).await?;
                    let free = exempt || rows::pending(tx, &user, now).await? < MAX_PENDING;
                    if free {
                        rows::reserve(tx, &id, &user, now, expires).await?;
                    }
                    Ok(free)
                })
            })
            .await?;
        if free { Ok(reserved) } else { Err(MediaError::TooManyPending) }
    }

    /// Takes a file and gives it an id.
    pub async fn upload<E>(
        &self,
        who: Uploader<'_>,
        about: Description,
        length: Option<u64>,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<String, MediaError> {
        self.check_room(who, length).await?;
        let file = self.store(about, body).await?;
        let id = new_id();
        self.record(who, id.clone(), file, None).await?;
        Ok(id)
    }

    /// Keeps a file of the server itself, such as the picture of a link's preview: it is nobody's, and counts against no quota.
    pub async fn keep(&self, about: Description, bytes: Bytes) -> Result<String, MediaError> {
        let body = futures::stream::iter([Ok::<_, std::convert::Infallible>(bytes)]);
        let file = self.store(about, body).await?;
        let _recording = self.0.recording.read().await;
        self.must_be_there(&file).await?;
        let (id, now) = (new_id(), self.0.clock.now_ms());
        let row = id.clone();
        self.0
            .committer
            .run(move |tx| {
                let (id, file) = (row.clone(), file.clone());
                Box::pin(async move {
                    rows::insert(tx, &id, "", now, &file).await?;
                    media_admin::inherit(tx, &id, &file.sha256).await
                })
            })
            .await?;
        Ok(id)
    }

    /// Takes the file of an id given out before.
    pub async fn fill<E>(
        &self,
        who: Uploader<'_>,
        id: &str,
        about: Description,
        length: Option<u64>,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<(), MediaError> {
        let row = rows::get(&self.0.db, id).await?.ok_or(MediaError::NotFound)?;
        if row.uploader != who.user.as_str() {
            return Err(MediaError::NotYours);
        }
        match row.expires {
            None => return Err(MediaError::AlreadyUploaded),
            Some(expires) if expires <= self.0.clock.now_ms() => return Err(MediaError::NotFound),
            Some(_) => {}
        }
        self.check_room(who, length).await?;
        let file = self.store(about, body).await?;
        self.record(who, id.to_owned(), file, row.expires).await?;
        self.0.waiting.wake(id);
        Ok(())
    }

    /// The file of an id, waiting up to `wait` for one that is still to be uploaded. `frozen` files are
    /// not found on the old paths.
    pub async fn find(
        &self,
        id: &str,
        old_path: bool,
        wait: Duration,
    ) -> Result<FileRow, MediaError> {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            // Listening starts before looking, so that an upload in between is not missed.
            let arrival = self.0.waiting.listen(id)?;
            let row = rows::get(&self.0.db, id).await?.ok_or(MediaError::NotFound)?;
            let (accessed, quarantined) = (row.accessed, row.quarantined);
            match row.file {
                Some(_) if quarantined => return Err(MediaError::NotFound),
                Some(file) if old_path && file.frozen => return Err(MediaError::NotFound),
                Some(file) => {
                    self.served(id, accessed);
                    return Ok(file);
                }
                None if row.expires.is_some_and(|at| at <= self.0.clock.now_ms()) => {
                    return Err(MediaError::NotFound);
                }
                None => {}
            }
            if tokio::time::timeout_at(deadline, arrival.wait()).await.is_err() {
                return Err(MediaError::NotYetUploaded);
            }
        }
    }

    /// Notes that a file was served. Written at most once a day, and nobody waits for it.
    fn served(&self, id: &str, before: Option<i64>) {
        let now = self.0.clock.now_ms();
        if before.is_some_and(|before| now - before < DAY_MS) {
            return;
        }
        let (committer, id) = (self.0.committer.clone(), id.to_owned());
        tokio::spawn(async move {
            let written = committer.run(move |tx| {
                let id = id.clone();
                Box::pin(async move { media_admin::accessed(tx, &id, now).await })
            });
            if let Err(error) = written.await {
                tracing::warn!(%error, "when a file was last served could not be noted");
            }
        });
    }

    /// The bytes of a file, or a part of them.
    pub async fn read(
        &self,
        file: &FileRow,
        range: Option<GetRange>,
    ) -> Result<BlobStream, MediaError> {
        self.0.blobs.read(&file.sha256, range).await
    }

    /// A thumbnail of a file; `None` if the file itself is small enough to be it.
    pub async fn thumbnail(
        &self,
        file: &FileRow,
        request: ThumbnailRequest,
    ) -> Result<Thumbnail, MediaError> {
        self.0.thumbnailer.get(file, request).await
    }

    /// Refuses early what cannot fit, before a byte is read.
    async fn check_room(&self, who: Uploader<'_>, length: Option<u64>) -> Result<(), MediaError> {
        let limit = self.0.policy.max_upload_bytes;
        if length.is_some_and(|length| length > limit) {
            return Err(MediaError::TooLarge { limit });
        }
        if let Some(quota) = self.quota(who) {
            let used = rows::used(&self.0.db, who.user.as_str()).await?;
            if used.saturating_add_unsigned(length.unwrap_or(0)) > quota {
                return Err(MediaError::QuotaExceeded);
            }
        }
        Ok(())
    }

    fn quota(&self, who: Uploader<'_>) -> Option<i64> {
        let quota = self.0.policy.quota_bytes_per_user;
        (quota > 0 && !who.exempt).then(|| i64::try_from(quota).unwrap_or(i64::MAX))
    }

    async fn store<E>(
        &self,
        about: Description,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<FileRow, MediaError> {
        let stored = self.0.blobs.put(body, self.0.policy.max_upload_bytes).await?;
        Ok(FileRow {
            sha256: stored.sha256.to_vec(),
            bytes: i64::try_from(stored.bytes).unwrap_or(i64::MAX),
            content_type: content_type(about.content_type),
            filename: about.filename.as_deref().and_then(filename),
            frozen: !self.0.policy.unauthenticated,
        })
    }

    /// The same bytes may have been deleted as they were uploaded again; whoever uploads does it once more.
    async fn must_be_there(&self, file: &FileRow) -> Result<(), MediaError> {
        if self.0.blobs.exist(&file.sha256).await? { Ok(()) } else { Err(MediaError::BrokenOff) }
    }

    /// Writes down a stored file: under a new id, or under a reserved one (`reserved`: until when).
    async fn record(
        &self,
        who: Uploader<'_>,
        id: String,
        file: FileRow,
        reserved: Option<i64>,
    ) -> Result<(), MediaError> {
        let _recording = self.0.recording.read().await;
        self.must_be_there(&file).await?;
        let (user, quota, now) = (who.user.to_string(), self.quota(who), self.0.clock.now_ms());
        self.0
            .committer
            .run(move |tx| {
                let (id, user, file) = (id.clone(), user.clone(), file.clone());
                Box::pin(async move {
                    if let Some(quota) = quota {
                        let so_far = rows::used_in(tx, &user).await?;
                        if so_far.saturating_add(file.bytes) > quota {
                            return Ok(Err(MediaError::QuotaExceeded));
                        }
                    }
                    if reserved.is_none() {
                        rows::insert(tx, &id, &user, now, &file).await?;
                    } else if !rows::fill(tx, &id, &file).await? {
                        // Another upload of the same id was faster, or the id expired meanwhile.
                        let gone = rows::get_in(tx, &id).await?.is_none();
                        let error =
                            if gone { MediaError::NotFound } else { MediaError::AlreadyUploaded };
                        return Ok(Err(error));
                    }
                    media_admin::inherit(tx, &id, &file.sha256).await?;
                    rows::add_used(tx, &user, file.bytes).await?;
                    Ok(Ok(()))
                })
            })
            .await?
    }
}

fn new_id() -> String {
    let mut rng = rand::rng();
    (0..ID_CHARS).map(|_| char::from(rng.sample(rand::distr::Alphanumeric))).collect()
}

/// Whether a media id has only the characters the spec allows, and a length we would store.
pub fn is_valid_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 255
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The type as it may stand in a header later; nothing else is looked at, as the spec trusts the uploader
/// with it.
fn content_type(given: Option<String>) -> String {
    given
        .filter(|text| {
            text.len() <= 255 && http::HeaderValue::from_str(text).is_ok() && text.contains('/')
        })
        .unwrap_or_else(|| "application/octet-stream".to_owned())
}

/// The name without what makes it a path or breaks a header, at most 255 bytes of it.
fn filename(given: &str) -> Option<String> {
    let name: String = given.chars().filter(|c| !c.is_control()).collect();
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let end = name.floor_char_boundary(255.min(name.len()));
    (end > 0).then(|| name[..end].to_owned())
}

#[cfg(test)]
mod tests;
