//! Logins and their streams' cursors.

use landbridge_database::{Row, Value, args};

use super::{Batch, Store, StoreError};
use crate::{adapter::StoredLogin, plain::PlainMeta};

const ACTIVE: &str = "active";

fn read(row: &Row) -> Result<(StoredLogin, bool), StoreError> {
    let login = StoredLogin {
        id: row.text(0)?,
        owner: row.opt_text(1)?,
        name: row.text(2)?,
        user: row.opt_text(3)?,
        meta: PlainMeta { version: u32::try_from(row.int(4)?).unwrap_or(0), json: row.text(5)? },
    };
    Ok((login, row.text(6)? == ACTIVE))
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT id, owner, name, remote_user, meta_version, meta, state FROM login ", $rest)
    };
}

impl Store {
    async fn logins_where(
        &self,
        sql: &'static str,
        args: Vec<Value>,
    ) -> Result<Vec<(StoredLogin, bool)>, StoreError> {
        self.db.fetch(sql, args).await?.iter().map(read).collect()
    }
    /// A login, and whether it is to be connected.
    pub(crate) async fn login(&self, id: &str) -> Result<Option<(StoredLogin, bool)>, StoreError> {
        Ok(self.logins_where(select!("WHERE id = $1"), args![id]).await?.pop())
    }
    /// All logins that weren't logged out, with whether they are to be connected.
    pub(crate) async fn logins(&self) -> Result<Vec<(StoredLogin, bool)>, StoreError> {
        self.logins_where(select!("WHERE state <> 'logged_out' ORDER BY id"), args![]).await
    }
    pub(crate) async fn cursor(
        &self,
        login: &str,
        stream: &str,
    ) -> Result<Option<String>, StoreError> {
        let row = self
            .db
            .fetch_optional(
                "SELECT cursor FROM login_cursor WHERE login_id = $1 AND stream = $2",
                args![login, stream],
            )
            .await?;
        Ok(row.map(|row| row.text(0)).transpose()?)
    }
}

impl Batch {
    /// Writes a login, to be connected.
    pub(crate) fn save_login(&mut self, l: &StoredLogin) {
        self.push(
            "INSERT INTO login (id, owner, name, remote_user, meta_version, meta, state)
             VALUES ($1, $2, $3, $4, $5, $6, 'active')
             ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, name = excluded.name,
               remote_user = excluded.remote_user, meta_version = excluded.meta_version, meta = excluded.meta,
               state = 'active', state_text = NULL",
            args![
                &l.id,
                l.owner.clone(),
                &l.name,
                l.user.clone(),
                i64::from(l.meta.version),
                &l.meta.json
            ],
        );
    }
    pub(crate) fn login_bad_credentials(&mut self, id: &str, why: &str) {
        self.push(
            "UPDATE login SET state = 'bad_credentials', state_text = $2 WHERE id = $1",
            args![id, why],
        );
    }
    /// Logs out for good: credentials and cursors are forgotten, what was received stays readable.
    pub(crate) fn login_logged_out(&mut self, id: &str) {
        self.push(
            "UPDATE login SET state = 'logged_out', meta = '', state_text = NULL WHERE id = $1",
            args![id],
        );
        self.push("DELETE FROM login_cursor WHERE login_id = $1", args![id]);
        self.push("DELETE FROM portal_login WHERE login_id = $1", args![id]);
    }
    pub(crate) fn save_cursor(&mut self, login: &str, stream: &str, cursor: &str) {
        self.push(
            "INSERT INTO login_cursor (login_id, stream, cursor) VALUES ($1, $2, $3)
             ON CONFLICT (login_id, stream) DO UPDATE SET cursor = excluded.cursor",
            args![login, stream, cursor],
        );
    }
}
