//! Accounts.

use landbridge_database::{Database, Row, args};
use ruma::{OwnedUserId, UserId};

use crate::commit::CommitTx;
use crate::nid::RoomNid;
use crate::storage::StorageError;

const INSERT: &str = "INSERT INTO accounts (user_id, password, kind, appservice, admin, created_ms)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_id) DO NOTHING";
const GET: &str =
    "SELECT user_id, password, kind, appservice, admin, deactivated, locked, suspended
    FROM accounts WHERE user_id = $1";
const SET_PASSWORD: &str = "UPDATE accounts SET password = $2 WHERE user_id = $1";
const SET_ADMIN: &str = "UPDATE accounts SET admin = $2 WHERE user_id = $1";
const SET_LOCKED: &str = "UPDATE accounts SET locked = $2 WHERE user_id = $1";
const SET_SUSPENDED: &str = "UPDATE accounts SET suspended = $2 WHERE user_id = $1";
const DEACTIVATE: &str = "UPDATE accounts SET deactivated = 1, password = NULL WHERE user_id = $1";
const DEPARTING: &str =
    "SELECT DISTINCT a.user_id FROM accounts a JOIN membership m ON m.user_id = a.user_id
    WHERE a.deactivated = 1 AND m.membership IN ('join', 'invite', 'knock')";
const GUESTS: &str =
    "SELECT a.user_id, m.room FROM accounts a JOIN membership m ON m.user_id = a.user_id
    WHERE a.kind = 1 AND a.deactivated = 0 AND m.membership = 'join'";
const UPGRADE: &str = "UPDATE accounts SET kind = 0, password = $2
    WHERE user_id = $1 AND kind = 1 AND deactivated = 0";
const SEARCH: &str = "SELECT a.user_id, n.value, v.value FROM accounts a
    LEFT JOIN profiles n ON n.user_id = a.user_id AND n.field = 'displayname'
    LEFT JOIN profiles v ON v.user_id = a.user_id AND v.field = 'avatar_url'
    WHERE a.deactivated = 0 AND (LOWER(a.user_id) LIKE $1 ESCAPE '!' OR LOWER(n.value) LIKE $1 ESCAPE '!')
        AND a.user_id <> $3 AND ($4 = 0 OR EXISTS (SELECT 1 FROM membership theirs
            LEFT JOIN membership mine
                ON mine.room = theirs.room AND mine.user_id = $3 AND mine.membership = 'join'
            LEFT JOIN room ON room.nid = theirs.room
            LEFT JOIN published_rooms public ON public.room_id = room.id
            WHERE theirs.user_id = a.user_id AND theirs.membership = 'join'
                AND (mine.room IS NOT NULL OR public.room_id IS NOT NULL)))
    ORDER BY a.user_id LIMIT $2";
const INSERT_REPORT: &str =
    "INSERT INTO reports (id, reporter, room_id, event_id, user_id, reason, score, reported_ms)
    SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4, $5, $6, $7 FROM reports";

/// Who an account belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A person or a bot that logs in.
    User,
    /// A guest: no password, few rights.
    Guest,
    /// A ghost or bot of an application service.
    Appservice,
}

impl Kind {
    fn code(self) -> i64 {
        match self {
            Self::User => 0,
            Self::Guest => 1,
            Self::Appservice => 2,
        }
    }

    pub(super) fn from_code(code: i64) -> Self {
        match code {
            1 => Self::Guest,
            2 => Self::Appservice,
            _ => Self::User,
        }
    }
}

/// An account. Its password hash is left out of `Debug`.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a column, and any of them goes with any other"
)]
pub struct Account {
    /// Whose it is.
    pub user_id: OwnedUserId,
    /// The PHC string of the password's hash; none where nobody can log in with one.
    pub password: Option<String>,
    /// What kind of account it is.
    pub kind: Kind,
    /// The ID of the application service that made it.
    pub appservice: Option<String>,
    /// Whether it may use the administration API.
    pub admin: bool,
    /// Whether it is closed for good.
    pub deactivated: bool,
    /// Whether nothing can be done with it for now (Client-Server API, "Account locking").
    pub locked: bool,
    /// Whether it may only look on for now (Client-Server API, "Account suspension").
    pub suspended: bool,
}

