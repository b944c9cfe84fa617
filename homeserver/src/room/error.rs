//! What can go wrong between a room and its callers.

use crate::event::{BuildError, CanonicalError, PduError};

/// Why a room refuses a request.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RoomError {
    /// There is no such room here.
    #[error("no such room")]
    NotFound,
    /// The authorisation rules, or a rule of this server, don't allow it (`M_FORBIDDEN`).
    #[error("{0}")]
    Forbidden(String),
    /// The event is too large (`M_TOO_LARGE`).
    #[error("{0}")]
    TooLarge(String),
    /// The content isn't what its type demands, or has no canonical form (`M_BAD_JSON`).
    #[error("{0}")]
    BadJson(String),
    /// A parameter makes no sense (`M_INVALID_PARAM`).
    #[error("{0}")]
    InvalidParam(String),
    /// What it relates to can't have such a relation (`M_UNKNOWN`).
    #[error("{0}")]
    Unsuitable(String),
    /// Its sender has said the same of the same event (`M_DUPLICATE_ANNOTATION`).
    #[error("{0}")]
    DuplicateAnnotation(String),
    /// `createRoom` with state that contradicts itself (`M_INVALID_ROOM_STATE`).
    #[error("{0}")]
    InvalidState(String),
    /// This server doesn't know the room version (`M_UNSUPPORTED_ROOM_VERSION`).
    #[error("room version {0} isn't supported")]
    UnsupportedVersion(String),
    /// The alias is taken (`M_ROOM_IN_USE`).
    #[error("the alias is already in use")]
    AliasInUse,
    /// The room has more waiting requests than it takes (`M_LIMIT_EXCEEDED`).
    #[error("the room is too busy, try again soon")]
    Busy,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The database failed; nothing was accepted.
    #[error("the database failed: {0}")]
    Storage(String),
}

impl From<PduError> for RoomError {
    fn from(error: PduError) -> Self {
        match error {
            PduError::Format(text) => Self::BadJson(text),
            PduError::TooLarge(text) => Self::TooLarge(text),
        }
    }
}

impl From<BuildError> for RoomError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Format(text) => Self::BadJson(text),
            BuildError::TooLarge(text) => Self::TooLarge(text),
        }
    }
}

impl From<CanonicalError> for RoomError {
    fn from(error: CanonicalError) -> Self {
        Self::BadJson(error.to_string())
    }
}

impl From<crate::storage::StorageError> for RoomError {
    fn from(error: crate::storage::StorageError) -> Self {
        Self::Storage(error.to_string())
    }
}

impl From<crate::commit::CommitError> for RoomError {
    fn from(error: crate::commit::CommitError) -> Self {
        use super::unit::TIMELINE_FULL;
        use crate::{commit::CommitError, storage::StorageError};
        match error {
            CommitError::Stopped => Self::Stopping,
            CommitError::Storage(error)
                if matches!(*error, StorageError::Conflict(TIMELINE_FULL)) =>
            {
                Self::TooLarge(TIMELINE_FULL.to_owned())
            }
            error => Self::Storage(error.to_string()),
        }
    }
}
