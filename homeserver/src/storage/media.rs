//! What is known of uploaded files. Their bytes lie in the object store, by their hash.

use landbridge_database::{Database, Row, args};

use super::StorageError;
use crate::commit::CommitTx;

const GET: &str =
    "SELECT uploader, created, expires, sha256, bytes, content_type, filename, frozen,
        quarantined_by, accessed
    FROM media WHERE id = $1";
const RESERVE: &str = "INSERT INTO media (id, uploader, created, expires) VALUES ($1, $2, $3, $4)";
const INSERT: &str =
    "INSERT INTO media (id, uploader, created, sha256, bytes, content_type, filename, frozen)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const FILL: &str = "UPDATE media SET expires = NULL, sha256 = $2, bytes = $3, content_type = $4,
    filename = $5, frozen = $6 WHERE id = $1 AND sha256 IS NULL";
const PENDING: &str =
    "SELECT count(*) FROM media WHERE uploader = $1 AND sha256 IS NULL AND expires > $2";
const PRUNE: &str = "DELETE FROM media WHERE sha256 IS NULL AND expires < $1";
const USED: &str = "SELECT bytes FROM media_usage WHERE uploader = $1";
const USE: &str = "INSERT INTO media_usage (uploader, bytes) VALUES ($1, $2)
    ON CONFLICT (uploader) DO UPDATE SET bytes = media_usage.bytes + excluded.bytes";

/// A media id and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRow {
    /// Who uploaded it, or may upload it.
    pub uploader: String,
    /// When the id was given out, in milliseconds since 1970.
    pub created: i64,
    /// Until when an upload is awaited; `None` once there is a file.
    pub expires: Option<i64>,
    /// The file, unless it is still awaited.
    pub file: Option<FileRow>,
    /// Whether an administrator took it out of sight.
    pub quarantined: bool,
    /// When it was last served, give or take a day.
    pub accessed: Option<i64>,
}

/// An uploaded file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    /// SHA-256 of its bytes, under which they lie in the object store.
    pub sha256: Vec<u8>,
    /// Its length.
    pub bytes: i64,
    /// Its type, as the uploader named it.
    pub content_type: String,
    /// Its name, as the uploader named it.
    pub filename: Option<String>,
    /// Whether only the authenticated paths serve it (Client-Server API, "Content repository").
    pub frozen: bool,
}

impl MediaRow {
    fn read(row: &Row) -> Result<Self, StorageError> {
        let file = match row.opt_blob(3)? {
            None => None,
            Some(sha256) => Some(FileRow {
                sha256,
                bytes: row.int(4)?,
                content_type: row.text(5)?,
                filename: row.opt_text(6)?,
                frozen: row.bool(7)?,
            }),
        };
        Ok(Self {
            uploader: row.text(0)?,
            created: row.int(1)?,
            expires: row.opt_int(2)?,
            file,
            quarantined: row.opt_text(8)?.is_some(),
            accessed: row.opt_int(9)?,
        })
    }
}

/// A media id.
pub async fn get(db: &Database, id: &str) -> Result<Option<MediaRow>, StorageError> {
    db.fetch_optional(GET, args![id]).await?.as_ref().map(MediaRow::read).transpose()
}

/// The same inside a commit, where nobody can come in between.
pub async fn get_in(tx: &mut CommitTx, id: &str) -> Result<Option<MediaRow>, StorageError> {
    tx.sql().fetch_optional(GET, args![id]).await?.as_ref().map(MediaRow::read).transpose()
}

/// Gives out an id whose file comes later.
pub async fn reserve(
    tx: &mut CommitTx,
    id: &str,
    uploader: &str,
    now_ms: i64,
    expires_ms: i64,
) -> Result<(), StorageError> {
    tx.sql().execute(RESERVE, args![id, uploader, now_ms, expires_ms]).await?;
    Ok(())
}

/// Adds a file under a new id.
pub async fn insert(
    tx: &mut CommitTx,
    id: &str,
    uploader: &str,
    now_ms: i64,
    file: &FileRow,
) -> Result<(), StorageError> {
    let (sha256, content_type) = (file.sha256.clone(), file.content_type.as_str());
    let args = args![
        id,
        uploader,
        now_ms,
        sha256,
        file.bytes,
        content_type,
        file.filename.clone(),
        file.frozen
    ];
    tx.sql().execute(INSERT, args).await?;
    Ok(())
}

/// Adds the file of an id given out before; false if it has one already.
pub async fn fill(tx: &mut CommitTx, id: &str, file: &FileRow) -> Result<bool, StorageError> {
    let (sha256, content_type) = (file.sha256.clone(), file.content_type.as_str());
    let args = args![id, sha256, file.bytes, content_type, file.filename.clone(), file.frozen];
    Ok(tx.sql().execute(FILL, args).await? > 0)
}

/// How many ids of a user still await their file.
pub async fn pending(tx: &mut CommitTx, uploader: &str, now_ms: i64) -> Result<i64, StorageError> {
    let row = tx.sql().fetch_optional(PENDING, args![uploader, now_ms]).await?;
    row.map_or(Ok(0), |row| Ok(row.int(0)?))
}

/// Forgets ids whose file did not come in time.
pub async fn prune(tx: &mut CommitTx, before_ms: i64) -> Result<(), StorageError> {
    tx.sql().execute(PRUNE, args![before_ms]).await?;
    Ok(())
}

/// How many bytes a user has uploaded.
pub async fn used(db: &Database, uploader: &str) -> Result<i64, StorageError> {
    let row = db.fetch_optional(USED, args![uploader]).await?;
    row.map_or(Ok(0), |row| Ok(row.int(0)?))
}

/// The same inside a commit.
pub async fn used_in(tx: &mut CommitTx, uploader: &str) -> Result<i64, StorageError> {
    let row = tx.sql().fetch_optional(USED, args![uploader]).await?;
    row.map_or(Ok(0), |row| Ok(row.int(0)?))
}

/// Counts bytes against a user's quota.
pub async fn add_used(tx: &mut CommitTx, uploader: &str, bytes: i64) -> Result<(), StorageError> {
    tx.sql().execute(USE, args![uploader, bytes]).await?;
    Ok(())
}
