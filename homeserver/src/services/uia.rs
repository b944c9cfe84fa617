//! User-interactive authentication (Client-Server API, "User-Interactive Authentication API").
//!
//! Sessions are few, short and in memory: a restart asks clients to begin again, which they know how to do.

pub mod oauth;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use quick_cache::sync::Cache;
use ruma::{OwnedUserId, ServerName, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::clock::Clock;
use crate::http::error::{ApiError, ApiResult};
use crate::services::accounts::Accounts;
use crate::services::registration_tokens::RegistrationTokens;
use crate::services::sessions::random_token;
use crate::services::threepids::{Proven, Purpose, Threepids};

const SESSIONS: usize = 10_000;

/// The stage that asks for the account's password.
pub const PASSWORD: &str = "m.login.password";
/// The stage that asks for nothing.
pub const DUMMY: &str = "m.login.dummy";
/// The stage that asks for a registration token.
pub const REGISTRATION_TOKEN: &str = "m.login.registration_token";

/// The stage that asks for an identity at a provider, on the fallback page.
pub const SSO: &str = "m.login.sso";
/// The stage that asks for an e-mail address that was proven.
pub const EMAIL_IDENTITY: &str = "m.login.email.identity";

/// One way to authenticate: its stages in order.
pub type Flow = &'static [&'static str];

/// What is being authorised.
#[derive(Debug, Clone)]
pub struct Operation<'a> {
    /// A name for it; a session is good for one operation only.
    pub name: &'a str,
    /// Whose account it is about; none for registration.
    pub user: Option<&'a UserId>,
    /// The ways to authenticate.
    pub flows: &'a [Flow],
}

/// The `auth` object of a request.
#[derive(Clone, Default, Deserialize)]
pub struct Auth {
    /// The stage that is attempted; none to go on after a fallback page.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The session.
    pub session: Option<String>,
    /// Who, for the password stage.
    pub identifier: Option<Map<String, Value>>,
    /// Who, as clients said it before there were identifiers.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// The registration token.
    pub token: Option<String>,
    /// The proof of an e-mail address.
    pub threepid_creds: Option<ThreepidCreds>,
    /// The same as clients spelled it first; many send both.
    #[serde(rename = "threepidCreds")]
    pub old_threepid_creds: Option<ThreepidCreds>,
}

/// A client's proof of an address.
#[derive(Clone, Deserialize)]
pub struct ThreepidCreds {
    /// The proof's ID.
    pub sid: String,
    /// The client's secret.
    pub client_secret: String,
}

/// What is known of whoever passed.
#[derive(Debug, Clone, Default)]
pub struct Passed {
    /// The registration token that was shown and is to be counted.
    pub token: Option<String>,
    /// The e-mail address that was proven on the way.
    pub email: Option<Proven>,
}

#[derive(Clone)]
struct Session {
    operation: Arc<str>,
    user: Option<OwnedUserId>,
    completed: Vec<&'static str>,
    /// The registration token that was shown, if its uses are counted.
    token: Option<String>,
    email: Option<Proven>,
    until_ms: i64,
}

/// The sessions that are under way.
pub struct Uia {
    clock: Arc<dyn Clock>,
    lifetime_ms: i64,
    tokens: RegistrationTokens,
    threepids: Threepids,
    sessions: Cache<String, Session>,
}

impl Uia {
    /// No sessions yet.
    pub fn new(
        clock: Arc<dyn Clock>,
        lifetime: Duration,
        tokens: RegistrationTokens,
        threepids: Threepids,
    ) -> Self {
        Self {
            clock,
            lifetime_ms: lifetime.as_millis() as i64,
            tokens,
            threepids,
            sessions: Cache::new(SESSIONS),
        }
    }

    /// Lets an operation pass, or answers what is still to be done (401 with `flows`, `params` and `session`).
    pub async fn authorise(
        &self,
        accounts: &Accounts,
        server: &ServerName,
        operation: Operation<'_>,
        auth: Option<&Auth>,
    ) -> ApiResult<Passed> {
        let Some(auth) = auth else { return Err(self.challenge(&operation, None, None)) };
        let id = auth.session.as_deref();
        let mut session = match id {
            None => self.fresh(&operation),
            Some(id) => match self.live(id) {
                Some(session)
                    if *session.operation == *operation.name
                        && session.user.as_deref() == operation.user =>
                {
                    session
                }
                Some(_) => {
                    return Err(ApiError::forbidden("This session authorises something else"));
                }
                None => {
                    let error = ApiError::unknown("The session is unknown or took too long");
                    return Err(self.challenge(&operation, None, Some(error)));
                }
            },
        };
        if let Some(kind) = auth.kind.as_deref() {
            let known =
                operation.flows.iter().flat_map(|flow| flow.iter()).find(|stage| **stage == kind);
            let Some(stage) = known else {
                let error = ApiError::new(
                    StatusCode::BAD_REQUEST,
                    "M_UNRECOGNIZED",
                    "That stage is not among the flows",
                );
                return Err(self.challenge(&operation, id, Some(error)));
            };
            match self.attempt(accounts, server, (&operation, &session), auth, stage).await {
                Ok(passed) => {
                    session.token = passed.token.or(session.token);
                    session.email = passed.email.or(session.email);
                    if !session.completed.contains(stage) {
                        session.completed.push(stage);
                    }
                }
                Err(error) if error.status == StatusCode::UNAUTHORIZED => {
                    return Err(self.challenge(&operation, id, Some(error)));
                }
                Err(error) => return Err(error),
            }
        }
        let done = operation
            .flows
            .iter()
            .any(|flow| flow.iter().all(|stage| session.completed.contains(stage)));
        match (done, id) {
            (true, id) => {
                if let Some(id) = id {
                    self.sessions.remove(id);
                }
                Ok(Passed { token: session.token, email: session.email })
            }
            (false, id) => {
                let id = id.map_or_else(random_token, ToOwned::to_owned);
                self.sessions.insert(id.clone(), session);
                Err(self.challenge(&operation, Some(&id), None))
            }
        }
    }

