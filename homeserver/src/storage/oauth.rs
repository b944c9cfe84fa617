//! What OAuth 2.0 clients were granted: authorisation codes, device codes, and the sessions that came of them. Codes are kept
//! as their SHA-256.

use landbridge_database::{Database, Row, args};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use crate::commit::CommitTx;
use crate::storage::StorageError;
use crate::storage::accounts::parse_user;
use crate::storage::external_ids::Origin;
use crate::storage::tokens::TokenHash;

const INSERT_CODE: &str = "INSERT INTO oauth_codes
    (hash, client_id, user_id, device_id, scope, redirect_uri, challenge, expires_ms, provider, subject, sid)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const TAKE_CODE: &str = "DELETE FROM oauth_codes WHERE hash = $1
    RETURNING client_id, user_id, device_id, scope, redirect_uri, challenge, expires_ms, provider, subject, sid";
const SWEEP_CODES: &str = "DELETE FROM oauth_codes WHERE expires_ms < $1";
const INSERT_DEVICE_CODE: &str = "INSERT INTO oauth_device_codes
    (hash, user_code, client_id, device_id, scope, expires_ms, asked_from)
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (user_code) DO NOTHING";
const COUNT_WAITING: &str =
    "SELECT COUNT(*) FROM oauth_device_codes WHERE state = 0 AND expires_ms > $1";
const COUNT_WAITING_OF: &str = "SELECT COUNT(*) FROM oauth_device_codes
    WHERE asked_from = $1 AND state = 0 AND expires_ms > $2";
const GET_DEVICE_CODE: &str =
    "SELECT client_id, device_id, scope, state, user_id, expires_ms, provider, subject, sid
    FROM oauth_device_codes WHERE hash = $1";
const BY_USER_CODE: &str =
    "SELECT client_id, device_id, scope, state, user_id, expires_ms, provider, subject, sid
    FROM oauth_device_codes WHERE user_code = $1";
const DECIDE: &str = "UPDATE oauth_device_codes SET state = $2, user_id = $3,
    provider = $5, subject = $6, sid = $7 WHERE user_code = $1 AND state = 0 AND expires_ms > $4";
const TAKE_DEVICE_CODE: &str = "DELETE FROM oauth_device_codes WHERE hash = $1 AND client_id = $2
    RETURNING client_id, device_id, scope, state, user_id, expires_ms, provider, subject, sid";
const FORGET_CODES: &str = "DELETE FROM oauth_codes WHERE user_id = $1";
const FORGET_GRANTED: &str = "DELETE FROM oauth_device_codes WHERE user_id = $1 AND state = 1";
const SWEEP_DEVICE_CODES: &str = "DELETE FROM oauth_device_codes WHERE expires_ms < $1";
const IS_ACTIVE: &str =
    "SELECT 1 FROM accounts WHERE user_id = $1 AND deactivated = 0 AND locked = 0";
const INSERT_SESSION: &str =
    "INSERT INTO oauth_sessions (user_id, device_id, client_id, scope, family, code, code_until_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const OF_CODE: &str = "SELECT user_id, device_id, client_id, scope FROM oauth_sessions
    WHERE code = $1 AND code_until_ms > $2";
const OF_FAMILY: &str =
    "SELECT user_id, device_id, client_id, scope FROM oauth_sessions WHERE family = $1";
const OF_REFRESH: &str = "SELECT o.user_id, o.device_id, o.client_id, o.scope FROM refresh_tokens r
    JOIN oauth_sessions o ON o.user_id = r.user_id AND o.device_id = r.device_id
    WHERE r.hash = $1";
const OF_DEVICE: &str = "SELECT 1 FROM oauth_sessions WHERE user_id = $1 AND device_id = $2";

/// What a code stands for.
#[derive(Debug, Clone)]
pub struct CodeRow {
    /// The client.
    pub client_id: String,
    /// Who granted it.
    pub user_id: OwnedUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// What was granted.
    pub scope: String,
    /// Where the code was sent.
    pub redirect_uri: String,
    /// The hash of what the client must show (RFC 7636).
    pub challenge: String,
    /// Until when the code is good.
    pub expires_ms: i64,
    /// From which session at an identity provider the user came.
    pub origin: Option<Origin>,
}

/// What became of a device code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nobody has decided.
    Open,
    /// It was granted.
    Granted,
    /// It was denied.
    Denied,
}

impl Decision {
    const fn code(self) -> i64 {
        match self {
            Self::Open => 0,
            Self::Granted => 1,
            Self::Denied => 2,
        }
    }

