//! What can go wrong with media.

use crate::commit::CommitError;
use crate::storage::StorageError;

/// Why a file cannot be taken or given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// There is no such media, or it is not served here.
    #[error("there is no such media")]
    NotFound,
    /// Its upload is still awaited.
    #[error("the media has not been uploaded yet")]
    NotYetUploaded,
    /// The file is larger than this server takes.
    #[error("the file has more than the {limit} bytes allowed")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The user has uploaded as much as is allowed.
    #[error("the quota for uploads is used up")]
    QuotaExceeded,
    /// The user holds too many ids without a file.
    #[error("too many uploads are still to come; finish some first")]
    TooManyPending,
    /// The id was given to somebody else.
    #[error("this media id was created by another user")]
    NotYours,
    /// The id has its file.
    #[error("there is a file under this media id already")]
    AlreadyUploaded,
    /// The body broke off.
    #[error("the upload broke off")]
    BrokenOff,
    /// The range asked for lies outside the file.
    #[error("the range lies outside the file")]
    BadRange,
    /// There is no picture to make smaller.
    #[error("no thumbnail can be made of this media")]
    NoThumbnail,
    /// The picture is too large to decode.
    #[error("the picture is too large to make a thumbnail of")]
    TooLargeForThumbnail,
    /// Too many wait for uploads to come.
    #[error("too many requests wait for uploads")]
    TooManyWaiting,
    /// The object store failed.
    #[error("the media store failed: {0}")]
    Store(#[from] object_store::Error),
    /// The disk failed.
    #[error("the media store failed: {0}")]
    Io(#[from] std::io::Error),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The commit failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}
