//! Portals: which room belongs to which chat, and how it stands.

use landbridge_database::{Row, Value, args};
use serde::{Deserialize, Serialize};

use super::{Batch, Store, StoreError};
use crate::{
    event::{ChatKind, Disappear, ThreadMode},
    network::{PortalKey, Scope},
    plain::{Plain, PlainMeta},
};

/// How a portal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortalState {
    /// Known, without a room.
    New,
    /// A room is being created: after a crash, look whether it was.
    Creating,
    /// It has a room.
    Open,
    /// Its user left: no room is made again until they ask.
    Left,
    /// The chat no longer exists.
    Gone,
}

impl PortalState {
    fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Creating => "creating",
            Self::Open => "open",
            Self::Left => "left",
            Self::Gone => "gone",
        }
    }
    fn read(text: &str) -> Self {
        match text {
            "creating" => Self::Creating,
            "open" => Self::Open,
            "left" => Self::Left,
            "gone" => Self::Gone,
            _ => Self::New,
        }
    }
}

/// A pinned message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum KeptPin {
    /// Pinned in the chat.
    Own(String),
    /// Pinned in a thread that is a chat of its own and is shown in the chat's room: the message, and what the thread begins with.
    InThread(String, String),
}

impl KeptPin {
    /// The message.
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Own(id) | Self::InThread(id, _) => id,
        }
    }
}

/// A portal.
#[derive(Clone, Debug)]
pub(crate) struct PortalRow {
    pub(crate) id: i64,
    pub(crate) key: PortalKey<Plain>,
    pub(crate) room_id: Option<String>,
    pub(crate) state: PortalState,
    pub(crate) kind: ChatKind,
    pub(crate) name: Option<String>,
    pub(crate) topic: Option<String>,
    pub(crate) avatar: Option<String>,
    pub(crate) parent: Option<String>,
    pub(crate) dm_with: Option<String>,
    pub(crate) alias: Option<String>,
    pub(crate) relay_login: Option<String>,
    pub(crate) plumbed: bool,
    pub(crate) meta: PlainMeta,
    pub(crate) generation: i64,
    pub(crate) horizon: Option<String>,
    pub(crate) caps: Option<String>,
    /// Its place among its neighbours.
    pub(crate) position: Option<i64>,
    /// What is pinned on the network.
    pub(crate) pins: Vec<KeptPin>,
    /// When what is said in it disappears.
    pub(crate) timer: Option<Disappear>,
    /// How its threads are shown, if that was chosen for it.
    pub(crate) threads: Option<ThreadMode>,
}

impl PortalRow {
    /// A portal that has nothing yet.
    pub(crate) fn new(id: i64, key: PortalKey<Plain>) -> Self {
        Self {
            id,
            key,
            room_id: None,
            state: PortalState::New,
            kind: ChatKind::Group,
            name: None,
            topic: None,
            avatar: None,
            parent: None,
            dm_with: None,
            alias: None,
            relay_login: None,
            plumbed: false,
            meta: PlainMeta::default(),
            generation: 0,
            horizon: None,
            caps: None,
            position: None,
            pins: Vec::new(),
            timer: None,
            threads: None,
        }
    }
}

fn kind_text(kind: ChatKind) -> &'static str {
    match kind {
        ChatKind::Dm => "dm",
        ChatKind::Group => "group",
        ChatKind::Channel => "channel",
        ChatKind::Space => "space",
    }
}

fn scope_text(key: &PortalKey<Plain>) -> &str {
    match &key.scope {
        Scope::Shared => "",
        Scope::Private(login) => login,
    }
}

const COLUMNS: &str = "id, remote_id, scope_login, room_id, state, kind, name, topic, avatar, parent, dm_with, alias, \
     relay_login, plumbed, meta_version, meta, generation, horizon, caps, position, pins, timer, threads";

