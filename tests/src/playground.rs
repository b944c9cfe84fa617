//! A small client of the Playground's network.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::matrix::escape;

/// Why a request was given up.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PlaygroundFailure(String);

/// The network at an address.
#[derive(Clone)]
pub struct Network {
    http: Client,
    base: String,
}

impl Network {
    /// A client of the network at `base`.
    pub fn new(base: &str) -> Self {
        Self { http: Client::new(), base: base.to_owned() }
    }

    /// Says something as a person; the same key says it once however often it is repeated.
    pub async fn say(
        &self,
        chat: &str,
        person: &str,
        key: &str,
        text: &str,
    ) -> Result<(), PlaygroundFailure> {
        let url = format!("{}/api/chats/{}/messages", self.base, escape(chat));
        let body = json!({ "actor": person, "key": key, "text": text });
        let mut last = String::new();
        for _ in 0..600 {
            match self.http.post(&url).json(&body).send().await {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) => {
                    let status = response.status();
                    last = format!("{status} {}", response.text().await.unwrap_or_default());
                    if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
                        return Err(PlaygroundFailure(last));
                    }
                }
                Err(e) => last = e.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(PlaygroundFailure(format!("given up after {last}")))
    }

    /// All messages of a chat, oldest first.
    pub async fn messages(&self, chat: &str) -> Result<Vec<Value>, PlaygroundFailure> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().map_or(0, |message| message["number"].as_i64().unwrap_or(0));
            let url = format!(
                "{}/api/chats/{}/messages?after={after}&limit=200",
                self.base,
                escape(chat)
            );
            let answer = self.http.get(&url).send().await;
            let answer = answer.and_then(reqwest::Response::error_for_status);
            let page: Value = match answer {
                Ok(response) => response.json().await,
                Err(e) => Err(e),
            }
            .map_err(|e| PlaygroundFailure(e.to_string()))?;
            let messages = page["messages"].as_array().cloned().unwrap_or_default();
            let done = messages.is_empty() || page["more"] != true;
            all.extend(messages);
            if done {
                return Ok(all);
            }
        }
    }
}
