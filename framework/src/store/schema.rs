//! The tables. Queues are ordered by `seq`; what waits in one is found by a partial index, so that finished rows, which
//! are kept for a while, cost nothing.

use landbridge_database::{Database, DatabaseError, Migrations, args};

pub(super) const MIGRATIONS: Migrations = Migrations::new("bridge", &[V1, V2, V3, V4]);

const V1: &str = "
-- A remote chat and its room.
CREATE TABLE portal (
  id BIGINT PRIMARY KEY,
  remote_id TEXT NOT NULL,
  scope_login TEXT NOT NULL DEFAULT '',     -- empty: shared by all logins
  room_id TEXT UNIQUE,
  state TEXT NOT NULL,                      -- new | creating | open | left | gone
  kind TEXT NOT NULL DEFAULT 'group',       -- dm | group | channel | space
  name TEXT, topic TEXT, avatar TEXT, parent TEXT, dm_with TEXT, alias TEXT,
  relay_login TEXT,
  plumbed BIGINT NOT NULL DEFAULT 0,        -- the room was there before us: its name and members aren't ours
  meta_version BIGINT NOT NULL DEFAULT 0, meta TEXT NOT NULL DEFAULT '',
  generation BIGINT NOT NULL DEFAULT 0,     -- counts the rooms it has had
  horizon TEXT,                             -- the event up to which its room was read back
  caps TEXT,                                -- hash of the capabilities its room was told
  UNIQUE (remote_id, scope_login));
CREATE INDEX portal_creating ON portal (id) WHERE state = 'creating';
CREATE TABLE portal_login (
  portal_id BIGINT NOT NULL, login_id TEXT NOT NULL, PRIMARY KEY (portal_id, login_id));
CREATE INDEX portal_login_login ON portal_login (login_id);

-- A user of the network.
CREATE TABLE ghost (
  id TEXT PRIMARY KEY, mxid TEXT NOT NULL UNIQUE, name TEXT, avatar TEXT, avatar_mxc TEXT,
  bot BIGINT NOT NULL DEFAULT 0, checked_at BIGINT NOT NULL DEFAULT 0);

-- A Matrix user who has to do with the bridge.
CREATE TABLE bridge_user (
  mxid TEXT PRIMARY KEY, management_room TEXT, puppet_token TEXT);

-- An account on the network. Its meta holds credentials.
CREATE TABLE login (
  id TEXT PRIMARY KEY, owner TEXT, name TEXT NOT NULL, remote_user TEXT,
  meta_version BIGINT NOT NULL, meta TEXT NOT NULL,
  state TEXT NOT NULL,                      -- active | bad_credentials | logged_out
  state_text TEXT);
CREATE INDEX login_owner ON login (owner);
CREATE INDEX login_user ON login (remote_user);
CREATE TABLE login_cursor (
  login_id TEXT NOT NULL, stream TEXT NOT NULL, cursor TEXT NOT NULL, PRIMARY KEY (login_id, stream));

-- Network -> bridge, verbatim; durable before it is acknowledged.
CREATE TABLE inbox (
  seq BIGINT PRIMARY KEY, login_id TEXT NOT NULL, event_key TEXT NOT NULL, raw TEXT NOT NULL,
  state TEXT NOT NULL,                      -- new | held | done | dead
  error TEXT, received_at BIGINT NOT NULL,
  UNIQUE (login_id, event_key));
CREATE INDEX inbox_new ON inbox (seq) WHERE state = 'new';
CREATE INDEX inbox_held ON inbox (seq) WHERE state = 'held';

-- One decoded event for one portal. The event itself is decoded again from its inbox row.
CREATE TABLE task (
  seq BIGINT PRIMARY KEY, portal_id BIGINT NOT NULL, event_key TEXT NOT NULL,
  inbox_seq BIGINT NOT NULL, place BIGINT NOT NULL,
  state TEXT NOT NULL,                      -- ready | parked | done | dead
  depends_on TEXT, attempts BIGINT NOT NULL DEFAULT 0, not_before BIGINT NOT NULL DEFAULT 0, error TEXT,
  decoded_at BIGINT NOT NULL,
  UNIQUE (portal_id, event_key));
CREATE INDEX task_ready ON task (portal_id, seq) WHERE state = 'ready';
CREATE INDEX task_parked ON task (portal_id, depends_on) WHERE state = 'parked';
CREATE INDEX task_inbox ON task (inbox_seq);

