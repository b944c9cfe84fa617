//! The network's API as a bridge calls it: one connection pool, one person to act as, and failures sorted by whether the request may
//! have been carried out.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use crate::wire::{
    Act, CastVote, Chat, Describe, Edit, Events, MarkRead, Message, Messages, NewChat, Outcome,
    Person, React, Refusal, Send, SetTyping, Whoami,
};

/// How long the network may take to answer anything but a long poll.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read: a full page of the longest messages fits.
const MAX_ANSWER: usize = 32 << 20;

/// Why a request failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// It never reached the network.
    #[error("the network can't be reached: {0}")]
    Unreachable(String),
    /// It may have reached the network; the answer didn't come back whole.
    #[error("the network's answer was lost: {0}")]
    NoAnswer(String),
    /// The network said no.
    #[error("the network refused: {}", .0.message)]
    Refused(Refusal),
    /// The network has too much to do.
    #[error("the network asks to wait {0:?}")]
    RateLimited(Duration),
    /// The network failed; it may have carried the request out.
    #[error("the network failed with {0}")]
    Failed(StatusCode),
}

impl ApiError {
    /// The network's word for its refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.code),
            _ => None,
        }
    }
}

/// Where the network is, and how to reach it. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    base: Arc<Url>,
    token: Option<Arc<str>>,
    person: Arc<str>,
}

impl Api {
    /// The network at `base`, seen by nobody yet. `http` comes from outside so that all logins share one pool.
    pub fn new(http: reqwest::Client, base: Url) -> Self {
        Self { http, base: Arc::new(base), token: None, person: "".into() }
    }

    /// The same network, acting as a person. `token` is that person's or the network's own; none where it has none.
    #[must_use]
    pub fn acting_as(&self, person: &str, token: Option<&str>) -> Self {
        Self { token: token.map(Into::into), person: person.into(), ..self.clone() }
    }

    /// Who acts.
    pub fn actor(&self) -> &str {
        &self.person
    }

    /// Where the network is.
    pub fn base(&self) -> Arc<Url> {
        Arc::clone(&self.base)
    }

    /// The actor as requests name it.
    fn named_actor(&self) -> String {
        self.person.to_string()
    }

    fn request(&self, method: Method, segments: &[&str]) -> Result<RequestBuilder, ApiError> {
        let mut url = Url::clone(&self.base);
        url.path_segments_mut()
            .map_err(|()| ApiError::Unreachable("the network's address can't have a path".into()))?
            .pop_if_empty()
            .push("api")
            .extend(segments);
        let request = self.http.request(method, url).timeout(TIMEOUT);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    async fn get<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, ApiError> {
        answer(self.request(Method::GET, segments)?.query(query)).await
    }

    async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        segments: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        answer(self.request(method, segments)?.json(body)).await
    }

    /// Whose token this is, and the newest event's number.
    pub async fn whoami(&self) -> Result<Whoami, ApiError> {
        self.get(&["whoami"], &[]).await
    }

    /// Events after `since`, waiting up to `wait` for one, or for another state of typing than `typing`.
    pub async fn events(
        &self,
        since: i64,
        wait: Duration,
        typing: i64,
    ) -> Result<Events, ApiError> {
        let query = [
            ("since", since.to_string()),
            ("wait", wait.as_secs().to_string()),
            ("typing", typing.to_string()),
            ("person", self.person.to_string()),
        ];
        answer(self.request(Method::GET, &["events"])?.query(&query).timeout(wait + TIMEOUT)).await
    }

    /// One person.
    pub async fn person(&self, id: &str) -> Result<Person, ApiError> {
        self.get(&["people", id], &[]).await
    }

    /// People, by identifier, after one.
    pub async fn people(&self, after: &str) -> Result<Vec<Person>, ApiError> {
        self.get(&["people"], &[("after", after.to_owned())]).await
    }

    /// One chat with its members.
    pub async fn chat(&self, id: &str) -> Result<Chat, ApiError> {
        self.get(&["chats", id], &[]).await
    }

    /// Makes a chat, or finds the direct chat that exists.
    pub async fn new_chat(&self, mut new: NewChat) -> Result<Chat, ApiError> {
        new.actor = Some(self.named_actor());
        self.change(Method::POST, &["chats"], &new).await
    }

    /// A page of a chat's messages, oldest first: before the number if `older`, else after it.
    pub async fn messages(
        &self,
        chat: &str,
        older: bool,
        number: i64,
        limit: usize,
    ) -> Result<Messages, ApiError> {
        let direction = if older { "before" } else { "after" };
        let query = [(direction, number.to_string()), ("limit", limit.to_string())];
        self.get(&["chats", chat, "messages"], &query).await
    }

    /// One message in its present state.
    pub async fn message(&self, id: &str) -> Result<Message, ApiError> {
        self.get(&["messages", id], &[]).await
    }

