//! The Web API (<https://docs.slack.dev/reference/methods>), as one token may call it. Answers are kept as Slack's own JSON: it knows more
//! than any model of it.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use slack_morphism::{
    SlackApiToken, SlackClient, SlackClientApiCallContext, SlackClientHttpConnector as _,
    api::SlackApiAppsConnectionOpenRequest, prelude::ValueStruct as _,
};
use url::Url;

use super::{ApiError, Limits, transport::Transport};
use crate::{
    config::Secret,
    json::{list, said, text},
};

/// How often a call is repeated that Slack asks to wait with, where somebody waits for it.
const PATIENCE: usize = 5;
/// Pages of a list that are read at most.
const MAX_PAGES: usize = 200;

/// Slack's Web API. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    client: Arc<SlackClient<Transport>>,
    pub(super) http: reqwest::Client,
    limits: Arc<Limits>,
    base: Arc<Url>,
}

/// The Web API as one token may call it. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    pub(super) api: Api,
    token: Arc<SlackApiToken>,
    who: Arc<str>,
}

/// Whose a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The workspace.
    pub team: String,
    /// Its name.
    pub team_name: String,
    /// The user.
    pub user: String,
    /// Their name.
    pub user_name: String,
    /// The bot, if it is one's.
    pub bot: Option<String>,
}

impl Api {
    /// The Web API at an address. `http` comes from outside so that all accounts share one pool.
    pub fn new(http: reqwest::Client, base: Url) -> Self {
        let client = SlackClient::new(Transport::new(http.clone(), &base));
        Self {
            client: Arc::new(client),
            http,
            limits: Arc::new(Limits::default()),
            base: Arc::new(base),
        }
    }

    /// As a token may call it. `who` names the token among the rate limits.
    pub fn session(&self, token: &Secret, who: &str) -> Session {
        let token = SlackApiToken::new(token.expose().to_owned().into());
        Session { api: self.clone(), token: Arc::new(token), who: who.into() }
    }

    /// Where the Web API is.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Exchanges the code of an authorisation (`oauth.v2.access`). The answer is raw: what is in it depends on what was asked for.
    pub async fn exchange(
        &self,
        client_id: &str,
        client_secret: &Secret,
        code: &str,
        redirect: &str,
    ) -> Result<Value, ApiError> {
        let mut url = self.method("oauth.v2.access")?;
        url.query_pairs_mut().append_pair("code", code).append_pair("redirect_uri", redirect);
        let (id, secret) = (client_id.to_owned().into(), client_secret.expose().to_owned().into());
        let connector = &self.client.http_api.connector;
        Ok(connector.http_get_with_client_secret(url, &id, &secret).await?)
    }

    fn method(&self, method: &str) -> Result<Url, ApiError> {
        Ok(self.client.http_api.connector.create_method_uri_path(method)?)
    }
}

impl Session {
    /// Whose the token is (`auth.test`).
    pub async fn identity(&self) -> Result<Identity, ApiError> {
        let me = self.get("auth.test", &[]).await?;
        let field = |key| said(&me, key).map(ToOwned::to_owned);
        let missing = || ApiError::NoAnswer("auth.test names no workspace or user".into());
        Ok(Identity {
            team: field("team_id").ok_or_else(missing)?,
            team_name: field("team").unwrap_or_default(),
            user: field("user_id").ok_or_else(missing)?,
            user_name: field("user").unwrap_or_default(),
            bot: field("bot_id"),
        })
    }

    /// Where to connect to for Socket Mode (`apps.connections.open`, with the app's own token).
    pub async fn socket_url(&self) -> Result<Url, ApiError> {
        let session = self.api.client.open_session(&self.token);
        let request = SlackApiAppsConnectionOpenRequest::new();
        let opened = session.apps_connections_open(&request).await?;
        Ok(opened.url.0.clone())
    }

