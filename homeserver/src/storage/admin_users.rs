//! Accounts as administrators ask for them: listed by any field, and counted.

use landbridge_database::{Database, Row, args};
use ruma::{OwnedUserId, UserId};

use super::StorageError;
use super::accounts::{Kind, parse_user};
use crate::commit::CommitTx;

/// The accounts that pass, with what they are sorted by.
macro_rules! accounts {
    () => {
        "(SELECT a.user_id AS user_id, a.kind AS kind, a.admin AS admin, a.user_type AS user_type, \
             a.deactivated AS deactivated, a.locked AS locked, a.suspended AS suspended, a.created_ms AS created_ms, a.appservice AS appservice, \
             n.value AS name, v.value AS avatar, \
             (SELECT MAX(d.last_seen_ms) FROM devices d WHERE d.user_id = a.user_id) AS seen_ms \
         FROM accounts a \
         LEFT JOIN profiles n ON n.user_id = a.user_id AND n.field = 'displayname' \
         LEFT JOIN profiles v ON v.user_id = a.user_id AND v.field = 'avatar_url' \
         WHERE ($1 = '' OR LOWER(a.user_id) LIKE $1 ESCAPE '!' OR LOWER(n.value) LIKE $2 ESCAPE '!') \
             AND ($3 = 1 OR a.kind <> 1) \
             AND ($4 < 0 OR a.admin = $4) AND ($5 < 0 OR a.deactivated = $5) \
             AND NOT (COALESCE(a.user_type, '') = ANY($6)) AND ($7 = 1 OR a.locked = 0)) AS u"
    };
}

macro_rules! page {
    ($direction:literal) => {
        concat!(
            "SELECT user_id, kind, admin, user_type, deactivated, created_ms, appservice, name, avatar, seen_ms, locked, suspended FROM ",
            accounts!(),
            " ORDER BY CASE $8 WHEN 'name' THEN user_id WHEN 'user_type' THEN COALESCE(user_type, '')
                WHEN 'displayname' THEN COALESCE(name, '') WHEN 'avatar_url' THEN COALESCE(avatar, '') END ",
            $direction,
            ", CASE $8 WHEN 'is_guest' THEN CASE kind WHEN 1 THEN 1 ELSE 0 END WHEN 'admin' THEN admin
                WHEN 'deactivated' THEN deactivated WHEN 'creation_ts' THEN created_ms
                WHEN 'last_seen_ts' THEN COALESCE(seen_ms, 0) END ",
            $direction,
            ", user_id LIMIT $9 OFFSET $10"
        )
    };
}

const FORWARDS: &str = page!("ASC");
const BACKWARDS: &str = page!("DESC");
const COUNT: &str = concat!("SELECT COUNT(*) FROM ", accounts!());
const ONE: &str =
    "SELECT a.user_id, a.kind, a.admin, a.user_type, a.deactivated, a.created_ms, a.appservice,
        n.value, v.value, (SELECT MAX(d.last_seen_ms) FROM devices d WHERE d.user_id = a.user_id),
        a.locked, a.suspended
    FROM accounts a
    LEFT JOIN profiles n ON n.user_id = a.user_id AND n.field = 'displayname'
    LEFT JOIN profiles v ON v.user_id = a.user_id AND v.field = 'avatar_url' WHERE a.user_id = $1";
const SET_TYPE: &str = "UPDATE accounts SET user_type = $2 WHERE user_id = $1";
const REACTIVATE: &str = "UPDATE accounts SET deactivated = 0 WHERE user_id = $1";
const INVITES_SENT: &str = "SELECT COUNT(*) FROM event
    WHERE sender = $1 AND membership = 'invite' AND ord IS NOT NULL AND ts >= $2";
const ROOMS_JOINED: &str = "SELECT COUNT(DISTINCT room) FROM event
    WHERE state_key = $1 AND membership = 'join' AND ord IS NOT NULL AND ts >= $2";
const ACCOUNT_DATA: &str =
    "SELECT room_id, kind, content FROM account_data WHERE user_id = $1 ORDER BY room_id, kind";

/// What accounts can be listed by.
pub const ORDERS: [&str; 10] = [
    "name",
    "is_guest",
    "admin",
    "user_type",
    "deactivated",
    "shadow_banned",
    "displayname",
    "avatar_url",
    "creation_ts",
    "last_seen_ts",
];

/// Which accounts are asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// A pattern that their IDs match; empty for any.
    pub id: String,
    /// A pattern that their display names match instead; empty for none.
    pub name: String,
    /// Whether guests are among them.
    pub guests: bool,
    /// Only administrators, or only others.
    pub admins: Option<bool>,
    /// Only closed accounts, or only open ones.
    pub deactivated: Option<bool>,
    /// Types that are left out; the empty one is that of people.
    pub not_types: Vec<String>,
    /// Whether locked accounts are among them.
    pub locked: bool,
}

