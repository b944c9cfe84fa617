//! Who people are at identity providers, and which sessions there began which here.

use landbridge_database::{Database, Row, args};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use crate::commit::CommitTx;
use crate::storage::StorageError;
use crate::storage::accounts::parse_user;
use crate::storage::tokens::TokenHash;

const OWNER: &str = "SELECT user_id FROM external_ids WHERE provider = $1 AND subject = $2";
const OF_USER: &str =
    "SELECT provider, subject FROM external_ids WHERE user_id = $1 ORDER BY provider, subject";
const INSERT: &str = "INSERT INTO external_ids (provider, subject, user_id) VALUES ($1, $2, $3)
    ON CONFLICT (provider, subject) DO NOTHING";
const CLEAR: &str = "DELETE FROM external_ids WHERE user_id = $1";
const BEGIN: &str = "INSERT INTO sso_sessions (token, provider, subject, sid, user_id, created_ms) VALUES ($1, $2, $3, $4, $5, $6)";
// What never became a session, and sessions whose device is gone.
const SWEEP: &str =
    "DELETE FROM sso_sessions WHERE user_id = $1 AND (device_id IS NULL AND created_ms < $2
    OR device_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM devices d
        WHERE d.user_id = sso_sessions.user_id AND d.device_id = sso_sessions.device_id))";
const END_OF_DEVICE: &str = "DELETE FROM sso_sessions WHERE user_id = $1 AND device_id = $2";
const BIND: &str = "UPDATE sso_sessions SET device_id = $3 WHERE token = $1 AND user_id = $2";
const BY_SID: &str = "SELECT user_id, device_id FROM sso_sessions
    WHERE provider = $1 AND sid = $2 AND device_id IS NOT NULL";
const BY_SUBJECT: &str = "SELECT user_id, device_id FROM sso_sessions
    WHERE provider = $1 AND subject = $2 AND device_id IS NOT NULL";

const END_BY_SID: [&str; 3] = [
    "DELETE FROM browser_sessions WHERE provider = $1 AND sid = $2",
    "DELETE FROM oauth_codes WHERE provider = $1 AND sid = $2",
    "DELETE FROM oauth_device_codes WHERE provider = $1 AND sid = $2",
];
const END_BY_SUBJECT: [&str; 3] = [
    "DELETE FROM browser_sessions WHERE provider = $1 AND subject = $2",
    "DELETE FROM oauth_codes WHERE provider = $1 AND subject = $2",
    "DELETE FROM oauth_device_codes WHERE provider = $1 AND subject = $2",
];

/// Who somebody is at an identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalId {
    /// The provider's id in the settings.
    pub provider: String,
    /// What the provider calls the person.
    pub subject: String,
}

/// From which session at an identity provider somebody came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who they are there.
    pub id: ExternalId,
    /// The session there, where the provider names it.
    pub sid: Option<String>,
}

/// The columns `provider`, `subject` and `sid`.
type Columns<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);

impl Origin {
    /// What is stored of one.
    pub(super) fn columns(origin: Option<&Self>) -> Columns<'_> {
        let Some(Self { id, sid }) = origin else { return (None, None, None) };
        (Some(id.provider.as_str()), Some(id.subject.as_str()), sid.as_deref())
    }

    /// Reads one from three columns, of which the first is at `at`.
    pub(super) fn read(row: &Row, at: usize) -> Result<Option<Self>, StorageError> {
        let (provider, subject) = (row.opt_text(at)?, row.opt_text(at + 1)?);
        let Some((provider, subject)) = provider.zip(subject) else { return Ok(None) };
        Ok(Some(Self { id: ExternalId { provider, subject }, sid: row.opt_text(at + 2)? }))
    }
}

/// Whose account it is.
pub async fn owner(db: &Database, id: &ExternalId) -> Result<Option<OwnedUserId>, StorageError> {
    let row = db.fetch_optional(OWNER, args![id.provider.as_str(), id.subject.as_str()]).await?;
    row.map(|row| parse_user(&row.text(0)?)).transpose()
}