    /// Sends a message.
    pub async fn send(&self, chat: &str, mut message: Send) -> Result<Outcome, ApiError> {
        message.actor = Some(self.named_actor());
        self.change(Method::POST, &["chats", chat, "messages"], &message).await
    }

    /// Edits a message.
    pub async fn edit(
        &self,
        message: &str,
        key: String,
        text: String,
    ) -> Result<Outcome, ApiError> {
        let edit = Edit { actor: Some(self.named_actor()), key: Some(key), text };
        self.change(Method::PATCH, &["messages", message], &edit).await
    }

    /// Takes a message back.
    pub async fn delete(&self, message: &str, key: String) -> Result<Outcome, ApiError> {
        self.change(Method::DELETE, &["messages", message], &self.act(Some(key))).await
    }

    /// Sets a reaction or takes it off.
    pub async fn react(
        &self,
        message: &str,
        key: String,
        emoji: String,
        set: bool,
    ) -> Result<Outcome, ApiError> {
        let react = React { actor: Some(self.named_actor()), key: Some(key), emoji, set };
        self.change(Method::PUT, &["messages", message, "reactions"], &react).await
    }

    /// Votes, or takes the vote back.
    pub async fn vote(
        &self,
        message: &str,
        key: String,
        choice: Option<u32>,
    ) -> Result<Outcome, ApiError> {
        let vote = CastVote { actor: Some(self.named_actor()), key: Some(key), choice };
        self.change(Method::PUT, &["messages", message, "vote"], &vote).await
    }

    /// Closes a poll.
    pub async fn close(&self, message: &str, key: String) -> Result<Outcome, ApiError> {
        self.change(Method::PUT, &["messages", message, "closed"], &self.act(Some(key))).await
    }

    /// Changes a chat's name or topic.
    pub async fn describe(&self, chat: &str, mut change: Describe) -> Result<Outcome, ApiError> {
        change.actor = Some(self.named_actor());
        self.change(Method::PATCH, &["chats", chat], &change).await
    }

    /// Lets a person into a chat.
    pub async fn join(
        &self,
        chat: &str,
        person: &str,
        key: Option<String>,
    ) -> Result<Outcome, ApiError> {
        self.change(Method::PUT, &["chats", chat, "members", person], &self.act(key)).await
    }

    /// Takes a person out of a chat.
    pub async fn leave(
        &self,
        chat: &str,
        person: &str,
        key: Option<String>,
    ) -> Result<Outcome, ApiError> {
        self.change(Method::DELETE, &["chats", chat, "members", person], &self.act(key)).await
    }

    /// Says that the actor types, or no longer does.
    pub async fn set_typing(&self, chat: &str, typing: bool) -> Result<(), ApiError> {
        let set = SetTyping { actor: Some(self.named_actor()), typing };
        let response =
            send(self.request(Method::PUT, &["chats", chat, "typing"])?.json(&set)).await?;
        drop(response);
        Ok(())
    }

    /// Says what the actor has read.
    pub async fn mark_read(&self, chat: &str, message: &str) -> Result<Outcome, ApiError> {
        let mark = MarkRead { actor: Some(self.named_actor()), message: message.into() };
        self.change(Method::PUT, &["chats", chat, "read"], &mark).await
    }

    fn act(&self, key: Option<String>) -> Act {
        Act { actor: Some(self.named_actor()), key }
    }
}

async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, ApiError> {
    let body = send(request).await?;
    serde_json::from_slice(&body)
        .map_err(|error| ApiError::NoAnswer(format!("it isn't what was expected: {error}")))
}

/// Sends, and reads the whole answer within its limit.
async fn send(request: RequestBuilder) -> Result<Vec<u8>, ApiError> {
    // Errors lose their address: it says nothing new, and a query may hold what a log should not.
    let lost = |error: reqwest::Error| {
        let unreachable = error.is_connect() || error.is_builder();
        let reason = error.without_url().to_string();
        if unreachable { ApiError::Unreachable(reason) } else { ApiError::NoAnswer(reason) }
    };
    let mut response = request.send().await.map_err(lost)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(ApiError::NoAnswer("it is too large".into()));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(body);
    }
    if status.is_server_error() && status != StatusCode::INSUFFICIENT_STORAGE {
        return Err(ApiError::Failed(status));
    }
    let refusal = serde_json::from_slice(&body).unwrap_or_else(|_| Refusal {
        code: "unreadable".into(),
        message: format!("it answered {status}"),
        retry_after_ms: None,
    });
    if status == StatusCode::TOO_MANY_REQUESTS {
        let wait = refusal.retry_after_ms.unwrap_or(1_000).min(600_000);
        return Err(ApiError::RateLimited(Duration::from_millis(wait)));
    }
    Err(ApiError::Refused(refusal))
}
