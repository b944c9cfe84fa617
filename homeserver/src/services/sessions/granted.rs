//! Sessions that clients were granted by OAuth 2.0 (Client-Server API, "OAuth 2.0 API").
//!
//! All refresh tokens of such a session carry one secret. Whoever comes with a token that was used up shows by it that the
//! token has been in two hands, and the session ends.

use futures::FutureExt;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use super::{NewSession, Sessions, TokenHash, delete_devices, random_token};
use crate::commit::CommitTx;
use crate::http::error::ApiResult;
use crate::storage::external_ids::Origin;
use crate::storage::oauth::{CodeRow, DeviceCodeRow, SessionRow};
use crate::storage::{StorageError, devices, external_ids, oauth, tokens};

/// For how long a code that was used is known again: who finds an old one in a log ends nothing with it.
const CODE_KNOWN_MS: i64 = 60 * 60 * 1000;
/// How the refresh tokens of these sessions begin. Others have no dot.
const BEGINNING: &str = "or1.";

/// What a client made of what it was granted.
pub enum Redeemed {
    /// A session, and its scope.
    Session(NewSession, String),
    /// Nothing: it isn't good, or not for this client.
    Refused,
    /// Nothing: it was used before. What it gave has ended.
    Replayed(OwnedUserId, OwnedDeviceId),
}

/// What a client shows with an authorisation code.
#[derive(Debug, Clone)]
pub struct CodeProof {
    /// The code.
    pub code: String,
    /// Which client it says it is.
    pub client_id: String,
    /// Where it says it got the code.
    pub redirect_uri: String,
    /// The hash of its secret (RFC 7636).
    pub challenge: String,
    /// What to call a new device.
    pub display_name: Option<String>,
}

impl CodeProof {
    fn fits(&self, row: &CodeRow, now_ms: i64) -> bool {
        row.client_id == self.client_id
            && row.redirect_uri == self.redirect_uri
            && row.challenge == self.challenge
            && row.expires_ms > now_ms
    }
}

/// Whether a refresh token is of such a session.
pub fn is_granted(refresh_token: &str) -> bool {
    refresh_token.starts_with(BEGINNING)
}

/// What all refresh tokens of a session carry.
fn family(refresh_token: &str) -> Option<&str> {
    refresh_token.strip_prefix(BEGINNING)?.split_once('.').map(|(family, _)| family)
}

/// The refresh token that comes after this one.
pub(super) fn successor(refresh_token: &str) -> String {
    match family(refresh_token) {
        Some(family) => format!("{BEGINNING}{family}.{}", random_token()),
        None => random_token(),
    }
}

/// New tokens, and what is stored of them.
#[derive(Clone)]
struct Fresh {
    access_token: String,
    refresh_token: String,
    family: TokenHash,
    expires_ms: i64,
    now_ms: i64,
}

impl Fresh {
    async fn store(
        &self,
        tx: &mut CommitTx,
        session: &SessionRow,
        origin: Option<&Origin>,
        display_name: Option<&str>,
        code: Option<TokenHash>,
    ) -> Result<Vec<TokenHash>, StorageError> {
        let (user, device) = (&*session.user_id, &*session.device_id);
        let ended = tokens::delete_of_device(tx, user, device).await?;
        devices::upsert(tx, user, device, display_name, self.now_ms).await?;
        let (access, refresh) =
            (TokenHash::of(&self.access_token), TokenHash::of(&self.refresh_token));
        let expires_ms = Some(self.expires_ms);
        tokens::insert_access(tx, access, (user, device), expires_ms, Some(refresh), true).await?;
        tokens::insert_refresh(tx, refresh, user, device).await?;
        let code = code.map(|code| (code, self.now_ms + CODE_KNOWN_MS));
        oauth::insert_session(tx, session, self.family, code).await?;
        if let Some(origin) = origin {
            let now = self.now_ms;
            external_ids::insert_session(tx, access, origin, (user, device), now).await?;
        }
        Ok(ended)
    }
}

impl Sessions {
    fn fresh(&self) -> Fresh {
        let (family, now_ms) = (random_token(), self.clock.now_ms());
        Fresh {
            access_token: random_token(),
            refresh_token: format!("{BEGINNING}{family}.{}", random_token()),
            family: TokenHash::of(&family),
            expires_ms: now_ms + self.lifetime.as_millis() as i64,
            now_ms,
        }
    }

    fn session(&self, fresh: Fresh, device_id: OwnedDeviceId, scope: String) -> Redeemed {
        let session = NewSession {
            access_token: fresh.access_token,
            refresh_token: Some(fresh.refresh_token),
            expires_in: Some(self.lifetime),
            device_id,
        };
        Redeemed::Session(session, scope)
    }