/// The same, inside a transaction.
pub async fn owner_in(
    tx: &mut CommitTx,
    id: &ExternalId,
) -> Result<Option<OwnedUserId>, StorageError> {
    let values = args![id.provider.as_str(), id.subject.as_str()];
    let row = tx.sql().fetch_optional(OWNER, values).await?;
    row.map(|row| parse_user(&row.text(0)?)).transpose()
}

/// Who a user is elsewhere.
pub async fn of_user(db: &Database, user: &UserId) -> Result<Vec<ExternalId>, StorageError> {
    let rows = db.fetch(OF_USER, args![user.as_str()]).await?;
    rows.iter()
        .map(|row| Ok(ExternalId { provider: row.text(0)?, subject: row.text(1)? }))
        .collect()
}

/// Gives a user an identity; `false` when it is somebody's already.
pub async fn insert(
    tx: &mut CommitTx,
    id: &ExternalId,
    user: &UserId,
) -> Result<bool, StorageError> {
    let values = args![id.provider.as_str(), id.subject.as_str(), user.as_str()];
    Ok(tx.sql().execute(INSERT, values).await? == 1)
}

/// Takes all of a user's identities away.
pub async fn clear(tx: &mut CommitTx, user: &UserId) -> Result<(), StorageError> {
    tx.sql().execute(CLEAR, args![user.as_str()]).await?;
    Ok(())
}

/// Notes which session at the provider a log-in token comes from, and sweeps out what is over.
pub async fn begin_session(
    tx: &mut CommitTx,
    token: TokenHash,
    id: &ExternalId,
    sid: Option<&str>,
    user: &UserId,
    (now_ms, unused_since_ms): (i64, i64),
) -> Result<(), StorageError> {
    tx.sql().execute(SWEEP, args![user.as_str(), unused_since_ms]).await?;
    let (provider, subject) = (id.provider.as_str(), id.subject.as_str());
    let values = args![&token.0[..], provider, subject, sid, user.as_str(), now_ms];
    tx.sql().execute(BEGIN, values).await?;
    Ok(())
}

/// Notes which device a log-in token was used for.
pub async fn bind_session(
    tx: &mut CommitTx,
    token: TokenHash,
    user: &UserId,
    device: &DeviceId,
) -> Result<(), StorageError> {
    tx.sql().execute(END_OF_DEVICE, args![user.as_str(), device.as_str()]).await?;
    tx.sql().execute(BIND, args![&token.0[..], user.as_str(), device.as_str()]).await?;
    Ok(())
}

/// Notes that a device's session comes from one at a provider; `token` stands for it alone.
pub async fn insert_session(
    tx: &mut CommitTx,
    token: TokenHash,
    origin: &Origin,
    (user, device): (&UserId, &DeviceId),
    now_ms: i64,
) -> Result<(), StorageError> {
    // What was begun and not yet used is swept out where it is begun.
    begin_session(tx, token, &origin.id, origin.sid.as_deref(), user, (now_ms, 0)).await?;
    bind_session(tx, token, user, device).await
}

/// Signs out the browsers of a session at the provider, or of all sessions of a person there, and ends what was granted in them and not
/// yet used.
pub async fn end_browsers(
    tx: &mut CommitTx,
    provider: &str,
    sid: Option<&str>,
    subject: Option<&str>,
) -> Result<(), StorageError> {
    let (sqls, value) = match (sid, subject) {
        (Some(sid), _) => (END_BY_SID, sid),
        (None, Some(subject)) => (END_BY_SUBJECT, subject),
        (None, None) => return Ok(()),
    };
    for sql in sqls {
        tx.sql().execute(sql, args![provider, value]).await?;
    }
    Ok(())
}

/// The devices of a session at the provider, or of all sessions of a person there.
pub async fn devices(
    db: &Database,
    provider: &str,
    sid: Option<&str>,
    subject: Option<&str>,
) -> Result<Vec<(OwnedUserId, OwnedDeviceId)>, StorageError> {
    let rows = match (sid, subject) {
        (Some(sid), _) => db.fetch(BY_SID, args![provider, sid]).await?,
        (None, Some(subject)) => db.fetch(BY_SUBJECT, args![provider, subject]).await?,
        (None, None) => return Ok(Vec::new()),
    };
    rows.iter().map(|row| Ok((parse_user(&row.text(0)?)?, row.text(1)?.into()))).collect()
}
