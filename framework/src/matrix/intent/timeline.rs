//! What is said in a room: sending, redacting, reading back, and the passing things beside it.

use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};

use super::{Intent, UNSTABLE, V3, text, texts};
use crate::matrix::MatrixError;

/// Which way to read a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the newest to the oldest.
    Back,
    /// From the oldest to the newest.
    Forward,
}

impl Direction {
    fn letter(self) -> &'static str {
        match self {
            Self::Back => "b",
            Self::Forward => "f",
        }
    }
}

/// A page of a timeline.
#[derive(Clone, Debug, Default)]
pub struct MessagesPage {
    /// The events, in the direction asked for.
    pub chunk: Vec<Value>,
    /// Where this page began.
    pub start: Option<String>,
    /// Where the next one begins; `None` at the end.
    pub end: Option<String>,
}

/// Where to set which marker (`POST /read_markers`).
#[derive(Clone, Debug, Default)]
pub struct ReadMarkers {
    /// `m.fully_read`.
    pub fully_read: Option<String>,
    /// `m.read`.
    pub read: Option<String>,
    /// `m.read.private`.
    pub read_private: Option<String>,
}

impl Intent {
    /// Sends an event: exactly one request. The transaction ID makes a repeat harmless where the homeserver remembers
    /// it; `ts` (milliseconds) is when it is said to have happened.
    pub async fn send(
        &self,
        room_id: &str,
        kind: &str,
        txn_id: &str,
        content: &Value,
        ts: Option<i64>,
    ) -> Result<String, MatrixError> {
        let ts = ts.map(|ts| ts.to_string());
        let call = self.call(Method::PUT, V3, &["rooms", room_id, "send", kind, txn_id]);
        let answer =
            self.room_json(room_id, call.query_opt("ts", ts.as_deref()).json(content)).await?;
        text(&answer, "event_id")
    }

    /// Redacts an event. `ts` is obeyed by homeservers that do so for redactions.
    pub async fn redact(
        &self,
        room_id: &str,
        event_id: &str,
        txn_id: &str,
        reason: Option<&str>,
        ts: Option<i64>,
    ) -> Result<String, MatrixError> {
        let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
        let ts = ts.map(|ts| ts.to_string());
        let call = self.call(Method::PUT, V3, &["rooms", room_id, "redact", event_id, txn_id]);
        let answer =
            self.room_json(room_id, call.query_opt("ts", ts.as_deref()).json(&body)).await?;
        text(&answer, "event_id")
    }

    /// A page of the room's timeline, from a token or from its newest end.
    pub async fn messages(
        &self,
        room_id: &str,
        from: Option<&str>,
        direction: Direction,
        limit: u32,
    ) -> Result<MessagesPage, MatrixError> {
        let call = self
            .call(Method::GET, V3, &["rooms", room_id, "messages"])
            .query("dir", direction.letter())
            .query("limit", &limit.to_string())
            .query_opt("from", from);
        let answer = self.room_json(room_id, call).await?;
        let token = |key: &str| answer.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
        let (start, end) = (token("start"), token("end"));
        let Some(Value::Array(chunk)) = answer.get("chunk").cloned() else {
            return Err(MatrixError::BadAnswer("chunk is missing".into()));
        };
        // Some homeservers give the same token for ever instead of none at the end.
        let end = end.filter(|end| {
            Some(end.as_str()) != from && !(chunk.is_empty() && direction == Direction::Forward)
        });
        Ok(MessagesPage { chunk, start, end })
    }

    /// One event; `None` if it isn't there or not for us.
    pub async fn event(&self, room_id: &str, event_id: &str) -> Result<Option<Value>, MatrixError> {
        match self.json(self.call(Method::GET, V3, &["rooms", room_id, "event", event_id])).await {
            Ok(event) => Ok(Some(event)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Shows us typing for `timeout`, or no longer.
    pub async fn typing(
        &self,
        room_id: &str,
        on: bool,
        timeout: Duration,
    ) -> Result<(), MatrixError> {
        let mut body = json!({ "typing": on });
        if on {
            body["timeout"] = json!(timeout.as_millis() as u64);
        }
        let call =
            self.call(Method::PUT, V3, &["rooms", room_id, "typing", &self.user_id]).json(&body);
        self.room_json(room_id, call).await.map(drop)
    }

    /// Sets read markers.
    pub async fn read_markers(
        &self,
        room_id: &str,
        markers: &ReadMarkers,
    ) -> Result<(), MatrixError> {
        let mut body = Map::new();
        let all = [
            ("m.fully_read", &markers.fully_read),
            ("m.read", &markers.read),
            ("m.read.private", &markers.read_private),
        ];
        for (key, value) in all {
            if let Some(event_id) = value {
                body.insert(key.into(), event_id.as_str().into());
            }
        }
        let call =
            self.call(Method::POST, V3, &["rooms", room_id, "read_markers"]).json(&body.into());
        self.room_json(room_id, call).await.map(drop)
    }

    /// We have read up to this event: receipt and marker.
    pub async fn read_marker(&self, room_id: &str, event_id: &str) -> Result<(), MatrixError> {
        let at = Some(event_id.to_owned());
        self.read_markers(
            room_id,
            &ReadMarkers { fully_read: at.clone(), read: at, read_private: None },
        )
        .await
    }

    /// Imports history where the homeserver can (`com.beeper.batch_sending`); gives the event IDs in order.
    pub async fn batch_send(
        &self,
        room_id: &str,
        batch: &Value,
    ) -> Result<Vec<String>, MatrixError> {
        let call = self.call(
            Method::POST,
            UNSTABLE,
            &["com.beeper.backfill", "rooms", room_id, "batch_send"],
        );
        texts(&self.room_json(room_id, call.json(batch)).await?, "event_ids")
    }
}
