//! All keys of a backup, or of one room, as an answer that is made while it is sent: there may be hundreds of megabytes.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderValue, header};
use ruma::{OwnedRoomId, OwnedUserId};

use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::RawReply;
use crate::services::key_backup::shown;
use crate::storage::key_backup::KeyRow;
use crate::sync::json::quote;

/// Keys that are read at once.
const PAGE: usize = 1_000;

/// The state of an answer between two pages.
struct Dump {
    app: Arc<App>,
    user: OwnedUserId,
    version: i64,
    room: Option<OwnedRoomId>,
    /// Room and session of the last key that was written.
    last: Option<(String, String)>,
    done: bool,
}

/// Answers with the keys; the first page is read before anything is sent.
pub(super) async fn answer(
    app: Arc<App>,
    user: OwnedUserId,
    version: i64,
    room: Option<OwnedRoomId>,
) -> ApiResult<Response> {
    let mut dump = Dump { app, user, version, room, last: None, done: false };
    let first = dump.next().await?;
    if dump.done {
        return Ok(RawReply(first).into_response());
    }
    let rest = stream::try_unfold(dump, |mut dump| async move {
        if dump.done {
            return Ok(None);
        }
        let part = dump.next().await?;
        Ok::<_, ApiError>(Some((part, dump)))
    });
    let body = Body::from_stream(stream::once(async { Ok(first) }).chain(rest));
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

impl Dump {
    async fn next(&mut self) -> ApiResult<Bytes> {
        let after = match &self.last {
            Some((room, session)) => (room.as_str(), session.as_str()),
            None => ("", ""),
        };
        let room = self.room.as_deref();
        let rows = self.app.key_backups.page(&self.user, self.version, room, after, PAGE).await?;
        let mut out = String::with_capacity(rows.len() * 1024 + 64);
        if self.last.is_none() {
            out.push_str(if self.room.is_some() { r#"{"sessions":{"# } else { r#"{"rooms":{"# });
        }
        self.done = rows.len() < PAGE;
        for row in rows {
            self.write(&mut out, row)?;
        }
        if self.done {
            if self.room.is_none() && self.last.is_some() {
                out.push_str("}}");
            }
            out.push_str("}}");
        }
        Ok(out.into())
    }

    /// Writes a key, and where it is the first of its room, the room's beginning after the end of the one before.
    fn write(&mut self, out: &mut String, row: KeyRow) -> ApiResult<()> {
        let same_room = self.last.as_ref().is_some_and(|(room, _)| *room == row.room_id);
        if same_room || (self.room.is_some() && self.last.is_some()) {
            out.push(',');
        } else if self.room.is_none() {
            if self.last.is_some() {
                out.push_str("}},");
            }
            quote(out, &row.room_id);
            out.push_str(r#":{"sessions":{"#);
        }
        quote(out, &row.session_id);
        out.push(':');
        self.last = Some((row.room_id.clone(), row.session_id.clone()));
        let key = serde_json::to_string(&shown(row)?).map_err(ApiError::internal)?;
        out.push_str(&key);
        Ok(())
    }
}