    /// Calls a method that reads.
    pub async fn get(&self, method: &str, params: &[(&str, &str)]) -> Result<Value, ApiError> {
        let channel = params.iter().find(|(key, _)| *key == "channel").map(|(_, value)| *value);
        self.gate(method, channel)?;
        let mut url = self.api.method(method)?;
        if !params.is_empty() {
            url.query_pairs_mut().extend_pairs(params);
        }
        let span = tracing::debug_span!("slack", method);
        let context = self.context(&span);
        let connector = &self.api.client.http_api.connector;
        let answer = connector.http_get_uri::<Value>(url, context).await;
        self.noted(method, channel, answer.map_err(ApiError::from))
    }

    /// Calls a method that changes something.
    pub async fn post(&self, method: &str, body: &Value) -> Result<Value, ApiError> {
        let channel = text(body, "channel");
        self.gate(method, channel)?;
        let url = self.api.method(method)?;
        let span = tracing::debug_span!("slack", method);
        let context = self.context(&span);
        let connector = &self.api.client.http_api.connector;
        let answer = connector.http_post_uri::<Value, Value>(url, body, context).await;
        self.noted(method, channel, answer.map_err(ApiError::from))
    }

    /// Calls a method that reads, and waits as Slack asks, for callers that have nothing better to do.
    pub async fn get_patiently(
        &self,
        method: &str,
        params: &[(&str, &str)],
    ) -> Result<Value, ApiError> {
        let mut tries = 0;
        loop {
            match self.get(method, params).await {
                Err(ApiError::Limited(wait)) if tries < PATIENCE => {
                    tries += 1;
                    tokio::time::sleep(wait.max(Duration::from_millis(100))).await;
                }
                answer => return answer,
            }
        }
    }

    /// Reads a list page by page, up to `max` entries.
    pub async fn pages(
        &self,
        method: &str,
        params: &[(&str, &str)],
        key: &str,
        max: usize,
    ) -> Result<Vec<Value>, ApiError> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        for _ in 0..MAX_PAGES {
            let mut page = params.to_vec();
            if !cursor.is_empty() {
                page.push(("cursor", cursor.as_str()));
            }
            let answer = self.get_patiently(method, &page).await?;
            all.extend(list(&answer, key).iter().cloned());
            let next = next_cursor(&answer);
            if all.len() >= max || next.is_none() {
                break;
            }
            cursor = next.unwrap_or_default();
        }
        all.truncate(max);
        Ok(all)
    }

    fn context<'a>(&'a self, span: &'a tracing::Span) -> SlackClientApiCallContext<'a> {
        SlackClientApiCallContext {
            rate_control_params: None,
            token: Some(&self.token),
            tracing_span: span,
            is_sensitive_url: false,
        }
    }

    fn gate(&self, method: &str, channel: Option<&str>) -> Result<(), ApiError> {
        match self.api.limits.wait(&self.who, method, channel) {
            Some(wait) => Err(ApiError::Limited(wait)),
            None => Ok(()),
        }
    }

    fn noted(
        &self,
        method: &str,
        channel: Option<&str>,
        answer: Result<Value, ApiError>,
    ) -> Result<Value, ApiError> {
        if let Err(ApiError::Limited(wait)) = &answer {
            tracing::info!(who = %self.who, method, channel, ?wait, "Slack asks to wait");
            self.api.limits.asked(&self.who, method, channel, *wait);
        }
        answer
    }

    /// The token, for requests that go to other addresses of Slack's.
    pub(super) fn bearer(&self) -> &str {
        self.token.token_value.value()
    }

    /// Joins a public channel; anything else has to invite the app.
    pub async fn join(&self, channel: &str) -> Result<(), ApiError> {
        self.post("conversations.join", &json!({ "channel": channel })).await.map(drop)
    }
}

/// Where the next page begins.
pub(crate) fn next_cursor(answer: &Value) -> Option<String> {
    said(answer.get("response_metadata")?, "next_cursor").map(ToOwned::to_owned)
}