    const fn from_code(code: i64) -> Self {
        match code {
            1 => Self::Granted,
            2 => Self::Denied,
            _ => Self::Open,
        }
    }
}

/// What a device code stands for.
#[derive(Debug, Clone)]
pub struct DeviceCodeRow {
    /// The client.
    pub client_id: String,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// What is asked for.
    pub scope: String,
    /// Whether it was granted.
    pub decision: Decision,
    /// By whom.
    pub user_id: Option<OwnedUserId>,
    /// Until when it is good.
    pub expires_ms: i64,
    /// From which session at an identity provider the user came.
    pub origin: Option<Origin>,
}

/// A session that a client was granted.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// Whose it is.
    pub user_id: OwnedUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// The client.
    pub client_id: String,
    /// What was granted.
    pub scope: String,
}

fn device_code(row: &Row) -> Result<DeviceCodeRow, StorageError> {
    Ok(DeviceCodeRow {
        client_id: row.text(0)?,
        device_id: row.text(1)?.into(),
        scope: row.text(2)?,
        decision: Decision::from_code(row.int(3)?),
        user_id: row.opt_text(4)?.map(|user| parse_user(&user)).transpose()?,
        expires_ms: row.int(5)?,
        origin: Origin::read(row, 6)?,
    })
}

fn session(row: &Row) -> Result<SessionRow, StorageError> {
    Ok(SessionRow {
        user_id: parse_user(&row.text(0)?)?,
        device_id: row.text(1)?.into(),
        client_id: row.text(2)?,
        scope: row.text(3)?,
    })
}

/// Stores a code, and sweeps out those that nobody came for.
pub async fn insert_code(
    tx: &mut CommitTx,
    hash: TokenHash,
    code: &CodeRow,
    now_ms: i64,
) -> Result<(), StorageError> {
    tx.sql().execute(SWEEP_CODES, args![now_ms]).await?;
    let (provider, subject, sid) = Origin::columns(code.origin.as_ref());
    let values = args![
        &hash.0[..],
        code.client_id.as_str(),
        code.user_id.as_str(),
        code.device_id.as_str(),
        code.scope.as_str(),
        code.redirect_uri.as_str(),
        code.challenge.as_str(),
        code.expires_ms,
        provider,
        subject,
        sid
    ];
    tx.sql().execute(INSERT_CODE, values).await?;
    Ok(())
}

/// Takes a code out: it is good once.
pub async fn take_code(
    tx: &mut CommitTx,
    hash: TokenHash,
) -> Result<Option<CodeRow>, StorageError> {
    let Some(row) = tx.sql().fetch_optional(TAKE_CODE, args![&hash.0[..]]).await? else {
        return Ok(None);
    };
    Ok(Some(CodeRow {
        client_id: row.text(0)?,
        user_id: parse_user(&row.text(1)?)?,
        device_id: row.text(2)?.into(),
        scope: row.text(3)?,
        redirect_uri: row.text(4)?,
        challenge: row.text(5)?,
        expires_ms: row.int(6)?,
        origin: Origin::read(&row, 7)?,
    }))
}

/// How many device codes may wait for a decision.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    /// From which network the new one is asked for.
    pub from: &'a str,
    /// How many from there.
    pub most_of_one: i64,
    /// How many altogether.
    pub most: i64,
}

/// Stores a device code; `false` when its user code is taken, or when too many wait already. Those that ended before
/// `ended_ms` are swept out.
pub async fn insert_device_code(
    tx: &mut CommitTx,
    (hash, user_code): (TokenHash, TokenHash),
    code: &DeviceCodeRow,
    waiting: Waiting<'_>,
    (now_ms, ended_ms): (i64, i64),
) -> Result<bool, StorageError> {
    tx.sql().execute(SWEEP_DEVICE_CODES, args![ended_ms]).await?;
    let of_one = tx.sql().fetch_optional(COUNT_WAITING_OF, args![waiting.from, now_ms]).await?;
    let all = tx.sql().fetch_optional(COUNT_WAITING, args![now_ms]).await?;
    for (count, most) in [(of_one, waiting.most_of_one), (all, waiting.most)] {
        if count.map(|row| row.int(0)).transpose()?.unwrap_or_default() >= most {
            return Ok(false);
        }
    }
    let values = args![
        &hash.0[..],
        &user_code.0[..],
        code.client_id.as_str(),
        code.device_id.as_str(),
        code.scope.as_str(),
        code.expires_ms,
        waiting.from
    ];
    Ok(tx.sql().execute(INSERT_DEVICE_CODE, values).await? == 1)
}

