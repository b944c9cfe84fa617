//! Matrix users who have to do with the bridge.

use std::fmt;

use landbridge_database::args;

use super::{Batch, Store, StoreError};

/// A Matrix user.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct UserRow {
    pub(crate) mxid: String,
    pub(crate) management_room: Option<String>,
    /// An access token of theirs, given for double puppeting.
    pub(crate) puppet_token: Option<String>,
}
impl fmt::Debug for UserRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRow").field("mxid", &self.mxid).finish_non_exhaustive()
    }
}

impl Store {
    pub(crate) async fn user(&self, mxid: &str) -> Result<Option<UserRow>, StoreError> {
        let row = self
            .db
            .fetch_optional(
                "SELECT mxid, management_room, puppet_token FROM bridge_user WHERE mxid = $1",
                args![mxid],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(UserRow {
            mxid: row.text(0)?,
            management_room: row.opt_text(1)?,
            puppet_token: row.opt_text(2)?,
        }))
    }
}

impl Batch {
    pub(crate) fn save_user(&mut self, u: &UserRow) {
        self.push(
            "INSERT INTO bridge_user (mxid, management_room, puppet_token) VALUES ($1, $2, $3)
             ON CONFLICT (mxid) DO UPDATE SET management_room = excluded.management_room,
               puppet_token = excluded.puppet_token",
            args![&u.mxid, u.management_room.clone(), u.puppet_token.clone()],
        );
    }
}
