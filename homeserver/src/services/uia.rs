//! User-interactive authentication (Client-Server API, "User-Interactive Authentication API").
//!
//! Sessions are few, short and in memory: a restart asks clients to begin again, which they know how to do.

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
use crate::services::sessions::random_token;

const SESSIONS: usize = 10_000;

/// The stage that asks for the account's password.
pub const PASSWORD: &str = "m.login.password";
/// The stage that asks for nothing.
pub const DUMMY: &str = "m.login.dummy";
/// The stage that asks for a registration token.
pub const REGISTRATION_TOKEN: &str = "m.login.registration_token";

/// The stage that asks for an identity at a provider, on the fallback page.
pub const SSO: &str = "m.login.sso";

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
}

#[derive(Clone)]
struct Session {
    operation: Arc<str>,
    user: Option<OwnedUserId>,
    completed: Vec<&'static str>,
    until_ms: i64,
}

/// The sessions that are under way.
pub struct Uia {
    clock: Arc<dyn Clock>,
    lifetime_ms: i64,
    tokens: Vec<crate::config::Secret>,
    sessions: Cache<String, Session>,
}

impl Uia {
    /// No sessions yet. `tokens` are the registration tokens.
    pub fn new(
        clock: Arc<dyn Clock>,
        lifetime: Duration,
        tokens: Vec<crate::config::Secret>,
    ) -> Self {
        Self {
            clock,
            lifetime_ms: lifetime.as_millis() as i64,
            tokens,
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
    ) -> ApiResult<()> {
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
            match self.attempt(accounts, server, &operation, auth, stage).await {
                Ok(()) => {
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
            (true, Some(id)) => {
                self.sessions.remove(id);
                Ok(())
            }
            (true, None) => Ok(()),
            (false, id) => {
                let id = id.map_or_else(random_token, ToOwned::to_owned);
                self.sessions.insert(id.clone(), session);
                Err(self.challenge(&operation, Some(&id), None))
            }
        }
    }

    /// Completes a stage from a fallback page; `false` when there is no such session or the answer is wrong.
    pub fn complete(&self, id: &str, stage: &str, token: Option<&str>) -> bool {
        let Some(mut session) = self.live(id) else { return false };
        let stage = match stage {
            DUMMY => DUMMY,
            REGISTRATION_TOKEN if token.is_some_and(|token| self.token_fits(token)) => {
                REGISTRATION_TOKEN
            }
            _ => return false,
        };
        if !session.completed.contains(&stage) {
            session.completed.push(stage);
        }
        self.sessions.insert(id.to_owned(), session);
        true
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

    /// Whether this is one of the registration tokens.
    pub fn token_fits(&self, token: &str) -> bool {
        // Compared as hashes, so that the time taken tells nothing of how much was right.
        let hash = crate::storage::tokens::TokenHash::of(token);
        self.tokens
            .iter()
            .any(|known| crate::storage::tokens::TokenHash::of(known.expose()) == hash)
    }

    async fn attempt(
        &self,
        accounts: &Accounts,
        server: &ServerName,
        operation: &Operation<'_>,
        auth: &Auth,
        stage: &str,
    ) -> ApiResult<()> {
        match stage {
            DUMMY => Ok(()),
            SSO => Err(refused("Open the fallback page of m.login.sso in a browser")),
            REGISTRATION_TOKEN => {
                let token = auth
                    .token
                    .as_deref()
                    .ok_or_else(|| ApiError::missing_param("token is missing"))?;
                if self.token_fits(token) {
                    Ok(())
                } else {
                    Err(refused("That registration token is not valid"))
                }
            }
            _ => {
                let password = auth
                    .password
                    .as_deref()
                    .ok_or_else(|| ApiError::missing_param("password is missing"))?;
                let named = match (&auth.identifier, &auth.user) {
                    (Some(identifier), _) => user_of(identifier)?,
                    (None, Some(user)) => user.clone(),
                    (None, None) => return Err(ApiError::missing_param("identifier is missing")),
                };
                let named = login_user(&named, server)?;
                if Some(&*named) != operation.user {
                    return Err(ApiError::forbidden(
                        "Authenticate as the user whose account this is about",
                    ));
                }
                if accounts.password_fits(&named, password).await? {
                    Ok(())
                } else {
                    Err(refused("The password is not right"))
                }
            }
        }
    }

    fn live(&self, id: &str) -> Option<Session> {
        self.sessions.get(id).filter(|session| session.until_ms > self.clock.now_ms())
    }

    fn fresh(&self, operation: &Operation<'_>) -> Session {
        Session {
            operation: operation.name.into(),
            user: operation.user.map(ToOwned::to_owned),
            completed: Vec::new(),
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

fn refused(text: &'static str) -> ApiError {
    ApiError::forbidden(text).status(StatusCode::UNAUTHORIZED)
}

/// Who an `identifier` object names. Third-party identifiers aren't bound to accounts here, so those name nobody.
pub fn user_of(identifier: &Map<String, Value>) -> ApiResult<String> {
    let text = |key: &str| identifier.get(key).and_then(Value::as_str);
    match text("type") {
        Some("m.id.user") => text("user")
            .map(ToOwned::to_owned)
            .ok_or_else(|| ApiError::missing_param("identifier.user is missing")),
        Some("m.id.thirdparty" | "m.id.phone") => {
            Err(ApiError::forbidden("No account has that identifier"))
        }
        Some(other) => {
            Err(ApiError::unknown(format!("Identifiers of type {other:?} are not known")))
        }
        None => Err(ApiError::missing_param("identifier.type is missing")),
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