/// What a device code stands for.
pub async fn get_device_code(
    db: &Database,
    hash: TokenHash,
) -> Result<Option<DeviceCodeRow>, StorageError> {
    let row = db.fetch_optional(GET_DEVICE_CODE, args![&hash.0[..]]).await?;
    row.as_ref().map(device_code).transpose()
}

/// The same by the code that its user types.
pub async fn by_user_code(
    db: &Database,
    user_code: TokenHash,
) -> Result<Option<DeviceCodeRow>, StorageError> {
    let row = db.fetch_optional(BY_USER_CODE, args![&user_code.0[..]]).await?;
    row.as_ref().map(device_code).transpose()
}

/// Notes what a user decided; `false` when it was decided already, or is too late.
pub async fn decide(
    tx: &mut CommitTx,
    user_code: TokenHash,
    decision: Decision,
    (user, origin): (&UserId, Option<&Origin>),
    now_ms: i64,
) -> Result<bool, StorageError> {
    let (provider, subject, sid) = Origin::columns(origin);
    let values =
        args![&user_code.0[..], decision.code(), user.as_str(), now_ms, provider, subject, sid];
    Ok(tx.sql().execute(DECIDE, values).await? == 1)
}

/// Takes a client's device code out.
pub async fn take_device_code(
    tx: &mut CommitTx,
    hash: TokenHash,
    client: &str,
) -> Result<Option<DeviceCodeRow>, StorageError> {
    let row = tx.sql().fetch_optional(TAKE_DEVICE_CODE, args![&hash.0[..], client]).await?;
    row.as_ref().map(device_code).transpose()
}

/// Ends what a user has granted and no client has come for yet.
pub async fn forget_grants(tx: &mut CommitTx, user: &UserId) -> Result<(), StorageError> {
    for sql in [FORGET_CODES, FORGET_GRANTED] {
        tx.sql().execute(sql, args![user.as_str()]).await?;
    }
    Ok(())
}

/// Whether an account is there and is neither closed nor locked, as the transaction sees it.
pub async fn is_active(tx: &mut CommitTx, user: &UserId) -> Result<bool, StorageError> {
    Ok(tx.sql().fetch_optional(IS_ACTIVE, args![user.as_str()]).await?.is_some())
}

/// Notes that a device's session was granted to a client, and what its refresh tokens carry; where it came by a code, that one, and until
/// when it is known again.
pub async fn insert_session(
    tx: &mut CommitTx,
    row: &SessionRow,
    family: TokenHash,
    code: Option<(TokenHash, i64)>,
) -> Result<(), StorageError> {
    let (code, until_ms) = (code.map(|(hash, _)| hash.0.to_vec()), code.map(|(_, until)| until));
    let (user, device) = (row.user_id.as_str(), row.device_id.as_str());
    let (client, scope) = (row.client_id.as_str(), row.scope.as_str());
    let values = args![user, device, client, scope, &family.0[..], code, until_ms];
    tx.sql().execute(INSERT_SESSION, values).await?;
    Ok(())
}

/// The session that a code gave, not long ago.
pub async fn session_of_code(
    tx: &mut CommitTx,
    code: TokenHash,
    now_ms: i64,
) -> Result<Option<SessionRow>, StorageError> {
    let row = tx.sql().fetch_optional(OF_CODE, args![&code.0[..], now_ms]).await?;
    row.as_ref().map(session).transpose()
}

/// The session whose refresh tokens carry this.
pub async fn session_of_family(
    db: &Database,
    family: TokenHash,
) -> Result<Option<SessionRow>, StorageError> {
    let row = db.fetch_optional(OF_FAMILY, args![&family.0[..]]).await?;
    row.as_ref().map(session).transpose()
}

/// The session of a refresh token that is good.
pub async fn session_of_refresh(
    db: &Database,
    refresh: TokenHash,
) -> Result<Option<SessionRow>, StorageError> {
    let row = db.fetch_optional(OF_REFRESH, args![&refresh.0[..]]).await?;
    row.as_ref().map(session).transpose()
}

/// Whether a device's session was granted to a client.
pub async fn is_granted(
    db: &Database,
    user: &UserId,
    device: &DeviceId,
) -> Result<bool, StorageError> {
    let row = db.fetch_optional(OF_DEVICE, args![user.as_str(), device.as_str()]).await?;
    Ok(row.is_some())
}
