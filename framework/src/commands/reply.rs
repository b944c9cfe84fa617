//! What the bot says.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use futures::StreamExt;
use landbridge_registration::derive_txn_id;
use serde_json::{Value, json};

use super::qr::Picture;
use crate::format::{from_markdown, to_content};
use crate::matrix::Matrix;

/// Answers to one event: notices of the bot whose transaction IDs follow from the event, so that handling it again
/// doesn't say everything twice.
pub(super) struct Reply {
    matrix: Matrix,
    room_id: String,
    cause: String,
    count: AtomicU32,
}

impl Reply {
    pub(super) fn new(matrix: &Matrix, room_id: &str, cause: &str) -> Self {
        Self {
            matrix: matrix.clone(),
            room_id: room_id.to_owned(),
            cause: cause.to_owned(),
            count: AtomicU32::new(0),
        }
    }

    /// Says it, in Markdown; whether it could be said.
    pub(super) async fn send(&self, markdown: &str) -> bool {
        self.put(&to_content(&from_markdown(markdown), "m.notice").into()).await.is_some()
    }

    /// Shows a picture under this text; gives its event, if it could be shown.
    pub(super) async fn show(&self, picture: Picture, text: &str) -> Option<String> {
        let (length, side) = (picture.png.len() as u64, picture.side);
        let bytes = futures::stream::iter([Ok(Bytes::from(picture.png))]).boxed();
        let uploaded =
            self.matrix.bot().upload(bytes, Some(length), "image/png", Some("qr.png")).await;
        let url = uploaded
            .inspect_err(|error| tracing::warn!(%error, "the bot could not upload a picture"))
            .ok()?;
        let info = json!({ "mimetype": "image/png", "size": length, "w": side, "h": side });
        self.put(&json!({
            "msgtype": "m.image", "body": text, "filename": "qr.png", "url": url, "info": info,
        }))
        .await
    }

    async fn put(&self, content: &Value) -> Option<String> {
        let number = self.count.fetch_add(1, Ordering::Relaxed).to_string();
        let txn_id = derive_txn_id(&["reply", &self.room_id, &self.cause, &number]);
        self.matrix
            .bot()
            .send(&self.room_id, "m.room.message", &txn_id, content, None)
            .await
            .inspect_err(|error| {
                tracing::warn!(%error, room_id = self.room_id, "the bot could not answer");
            })
            .ok()
    }

    /// Removes a message that holds a secret; whether that worked.
    pub(super) async fn redact(&self, event_id: &str) -> bool {
        let txn_id = derive_txn_id(&["redact", &self.room_id, event_id]);
        self.matrix
            .bot()
            .redact(&self.room_id, event_id, &txn_id, Some("it holds a secret"), None)
            .await
            .is_ok()
    }
}
