//! A file read to its end once: hashed on the way, small ones in memory, large ones on the disk.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;

use super::MediaError;
use crate::matrix::ByteStream;

/// Larger files go to the disk.
const IN_MEMORY: usize = 256 * 1024;
/// What is kept of the beginning, to look at.
const HEAD: usize = 512;

/// A file that can be sent, and sent again.
pub(super) struct Spooled {
    pub(super) sha256: [u8; 32],
    pub(super) size: u64,
    head: Bytes,
    data: Data,
}

enum Data {
    Memory(Bytes),
    /// Without a name on the disk, so that it goes whatever happens.
    Disk(std::fs::File),
}

impl Spooled {
    /// Reads a stream to its end, or to `limit` bytes.
    pub(super) async fn read(mut stream: ByteStream, limit: u64) -> Result<Self, MediaError> {
        let mut hash = Sha256::new();
        let mut size = 0u64;
        let mut memory = BytesMut::new();
        let mut head = Bytes::new();
        let mut disk: Option<File> = None;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(MediaError::Broken)?;
            size += chunk.len() as u64;
            if size > limit {
                return Err(MediaError::TooLarge { limit });
            }
            hash.update(&chunk);
            if let Some(file) = &mut disk {
                file.write_all(&chunk).await.map_err(MediaError::Disk)?;
                continue;
            }
            memory.extend_from_slice(&chunk);
            if memory.len() > IN_MEMORY {
                let unnamed = tokio::task::spawn_blocking(tempfile::tempfile).await;
                let unnamed = unnamed
                    .map_err(std::io::Error::other)
                    .and_then(|file| file)
                    .map_err(MediaError::Disk)?;
                let mut file = File::from_std(unnamed);
                head = Bytes::copy_from_slice(&memory[..HEAD]);
                file.write_all(&memory.split()).await.map_err(MediaError::Disk)?;
                disk = Some(file);
            }
        }
        let data = if let Some(mut file) = disk {
            file.flush().await.map_err(MediaError::Disk)?;
            Data::Disk(file.into_std().await)
        } else {
            let bytes = memory.freeze();
            head = bytes.slice(..bytes.len().min(HEAD));
            Data::Memory(bytes)
        };
        Ok(Self { sha256: hash.finalize().into(), size, head, data })
    }

    /// Its first bytes.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The file from its beginning. One stream at a time: they share the place in the file.
    pub(super) async fn stream(&self) -> Result<ByteStream, MediaError> {
        match &self.data {
            Data::Memory(bytes) => Ok(futures::stream::iter([Ok(bytes.clone())]).boxed()),
            Data::Disk(file) => {
                let mut file = File::from_std(file.try_clone().map_err(MediaError::Disk)?);
                file.rewind().await.map_err(MediaError::Disk)?;
                Ok(ReaderStream::with_capacity(file, 64 * 1024).boxed())
            }
        }
    }
}
