-- Facts about the server itself: its name, the database's generation.
CREATE TABLE server (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- One row: the newest durable position, and how many commits there have been.
CREATE TABLE stream (
    id BIGINT PRIMARY KEY,
    head BIGINT NOT NULL,
    commits BIGINT NOT NULL
);
INSERT INTO stream (id, head, commits) VALUES (1, 0, 0);

CREATE TABLE room (
    nid INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version TEXT NOT NULL,
    -- Event numbers of the forward extremities, packed.
    extremities BLOB NOT NULL,
    -- The current state; null before the first event is durable.
    state_group BIGINT,
    depth BIGINT NOT NULL,
    -- Position of the newest event.
    pos BIGINT NOT NULL
);

-- Narrow and hot. `ord` is the place in the room's timeline (null: in no timeline); a live event stands
-- at `pos * 2^20`, so a range of positions is a range of places, and history fits in between.
CREATE TABLE event (
    nid INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    room BIGINT NOT NULL,
    ord BIGINT,
    pos BIGINT,
    kind TEXT NOT NULL,
    state_key TEXT,
    sender TEXT NOT NULL,
    depth BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    flags BIGINT NOT NULL,
    state_before BIGINT,
    state_after BIGINT,
    -- The state event of the same type and key before this one.
    replaces BIGINT,
    membership TEXT,
    redacts TEXT,
    redacted_by BIGINT,
    txn_scope TEXT,
    txn_id TEXT,
    -- `m.relates_to` of the content: the event and how. Null when redacted.
    relates_to TEXT,
    rel_type TEXT
);
CREATE UNIQUE INDEX event_timeline ON event (room, ord) WHERE ord IS NOT NULL;
CREATE INDEX event_relation ON event (relates_to, rel_type, ord) WHERE relates_to IS NOT NULL;
-- What a user was in a room at any time.
CREATE INDEX event_membership ON event (state_key, room, ord) WHERE membership IS NOT NULL;
CREATE INDEX event_redacts ON event (redacts) WHERE redacts IS NOT NULL;

-- Wide and cold: the canonical bytes as they were signed, or what redaction left of them.
CREATE TABLE event_json (
    nid INTEGER PRIMARY KEY,
    json BLOB NOT NULL
);

-- A state as a difference from its parent; without a parent it is whole.
CREATE TABLE state_group (
    nid INTEGER PRIMARY KEY,
    room BIGINT NOT NULL,
    parent BIGINT,
    hops BIGINT NOT NULL,
    hash BLOB NOT NULL,
    delta BLOB NOT NULL
);
CREATE INDEX state_group_hash ON state_group (room, hash);

-- What every user is in every room, now.
CREATE TABLE membership (
    user_id TEXT NOT NULL,
    room BIGINT NOT NULL,
    membership TEXT NOT NULL,
    event BIGINT NOT NULL,
    pos BIGINT NOT NULL,
    forgotten BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, room)
);

-- Requests already carried out, by a digest of who made them and of their path with its transaction id.
CREATE TABLE txn (
    digest BLOB PRIMARY KEY,
    event BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX txn_created ON txn (created);

CREATE TABLE alias (
    alias TEXT PRIMARY KEY,
    room BIGINT NOT NULL,
    creator TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX alias_room ON alias (room);

-- Read receipts; the thread is empty for those that speak of the whole room.
CREATE TABLE receipt (
    room BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    thread TEXT NOT NULL,
    event_id TEXT NOT NULL,
    ord BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    pos BIGINT NOT NULL,
    PRIMARY KEY (room, user_id, kind, thread)
);
CREATE INDEX receipt_pos ON receipt (room, pos);
CREATE INDEX receipt_user ON receipt (user_id, room);

-- Events that a room's events refer to and that never came.
CREATE TABLE gap (
    room BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    PRIMARY KEY (room, event_id)
);
