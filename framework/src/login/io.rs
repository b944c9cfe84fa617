//! The flow's side of a login.

use std::future::Future;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::LoginError;
use super::form::{CookieSpec, Display, Form, OAuthCode, OAuthSpec};
use super::process::{Answer, Link, Sent, Step, StepKind};
use crate::network::Network;

/// After so many bad answers to one question the login ends.
const MAX_COMPLAINTS: usize = 10;

/// What a login flow talks to the user through.
pub struct LoginIo<N: Network> {
    link: Link,
    network: Arc<N>,
    owner: String,
    relogin: Option<N::LoginId>,
}

impl<N: Network> LoginIo<N> {
    pub(super) fn new(
        link: Link,
        network: Arc<N>,
        owner: String,
        relogin: Option<N::LoginId>,
    ) -> Self {
        Self { link, network, owner, relogin }
    }

    /// The Matrix user who logs in.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The running connector: a flow checks with the network what it was given before it returns.
    pub fn network(&self) -> &Arc<N> {
        &self.network
    }

    /// The login to be renewed, if the user said so.
    pub fn relogin(&self) -> Option<&N::LoginId> {
        self.relogin.as_ref()
    }

    /// Asks the questions of a form. Answers that don't fit their field, or don't make a `T`, are asked for again.
    pub async fn ask<T: DeserializeOwned>(&mut self, form: Form) -> Result<T, LoginError> {
        let mut complaint = None;
        for _ in 0..MAX_COMPLAINTS {
            let answer = self.step(StepKind::Ask(form.clone()), complaint.take()).await?;
            let mut map = Map::new();
            for field in &form.fields {
                match field.accept(answer.get(&field.id).map_or("", String::as_str)) {
                    Ok(value) => {
                        map.insert(field.id.clone(), Value::String(value));
                    }
                    Err(reason) => {
                        complaint = Some(reason);
                        break;
                    }
                }
            }
            if complaint.is_none() {
                match serde_json::from_value(Value::Object(map)) {
                    Ok(value) => return Ok(value),
                    // The error of serde may quote the answer, which may be a secret.
                    Err(_) => complaint = Some("That doesn't fit; please try again.".to_owned()),
                }
            }
        }
        Err(LoginError::Refused("too many answers that don't fit".into()))
    }

    /// Shows something until the future is ready: a QR code until it was scanned. Call it again with a new display to
    /// replace the old one.
    pub async fn show_until<T>(
        &mut self,
        display: Display,
        done: impl Future<Output = T> + Send,
    ) -> Result<T, LoginError> {
        self.send(StepKind::Show(display), None, None).await?;
        Ok(done.await)
    }

    /// Asks for cookies of the network's own page.
    pub async fn cookies<T: DeserializeOwned>(
        &mut self,
        spec: CookieSpec,
    ) -> Result<T, LoginError> {
        let mut complaint = None;
        for _ in 0..MAX_COMPLAINTS {
            let answer = self.step(StepKind::Cookies(spec.clone()), complaint.take()).await?;
            if let Some(missing) =
                spec.fields.iter().find(|f| f.required && !answer.contains_key(&f.id))
            {
                complaint = Some(format!("{} is missing", missing.name));
                continue;
            }
            let known =
                answer.into_iter().filter(|(id, _)| spec.fields.iter().any(|f| f.id == *id));
            let map: Map<String, Value> =
                known.map(|(id, value)| (id, Value::String(value))).collect();
            match serde_json::from_value(Value::Object(map)) {
                Ok(value) => return Ok(value),
                Err(_) => complaint = Some("Those cookies don't fit; please try again.".to_owned()),
            }
        }
        Err(LoginError::Refused("too many answers that don't fit".into()))
    }

    /// Sends the user to an authorization server and waits for the code.
    pub async fn oauth(&mut self, spec: OAuthSpec) -> Result<OAuthCode, LoginError> {
        let mut complaint = None;
        for _ in 0..MAX_COMPLAINTS {
            let answer = self.step(StepKind::OAuth(spec.clone()), complaint.take()).await?;
            match spec.accept(answer.get("url").map_or("", String::as_str)) {
                Ok(code) => return Ok(code),
                Err(reason) => complaint = Some(reason),
            }
        }
        Err(LoginError::Refused("too many answers that don't fit".into()))
    }

    /// Hands a `WebAuthn` challenge to the user's browser and gives its answer.
    pub async fn webauthn(&mut self, options: Value) -> Result<Value, LoginError> {
        let answer = self.step(StepKind::Webauthn(options), None).await?;
        let response = answer.get("response").map_or("", String::as_str);
        serde_json::from_str(response)
            .map_err(|_| LoginError::Refused("the browser's answer is not JSON".into()))
    }

    async fn step(
        &mut self,
        kind: StepKind,
        complaint: Option<String>,
    ) -> Result<Answer, LoginError> {
        let (reply, answer) = oneshot::channel();
        self.send(kind, complaint, Some(reply)).await?;
        answer.await.map_err(|_| LoginError::Cancelled)
    }

    async fn send(
        &mut self,
        kind: StepKind,
        complaint: Option<String>,
        reply: Option<oneshot::Sender<Answer>>,
    ) -> Result<(), LoginError> {
        let step = Step { number: self.link.next, complaint, kind };
        self.link.next += 1;
        self.link.steps.send(Sent { step, reply }).await.map_err(|_| LoginError::Cancelled)
    }
}