-- Bridge -> homeserver.
CREATE TABLE mx_outbox (
  seq BIGINT PRIMARY KEY, portal_id BIGINT NOT NULL, task_seq BIGINT, sender TEXT NOT NULL,
  kind TEXT NOT NULL, body TEXT NOT NULL, txn_id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,                      -- ready | sent | dead
  event_id TEXT, attempts BIGINT NOT NULL DEFAULT 0, not_before BIGINT NOT NULL DEFAULT 0, error TEXT,
  created_at BIGINT NOT NULL, sent_at BIGINT);
CREATE INDEX mx_outbox_ready ON mx_outbox (portal_id, seq) WHERE state = 'ready';
CREATE INDEX mx_outbox_event ON mx_outbox (event_id);

-- Homeserver -> bridge: transactions and their events, committed together before the 200.
CREATE TABLE as_txn (txn_id TEXT PRIMARY KEY, received_at BIGINT NOT NULL);
CREATE TABLE mx_inbox (
  seq BIGINT PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, room_id TEXT NOT NULL, portal_id BIGINT, body TEXT NOT NULL,
  state TEXT NOT NULL,                      -- ready | done | dead
  attempts BIGINT NOT NULL DEFAULT 0, not_before BIGINT NOT NULL DEFAULT 0, error TEXT, received_at BIGINT NOT NULL);
CREATE INDEX mx_inbox_ready ON mx_inbox (portal_id, seq) WHERE state = 'ready';

-- Bridge -> network.
CREATE TABLE remote_outbox (
  seq BIGINT PRIMARY KEY, mx_seq BIGINT NOT NULL, portal_id BIGINT NOT NULL, event_id TEXT NOT NULL,
  login_id TEXT NOT NULL, op TEXT NOT NULL, idem_key TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,                      -- ready | sending | awaiting_echo | unknown | sent | refused | unsure | dead
  remote_id TEXT, attempts BIGINT NOT NULL DEFAULT 0, not_before BIGINT NOT NULL DEFAULT 0,
  first_sent_at BIGINT, expires_at BIGINT NOT NULL, checkpoint TEXT, error TEXT,
  created_at BIGINT NOT NULL, done_at BIGINT);
CREATE INDEX remote_outbox_open ON remote_outbox (portal_id, seq)
  WHERE state IN ('ready', 'sending', 'awaiting_echo', 'unknown');
CREATE INDEX remote_outbox_event ON remote_outbox (event_id);

-- One part of a message, on both sides. Rows of deleted messages stay, so that late edits and replays stay dropped.
CREATE TABLE message (
  portal_id BIGINT NOT NULL, remote_id TEXT NOT NULL, part TEXT NOT NULL, place BIGINT NOT NULL,
  event_id TEXT NOT NULL, sender TEXT NOT NULL, remote_order BIGINT, ts BIGINT NOT NULL,
  edit_version BIGINT NOT NULL DEFAULT 0, thread_root TEXT, tombstone BIGINT NOT NULL DEFAULT 0,
  meta_version BIGINT NOT NULL, meta TEXT NOT NULL,
  PRIMARY KEY (portal_id, remote_id, part));
CREATE INDEX message_event ON message (event_id);
CREATE INDEX message_ts ON message (portal_id, ts);

CREATE TABLE reaction (
  portal_id BIGINT NOT NULL, remote_id TEXT NOT NULL, part TEXT NOT NULL, sender TEXT NOT NULL, emoji TEXT NOT NULL,
  event_id TEXT NOT NULL, ts BIGINT NOT NULL,
  PRIMARY KEY (portal_id, remote_id, part, sender, emoji));
CREATE INDEX reaction_event ON reaction (event_id);

-- History still to be fetched.
CREATE TABLE backfill (
  portal_id BIGINT NOT NULL, dir TEXT NOT NULL, login_id TEXT NOT NULL, cursor TEXT, anchor TEXT,
  remaining BIGINT NOT NULL, state TEXT NOT NULL, not_before BIGINT NOT NULL DEFAULT 0,
  attempts BIGINT NOT NULL DEFAULT 0, error TEXT,
  PRIMARY KEY (portal_id, dir));

CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT NOT NULL);
";

