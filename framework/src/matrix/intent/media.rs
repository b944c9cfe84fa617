//! Files, streamed both ways and never held whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use http::Method;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::{Value, json};

use super::{Intent, V1, text};
use crate::matrix::MatrixError;
use crate::matrix::carrier::ByteStream;
use crate::matrix::request::{Call, read};

/// Prefix of the content repository where it has not moved to the client API (Client-Server API, "Content repository").
const MEDIA: &str = "/_matrix/media/v3";
const MEDIA_V1: &str = "/_matrix/media/v1";
/// Uploads and downloads may take so long, however large.
const TRANSFER: Duration = Duration::from_mins(10);

/// A file on its way.
pub struct Downloaded {
    /// Its media type, as the uploader said.
    pub mime: Option<String>,
    /// Its size in bytes, if the homeserver says so.
    pub size: Option<u64>,
    /// Its bytes. They end with an error where the file is larger than allowed.
    pub bytes: ByteStream,
}

impl Intent {
    /// Uploads a file and gives its `mxc:` URI.
    pub async fn upload(
        &self,
        bytes: ByteStream,
        size: Option<u64>,
        mime: &str,
        name: Option<&str>,
    ) -> Result<String, MatrixError> {
        let call = self.call(Method::POST, MEDIA, &["upload"]).query_opt("filename", name);
        self.transfer(call, bytes, size, mime).await
    }

    /// Reserves an `mxc:` URI for a file that is uploaded later (Client-Server API, "Asynchronous uploads").
    pub async fn reserve_upload(&self) -> Result<String, MatrixError> {
        let call = self.call(Method::POST, MEDIA_V1, &["create"]).json(&json!({}));
        text(&self.json(call).await?, "content_uri")
    }

    /// Uploads the file a URI was reserved for. Uploading it again is harmless.
    pub async fn upload_reserved(
        &self,
        mxc: &str,
        bytes: ByteStream,
        size: Option<u64>,
        mime: &str,
        name: Option<&str>,
    ) -> Result<(), MatrixError> {
        let (server, id) = split(mxc)?;
        let call =
            self.call(Method::PUT, MEDIA, &["upload", server, id]).query_opt("filename", name);
        match self.transfer_raw(call, bytes, size, mime).await {
            Err(error) if error.errcode() == Some("M_CANNOT_OVERWRITE_MEDIA") => Ok(()),
            result => result.map(drop),
        }
    }

    async fn transfer(
        &self,
        call: Call,
        bytes: ByteStream,
        size: Option<u64>,
        mime: &str,
    ) -> Result<String, MatrixError> {
        text(&self.transfer_raw(call, bytes, size, mime).await?, "content_uri")
    }

    async fn transfer_raw(
        &self,
        call: Call,
        bytes: ByteStream,
        size: Option<u64>,
        mime: &str,
    ) -> Result<Value, MatrixError> {
        let limit = self.matrix.max_media_bytes();
        if size.is_some_and(|size| size > limit) {
            return Err(MatrixError::TooLarge { limit });
        }
        let (bytes, over) = limited(bytes, limit);
        let call = call.stream(bytes, mime, size);
        let work = async {
            let answer = self.matrix.open(self.token(), call).await?;
            read(answer.into_body(), 64 * 1024).await
        };
        let result = self.matrix.timed(TRANSFER, work).await;
        if over.load(Ordering::Relaxed) {
            return Err(MatrixError::TooLarge { limit });
        }
        serde_json::from_slice(&result?).map_err(|error| MatrixError::BadAnswer(error.to_string()))
    }

    /// Opens a file. Homeservers older than authenticated media (v1.11) are asked by the old path.
    pub async fn download(&self, mxc: &str) -> Result<Downloaded, MatrixError> {
        let (server, id) = split(mxc)?;
        let limit = self.matrix.max_media_bytes();
        let open = |prefix: &'static str, segments: Vec<String>| async move {
            let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
            let call = self.call(Method::GET, prefix, &segments);
            self.matrix.timed(Duration::from_mins(1), self.matrix.open(self.token(), call)).await
        };
        let path = |parts: &[&str]| parts.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        let answer = match open(V1, path(&["media", "download", server, id])).await {
            Err(error) if error.is_unsupported() => {
                open(MEDIA, path(&["download", server, id])).await?
            }
            result => result?,
        };
        let header =
            |name| answer.headers().get(name).and_then(|v| v.to_str().ok()).map(ToOwned::to_owned);
        let mime = header(CONTENT_TYPE);
        let size = header(CONTENT_LENGTH).and_then(|s| s.parse().ok());
        if size.is_some_and(|size| size > limit) {
            return Err(MatrixError::TooLarge { limit });
        }
        let (bytes, _) = limited(answer.into_body(), limit);
        Ok(Downloaded { mime, size, bytes })
    }

    /// The largest upload the homeserver takes, if it says so.
    pub async fn upload_limit(&self) -> Result<Option<u64>, MatrixError> {
        let answer = match self.json(self.call(Method::GET, V1, &["media", "config"])).await {
            Err(error) if error.is_unsupported() || error.is_not_found() => {
                self.json(self.call(Method::GET, MEDIA, &["config"])).await?
            }
            result => result?,
        };
        Ok(answer.get("m.upload.size").and_then(Value::as_u64))
    }
}

/// Server and media ID of an `mxc:` URI.
fn split(mxc: &str) -> Result<(&str, &str), MatrixError> {
    mxc.strip_prefix("mxc://")
        .and_then(|rest| rest.split_once('/'))
        .filter(|(server, id)| {
            let safe = |c: u8| c.is_ascii_alphanumeric() || b"-_.:[]".contains(&c);
            !server.is_empty() && !id.is_empty() && server.bytes().all(safe) && id.bytes().all(safe)
        })
        .ok_or_else(|| MatrixError::Invalid(format!("not a media address: {mxc:?}")))
}

/// The stream, ending with an error past `limit` bytes, and a flag that says so.
fn limited(bytes: ByteStream, limit: u64) -> (ByteStream, Arc<AtomicBool>) {
    let over = Arc::new(AtomicBool::new(false));
    let flag = over.clone();
    let mut seen = 0u64;
    let bytes = bytes
        .map(move |chunk| {
            let chunk = chunk?;
            seen += chunk.len() as u64;
            if seen > limit {
                flag.store(true, Ordering::Relaxed);
                return Err(std::io::Error::other("the file is too large"));
            }
            Ok(chunk)
        })
        .boxed();
    (bytes, over)
}