    /// Completes a stage from a fallback page; `false` when there is no such session or the answer is wrong.
    pub async fn complete(&self, id: &str, stage: &str, token: Option<&str>) -> ApiResult<bool> {
        let Some(mut session) = self.live(id) else { return Ok(false) };
        let stage = match stage {
            DUMMY => DUMMY,
            REGISTRATION_TOKEN => {
                let Some(token) = token else { return Ok(false) };
                if !self.token_fits(token, Some(&session)).await? {
                    return Ok(false);
                }
                session.token = self.counted(token);
                REGISTRATION_TOKEN
            }
            _ => return Ok(false),
        };
        if !session.completed.contains(&stage) {
            session.completed.push(stage);
        }
        self.sessions.insert(id.to_owned(), session);
        Ok(true)
    }

    /// Completes the stage of an e-mail address with a proof that the fallback page began; `false` when there is no such session, or the
    /// address is not proven yet.
    pub async fn complete_email(&self, id: &str, sid: &str, secret: &str) -> ApiResult<bool> {
        let Some(mut session) = self.live(id) else { return Ok(false) };
        let purpose = purpose(&session.operation);
        match self.threepids.proven(purpose, sid, secret).await {
            Ok(email) => session.email = Some(email),
            Err(error) if error.errcode == "M_THREEPID_AUTH_FAILED" => return Ok(false),
            Err(error) => return Err(error),
        }
        if !session.completed.contains(&EMAIL_IDENTITY) {
            session.completed.push(EMAIL_IDENTITY);
        }
        self.sessions.insert(id.to_owned(), session);
        Ok(true)
    }

    /// What a session that is under way is about: the operation, and whose account it concerns.
    pub fn waiting(&self, id: &str) -> Option<(Arc<str>, Option<OwnedUserId>)> {
        self.live(id).map(|session| (session.operation, session.user))
    }

    /// Completes a stage for the user whom a session concerns, who has shown elsewhere that it is them; `false` when the session is over
    /// or concerns somebody else.
    pub fn confirmed(&self, id: &str, stage: &'static str, user: &UserId) -> bool {
        let session = self.live(id).filter(|session| session.user.as_deref() == Some(user));
        let Some(mut session) = session else { return false };
        if !session.completed.contains(&stage) {
            session.completed.push(stage);
        }
        self.sessions.insert(id.to_owned(), session);
        true
    }

    /// Whether somebody could register with a token now.
    pub async fn token_is_good(&self, token: &str) -> ApiResult<bool> {
        self.token_fits(token, None).await
    }

    /// The same in a session that may have shown it before.
    async fn token_fits(&self, token: &str, session: Option<&Session>) -> ApiResult<bool> {
        let own = session.is_some_and(|session| session.token.as_deref() == Some(token));
        let pending = self.pending(token) - i64::from(own);
        Ok(self.tokens.is_good(token, pending).await?)
    }

    /// A token whose uses are counted; those in the settings are for everybody.
    fn counted(&self, token: &str) -> Option<String> {
        (!self.tokens.is_configured(token)).then(|| token.to_owned())
    }

    /// How many have shown a registration token and are not done.
    pub fn pending(&self, token: &str) -> i64 {
        self.all_pending().get(token).copied().unwrap_or(0)
    }

    /// The same of all tokens that were shown.
    pub fn all_pending(&self) -> HashMap<String, i64> {
        let now = self.clock.now_ms();
        let mut pending = HashMap::new();
        for (_, session) in self.sessions.iter().filter(|(_, session)| session.until_ms > now) {
            if let Some(token) = session.token {
                *pending.entry(token).or_insert(0) += 1;
            }
        }
        pending
    }

