//! Finding users by the words of their ids and names.

use landbridge_database::{Database, args};
use ruma::{OwnedUserId, UserId};

use super::{StorageError, accounts::parse_user};
use crate::commit::CommitTx;

const FORGET: &str = "DELETE FROM user_word WHERE user_id = $1";
const ADD: &str = "INSERT INTO user_word (word, user_id) VALUES ($1, $2)
    ON CONFLICT (word, user_id) DO NOTHING";
const HAS: &str = "SELECT 1 FROM user_word WHERE user_id = $1 LIMIT 1";
const MISSING: &str = "SELECT a.user_id, n.value FROM accounts a
    LEFT JOIN profiles n ON n.user_id = a.user_id AND n.field = 'displayname'
    WHERE a.user_id > $1 AND NOT EXISTS (SELECT 1 FROM user_word w WHERE w.user_id = a.user_id)
    ORDER BY a.user_id LIMIT $2";
const SEARCH: &str = "SELECT * FROM (SELECT a.user_id, n.value AS name, v.value AS avatar,
        CAST(CASE WHEN EXISTS (SELECT 1 FROM membership theirs JOIN membership mine
            ON mine.room = theirs.room AND mine.user_id = $3 AND mine.membership = 'join'
            WHERE theirs.user_id = a.user_id AND theirs.membership = 'join') THEN 1 ELSE 0 END AS BIGINT) AS shared
        FROM (SELECT DISTINCT user_id FROM user_word WHERE word >= $1 AND word < $2 LIMIT $5) w
        JOIN accounts a ON a.user_id = w.user_id
        LEFT JOIN profiles n ON n.user_id = a.user_id AND n.field = 'displayname'
        LEFT JOIN profiles v ON v.user_id = a.user_id AND v.field = 'avatar_url'
        WHERE a.deactivated = 0 AND a.user_id <> $3) c
    WHERE c.shared = 1 OR $4 = 0 OR EXISTS (SELECT 1 FROM membership theirs
        JOIN room_open o ON o.room = theirs.room AND o.open = 1
        WHERE theirs.user_id = c.user_id AND theirs.membership = 'join')
    LIMIT $6";

/// Users with a word that are looked at for one search.
const LOOKED: i64 = 5_000;

/// Someone who has a word; the values are JSON, as profiles hold them.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Who.
    pub user_id: OwnedUserId,
    /// The display name.
    pub displayname: Option<String>,
    /// The avatar.
    pub avatar_url: Option<String>,
    /// Whether they share a room with who searches.
    pub shares_room: bool,
}

/// Sets the words that a user is found by.
pub async fn set(tx: &mut CommitTx, user: &UserId, words: &[String]) -> Result<(), StorageError> {
    tx.sql().execute(FORGET, args![user.as_str()]).await?;
    for word in words {
        tx.sql().execute(ADD, args![word.as_bytes(), user.as_str()]).await?;
    }
    Ok(())
}

/// Sets the words of a user who has none yet.
pub async fn fill(tx: &mut CommitTx, user: &UserId, words: &[String]) -> Result<(), StorageError> {
    if tx.sql().fetch_optional(HAS, args![user.as_str()]).await?.is_some() {
        return Ok(());
    }
    set(tx, user, words).await
}

/// Users without words, after one of them, with their display names.
pub async fn missing(
    db: &Database,
    after: &str,
    limit: usize,
) -> Result<Vec<(OwnedUserId, Option<String>)>, StorageError> {
    let rows = db.fetch(MISSING, args![after, limit as i64]).await?;
    rows.iter().map(|row| Ok((parse_user(&row.text(0)?)?, row.opt_text(1)?))).collect()
}

/// Users other than the viewer with a word that begins so. With `visible_only`, those who share a room with the viewer or
/// are in a room that is open to all.
pub async fn search(
    db: &Database,
    beginning: &str,
    viewer: &str,
    visible_only: bool,
    limit: usize,
) -> Result<Vec<Candidate>, StorageError> {
    let from = beginning.as_bytes().to_vec();
    let mut to = from.clone();
    // No text has this byte, so every word that begins so lies below.
    to.push(0xff);
    let rows =
        db.fetch(SEARCH, args![from, to, viewer, visible_only, LOOKED, limit as i64]).await?;
    rows.iter()
        .map(|row| {
            Ok(Candidate {
                user_id: parse_user(&row.text(0)?)?,
                displayname: row.opt_text(1)?,
                avatar_url: row.opt_text(2)?,
                shares_room: row.bool(3)?,
            })
        })
        .collect()
}
