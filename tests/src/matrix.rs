//! A small Matrix client that keeps on trying, as a patient user's client does.

use std::{fmt::Write as _, time::Duration};

use hmac::{Hmac, Mac as _};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sha1::Sha1;

/// Why a request was given up.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MatrixFailure(String);

type Result<T> = std::result::Result<T, MatrixFailure>;

/// How often a request is repeated before it is given up: the server may be down between.
const TRIES: usize = 600;

/// A user with an access token.
#[derive(Clone)]
pub struct User {
    http: Client,
    base: String,
    token: String,
    /// The user's Matrix ID.
    pub id: String,
}

impl User {
    /// Makes an account with the server's registration secret, as `/_synapse/admin/v1/register` has it.
    pub async fn register(base: &str, secret: &str, name: &str) -> Result<Self> {
        let http = Client::builder()
            .timeout(Duration::from_mins(1))
            .build()
            .map_err(|e| MatrixFailure(e.to_string()))?;
        let user = Self { http, base: base.to_owned(), token: String::new(), id: String::new() };
        let path = "/_synapse/admin/v1/register";
        let nonce = user.call(Method::GET, path, None).await?;
        let nonce = nonce["nonce"].as_str().unwrap_or_default().to_owned();
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes())
            .map_err(|e| MatrixFailure(e.to_string()))?;
        mac.update(format!("{nonce}\0{name}\0{name}-password\0notadmin").as_bytes());
        let mac = hex(&mac.finalize().into_bytes());
        let body = json!({
            "nonce": nonce, "username": name, "password": format!("{name}-password"),
            "admin": false, "mac": mac,
        });
        let answer = user.call(Method::POST, path, Some(&body)).await?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        Ok(Self { token: text("access_token"), id: text("user_id"), ..user })
    }

    /// One request, repeated while the server can't be reached or is not well.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut last = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            match self.try_once(method.clone(), path, body).await {
                Ok((status, answer)) if status.is_success() => return Ok(answer),
                Ok((status, answer))
                    if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS =>
                {
                    return Err(MatrixFailure(format!("{method} {path}: {status} {answer}")));
                }
                Ok((status, answer)) => last = format!("{status} {answer}"),
                Err(e) => last = e.to_string(),
            }
        }
        Err(MatrixFailure(format!("{method} {path}: given up after {last}")))
    }

    async fn try_once(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<(StatusCode, Value)> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// Joins a room by its id or alias.
    pub async fn join(&self, room: &str) -> Result<String> {
        let path = format!("/_matrix/client/v3/join/{}", escape(room));
        let answer = self.call(Method::POST, &path, Some(&json!({}))).await?;
        Ok(answer["room_id"].as_str().unwrap_or_default().to_owned())
    }

    /// Joins a room that a bridge makes at its start, or when it is asked for.
    pub async fn join_soon(&self, alias: &str) -> Result<String> {
        for _ in 0..100 {
            if let Ok(room) = self.join(alias).await {
                return Ok(room);
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        self.join(alias).await
    }

    /// Sends a text; the same transaction id sends it once however often it is repeated.
    pub async fn send(&self, room: &str, txn: &str, text: &str) -> Result<()> {
        let path = format!(
            "/_matrix/client/v3/rooms/{}/send/m.room.message/{}",
            escape(room),
            escape(txn)
        );
        let body = json!({ "msgtype": "m.text", "body": text });
        self.call(Method::PUT, &path, Some(&body)).await.map(|_| ())
    }

    /// What others than the user said, of these events.
    pub fn said_by_others<'a>(&self, events: &'a [Value]) -> impl Iterator<Item = &'a str> {
        let by_others = events.iter().filter(|event| {
            event["type"] == "m.room.message" && event["sender"] != self.id.as_str()
        });
        by_others.filter_map(|event| event["content"]["body"].as_str())
    }

    /// Every event of a room's timeline, oldest first.
    pub async fn timeline(&self, room: &str) -> Result<Vec<Value>> {
        let mut events = Vec::new();
        self.read_on(room, &mut events).await?;
        Ok(events)
    }

    /// Adds what came to a room's timeline since `known`, the events before, oldest first. Work is by what is new.
    pub async fn read_on(&self, room: &str, known: &mut Vec<Value>) -> Result<()> {
        let newest = known.last().map(|event| event["event_id"].clone());
        let mut new = Vec::new();
        let mut from = String::new();
        'pages: loop {
            let path =
                format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=500{from}", escape(room));
            let page = self.call(Method::GET, &path, None).await?;
            let chunk = page["chunk"].as_array().map(Vec::as_slice).unwrap_or_default();
            for event in chunk {
                if newest.as_ref() == Some(&event["event_id"]) {
                    break 'pages;
                }
                new.push(event.clone());
            }
            let Some(end) = page["end"].as_str().filter(|_| !chunk.is_empty()) else { break };
            from = format!("&from={}", escape(end));
        }
        known.extend(new.into_iter().rev());
        Ok(())
    }
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// A text as one segment of a path or one value of a query.
pub fn escape(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
        out
    })
}