    async fn attempt(
        &self,
        accounts: &Accounts,
        server: &ServerName,
        (operation, session): (&Operation<'_>, &Session),
        auth: &Auth,
        stage: &str,
    ) -> ApiResult<Passed> {
        match stage {
            DUMMY => Ok(Passed::default()),
            SSO => Err(refused("Open the fallback page of m.login.sso in a browser")),
            EMAIL_IDENTITY => {
                let email = self.proven(operation, auth).await?;
                Ok(Passed { email: Some(email), ..Passed::default() })
            }
            REGISTRATION_TOKEN => {
                let token = auth.token.as_deref().ok_or_else(|| ApiError::missing("token"))?;
                if self.token_fits(token, Some(session)).await? {
                    Ok(Passed { token: self.counted(token), ..Passed::default() })
                } else {
                    Err(refused("That registration token is not valid"))
                }
            }
            _ => {
                let password =
                    auth.password.as_deref().ok_or_else(|| ApiError::missing("password"))?;
                let named = match (&auth.identifier, &auth.user) {
                    (Some(identifier), _) => named(&self.threepids, identifier, server).await?,
                    (None, Some(user)) => Some(login_user(user, server)?),
                    (None, None) => return Err(ApiError::missing("identifier")),
                };
                let named = named.filter(|named| Some(&**named) == operation.user);
                let named = named.ok_or_else(|| {
                    ApiError::forbidden("Authenticate as the user whose account this is about")
                })?;
                if accounts.password_fits(&named, password).await? {
                    Ok(Passed::default())
                } else {
                    Err(refused("The password is not right"))
                }
            }
        }
    }

    /// The address that a client has proven for what it is about to do.
    async fn proven(&self, operation: &Operation<'_>, auth: &Auth) -> ApiResult<Proven> {
        let creds = auth.threepid_creds.as_ref().or(auth.old_threepid_creds.as_ref());
        let creds = creds.ok_or_else(|| ApiError::missing("threepid_creds"))?;
        let purpose = purpose(operation.name);
        let proven = self.threepids.proven(purpose, &creds.sid, &creds.client_secret).await;
        // Clients ask again and again until the link was followed.
        proven.map_err(|error| match &*error.errcode {
            "M_THREEPID_AUTH_FAILED" => error.status(StatusCode::UNAUTHORIZED),
            _ => error,
        })
    }

    fn live(&self, id: &str) -> Option<Session> {
        self.sessions.get(id).filter(|session| session.until_ms > self.clock.now_ms())
    }

    fn fresh(&self, operation: &Operation<'_>) -> Session {
        Session {
            operation: operation.name.into(),
            user: operation.user.map(ToOwned::to_owned),
            completed: Vec::new(),
            token: None,
            email: None,
            until_ms: self.clock.now_ms() + self.lifetime_ms,
        }
    }

    /// The 401 that tells what is to be done; with `error`, why the last attempt failed.
    fn challenge(
        &self,
        operation: &Operation<'_>,
        id: Option<&str>,
        error: Option<ApiError>,
    ) -> ApiError {
        let known = id.and_then(|id| self.live(id).map(|session| (id.to_owned(), session)));
        let (id, session) = known.unwrap_or_else(|| {
            let (id, session) = (random_token(), self.fresh(operation));
            self.sessions.insert(id.clone(), session.clone());
            (id, session)
        });
        let flows: Vec<Value> =
            operation.flows.iter().map(|flow| json!({ "stages": flow })).collect();
        let mut answer = error.unwrap_or_else(|| refused("Additional authentication is needed"));
        answer.status = StatusCode::UNAUTHORIZED;
        answer = answer.with("flows", flows).with("params", json!({})).with("session", id);
        if !session.completed.is_empty() {
            answer = answer.with("completed", json!(session.completed));
        }
        answer
    }
}

/// What an address is proven for in an operation.
pub fn purpose(operation: &str) -> Purpose {
    match operation {
        "register" => Purpose::Register,
        _ => Purpose::Password,
    }
}

fn refused(text: &'static str) -> ApiError {
    ApiError::forbidden(text).status(StatusCode::UNAUTHORIZED)
}

/// Who an `identifier` object names, if anybody; telephones are nobody's here (Client-Server API, "Identifier types").
pub async fn named(
    threepids: &Threepids,
    identifier: &Map<String, Value>,
    server: &ServerName,
) -> ApiResult<Option<OwnedUserId>> {
    let text = |key: &str| {
        let missing = || ApiError::missing_param(format!("identifier.{key} is missing"));
        identifier.get(key).and_then(Value::as_str).ok_or_else(missing)
    };
    match text("type")? {
        "m.id.user" => login_user(text("user")?, server).map(Some),
        "m.id.thirdparty" => threepids.owner(text("medium")?, text("address")?).await,
        "m.id.phone" => Ok(None),
        other => Err(ApiError::unknown(format!("Identifiers of type {other:?} are not known"))),
    }
}

/// The user that somebody who logs in names, by localpart or whole ID.
pub fn login_user(name: &str, server: &ServerName) -> ApiResult<OwnedUserId> {
    let parsed = if name.starts_with('@') {
        UserId::parse(name)
    } else {
        UserId::parse(format!("@{name}:{server}"))
    };
    parsed.map_err(|_| ApiError::forbidden("The user name or the password is not right"))
}

impl std::fmt::Debug for Uia {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uia").field("sessions", &self.sessions.len()).finish_non_exhaustive()
    }
}
