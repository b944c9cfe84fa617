//! Pushers: where clients want to be told of what happens while they sleep, and how far each was told.

use landbridge_database::{Database, Row, args};
use ruma::{DeviceId, OwnedUserId, UserId};
use serde::Deserialize;

use crate::commit::CommitTx;
use crate::nid::Pos;
use crate::storage::StorageError;
use crate::storage::accounts::parse_user;

const SET: &str =
    "INSERT INTO pushers (user_id, app_id, pushkey, device_id, definition, set_ms, pos,
        active, ack_token, ack_expires_ms, ack_due)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (user_id, app_id, pushkey) DO UPDATE
    SET device_id = excluded.device_id, definition = excluded.definition, set_ms = excluded.set_ms,
        active = excluded.active, ack_token = excluded.ack_token,
        ack_expires_ms = excluded.ack_expires_ms, ack_due = excluded.ack_due";
const ASKED: &str = "UPDATE pushers SET ack_due = 0
    WHERE user_id = $1 AND app_id = $2 AND pushkey = $3 AND ack_token = $4";
const ACTIVATE: &str = "UPDATE pushers SET active = 1, ack_due = 0, pos = $4
    WHERE user_id = $1 AND app_id = $2 AND pushkey = $3 AND active = 0";
const DELETE: &str = "DELETE FROM pushers WHERE user_id = $1 AND app_id = $2 AND pushkey = $3";
const REJECT: &str = "DELETE FROM pushers
    WHERE user_id = $1 AND app_id = $2 AND pushkey = $3 AND set_ms = $4";
const DELETE_OF_OTHERS: &str =
    "DELETE FROM pushers WHERE user_id <> $1 AND app_id = $2 AND pushkey = $3";
const DELETE_OF_OTHER_DEVICES: &str = "DELETE FROM pushers
    WHERE user_id = $1 AND (device_id IS NULL OR device_id <> $2)";
const CLEAR: &str = "DELETE FROM pushers WHERE user_id = $1";
const LIST: &str = "SELECT app_id, pushkey, definition, set_ms, pos, badge, active, ack_token,
        ack_expires_ms, ack_due, mailed_ms, mailed_pos, mails FROM pushers
    WHERE user_id = $1 ORDER BY app_id, pushkey";
const GET: &str = "SELECT app_id, pushkey, definition, set_ms, pos, badge, active, ack_token,
        ack_expires_ms, ack_due, mailed_ms, mailed_pos, mails FROM pushers
    WHERE user_id = $1 AND app_id = $2 AND pushkey = $3";
const TOLD: &str = "UPDATE pushers SET pos = $4, badge = $5
    WHERE user_id = $1 AND app_id = $2 AND pushkey = $3 AND pos <= $4";
const MAILED: &str = "UPDATE pushers SET pos = $4, mailed_ms = $5, mailed_pos = $6, mails = $7
    WHERE user_id = $1 AND app_id = $2 AND pushkey = $3 AND pos <= $4";
const USERS: &str = "SELECT DISTINCT user_id FROM pushers";
const BEHIND: &str = "SELECT DISTINCT p.user_id FROM pushers p
    WHERE EXISTS (SELECT 1 FROM notification n WHERE n.user_id = p.user_id AND n.pos > p.pos)
    OR p.ack_due = 1
    OR EXISTS (SELECT 1 FROM receipt r WHERE r.user_id = p.user_id AND r.pos > p.pos)";

/// The kind of pushers that send e-mail.
pub const EMAIL: &str = "email";

/// What identifies a pusher of a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PusherKey {
    /// The app.
    pub app_id: String,
    /// The app's key for the device.
    pub pushkey: String,
}

/// A pusher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pusher {
    /// What identifies it.
    pub key: PusherKey,
    /// What the client said of it, as JSON.
    pub definition: String,
    /// When the client set it last, in ms since 1970.
    pub set_ms: i64,
    /// Notifications up to here are told, or need not be.
    pub pos: Pos,
    /// The count of unread messages that it was told last.
    pub badge: i64,
    /// Whether it is told of anything: a client of web push has to answer a question first.
    pub active: bool,
    /// That question.
    pub challenge: Option<Challenge>,
    /// What was told by e-mail.
    pub mailed: Mailed,
}

impl Pusher {
    /// Whether it sends e-mail.
    pub fn is_email(&self) -> bool {
        #[derive(Deserialize)]
        struct Definition {
            kind: String,
        }
        let definition = serde_json::from_str::<Definition>(&self.definition);
        definition.is_ok_and(|definition| definition.kind == EMAIL)
    }
}

/// The e-mails of a pusher that sends some.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mailed {
    /// When the last one went out, in ms since 1970.
    pub ms: i64,
    /// Where the stream stood then.
    pub pos: Pos,
    /// How many went out since their reader last read anything.
    pub count: i64,
}

/// The question whether a client gets what is sent to its pusher (MSC4174).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// What the client has to answer.
    pub token: String,
    /// Until when, in ms since 1970.
    pub expires_ms: i64,
    /// Whether it was not asked yet.
    pub due: bool,
}

