//! Files as administrators see them: listed, taken out of sight, deleted.

use landbridge_database::{Database, Row, args};

use super::StorageError;
use crate::commit::CommitTx;

macro_rules! columns {
    () => {
        "SELECT id, uploader, created, accessed, sha256, bytes, content_type, filename, quarantined_by, \
         protected, frozen FROM media "
    };
}

macro_rules! page {
    ($direction:literal) => {
        concat!(
            columns!(),
            "WHERE uploader = $1 AND sha256 IS NOT NULL
            ORDER BY CASE $2 WHEN 'media_id' THEN id WHEN 'upload_name' THEN COALESCE(filename, '')
                WHEN 'media_type' THEN content_type WHEN 'quarantined_by' THEN COALESCE(quarantined_by, '') END ",
            $direction,
            ", CASE $2 WHEN 'created_ts' THEN created WHEN 'last_access_ts' THEN COALESCE(accessed, 0)
                WHEN 'media_length' THEN bytes WHEN 'safe_from_quarantine' THEN protected END ",
            $direction,
            ", id LIMIT $3 OFFSET $4"
        )
    };
}

const GET: &str = concat!(columns!(), "WHERE id = $1 AND sha256 IS NOT NULL");
const FORWARDS: &str = page!("ASC");
const BACKWARDS: &str = page!("DESC");
const COUNT: &str = "SELECT COUNT(*) FROM media WHERE uploader = $1 AND sha256 IS NOT NULL";
const OLD: &str = concat!(
    columns!(),
    "WHERE sha256 IS NOT NULL AND COALESCE(accessed, created) < $1 AND bytes > $2 AND protected = 0
    AND id > $3 ORDER BY id LIMIT $4"
);
const QUARANTINE: &str = "UPDATE media SET quarantined_by = $2
    WHERE sha256 = $1 AND protected = 0 AND quarantined_by IS NULL RETURNING id";
const RELEASE: &str = "UPDATE media SET quarantined_by = NULL WHERE sha256 = $1 AND quarantined_by IS NOT NULL RETURNING id";
const INHERIT: &str = "UPDATE media SET quarantined_by =
        (SELECT MAX(other.quarantined_by) FROM media other WHERE other.sha256 = $2)
    WHERE id = $1 AND EXISTS (SELECT 1 FROM media twin WHERE twin.sha256 = $2 AND twin.quarantined_by IS NOT NULL)
    RETURNING id";
const NOTE: &str = "INSERT INTO media_quarantine (number, media_id, quarantined)
    SELECT COALESCE(MAX(number), 0) + 1, $1, $2 FROM media_quarantine";
const CHANGES: &str = "SELECT number, media_id, quarantined FROM media_quarantine
    WHERE number > $1 ORDER BY number LIMIT $2";
const PROTECT: &str = "UPDATE media SET protected = $2 WHERE id = $1 AND sha256 IS NOT NULL";
const DELETE: &str = "DELETE FROM media WHERE id = $1 RETURNING uploader, bytes, sha256";
const SAME: &str = "SELECT COUNT(*) FROM media WHERE sha256 = $1";
const ACCESSED: &str = "UPDATE media SET accessed = $2 WHERE id = $1";
const PICTURES: &str = "SELECT value FROM profiles WHERE field = 'avatar_url'";

/// What files of a user can be listed by.
pub const ORDERS: [&str; 8] = [
    "media_id",
    "upload_name",
    "created_ts",
    "last_access_ts",
    "media_length",
    "media_type",
    "quarantined_by",
    "safe_from_quarantine",
];

/// A file.
#[derive(Clone, Debug)]
pub struct File {
    /// Its media id.
    pub id: String,
    /// Who uploaded it; empty for what the server keeps for itself, such as the picture of a link's preview.
    pub uploader: String,
    /// When, in milliseconds since 1970.
    pub created: i64,
    /// When it was last served, give or take a day.
    pub accessed: Option<i64>,
    /// SHA-256 of its bytes.
    pub sha256: Vec<u8>,
    /// Its length.
    pub bytes: i64,
    /// Its type, as the uploader named it.
    pub content_type: String,
    /// Its name, as the uploader named it.
    pub filename: Option<String>,
    /// Who took it out of sight.
    pub quarantined_by: Option<String>,
    /// Whether it is kept from that.
    pub protected: bool,
    /// Whether only the authenticated paths serve it.
    pub frozen: bool,
}

fn file(row: &Row) -> Result<File, StorageError> {
    Ok(File {
        id: row.text(0)?,
        uploader: row.text(1)?,
        created: row.int(2)?,
        accessed: row.opt_int(3)?,
        sha256: row.blob(4)?,
        bytes: row.int(5)?,
        content_type: row.text(6)?,
        filename: row.opt_text(7)?,
        quarantined_by: row.opt_text(8)?,
        protected: row.bool(9)?,
        frozen: row.bool(10)?,
    })
}