impl Account {
    /// An account as it begins: without password or rights.
    pub fn new(user_id: OwnedUserId, kind: Kind) -> Self {
        Self {
            user_id,
            password: None,
            kind,
            appservice: None,
            admin: false,
            deactivated: false,
            locked: false,
            suspended: false,
        }
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("user_id", &self.user_id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Someone found in the user directory; the values are JSON, as profiles hold them.
#[derive(Debug, Clone)]
pub struct Found {
    /// Who.
    pub user_id: OwnedUserId,
    /// The display name.
    pub displayname: Option<String>,
    /// The avatar.
    pub avatar_url: Option<String>,
}

/// A complaint, kept for the administrators.
#[derive(Debug, Clone)]
pub struct Report {
    /// Who complains.
    pub reporter: OwnedUserId,
    /// About which room.
    pub room_id: Option<String>,
    /// About which event in it.
    pub event_id: Option<String>,
    /// About which user.
    pub user_id: Option<String>,
    /// In their words.
    pub reason: Option<String>,
    /// How bad, from -100 (worst) to 0; older clients send it.
    pub score: Option<i64>,
}

/// Reads a user ID that this program wrote.
pub(crate) fn parse_user(text: &str) -> Result<OwnedUserId, StorageError> {
    UserId::parse(text).map_err(|_| StorageError::Damaged(format!("{text:?} is not a user ID")))
}

fn account(row: &Row) -> Result<Account, StorageError> {
    let user_id = row.text(0)?;
    Ok(Account {
        user_id: parse_user(&user_id)?,
        password: row.opt_text(1)?,
        kind: Kind::from_code(row.int(2)?),
        appservice: row.opt_text(3)?,
        admin: row.bool(4)?,
        deactivated: row.bool(5)?,
        locked: row.bool(6)?,
        suspended: row.bool(7)?,
    })
}

/// Creates an account; `false` when the name is taken.
pub async fn insert(
    tx: &mut CommitTx,
    account: &Account,
    now_ms: i64,
) -> Result<bool, StorageError> {
    let values = args![
        account.user_id.as_str(),
        account.password.as_deref(),
        account.kind.code(),
        account.appservice.as_deref(),
        account.admin,
        now_ms
    ];
    Ok(tx.sql().execute(INSERT, values).await? == 1)
}

/// The account of a user, as the transaction sees it.
pub async fn get_in(tx: &mut CommitTx, user: &UserId) -> Result<Option<Account>, StorageError> {
    let row = tx.sql().fetch_optional(GET, args![user.as_str()]).await?;
    row.as_ref().map(account).transpose()
}

/// The account of a user.
pub async fn get(db: &Database, user: &UserId) -> Result<Option<Account>, StorageError> {
    db.fetch_optional(GET, args![user.as_str()]).await?.as_ref().map(account).transpose()
}

/// Sets the hash of the password.
pub async fn set_password(
    tx: &mut CommitTx,
    user: &UserId,
    hash: &str,
) -> Result<(), StorageError> {
    tx.sql().execute(SET_PASSWORD, args![user.as_str(), hash]).await?;
    Ok(())
}

/// Makes an account an administrator's, or not.
pub async fn set_admin(tx: &mut CommitTx, user: &UserId, admin: bool) -> Result<(), StorageError> {
    tx.sql().execute(SET_ADMIN, args![user.as_str(), admin]).await?;
    Ok(())
}

/// Locks an account, or opens it again.
pub async fn set_locked(
    tx: &mut CommitTx,
    user: &UserId,
    locked: bool,
) -> Result<(), StorageError> {
    tx.sql().execute(SET_LOCKED, args![user.as_str(), locked]).await?;
    Ok(())
}

/// Suspends an account, or ends that.
pub async fn set_suspended(
    tx: &mut CommitTx,
    user: &UserId,
    suspended: bool,
) -> Result<(), StorageError> {
    tx.sql().execute(SET_SUSPENDED, args![user.as_str(), suspended]).await?;
    Ok(())
}

/// Closes an account: no password fits it any more. Its name stays taken.
pub async fn deactivate(tx: &mut CommitTx, user: &UserId) -> Result<(), StorageError> {
    tx.sql().execute(DEACTIVATE, args![user.as_str()]).await?;
    Ok(())
}

/// Deactivated users who are still in rooms, or invited.
pub async fn departing(db: &Database) -> Result<Vec<OwnedUserId>, StorageError> {
    let rows = db.fetch(DEPARTING, args![]).await?;
    rows.iter().map(|row| parse_user(&row.text(0)?)).collect()
}

/// The guests, each with a room they are in.
pub async fn guests(db: &Database) -> Result<Vec<(OwnedUserId, RoomNid)>, StorageError> {
    let rows = db.fetch(GUESTS, args![]).await?;
    rows.iter().map(|row| Ok((parse_user(&row.text(0)?)?, RoomNid(row.int(1)?)))).collect()
}

/// Makes a guest a user with a password; `false` when there is no such guest.
pub async fn upgrade(tx: &mut CommitTx, user: &UserId, hash: &str) -> Result<bool, StorageError> {
    Ok(tx.sql().execute(UPGRADE, args![user.as_str(), hash]).await? == 1)
}

/// Accounts other than the `viewer`'s whose ID or display name contains `term`, at most `limit`. With `shared_only`, those
/// who share a room with the viewer or are in a published room.
pub async fn search(
    db: &Database,
    term: &str,
    viewer: Option<&UserId>,
    shared_only: bool,
    limit: i64,
) -> Result<Vec<Found>, StorageError> {
    let escaped = term.to_lowercase().replace('!', "!!").replace('%', "!%").replace('_', "!_");
    let rows = db
        .fetch(
            SEARCH,
            args![format!("%{escaped}%"), limit, viewer.map_or("", UserId::as_str), shared_only],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let user_id = row.text(0)?;
            Ok(Found {
                user_id: parse_user(&user_id)?,
                displayname: row.opt_text(1)?,
                avatar_url: row.opt_text(2)?,
            })
        })
        .collect()
}

/// Keeps a complaint.
pub async fn insert_report(
    tx: &mut CommitTx,
    report: &Report,
    now_ms: i64,
) -> Result<(), StorageError> {
    let values = args![
        report.reporter.as_str(),
        report.room_id.as_deref(),
        report.event_id.as_deref(),
        report.user_id.as_deref(),
        report.reason.as_deref(),
        report.score,
        now_ms
    ];
    tx.sql().execute(INSERT_REPORT, values).await?;
    Ok(())
}
