//! Access, refresh and short-lived tokens. Only their SHA-256 is kept: who reads the database can't act as anyone.

use landbridge_database::{Database, args};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use sha2::{Digest, Sha256};

use crate::commit::CommitTx;
use crate::storage::StorageError;
use crate::storage::accounts::parse_user;

const INSERT_ACCESS: &str =
    "INSERT INTO access_tokens (hash, user_id, device_id, expires_ms, refresh, used)
    VALUES ($1, $2, $3, $4, $5, $6)";
const GET_ACCESS: &str =
    "SELECT t.user_id, t.device_id, t.expires_ms, t.used, t.refresh, a.kind, o.scope
    FROM access_tokens t JOIN accounts a ON a.user_id = t.user_id
    LEFT JOIN oauth_sessions o ON o.user_id = t.user_id AND o.device_id = t.device_id
    WHERE t.hash = $1 AND a.deactivated = 0";
const INSERT_MADE_BY: &str =
    "INSERT INTO access_tokens (hash, user_id, device_id, expires_ms, refresh, used, made_by)
    VALUES ($1, $2, '', $3, NULL, 1, $4)";
const DELETE_MADE_BY: &str = "DELETE FROM access_tokens WHERE made_by = $1 RETURNING hash";
const DELETE_ONE: &str = "DELETE FROM access_tokens WHERE hash = $1";
const USE_ACCESS: &str = "UPDATE access_tokens SET used = 1 WHERE hash = $1";
const DELETE_OF_DEVICE: &str =
    "DELETE FROM access_tokens WHERE user_id = $1 AND device_id = $2 RETURNING hash";
const DELETE_OF_REFRESH: &str = "DELETE FROM access_tokens WHERE refresh = $1 RETURNING hash";
const INSERT_REFRESH: &str =
    "INSERT INTO refresh_tokens (hash, user_id, device_id) VALUES ($1, $2, $3)";
const GET_REFRESH: &str =
    "SELECT user_id, device_id, successor FROM refresh_tokens WHERE hash = $1";
const REFRESH_OWNER: &str = "SELECT user_id, device_id FROM refresh_tokens WHERE hash = $1";
const SET_SUCCESSOR: &str = "UPDATE refresh_tokens SET successor = $2 WHERE hash = $1";
const PREDECESSORS: &str = "DELETE FROM refresh_tokens WHERE successor = $1 RETURNING hash";
const DELETE_REFRESH: &str = "DELETE FROM refresh_tokens WHERE hash = $1";
const DELETE_REFRESH_OF_DEVICE: &str =
    "DELETE FROM refresh_tokens WHERE user_id = $1 AND device_id = $2";
const DELETE_OAUTH_OF_DEVICE: &str =
    "DELETE FROM oauth_sessions WHERE user_id = $1 AND device_id = $2";
const DELETE_SSO_OF_DEVICE: &str = "DELETE FROM sso_sessions WHERE user_id = $1 AND device_id = $2";
const INSERT_SHORT: &str =
    "INSERT INTO short_tokens (hash, purpose, user_id, expires_ms) VALUES ($1, $2, $3, $4)";
const PURGE_SHORT: &str = "DELETE FROM short_tokens WHERE expires_ms < $1";
const PEEK_SHORT: &str =
    "SELECT user_id, expires_ms FROM short_tokens WHERE hash = $1 AND purpose = $2";
const FORGET_SHORT: &str = "DELETE FROM short_tokens WHERE purpose = $1 AND user_id = $2";
const TAKE_SHORT: &str =
    "DELETE FROM short_tokens WHERE hash = $1 AND purpose = $2 RETURNING user_id, expires_ms";

/// The SHA-256 of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// Hashes a token. Tokens are 256 random bits, so that a plain hash is enough.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    pub(super) fn from_blob(blob: &[u8]) -> Result<Self, StorageError> {
        blob.try_into()
            .map(Self)
            .map_err(|_| StorageError::Damaged("access_tokens.hash: not 32 bytes".into()))
    }
}

/// An access token as stored.
#[derive(Debug, Clone)]
pub struct AccessRow {
    /// Whose it is.
    pub user_id: OwnedUserId,
    /// The device it is for.
    pub device_id: OwnedDeviceId,
    /// When it stops being good.
    pub expires_ms: Option<i64>,
    /// Whether it has been shown at least once since a refresh made it.
    pub used: bool,
    /// The refresh token that came with it.
    pub refresh: Option<TokenHash>,
    /// Whether the account is a guest's.
    pub guest: bool,
    /// What a client was granted with it by OAuth 2.0, if it was.
    pub scope: Option<String>,
}

