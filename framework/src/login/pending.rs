//! Remembers which users are in the middle of a login, so that after a restart they are told to start again.
//! The answers themselves are never stored.

use crate::kv::{KeyValue, KvError};

const PREFIX: &str = "login-pending/";

/// Somebody was logging in when the bridge stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// The user.
    pub user: String,
    /// Where they were talking to the bot.
    pub room: String,
}

/// A login began in this room.
pub async fn begin(kv: &dyn KeyValue, user: &str, room: &str) -> Result<(), KvError> {
    kv.put(&format!("{PREFIX}{user}"), room).await
}

/// It ended, one way or the other.
pub async fn end(kv: &dyn KeyValue, user: &str) -> Result<(), KvError> {
    kv.delete(&format!("{PREFIX}{user}")).await
}

/// Those whose login a restart interrupted. They are forgotten one by one, with [`end`], as they are told.
pub async fn interrupted(kv: &dyn KeyValue) -> Result<Vec<Interrupted>, KvError> {
    let rows = kv.list(PREFIX).await?;
    Ok(rows
        .into_iter()
        .map(|(key, room)| Interrupted { user: key[PREFIX.len()..].to_owned(), room })
        .collect())
}