/// A file by its media id.
pub async fn get(db: &Database, id: &str) -> Result<Option<File>, StorageError> {
    db.fetch_optional(GET, args![id]).await?.as_ref().map(file).transpose()
}

/// A page of a user's files, and how many there are in all. `order` is one of [`ORDERS`].
pub async fn of_user(
    db: &Database,
    user: &str,
    (order, backwards): (&str, bool),
    (from, limit): (i64, i64),
) -> Result<(Vec<File>, i64), StorageError> {
    let total = db.fetch_optional(COUNT, args![user]).await?;
    let total = total.map_or(Ok(0), |row| row.int(0))?;
    let sql = if backwards { BACKWARDS } else { FORWARDS };
    let rows = db.fetch(sql, args![user, order, limit, from]).await?;
    Ok((rows.iter().map(file).collect::<Result<_, _>>()?, total))
}

/// Files that nobody was served since a time and that are larger than `bytes`; the next ones after an id. Protected ones are not
/// among them.
pub async fn unused(
    db: &Database,
    before_ms: i64,
    bytes: i64,
    (after, limit): (&str, i64),
) -> Result<Vec<File>, StorageError> {
    db.fetch(OLD, args![before_ms, bytes, after, limit]).await?.iter().map(file).collect()
}

/// Writes down that files were taken out of sight, or shown again. How many.
async fn note(tx: &mut CommitTx, rows: &[Row], quarantined: bool) -> Result<u64, StorageError> {
    for row in rows {
        tx.sql().execute(NOTE, args![row.text(0)?, quarantined]).await?;
    }
    Ok(rows.len() as u64)
}

/// Takes these bytes out of sight, under all their ids that aren't protected. How many ids that were.
pub async fn quarantine(tx: &mut CommitTx, sha256: &[u8], by: &str) -> Result<u64, StorageError> {
    let rows = tx.sql().fetch(QUARANTINE, args![sha256, by]).await?;
    note(tx, &rows, true).await
}

/// Shows these bytes again.
pub async fn release(tx: &mut CommitTx, sha256: &[u8]) -> Result<(), StorageError> {
    let rows = tx.sql().fetch(RELEASE, args![sha256]).await?;
    note(tx, &rows, false).await?;
    Ok(())
}

/// A new file is out of sight if its bytes are so already.
pub async fn inherit(tx: &mut CommitTx, id: &str, sha256: &[u8]) -> Result<(), StorageError> {
    let rows = tx.sql().fetch(INHERIT, args![id, sha256]).await?;
    note(tx, &rows, true).await?;
    Ok(())
}

/// A file that was taken out of sight, or shown again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineChange {
    /// Its place among all changes.
    pub number: i64,
    /// The file's media id.
    pub id: String,
    /// Whether it was taken out of sight.
    pub quarantined: bool,
}

/// What was taken out of sight and shown again after a change.
pub async fn quarantine_changes(
    db: &Database,
    after: i64,
    limit: i64,
) -> Result<Vec<QuarantineChange>, StorageError> {
    let rows = db.fetch(CHANGES, args![after, limit]).await?;
    rows.iter()
        .map(|row| {
            let (number, id) = (row.int(0)?, row.text(1)?);
            Ok(QuarantineChange { number, id, quarantined: row.bool(2)? })
        })
        .collect()
}

/// Keeps a file from being taken out of sight, or no longer; `false` when there is none.
pub async fn protect(tx: &mut CommitTx, id: &str, protected: bool) -> Result<bool, StorageError> {
    Ok(tx.sql().execute(PROTECT, args![id, protected]).await? == 1)
}

/// Deletes a media id; the uploader's quota is given back. The hash of its bytes when no other id stands for them.
pub async fn delete(tx: &mut CommitTx, id: &str) -> Result<Option<Vec<u8>>, StorageError> {
    let Some(row) = tx.sql().fetch_optional(DELETE, args![id]).await? else { return Ok(None) };
    let Some(sha256) = row.opt_blob(2)? else { return Ok(None) };
    let uploader = row.text(0)?;
    // What the server keeps for itself counts against nobody.
    if !uploader.is_empty() {
        super::media::add_used(tx, &uploader, -row.int(1)?).await?;
    }
    let others = tx.sql().fetch_optional(SAME, args![sha256.as_slice()]).await?;
    let others = others.map_or(Ok(0), |row| row.int(0))?;
    Ok((others == 0).then_some(sha256))
}

/// Notes that a file was served.
pub async fn accessed(tx: &mut CommitTx, id: &str, now_ms: i64) -> Result<(), StorageError> {
    tx.sql().execute(ACCESSED, args![id, now_ms]).await?;
    Ok(())
}

/// The avatars of all users, as JSON.
pub async fn profile_pictures(db: &Database) -> Result<Vec<String>, StorageError> {
    db.fetch(PICTURES, args![]).await?.iter().map(|row| Ok(row.text(0)?)).collect()
}
