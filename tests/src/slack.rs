//! Slack's stand-in, and a person in its workspace, by the Web API.

use std::{env, io, path::Path, path::PathBuf};

use landbridge_framework::testing::free_ports;
use reqwest::Client;
use serde_json::{Value, json};

use crate::process::Process;

/// Why somebody in Slack could not go on.
#[derive(Debug, thiserror::Error)]
#[error("Slack: {0}")]
pub struct SlackFailure(String);

type Result<T> = std::result::Result<T, SlackFailure>;

/// Prepares the stand-in, and says where it will listen: there, and at the next port for Socket Mode. `SLACK_NODE` is a Node of at least
/// 22.15, and `SLACK_STAND_IN` the stand-in's folder with what it needs installed.
pub fn stand_in(folder: &Path) -> io::Result<(String, Process)> {
    let place = env::var("SLACK_STAND_IN").map_or_else(|_| PathBuf::from("."), PathBuf::from);
    let node = env::var("SLACK_NODE").unwrap_or_else(|_| "node".into());
    let port = free_ports(2)?;
    let base = format!("http://127.0.0.1:{port}");
    let ready = format!("{base}/health");
    let stand_in = Process::new("stand-in", node, &folder.join("slack-stand-in.log"), &ready)
        .args([place.join("server.mjs").display().to_string(), port.to_string()]);
    Ok((base, stand_in))
}

/// A person with a token.
#[derive(Clone)]
pub struct Person {
    http: Client,
    base: String,
    token: String,
}

impl Person {
    /// Somebody, by their token, at the stand-in's address.
    pub fn new(base: &str, token: &str) -> Self {
        Self { http: Client::new(), base: base.to_owned(), token: token.to_owned() }
    }

    /// Calls a method.
    pub async fn call(&self, method: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(format!("{}/api/{method}", self.base));
        let answer = request.bearer_auth(&self.token).json(body).send().await;
        let answer = answer.map_err(|e| SlackFailure(format!("{method}: {e}")))?;
        let answer: Value =
            answer.json().await.map_err(|e| SlackFailure(format!("{method}: {e}")))?;
        if answer["ok"] == true {
            return Ok(answer);
        }
        Err(SlackFailure(format!("{method}: {}", answer["error"])))
    }

    /// Makes the stand-in misbehave.
    pub async fn faults(&self, faults: &Value) -> Result<()> {
        let request = self.http.put(format!("{}/faults", self.base)).json(faults);
        let answer = request.send().await.and_then(reqwest::Response::error_for_status);
        answer.map(drop).map_err(|e| SlackFailure(e.to_string()))
    }

    /// The workspace and a channel of it, by name, as the bridge has it.
    pub async fn chat(&self, name: &str) -> Result<(String, String)> {
        let me = self.call("auth.test", &json!({})).await?;
        let list = self.call("conversations.list", &json!({ "limit": 200 })).await?;
        let channels = list["channels"].as_array().cloned().unwrap_or_default();
        let found = channels.iter().find(|channel| channel["name"] == name);
        let id = found.and_then(|channel| channel["id"].as_str());
        let id = id.ok_or_else(|| SlackFailure(format!("there is no channel {name}")))?;
        self.call("conversations.join", &json!({ "channel": id })).await?;
        Ok((format!("{}-{id}", me["team_id"].as_str().unwrap_or_default()), id.to_owned()))
    }

    /// Says something.
    pub async fn say(&self, channel: &str, text: &str) -> Result<()> {
        self.call("chat.postMessage", &json!({ "channel": channel, "text": text })).await.map(drop)
    }

    /// All that was said in a channel, oldest first.
    pub async fn heard(&self, channel: &str) -> Result<Vec<String>> {
        let mut said: Vec<(String, String)> = Vec::new();
        let mut cursor = String::new();
        loop {
            let body = json!({ "channel": channel, "limit": 500, "cursor": cursor });
            let page = self.call("conversations.history", &body).await?;
            for message in page["messages"].as_array().into_iter().flatten() {
                let field = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
                said.push((field("ts"), field("text")));
            }
            match page["response_metadata"]["next_cursor"].as_str() {
                Some(next) if !next.is_empty() => next.clone_into(&mut cursor),
                _ => break,
            }
        }
        said.sort();
        Ok(said.into_iter().map(|(_, text)| text).collect())
    }
}