/// An account as it is listed.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own")]
pub struct Listed {
    /// Whose it is.
    pub user_id: OwnedUserId,
    /// What kind of account it is.
    pub kind: Kind,
    /// Whether it may use the administration API.
    pub admin: bool,
    /// `bot` or `support`.
    pub user_type: Option<String>,
    /// Whether it is closed.
    pub deactivated: bool,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// The application service that made it.
    pub appservice: Option<String>,
    /// The display name, as JSON.
    pub displayname: Option<String>,
    /// The avatar, as JSON.
    pub avatar_url: Option<String>,
    /// When a device of it was last heard of.
    pub seen_ms: Option<i64>,
    /// Whether nobody can use it for now.
    pub locked: bool,
    /// Whether it may do nothing that others see.
    pub suspended: bool,
}

/// A pattern for what contains a text, whatever the case.
pub fn containing(text: &str) -> String {
    let text = text.to_lowercase().replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{text}%")
}

fn listed(row: &Row) -> Result<Listed, StorageError> {
    Ok(Listed {
        user_id: parse_user(&row.text(0)?)?,
        kind: Kind::from_code(row.int(1)?),
        admin: row.bool(2)?,
        user_type: row.opt_text(3)?,
        deactivated: row.bool(4)?,
        created_ms: row.int(5)?,
        appservice: row.opt_text(6)?,
        displayname: row.opt_text(7)?,
        avatar_url: row.opt_text(8)?,
        seen_ms: row.opt_int(9)?,
        locked: row.bool(10)?,
        suspended: row.bool(11)?,
    })
}

fn tri(flag: Option<bool>) -> i64 {
    flag.map_or(-1, i64::from)
}

/// A page of the accounts, and how many there are in all. `order` is one of [`ORDERS`]; accounts that are equal in it follow each
/// other by ID.
pub async fn list(
    db: &Database,
    wanted: &Wanted,
    (order, backwards): (&str, bool),
    (from, limit): (i64, i64),
) -> Result<(Vec<Listed>, i64), StorageError> {
    let mut filter = args![
        &wanted.id,
        &wanted.name,
        wanted.guests,
        tri(wanted.admins),
        tri(wanted.deactivated),
        wanted.not_types.clone(),
        wanted.locked
    ];
    let total = db.fetch_optional(COUNT, filter.clone()).await?;
    let total = total.map_or(Ok(0), |row| row.int(0))?;
    filter.extend(args![order, limit, from]);
    let rows = db.fetch(if backwards { BACKWARDS } else { FORWARDS }, filter).await?;
    Ok((rows.iter().map(listed).collect::<Result<_, _>>()?, total))
}

/// One account.
pub async fn one(db: &Database, user: &UserId) -> Result<Option<Listed>, StorageError> {
    db.fetch_optional(ONE, args![user.as_str()]).await?.as_ref().map(listed).transpose()
}

/// Says what an account is for.
pub async fn set_type(
    tx: &mut CommitTx,
    user: &UserId,
    kind: Option<&str>,
) -> Result<(), StorageError> {
    tx.sql().execute(SET_TYPE, args![user.as_str(), kind]).await?;
    Ok(())
}

/// Opens a closed account again. Nobody can log in before it has a password.
pub async fn reactivate(tx: &mut CommitTx, user: &UserId) -> Result<(), StorageError> {
    tx.sql().execute(REACTIVATE, args![user.as_str()]).await?;
    Ok(())
}

/// How many invites a user has sent since a time.
pub async fn invites_sent(db: &Database, user: &UserId, since: i64) -> Result<i64, StorageError> {
    let row = db.fetch_optional(INVITES_SENT, args![user.as_str(), since]).await?;
    row.map_or(Ok(0), |row| Ok(row.int(0)?))
}

/// How many rooms a user has joined since a time, whether still in them or not.
pub async fn rooms_joined(db: &Database, user: &UserId, since: i64) -> Result<i64, StorageError> {
    let row = db.fetch_optional(ROOMS_JOINED, args![user.as_str(), since]).await?;
    row.map_or(Ok(0), |row| Ok(row.int(0)?))
}

/// All account data of a user: the room (empty for global data), the type, the content as JSON.
pub async fn account_data(
    db: &Database,
    user: &UserId,
) -> Result<Vec<(String, String, String)>, StorageError> {
    let rows = db.fetch(ACCOUNT_DATA, args![user.as_str()]).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?, row.text(2)?))).collect()
}
