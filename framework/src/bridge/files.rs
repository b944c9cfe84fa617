//! Matrix's files for handlers, where nothing serves them to the outside.

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    handlers::{MediaAccess, MediaStream},
    matrix::Matrix,
    network::NetError,
};

/// Reads files through the homeserver; has no address that everybody can use.
pub(super) struct Plain(Matrix);

impl Plain {
    pub(super) fn new(matrix: Matrix) -> Self {
        Self(matrix)
    }
}

#[async_trait]
impl MediaAccess for Plain {
    async fn open(&self, mxc: &str) -> Result<MediaStream, NetError> {
        match self.0.bot().download(mxc).await {
            Ok(file) => Ok(MediaStream { mime: file.mime, size: file.size, bytes: file.bytes }),
            Err(error) if error.is_temporary() => {
                Err(NetError::Temporary { reason: error.to_string(), after: error.retry_after() })
            }
            Err(error) => Err(NetError::permanent(error)),
        }
    }
    fn link(&self, _: &str, _: &str) -> Option<String> {
        None
    }
    async fn publish(&self, _: Bytes, _: &str, _: &str) -> Result<Option<String>, NetError> {
        Ok(None)
    }
}