/// Creates a pusher that is told what comes after `pos`, or replaces one, which goes on where it was. Unless `append`, the same key of
/// other users is dropped: one device, one user.
pub async fn set(
    tx: &mut CommitTx,
    user: &UserId,
    device: Option<&DeviceId>,
    pusher: &Pusher,
    append: bool,
) -> Result<(), StorageError> {
    let PusherKey { app_id, pushkey } = &pusher.key;
    if !append {
        tx.sql().execute(DELETE_OF_OTHERS, args![user.as_str(), app_id, pushkey]).await?;
    }
    let device = device.map(DeviceId::as_str);
    let Pusher { definition, set_ms, pos, active, challenge, .. } = pusher;
    let (token, expires_ms, due) = match challenge {
        Some(challenge) => (Some(&*challenge.token), challenge.expires_ms, challenge.due),
        None => (None, 0, false),
    };
    let values = args![
        user.as_str(),
        app_id,
        pushkey,
        device,
        definition,
        *set_ms,
        *pos,
        *active,
        token,
        expires_ms,
        due
    ];
    tx.sql().execute(SET, values).await?;
    Ok(())
}

/// Notes that a client was asked a question.
pub async fn asked(
    tx: &mut CommitTx,
    user: &UserId,
    key: &PusherKey,
    token: &str,
) -> Result<(), StorageError> {
    tx.sql().execute(ASKED, args![user.as_str(), &key.app_id, &key.pushkey, token]).await?;
    Ok(())
}

/// Lets a pusher be told of what comes after `pos`, if it is not told of anything yet.
pub async fn activate(
    tx: &mut CommitTx,
    user: &UserId,
    key: &PusherKey,
    pos: Pos,
) -> Result<(), StorageError> {
    tx.sql().execute(ACTIVATE, args![user.as_str(), &key.app_id, &key.pushkey, pos]).await?;
    Ok(())
}

/// Deletes a pusher.
pub async fn delete(tx: &mut CommitTx, user: &UserId, key: &PusherKey) -> Result<(), StorageError> {
    tx.sql().execute(DELETE, args![user.as_str(), &key.app_id, &key.pushkey]).await?;
    Ok(())
}

/// Deletes a pusher, unless it was set again meanwhile.
pub async fn reject(
    tx: &mut CommitTx,
    user: &UserId,
    key: &PusherKey,
    set_ms: i64,
) -> Result<(), StorageError> {
    tx.sql().execute(REJECT, args![user.as_str(), &key.app_id, &key.pushkey, set_ms]).await?;
    Ok(())
}

/// Deletes the pushers that other devices than `keep` made.
pub async fn delete_of_others(
    tx: &mut CommitTx,
    user: &UserId,
    keep: &DeviceId,
) -> Result<(), StorageError> {
    tx.sql().execute(DELETE_OF_OTHER_DEVICES, args![user.as_str(), keep.as_str()]).await?;
    Ok(())
}

/// Deletes all pushers of a user.
pub async fn clear(tx: &mut CommitTx, user: &UserId) -> Result<(), StorageError> {
    tx.sql().execute(CLEAR, args![user.as_str()]).await?;
    Ok(())
}

/// Notes how far a pusher was told, and which count.
pub async fn told(
    tx: &mut CommitTx,
    user: &UserId,
    key: &PusherKey,
    pos: Pos,
    badge: i64,
) -> Result<(), StorageError> {
    tx.sql().execute(TOLD, args![user.as_str(), &key.app_id, &key.pushkey, pos, badge]).await?;
    Ok(())
}

/// Notes that an e-mail went out, which tells of everything up to the pusher's position.
pub async fn mailed(
    tx: &mut CommitTx,
    user: &UserId,
    key: &PusherKey,
    pos: Pos,
    mailed: Mailed,
) -> Result<(), StorageError> {
    let (app_id, pushkey) = (&key.app_id, &key.pushkey);
    let values = args![user.as_str(), app_id, pushkey, pos, mailed.ms, mailed.pos, mailed.count];
    tx.sql().execute(MAILED, values).await?;
    Ok(())
}

/// A user's pushers.
pub async fn list(db: &Database, user: &UserId) -> Result<Vec<Pusher>, StorageError> {
    db.fetch(LIST, args![user.as_str()]).await?.iter().map(pusher).collect()
}

/// A user's pushers, as the transaction sees them.
pub async fn list_in(tx: &mut CommitTx, user: &UserId) -> Result<Vec<Pusher>, StorageError> {
    tx.sql().fetch(LIST, args![user.as_str()]).await?.iter().map(pusher).collect()
}

/// One pusher.
pub async fn get(
    db: &Database,
    user: &UserId,
    key: &PusherKey,
) -> Result<Option<Pusher>, StorageError> {
    let row = db.fetch_optional(GET, args![user.as_str(), &key.app_id, &key.pushkey]).await?;
    row.as_ref().map(pusher).transpose()
}

/// The users who have a pusher.
pub async fn users(db: &Database) -> Result<Vec<OwnedUserId>, StorageError> {
    parse(&db.fetch(USERS, args![]).await?)
}

/// The users who have a pusher that there may be something to tell.
pub async fn behind(db: &Database) -> Result<Vec<OwnedUserId>, StorageError> {
    parse(&db.fetch(BEHIND, args![]).await?)
}

fn parse(rows: &[Row]) -> Result<Vec<OwnedUserId>, StorageError> {
    rows.iter().map(|row| parse_user(&row.text(0)?)).collect()
}

fn pusher(row: &Row) -> Result<Pusher, StorageError> {
    Ok(Pusher {
        key: PusherKey { app_id: row.text(0)?, pushkey: row.text(1)? },
        definition: row.text(2)?,
        set_ms: row.int(3)?,
        pos: row.int(4)?,
        badge: row.int(5)?,
        active: row.bool(6)?,
        challenge: match row.opt_text(7)? {
            Some(token) => Some(Challenge { token, expires_ms: row.int(8)?, due: row.bool(9)? }),
            None => None,
        },
        mailed: Mailed { ms: row.int(10)?, pos: row.int(11)?, count: row.int(12)? },
    })
}