const V2: &str = "
ALTER TABLE portal ADD COLUMN position BIGINT;              -- its place among its neighbours in their space
ALTER TABLE portal ADD COLUMN pins TEXT NOT NULL DEFAULT '[]';  -- what is pinned on the network: a JSON list of messages
ALTER TABLE portal ADD COLUMN timer TEXT;                   -- when what is said in it disappears
ALTER TABLE portal ADD COLUMN threads TEXT;                 -- how its threads are shown: threads | rooms; NULL as configured

-- A poll that is on both sides.
CREATE TABLE poll (
  portal_id BIGINT NOT NULL, remote_id TEXT NOT NULL,
  options TEXT NOT NULL,                    -- JSON: of each its id on Matrix, its id on the network, its text
  max_choices BIGINT NOT NULL,
  counts TEXT NOT NULL DEFAULT '[]',        -- JSON: votes by option, as the network counts them
  ended BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (portal_id, remote_id));
CREATE TABLE poll_vote (
  portal_id BIGINT NOT NULL, remote_id TEXT NOT NULL, voter TEXT NOT NULL, choices TEXT NOT NULL,
  PRIMARY KEY (portal_id, remote_id, voter));

-- The network's own emoji, as they are on Matrix.
CREATE TABLE emoji (
  id TEXT PRIMARY KEY, shortcode TEXT NOT NULL, source TEXT, mxc TEXT NOT NULL, seen_at BIGINT NOT NULL);
CREATE INDEX emoji_mxc ON emoji (mxc);
CREATE INDEX emoji_shortcode ON emoji (shortcode);

-- Events that disappear: at `due_at`, or `timer` after they were read.
CREATE TABLE disappearing (
  event_id TEXT PRIMARY KEY, portal_id BIGINT NOT NULL, ts BIGINT NOT NULL, timer BIGINT NOT NULL, due_at BIGINT);
CREATE INDEX disappearing_due ON disappearing (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX disappearing_unread ON disappearing (portal_id, ts) WHERE due_at IS NULL;

-- Spaces: of logins; which room is in which, as Matrix was told; and which rooms' places are to be looked at.
CREATE TABLE login_space (
  login_id TEXT PRIMARY KEY, room_id TEXT, generation BIGINT NOT NULL);
CREATE TABLE space_child (
  child TEXT NOT NULL, parent TEXT NOT NULL, shown TEXT NOT NULL, PRIMARY KEY (child, parent));
CREATE INDEX space_child_parent ON space_child (parent);
CREATE TABLE space_job (
  child TEXT PRIMARY KEY, version BIGINT NOT NULL, not_before BIGINT NOT NULL DEFAULT 0,
  attempts BIGINT NOT NULL DEFAULT 0);
INSERT INTO space_job (child, version)
  SELECT room_id, 0 FROM portal WHERE room_id IS NOT NULL AND parent IS NOT NULL;
";

const V3: &str = "
ALTER TABLE as_txn ADD COLUMN digest TEXT NOT NULL DEFAULT '';  -- of its events: a number may be used again
";

const V4: &str = "
-- An event that shows several messages of the network, and what it shows of each.
CREATE TABLE gallery (
  event_id TEXT PRIMARY KEY, portal_id BIGINT NOT NULL,
  album TEXT NOT NULL DEFAULT '',           -- the album's name on the network; empty: sent from Matrix
  body TEXT NOT NULL);                      -- JSON: its items in order
CREATE INDEX gallery_album ON gallery (portal_id, album) WHERE album <> '';
";

/// The highest number any row has: see [`super::Store::next_id`]. Asked of the writer, behind whatever it still does.
pub(super) async fn highest_id(db: &Database) -> Result<i64, DatabaseError> {
    let mut tx = db.begin().await?;
    let row = tx
        .fetch_optional(
            "SELECT MAX(id) FROM (
               SELECT COALESCE(MAX(id), 0) AS id FROM portal
               UNION ALL SELECT COALESCE(MAX(seq), 0) FROM inbox
               UNION ALL SELECT COALESCE(MAX(seq), 0) FROM task
               UNION ALL SELECT COALESCE(MAX(seq), 0) FROM mx_outbox
               UNION ALL SELECT COALESCE(MAX(seq), 0) FROM mx_inbox
               UNION ALL SELECT COALESCE(MAX(seq), 0) FROM remote_outbox) AS highest",
            args![],
        )
        .await?;
    tx.commit().await?;
    row.map_or(Ok(0), |row| row.int(0))
}
