//! Files on their way to the network: what handlers are given of them, and how they are read.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{event::MediaKind, format::Rich, network::NetError};

/// A file to send.
#[derive(Clone)]
pub struct Media {
    /// Its `mxc:` address.
    pub mxc: String,
    /// What sort of file.
    pub kind: MediaKind,
    /// The file's name.
    pub name: String,
    /// Its media type, as the sender says.
    pub mime: Option<String>,
    /// Its size in bytes, as the sender says.
    pub size: Option<u64>,
    /// Width and height in pixels, as the sender says.
    pub dimensions: Option<(u32, u32)>,
    /// Length of sound or film, as the sender says.
    pub duration: Option<Duration>,
    /// Text that goes with it.
    pub caption: Option<Rich>,
    /// Whether it is hidden until the reader asks for it.
    pub spoiler: bool,
    pub(crate) access: Arc<dyn MediaAccess>,
}
impl Media {
    /// Reads the file, bounded by the bridge's size limit.
    pub async fn open(&self) -> Result<MediaStream, NetError> {
        self.access.open(&self.mxc).await
    }
    /// An address everybody can fetch it at, if the bridge serves one.
    pub fn link(&self) -> Option<String> {
        self.access.link(&self.mxc, &self.name)
    }
}

/// Several files to send as one: a gallery (MSC4274).
#[derive(Clone)]
pub struct Gallery {
    /// The files, in order; there is at least one. Their captions are their own.
    pub items: Vec<Media>,
    /// Text that goes with the whole.
    pub caption: Option<Rich>,
}

/// A file as it is read.
pub struct MediaStream {
    /// Its media type, as the server says.
    pub mime: Option<String>,
    /// Its size in bytes, as the server says.
    pub size: Option<u64>,
    /// Its bytes.
    pub bytes: BoxStream<'static, std::io::Result<Bytes>>,
}

/// How files on Matrix are reached.
#[async_trait]
pub trait MediaAccess: Send + Sync + 'static {
    /// Reads a file by its `mxc:` address.
    async fn open(&self, mxc: &str) -> Result<MediaStream, NetError>;
    /// An address everybody can fetch it at, if there is one.
    fn link(&self, mxc: &str, name: &str) -> Option<String>;
    /// Keeps bytes, and gives an address everybody can fetch them at, if this bridge can have one.
    async fn publish(
        &self,
        bytes: Bytes,
        name: &str,
        mime: &str,
    ) -> Result<Option<String>, NetError>;
}