    /// Trades an authorisation code for a session. A code is good for one attempt; one that comes again ends what it gave.
    pub async fn redeem_code(&self, proof: CodeProof) -> ApiResult<Redeemed> {
        enum Outcome {
            Session(OwnedDeviceId, String),
            Refused,
            Replayed(SessionRow),
        }
        let (fresh, counts) = (self.fresh(), self.counts.clone());
        let used = fresh.clone();
        let (outcome, ended) = self
            .committer
            .run(move |tx| {
                let (fresh, proof, counts) = (used.clone(), proof.clone(), counts.clone());
                async move {
                    let hash = TokenHash::of(&proof.code);
                    let Some(row) = oauth::take_code(tx, hash).await? else {
                        let Some(session) = oauth::session_of_code(tx, hash, fresh.now_ms).await?
                        else {
                            return Ok((Outcome::Refused, Vec::new()));
                        };
                        let ids = [session.device_id.clone()];
                        let ended = delete_devices(tx, &counts, &session.user_id, &ids).await?;
                        return Ok((Outcome::Replayed(session), ended));
                    };
                    if !proof.fits(&row, fresh.now_ms)
                        || !oauth::is_active(tx, &row.user_id).await?
                    {
                        return Ok((Outcome::Refused, Vec::new()));
                    }
                    let session = SessionRow {
                        user_id: row.user_id,
                        device_id: row.device_id,
                        client_id: row.client_id,
                        scope: row.scope,
                    };
                    let (name, origin) = (proof.display_name.as_deref(), row.origin.as_ref());
                    let ended = fresh.store(tx, &session, origin, name, Some(hash)).await?;
                    Ok((Outcome::Session(session.device_id, session.scope), ended))
                }
                .boxed()
            })
            .await?;
        self.forget(&ended);
        Ok(match outcome {
            Outcome::Session(device, scope) => self.session(fresh, device, scope),
            Outcome::Refused => Redeemed::Refused,
            Outcome::Replayed(session) => Redeemed::Replayed(session.user_id, session.device_id),
        })
    }

    /// Trades a device code that was granted for a session (RFC 8628).
    pub async fn redeem_device_code(
        &self,
        code: &str,
        client_id: &str,
        display_name: Option<String>,
    ) -> ApiResult<Redeemed> {
        let (fresh, hash, client) = (self.fresh(), TokenHash::of(code), client_id.to_owned());
        let used = fresh.clone();
        let done = self
            .committer
            .run(move |tx| {
                let (fresh, client) = (used.clone(), client.clone());
                let name = display_name.clone();
                async move {
                    let row = oauth::take_device_code(tx, hash, &client).await?;
                    let Some(DeviceCodeRow {
                        user_id: Some(user_id),
                        device_id,
                        scope,
                        decision: oauth::Decision::Granted,
                        origin,
                        ..
                    }) = row
                    else {
                        return Ok(None);
                    };
                    if !oauth::is_active(tx, &user_id).await? {
                        return Ok(None);
                    }
                    let session = SessionRow { user_id, device_id, client_id: client, scope };
                    let (name, origin) = (name.as_deref(), origin.as_ref());
                    let ended = fresh.store(tx, &session, origin, name, None).await?;
                    Ok(Some((session, ended)))
                }
                .boxed()
            })
            .await?;
        let Some((session, ended)) = done else { return Ok(Redeemed::Refused) };
        self.forget(&ended);
        Ok(self.session(fresh, session.device_id, session.scope))
    }

    /// Trades a refresh token for new tokens, for the client that it was given to. Also where the account is locked: a refusal would make
    /// the client forget the session, and what it asks with the new tokens is refused anyway.
    pub async fn refresh_granted(
        &self,
        refresh_token: &str,
        client_id: &str,
    ) -> ApiResult<Redeemed> {
        let Some(session) =
            oauth::session_of_refresh(&self.db, TokenHash::of(refresh_token)).await?
        else {
            return Ok(match self.session_of_family(refresh_token).await? {
                Some(session) => {
                    self.end(&session.user_id, std::slice::from_ref(&session.device_id)).await?;
                    Redeemed::Replayed(session.user_id, session.device_id)
                }
                None => Redeemed::Refused,
            });
        };
        if session.client_id != client_id {
            return Ok(Redeemed::Refused);
        }
        match self.refresh(refresh_token).await {
            Ok(new) => Ok(Redeemed::Session(new, session.scope)),
            // It was good a moment ago.
            Err(error) if error.errcode == "M_UNKNOWN_TOKEN" => Ok(Redeemed::Refused),
            Err(error) => Err(error),
        }
    }

    /// Whether a device's session was granted to a client.
    pub async fn was_granted(
        &self,
        user: &UserId,
        device: &DeviceId,
    ) -> Result<bool, StorageError> {
        oauth::is_granted(&self.db, user, device).await
    }

    /// What a refresh token that is good was granted for.
    pub async fn granted_scope(&self, refresh_token: &str) -> Result<Option<String>, StorageError> {
        let session = oauth::session_of_refresh(&self.db, TokenHash::of(refresh_token)).await?;
        Ok(session.map(|session| session.scope))
    }

    async fn session_of_family(&self, token: &str) -> Result<Option<SessionRow>, StorageError> {
        match family(token) {
            Some(family) => oauth::session_of_family(&self.db, TokenHash::of(family)).await,
            None => Ok(None),
        }
    }

    /// Whose session a token is of, be it an access token or a refresh token, and one that has ended too where it is still known
    /// whose it was (RFC 7009).
    pub async fn owner(
        &self,
        token: &str,
    ) -> Result<Option<(OwnedUserId, OwnedDeviceId)>, StorageError> {
        let hash = TokenHash::of(token);
        if let Some(row) = tokens::get_access(&self.db, hash).await? {
            return Ok(Some((row.user_id, row.device_id)));
        }
        if let Some(of) = tokens::refresh_session(&self.db, hash).await? {
            return Ok(Some(of));
        }
        let session = self.session_of_family(token).await?;
        Ok(session.map(|session| (session.user_id, session.device_id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refresh_tokens_keep_their_family() {
        let first = "or1.abc.def";
        let next = successor(first);
        assert!(is_granted(&next) && next != first);
        assert_eq!(family(&next), Some("abc"));
        assert!(!is_granted(&successor("abcdef")) && family("abc.def").is_none());
    }
}
