//! How much users have uploaded.

use landbridge_database::{Database, args};

use super::StorageError;

macro_rules! users {
    () => {
        "(SELECT m.uploader AS user_id, MAX(n.value) AS name, COUNT(*) AS files, CAST(SUM(m.bytes) AS BIGINT) AS bytes
        FROM media m LEFT JOIN profiles n ON n.user_id = m.uploader AND n.field = 'displayname'
        WHERE m.sha256 IS NOT NULL AND m.uploader <> '' AND m.created >= $3 AND m.created <= $4
            AND ($1 = '' OR LOWER(m.uploader) LIKE $1 ESCAPE '!' OR LOWER(n.value) LIKE $2 ESCAPE '!')
        GROUP BY m.uploader) AS u"
    };
}

macro_rules! page {
    ($direction:literal) => {
        concat!(
            "SELECT user_id, name, files, bytes FROM ",
            users!(),
            " ORDER BY CASE $5 WHEN 'user_id' THEN user_id WHEN 'displayname' THEN COALESCE(name, '') END ",
            $direction,
            ", CASE $5 WHEN 'media_count' THEN files WHEN 'media_length' THEN bytes END ",
            $direction,
            ", user_id LIMIT $6 OFFSET $7"
        )
    };
}

const FORWARDS: &str = page!("ASC");
const BACKWARDS: &str = page!("DESC");
const COUNT: &str = concat!("SELECT COUNT(*) FROM ", users!());

/// What users can be listed by.
pub const ORDERS: [&str; 4] = ["user_id", "displayname", "media_length", "media_count"];

/// Which uploads count.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// A pattern that the uploaders' IDs match; empty for any.
    pub id: String,
    /// A pattern that their display names match instead.
    pub name: String,
    /// Uploaded at this time or later.
    pub from_ms: i64,
    /// Uploaded at this time or before.
    pub until_ms: i64,
}

/// What a user has uploaded.
#[derive(Clone, Debug)]
pub struct Usage {
    /// Who.
    pub user_id: String,
    /// The display name, as JSON.
    pub displayname: Option<String>,
    /// How many files.
    pub count: i64,
    /// How many bytes.
    pub bytes: i64,
}

/// A page of the users who have uploaded something, and how many there are in all. `order` is one of [`ORDERS`].
pub async fn by_user(
    db: &Database,
    wanted: &Wanted,
    (order, backwards): (&str, bool),
    (from, limit): (i64, i64),
) -> Result<(Vec<Usage>, i64), StorageError> {
    let mut filter = args![&wanted.id, &wanted.name, wanted.from_ms, wanted.until_ms];
    let total = db.fetch_optional(COUNT, filter.clone()).await?;
    let total = total.map_or(Ok(0), |row| row.int(0))?;
    filter.extend(args![order, limit, from]);
    let rows = db.fetch(if backwards { BACKWARDS } else { FORWARDS }, filter).await?;
    let users = rows
        .iter()
        .map(|row| {
            Ok(Usage {
                user_id: row.text(0)?,
                displayname: row.opt_text(1)?,
                count: row.int(2)?,
                bytes: row.int(3)?,
            })
        })
        .collect::<Result<_, StorageError>>()?;
    Ok((users, total))
}