/// A refresh token as stored.
#[derive(Debug, Clone)]
pub struct RefreshRow {
    /// Whose it is.
    pub user_id: OwnedUserId,
    /// The device it is for.
    pub device_id: OwnedDeviceId,
    /// The refresh token given out for it; it counts as used up once that one or its access token is shown.
    pub successor: Option<TokenHash>,
}

/// Stores an access token.
pub async fn insert_access(
    tx: &mut CommitTx,
    token: TokenHash,
    of: (&UserId, &DeviceId),
    expires_ms: Option<i64>,
    refresh: Option<TokenHash>,
    used: bool,
) -> Result<(), StorageError> {
    let refresh = refresh.map(|hash| hash.0.to_vec());
    let values = args![&token.0[..], of.0.as_str(), of.1.as_str(), expires_ms, refresh, used];
    tx.sql().execute(INSERT_ACCESS, values).await?;
    Ok(())
}

/// Stores an access token with which somebody else acts as a user. It belongs to no device: its device ID is empty.
pub async fn insert_made_by(
    tx: &mut CommitTx,
    token: TokenHash,
    user: &UserId,
    by: &UserId,
    expires_ms: Option<i64>,
) -> Result<(), StorageError> {
    let values = args![&token.0[..], user.as_str(), expires_ms, by.as_str()];
    tx.sql().execute(INSERT_MADE_BY, values).await?;
    Ok(())
}

/// Deletes the tokens with which somebody acts as others; they are returned.
pub async fn delete_made_by(
    tx: &mut CommitTx,
    by: &UserId,
) -> Result<Vec<TokenHash>, StorageError> {
    let rows = tx.sql().fetch(DELETE_MADE_BY, args![by.as_str()]).await?;
    rows.iter().map(|row| TokenHash::from_blob(&row.blob(0)?)).collect()
}

/// Deletes one access token.
pub async fn delete_one(tx: &mut CommitTx, token: TokenHash) -> Result<(), StorageError> {
    tx.sql().execute(DELETE_ONE, args![&token.0[..]]).await?;
    Ok(())
}

/// Finds an access token. Those of deactivated accounts are dead, even where a crash kept them from being deleted.
pub async fn get_access(
    db: &Database,
    token: TokenHash,
) -> Result<Option<AccessRow>, StorageError> {
    let Some(row) = db.fetch_optional(GET_ACCESS, args![&token.0[..]]).await? else {
        return Ok(None);
    };
    Ok(Some(AccessRow {
        user_id: parse_user(&row.text(0)?)?,
        device_id: row.text(1)?.into(),
        expires_ms: row.opt_int(2)?,
        used: row.bool(3)?,
        refresh: row.opt_blob(4)?.map(|blob| TokenHash::from_blob(&blob)).transpose()?,
        guest: row.int(5)? == 1,
        scope: row.opt_text(6)?,
    }))
}

/// Notes that an access token has been shown, which ends the tokens it followed. The access tokens deleted so.
pub async fn use_access(
    tx: &mut CommitTx,
    token: TokenHash,
    refresh: Option<TokenHash>,
) -> Result<Vec<TokenHash>, StorageError> {
    tx.sql().execute(USE_ACCESS, args![&token.0[..]]).await?;
    match refresh {
        Some(refresh) => end_predecessors(tx, refresh).await,
        None => Ok(Vec::new()),
    }
}

/// Deletes the refresh tokens that `refresh` followed, and their access tokens, which are returned.
pub async fn end_predecessors(
    tx: &mut CommitTx,
    refresh: TokenHash,
) -> Result<Vec<TokenHash>, StorageError> {
    let mut ended = Vec::new();
    for row in tx.sql().fetch(PREDECESSORS, args![&refresh.0[..]]).await? {
        ended.extend(delete_of_refresh(tx, &row.blob(0)?).await?);
    }
    Ok(ended)
}

async fn delete_of_refresh(
    tx: &mut CommitTx,
    refresh: &[u8],
) -> Result<Vec<TokenHash>, StorageError> {
    let rows = tx.sql().fetch(DELETE_OF_REFRESH, args![refresh]).await?;
    rows.iter().map(|row| TokenHash::from_blob(&row.blob(0)?)).collect()
}

/// Deletes all tokens of a device, and what is known of where they came from; its access tokens are returned.
pub async fn delete_of_device(
    tx: &mut CommitTx,
    user: &UserId,
    device: &DeviceId,
) -> Result<Vec<TokenHash>, StorageError> {
    for sql in [DELETE_REFRESH_OF_DEVICE, DELETE_OAUTH_OF_DEVICE, DELETE_SSO_OF_DEVICE] {
        tx.sql().execute(sql, args![user.as_str(), device.as_str()]).await?;
    }
    let rows = tx.sql().fetch(DELETE_OF_DEVICE, args![user.as_str(), device.as_str()]).await?;
    rows.iter().map(|row| TokenHash::from_blob(&row.blob(0)?)).collect()
}