fn read(row: &Row) -> Result<PortalRow, StoreError> {
    let scope = row.text(2)?;
    Ok(PortalRow {
        id: row.int(0)?,
        key: PortalKey {
            id: row.text(1)?,
            scope: if scope.is_empty() { Scope::Shared } else { Scope::Private(scope) },
        },
        room_id: row.opt_text(3)?,
        state: PortalState::read(&row.text(4)?),
        kind: match row.text(5)?.as_str() {
            "dm" => ChatKind::Dm,
            "channel" => ChatKind::Channel,
            "space" => ChatKind::Space,
            _ => ChatKind::Group,
        },
        name: row.opt_text(6)?,
        topic: row.opt_text(7)?,
        avatar: row.opt_text(8)?,
        parent: row.opt_text(9)?,
        dm_with: row.opt_text(10)?,
        alias: row.opt_text(11)?,
        relay_login: row.opt_text(12)?,
        plumbed: row.bool(13)?,
        meta: PlainMeta { version: u32::try_from(row.int(14)?).unwrap_or(0), json: row.text(15)? },
        generation: row.int(16)?,
        horizon: row.opt_text(17)?,
        caps: row.opt_text(18)?,
        position: row.opt_int(19)?,
        pins: serde_json::from_str(&row.text(20)?).unwrap_or_default(),
        timer: row.opt_text(21)?.as_deref().and_then(Disappear::from_text),
        threads: row.opt_text(22)?.as_deref().and_then(ThreadMode::from_text),
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, remote_id, scope_login, room_id, state, kind, name, topic, avatar, parent, dm_with, alias, ",
            "relay_login, plumbed, meta_version, meta, generation, horizon, caps, position, pins, timer, threads ",
            "FROM portal ",
            $rest
        )
    };
}

impl Store {
    async fn portal_where(
        &self,
        sql: &'static str,
        args: Vec<Value>,
    ) -> Result<Option<PortalRow>, StoreError> {
        debug_assert!(sql.contains(COLUMNS), "the columns are read by place");
        self.db.fetch_optional(sql, args).await?.as_ref().map(read).transpose()
    }
    pub(crate) async fn portal(&self, id: i64) -> Result<Option<PortalRow>, StoreError> {
        self.portal_where(select!("WHERE id = $1"), args![id]).await
    }
    pub(crate) async fn portal_by_key(
        &self,
        key: &PortalKey<Plain>,
    ) -> Result<Option<PortalRow>, StoreError> {
        self.portal_where(
            select!("WHERE remote_id = $1 AND scope_login = $2"),
            args![&key.id, scope_text(key)],
        )
        .await
    }
    pub(crate) async fn portal_by_room(
        &self,
        room_id: &str,
    ) -> Result<Option<PortalRow>, StoreError> {
        self.portal_where(select!("WHERE room_id = $1"), args![room_id]).await
    }
    /// Portals in order of their number, from the one after `after`.
    pub(crate) async fn portals_after(
        &self,
        after: i64,
        limit: i64,
    ) -> Result<Vec<PortalRow>, StoreError> {
        let rows = self
            .db
            .fetch(select!("WHERE id > $1 ORDER BY id LIMIT $2"), args![after, limit])
            .await?;
        rows.iter().map(read).collect()
    }
    /// Open portals that a login may see: shared ones, and its own.
    pub(crate) async fn open_portals(&self, login: &str) -> Result<Vec<PortalRow>, StoreError> {
        let rows = self
            .db
            .fetch(
                select!(
                    "WHERE state = 'open' AND (scope_login = '' OR scope_login = $1) ORDER BY id"
                ),
                args![login],
            )
            .await?;
        rows.iter().map(read).collect()
    }
    /// Whether a portal's room is being created: a room that nobody knows may be it.
    pub(crate) async fn is_creating(&self) -> Result<bool, StoreError> {
        let row = self
            .db
            .fetch_optional("SELECT 1 FROM portal WHERE state = 'creating' LIMIT 1", args![])
            .await?;
        Ok(row.is_some())
    }
    /// The direct chat with a user of the network, if there is one.
    pub(crate) async fn portal_with(&self, user: &str) -> Result<Option<PortalRow>, StoreError> {
        self.portal_where(
            select!("WHERE dm_with = $1 AND state = 'open' ORDER BY id LIMIT 1"),
            args![user],
        )
        .await
    }
    /// How much waits in a portal, both ways together.
    pub(crate) async fn waiting_in(&self, portal: i64) -> Result<i64, StoreError> {
        let row = self
            .db
            .fetch_optional(
                "SELECT (SELECT COUNT(*) FROM task WHERE portal_id = $1 AND state = 'ready')
                      + (SELECT COUNT(*) FROM mx_outbox WHERE portal_id = $1 AND state = 'ready')
                      + (SELECT COUNT(*) FROM mx_inbox WHERE portal_id = $1 AND state = 'ready')
                      + (SELECT COUNT(*) FROM remote_outbox WHERE portal_id = $1
                           AND state IN ('ready', 'sending', 'awaiting_echo', 'unknown'))",
                args![portal],
            )
            .await?;
        row.map_or(Ok(0), |row| Ok(row.int(0)?))
    }
    /// The logins that see a portal, longest known first.
    pub(crate) async fn portal_logins(&self, portal: i64) -> Result<Vec<String>, StoreError> {
        let rows = self
            .db
            .fetch(
                "SELECT login_id FROM portal_login WHERE portal_id = $1 ORDER BY login_id",
                args![portal],
            )
            .await?;
        rows.iter().map(|row| Ok(row.text(0)?)).collect()
    }
}

