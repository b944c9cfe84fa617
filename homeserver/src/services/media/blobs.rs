//! The bytes of files, by their hash, in an object store: a local folder, or anything else that the
//! `object_store` crate speaks to.

use std::io::SeekFrom;
use std::path::Path as FsPath;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
    PutPayload, WriteMultipart,
};
use rand::RngExt as _;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::MediaError;

/// Files up to this size are written in one go; of larger ones this much is held at a time. S3 takes no
/// smaller parts.
const PART_BYTES: usize = 5 << 20;
const READ_BYTES: usize = 64 << 10;

/// The bytes of all files.
#[derive(Clone)]
pub struct Blobs(Arc<dyn ObjectStore>);

/// What became of an upload.
pub(super) struct Stored {
    pub(super) sha256: [u8; 32],
    pub(super) bytes: u64,
}

/// A file, or a part of it, to be read.
pub struct BlobStream {
    /// The length of the whole file, in bytes.
    pub total: u64,
    /// Which of its bytes come.
    pub range: std::ops::Range<u64>,
    /// The bytes.
    pub bytes: BoxStream<'static, Result<Bytes, std::io::Error>>,
}

impl Blobs {
    /// In a folder, which is made if it is missing. Writes reach the disk before they count.
    pub fn local(folder: &FsPath) -> Result<Self, MediaError> {
        std::fs::create_dir_all(folder)?;
        Ok(Self(Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true))))
    }

    /// In any object store.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self(store)
    }

    /// Writes a stream of at most `limit` bytes. Bytes that are there already are not written twice.
    pub(super) async fn put<E>(
        &self,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
        limit: u64,
    ) -> Result<Stored, MediaError> {
        futures::pin_mut!(body);
        let mut hash = Sha256::new();
        let mut bytes = 0_u64;
        let mut head = BytesMut::new();
        let mut large: Option<(Path, WriteMultipart)> = None;
        while let Some(chunk) = body.next().await {
            let Ok(chunk) = chunk else {
                abort(large).await;
                return Err(MediaError::BrokenOff);
            };
            bytes = bytes.saturating_add(chunk.len() as u64);
            if bytes > limit {
                abort(large).await;
                return Err(MediaError::TooLarge { limit });
            }
            hash.update(&chunk);
            if let Some((_, writer)) = &mut large {
                writer.wait_for_capacity(2).await?;
                writer.put(chunk);
            } else if head.len() + chunk.len() <= PART_BYTES {
                head.extend_from_slice(&chunk);
            } else {
                let path = Path::from_iter(["incoming".to_owned(), random_name()]);
                let upload = self.0.put_multipart(&path).await?;
                let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
                writer.put(std::mem::take(&mut head).freeze());
                writer.put(chunk);
                large = Some((path, writer));
            }
        }
        let sha256: [u8; 32] = hash.finalize().into();
        let target = content_path(&sha256);
        match large {
            None => self.put_new(&target, head.freeze()).await?,
            Some((path, writer)) => {
                writer.finish().await?;
                self.0.rename(&path, &target).await?;
            }
        }
        Ok(Stored { sha256, bytes })
    }

    async fn put_new(&self, path: &Path, bytes: Bytes) -> Result<(), MediaError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.0.put_opts(path, PutPayload::from_bytes(bytes), options).await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a file is there.
    pub(super) async fn exist(&self, sha256: &[u8]) -> Result<bool, MediaError> {
        match self.0.head(&content_path(sha256)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a file with its thumbnails. What is gone already doesn't matter.
    pub(super) async fn delete(&self, sha256: &[u8]) -> Result<(), MediaError> {
        let mut paths = vec![content_path(sha256)];
        let mut thumbnails = self.0.list(Some(&thumbnail_folder(sha256)));
        while let Some(thumbnail) = thumbnails.try_next().await? {
            paths.push(thumbnail.location);
        }
        for path in paths {
            match self.0.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads a file, or a part of it.
    pub(super) async fn read(
        &self,
        sha256: &[u8],
        range: Option<GetRange>,
    ) -> Result<BlobStream, MediaError> {
        self.read_path(&content_path(sha256), range).await
    }

    async fn read_path(
        &self,
        path: &Path,
        range: Option<GetRange>,
    ) -> Result<BlobStream, MediaError> {
        let asked = range.is_some();
        let result = self.0.get_opts(path, GetOptions { range, ..GetOptions::default() }).await;
        let result = result.map_err(|error| match error {
            object_store::Error::NotFound { .. } => MediaError::NotFound,
            object_store::Error::Generic { .. } if asked => MediaError::BadRange,
            other => other.into(),
        })?;
        let (total, range) = (result.meta.size, result.range.clone());
        let bytes = match result.payload {
            GetResultPayload::File(file, _) => {
                let mut file = tokio::fs::File::from_std(file);
                file.seek(SeekFrom::Start(range.start)).await?;
                ReaderStream::with_capacity(file.take(range.end - range.start), READ_BYTES).boxed()
            }
            GetResultPayload::Stream(stream) => stream.map_err(std::io::Error::other).boxed(),
        };
        Ok(BlobStream { total, range, bytes })
    }

    /// The thumbnail stored as `name`.
    pub(super) async fn thumbnail(
        &self,
        sha256: &[u8],
        name: &str,
    ) -> Result<Option<BlobStream>, MediaError> {
        match self.read_path(&thumbnail_path(sha256, name), None).await {
            Ok(stream) => Ok(Some(stream)),
            Err(MediaError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stores a thumbnail as `name`.
    pub(super) async fn put_thumbnail(
        &self,
        sha256: &[u8],
        name: &str,
        bytes: Bytes,
    ) -> Result<(), MediaError> {
        self.put_new(&thumbnail_path(sha256, name), bytes).await
    }

    /// A file that decoders can seek in: the file itself in a folder, else a temporary copy that is gone
    /// when it is closed.
    pub(super) async fn seekable(&self, sha256: &[u8]) -> Result<std::fs::File, MediaError> {
        let result = self.0.get(&content_path(sha256)).await.map_err(|error| match error {
            object_store::Error::NotFound { .. } => MediaError::NotFound,
            other => other.into(),
        })?;
        match result.payload {
            GetResultPayload::File(file, _) => Ok(file),
            GetResultPayload::Stream(mut stream) => {
                let mut copy = tokio::fs::File::from_std(tempfile::tempfile()?);
                while let Some(chunk) = stream.try_next().await? {
                    tokio::io::AsyncWriteExt::write_all(&mut copy, &chunk).await?;
                }
                copy.rewind().await?;
                Ok(copy.into_std().await)
            }
        }
    }
}

/// Gives up an upload; what cannot be removed now is only litter under `incoming/`.
async fn abort(large: Option<(Path, WriteMultipart)>) {
    if let Some((path, writer)) = large
        && let Err(error) = writer.abort().await
    {
        tracing::warn!(%path, %error, "an unfinished upload could not be removed");
    }
}

fn random_name() -> String {
    let mut rng = rand::rng();
    (0..32).map(|_| char::from(rng.sample(rand::distr::Alphanumeric))).collect()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Two levels of folders keep each of them small.
fn content_path(sha256: &[u8]) -> Path {
    let name = hex(sha256);
    let (first, second) = (name.get(0..2).unwrap_or_default(), name.get(2..4).unwrap_or_default());
    Path::from_iter(["content", first, second, &name])
}

fn thumbnail_folder(sha256: &[u8]) -> Path {
    let of = hex(sha256);
    let first = of.get(0..2).unwrap_or_default();
    Path::from_iter(["thumbnails", first, &of])
}

fn thumbnail_path(sha256: &[u8], name: &str) -> Path {
    let of = hex(sha256);
    let first = of.get(0..2).unwrap_or_default();
    Path::from_iter(["thumbnails", first, &of, name])
}