/// Stores a refresh token.
pub async fn insert_refresh(
    tx: &mut CommitTx,
    token: TokenHash,
    user: &UserId,
    device: &DeviceId,
) -> Result<(), StorageError> {
    tx.sql().execute(INSERT_REFRESH, args![&token.0[..], user.as_str(), device.as_str()]).await?;
    Ok(())
}

/// Finds a refresh token, as the transaction sees it.
pub async fn get_refresh(
    tx: &mut CommitTx,
    token: TokenHash,
) -> Result<Option<RefreshRow>, StorageError> {
    let Some(row) = tx.sql().fetch_optional(GET_REFRESH, args![&token.0[..]]).await? else {
        return Ok(None);
    };
    Ok(Some(RefreshRow {
        user_id: parse_user(&row.text(0)?)?,
        device_id: row.text(1)?.into(),
        successor: row.opt_blob(2)?.map(|blob| TokenHash::from_blob(&blob)).transpose()?,
    }))
}

/// Whose a refresh token is.
pub async fn refresh_owner(
    db: &Database,
    token: TokenHash,
) -> Result<Option<OwnedUserId>, StorageError> {
    let row = db.fetch_optional(REFRESH_OWNER, args![&token.0[..]]).await?;
    row.map(|row| parse_user(&row.text(0)?)).transpose()
}

/// Whose a refresh token is, and for which device.
pub async fn refresh_session(
    db: &Database,
    token: TokenHash,
) -> Result<Option<(OwnedUserId, OwnedDeviceId)>, StorageError> {
    let row = db.fetch_optional(REFRESH_OWNER, args![&token.0[..]]).await?;
    row.map(|row| Ok((parse_user(&row.text(0)?)?, row.text(1)?.into()))).transpose()
}

/// Gives a refresh token its successor. An earlier successor that nobody has shown is forgotten with its access tokens,
/// which are returned: the client never got that answer.
pub async fn set_successor(
    tx: &mut CommitTx,
    token: TokenHash,
    earlier: Option<TokenHash>,
    successor: TokenHash,
) -> Result<Vec<TokenHash>, StorageError> {
    let mut ended = Vec::new();
    if let Some(earlier) = earlier {
        tx.sql().execute(DELETE_REFRESH, args![&earlier.0[..]]).await?;
        ended = delete_of_refresh(tx, &earlier.0).await?;
    }
    tx.sql().execute(SET_SUCCESSOR, args![&token.0[..], &successor.0[..]]).await?;
    Ok(ended)
}

/// Stores a token that is good once and for a short while (`m.login.token`), and sweeps out the expired.
pub async fn insert_short(
    tx: &mut CommitTx,
    token: TokenHash,
    purpose: &str,
    user: &UserId,
    expires_ms: i64,
    now_ms: i64,
) -> Result<(), StorageError> {
    tx.sql().execute(PURGE_SHORT, args![now_ms]).await?;
    tx.sql().execute(INSERT_SHORT, args![&token.0[..], purpose, user.as_str(), expires_ms]).await?;
    Ok(())
}

/// Whose a short-lived token is, if it is good; it stays good.
pub async fn peek_short(
    db: &Database,
    token: TokenHash,
    purpose: &str,
    now_ms: i64,
) -> Result<Option<OwnedUserId>, StorageError> {
    match db.fetch_optional(PEEK_SHORT, args![&token.0[..], purpose]).await? {
        Some(row) if row.int(1)? >= now_ms => Ok(Some(parse_user(&row.text(0)?)?)),
        _ => Ok(None),
    }
}

/// Ends all of a user's short-lived tokens for one purpose.
pub async fn forget_short(
    tx: &mut CommitTx,
    purpose: &str,
    user: &UserId,
) -> Result<(), StorageError> {
    tx.sql().execute(FORGET_SHORT, args![purpose, user.as_str()]).await?;
    Ok(())
}

/// Takes a short-lived token out: it is good once.
pub async fn take_short(
    tx: &mut CommitTx,
    token: TokenHash,
    purpose: &str,
    now_ms: i64,
) -> Result<Option<OwnedUserId>, StorageError> {
    let row = tx.sql().fetch_optional(TAKE_SHORT, args![&token.0[..], purpose]).await?;
    match row {
        Some(row) if row.int(1)? >= now_ms => Ok(Some(parse_user(&row.text(0)?)?)),
        _ => Ok(None),
    }
}