impl Batch {
    /// Writes a portal whole.
    pub(crate) fn save_portal(&mut self, p: &PortalRow) {
        self.push(
            "INSERT INTO portal (id, remote_id, scope_login, room_id, state, kind, name, topic, avatar, parent, dm_with,
               alias, relay_login, plumbed, meta_version, meta, generation, horizon, caps, position, pins, timer, threads)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
               $23)
             ON CONFLICT (id) DO UPDATE SET remote_id = excluded.remote_id, scope_login = excluded.scope_login,
               room_id = excluded.room_id, state = excluded.state, kind = excluded.kind, name = excluded.name,
               topic = excluded.topic, avatar = excluded.avatar, parent = excluded.parent, dm_with = excluded.dm_with,
               alias = excluded.alias, relay_login = excluded.relay_login, plumbed = excluded.plumbed,
               meta_version = excluded.meta_version, meta = excluded.meta, generation = excluded.generation,
               horizon = excluded.horizon, caps = excluded.caps, position = excluded.position, pins = excluded.pins,
               timer = excluded.timer, threads = excluded.threads",
            args![
                p.id,
                &p.key.id,
                scope_text(&p.key),
                p.room_id.clone(),
                p.state.as_str(),
                kind_text(p.kind),
                p.name.clone(),
                p.topic.clone(),
                p.avatar.clone(),
                p.parent.clone(),
                p.dm_with.clone(),
                p.alias.clone(),
                p.relay_login.clone(),
                p.plumbed,
                i64::from(p.meta.version),
                &p.meta.json,
                p.generation,
                p.horizon.clone(),
                p.caps.clone(),
                p.position,
                // A list of texts is always JSON.
                serde_json::to_string(&p.pins).unwrap_or_else(|_| "[]".into()),
                p.timer.map(Disappear::to_text),
                p.threads.map(|mode| mode.as_str().to_owned()),
            ],
        );
    }
    pub(crate) fn set_horizon(&mut self, portal: i64, event_id: &str) {
        self.push("UPDATE portal SET horizon = $2 WHERE id = $1", args![portal, event_id]);
    }
    pub(crate) fn add_portal_login(&mut self, portal: i64, login: &str) {
        self.push(
            "INSERT INTO portal_login (portal_id, login_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            args![portal, login],
        );
    }
    pub(crate) fn remove_portal_login(&mut self, portal: i64, login: &str) {
        self.push(
            "DELETE FROM portal_login WHERE portal_id = $1 AND login_id = $2",
            args![portal, login],
        );
    }
    /// Forgets which of a portal's messages the network has under which identifiers: from now on it gives them anew.
    pub(crate) fn forget_numbers(&mut self, portal: i64) {
        for sql in [
            "DELETE FROM message WHERE portal_id = $1",
            "DELETE FROM reaction WHERE portal_id = $1",
            "DELETE FROM backfill WHERE portal_id = $1",
            "DELETE FROM poll WHERE portal_id = $1",
            "DELETE FROM poll_vote WHERE portal_id = $1",
            "DELETE FROM gallery WHERE portal_id = $1",
        ] {
            self.push(sql, args![portal]);
        }
    }
    /// Forgets a portal and everything that hangs on it.
    pub(crate) fn delete_portal(&mut self, portal: i64) {
        for sql in [
            "DELETE FROM portal_login WHERE portal_id = $1",
            "DELETE FROM task WHERE portal_id = $1",
            "DELETE FROM mx_outbox WHERE portal_id = $1",
            "DELETE FROM mx_inbox WHERE portal_id = $1",
            "DELETE FROM remote_outbox WHERE portal_id = $1",
            "DELETE FROM message WHERE portal_id = $1",
            "DELETE FROM reaction WHERE portal_id = $1",
            "DELETE FROM backfill WHERE portal_id = $1",
            "DELETE FROM poll WHERE portal_id = $1",
            "DELETE FROM poll_vote WHERE portal_id = $1",
            "DELETE FROM disappearing WHERE portal_id = $1",
            "DELETE FROM gallery WHERE portal_id = $1",
            "DELETE FROM portal WHERE id = $1",
        ] {
            self.push(sql, args![portal]);
        }
    }
}
