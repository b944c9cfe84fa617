//! Files on their way: from the network to Matrix ([`Transfer`]), and from Matrix to the network and to everybody
//! ([`Files`]). Streamed through, bounded by the configured size, uploaded once per content.

mod public;
mod sniff;
mod spool;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use serde::{Deserialize, Serialize};

pub use public::{PublicMedia, router as public_router};
pub use sniff::sniff;

use crate::handlers::{MediaAccess, MediaStream};
use crate::kv::{KeyValue, KvError};
use crate::matrix::{Intent, Matrix, MatrixError};
use crate::network::NetError;
use spool::Spooled;

/// How often an upload is tried at once, and the waits between.
const UPLOAD_RETRIES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// A file could not be brought to Matrix.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// It is larger than allowed.
    #[error("the file is larger than {limit} bytes")]
    TooLarge {
        /// What is allowed.
        limit: u64,
    },
    /// The network broke off; another time it may work.
    #[error("the network broke off in the middle of the file: {0}")]
    Broken(std::io::Error),
    /// It can't be kept on our disk.
    #[error("no room for the file on the bridge's disk: {0}")]
    Disk(std::io::Error),
    /// The homeserver.
    #[error(transparent)]
    Matrix(MatrixError),
    /// Our memory of files.
    #[error(transparent)]
    Store(#[from] KvError),
}

impl MediaError {
    /// Whether another try may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::TooLarge { .. } => false,
            Self::Broken(_) | Self::Disk(_) | Self::Store(_) => true,
            Self::Matrix(error) => error.is_temporary(),
        }
    }
}

impl From<MatrixError> for MediaError {
    fn from(error: MatrixError) -> Self {
        match error {
            MatrixError::TooLarge { limit } => Self::TooLarge { limit },
            other => Self::Matrix(other),
        }
    }
}

/// A file that is on Matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uploaded {
    /// Its address.
    pub mxc: String,
    /// Its media type.
    pub mime: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Brings files from the network to Matrix, each content once.
#[derive(Clone)]
pub struct Transfer {
    kv: Arc<dyn KeyValue>,
}

impl Transfer {
    /// Remembering in `kv` what is there already.
    pub fn new(kv: Arc<dyn KeyValue>) -> Self {
        Self { kv }
    }

    /// The file that `source` (a connector's [`crate::event::MediaRef`], or whatever names it for good) was uploaded as.
    pub async fn known(&self, source: &str) -> Result<Option<Uploaded>, MediaError> {
        self.recall(&source_key(source)).await
    }

    /// Uploads a file as `intent`. It is read once, to the disk if it is large; content that is on Matrix already is not
    /// uploaded again. `source` is remembered for [`Transfer::known`].
    pub async fn upload(
        &self,
        intent: &Intent,
        source: Option<&str>,
        stream: MediaStream,
        name: Option<&str>,
    ) -> Result<Uploaded, MediaError> {
        let limit = intent.matrix().max_media_bytes();
        if stream.size.is_some_and(|size| size > limit) {
            return Err(MediaError::TooLarge { limit });
        }
        let file = Spooled::read(stream.bytes, limit).await?;
        let mime = sniff::better(stream.mime.as_deref(), file.head());
        // The name and type go with the upload, so the same bytes of another type are another file.
        let content_key = format!("media/content/plain/{}/{mime}", hex(&file.sha256));
        let uploaded = if let Some(known) = self.recall(&content_key).await? {
            known
        } else {
            let mxc = send(intent, &file, &mime, name).await?;
            let uploaded = Uploaded { mxc, mime, size: file.size };
            self.remember(&content_key, &uploaded).await?;
            uploaded
        };
        if let Some(source) = source {
            self.remember(&source_key(source), &uploaded).await?;
        }
        Ok(uploaded)
    }

    async fn recall(&self, key: &str) -> Result<Option<Uploaded>, MediaError> {
        Ok(self.kv.get(key).await?.and_then(|value| serde_json::from_str(&value).ok()))
    }

    async fn remember(&self, key: &str, uploaded: &Uploaded) -> Result<(), MediaError> {
        let value = serde_json::to_string(uploaded).map_err(|error| KvError(error.to_string()))?;
        Ok(self.kv.put(key, &value).await?)
    }
}

/// Sends a file, again a little later where that may help.
async fn send(
    intent: &Intent,
    file: &Spooled,
    mime: &str,
    name: Option<&str>,
) -> Result<String, MediaError> {
    let mut waits = UPLOAD_RETRIES.iter();
    loop {
        let stream = file.stream().await?;
        match intent.upload(stream, Some(file.size), mime, name).await {
            Ok(mxc) => return Ok(mxc),
            Err(error) if error.is_temporary() => {
                let Some(wait) = waits.next() else { return Err(error.into()) };
                let wait = error.retry_after().unwrap_or(*wait).min(Duration::from_secs(30));
                tokio::time::sleep(wait).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn source_key(source: &str) -> String {
    use sha2::{Digest, Sha256};
    format!("media/source/{}", hex(&Sha256::digest(source.as_bytes())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The files of Matrix, for handlers.
pub struct Files {
    matrix: Matrix,
    transfer: Transfer,
    public: Option<Arc<PublicMedia>>,
}

impl Files {
    /// Read through `matrix`; with addresses for everybody where `public` gives them.
    pub fn new(matrix: Matrix, kv: Arc<dyn KeyValue>, public: Option<Arc<PublicMedia>>) -> Self {
        Self { matrix, transfer: Transfer::new(kv), public }
    }
}

fn net_error(error: &MediaError) -> NetError {
    if error.is_temporary() { NetError::temporary(error) } else { NetError::permanent(error) }
}

#[async_trait]
impl MediaAccess for Files {
    async fn open(&self, mxc: &str) -> Result<MediaStream, NetError> {
        let file =
            self.matrix.bot().download(mxc).await.map_err(|error| net_error(&error.into()))?;
        Ok(MediaStream { mime: file.mime, size: file.size, bytes: file.bytes })
    }

    fn link(&self, mxc: &str, name: &str) -> Option<String> {
        self.public.as_ref()?.link(mxc, name)
    }

    async fn publish(
        &self,
        bytes: Bytes,
        name: &str,
        mime: &str,
    ) -> Result<Option<String>, NetError> {
        let Some(public) = &self.public else { return Ok(None) };
        let size = Some(bytes.len() as u64);
        let stream = futures::stream::iter([Ok(bytes)]).boxed();
        let stream = MediaStream { mime: Some(mime.to_owned()), size, bytes: stream };
        let uploaded = self.transfer.upload(&self.matrix.bot(), None, stream, Some(name)).await;
        Ok(public.link(&uploaded.map_err(|error| net_error(&error))?.mxc, name))
    }
}
