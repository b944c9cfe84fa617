CREATE TABLE accounts (
    user_id TEXT PRIMARY KEY,
    password TEXT,
    kind BIGINT NOT NULL,
    appservice TEXT,
    admin BIGINT NOT NULL DEFAULT 0,
    deactivated BIGINT NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL
);
CREATE TABLE devices (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    display_name TEXT,
    last_seen_ms BIGINT,
    last_seen_ip TEXT,
    PRIMARY KEY (user_id, device_id)
);
CREATE TABLE access_tokens (
    hash BLOB PRIMARY KEY,
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    expires_ms BIGINT,
    refresh BLOB,
    used BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX access_tokens_of_device ON access_tokens (user_id, device_id);
CREATE INDEX access_tokens_of_refresh ON access_tokens (refresh);
CREATE TABLE refresh_tokens (
    hash BLOB PRIMARY KEY,
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    successor BLOB
);
CREATE INDEX refresh_tokens_of_device ON refresh_tokens (user_id, device_id);
CREATE INDEX refresh_tokens_by_successor ON refresh_tokens (successor);
CREATE TABLE short_tokens (
    hash BLOB PRIMARY KEY,
    purpose TEXT NOT NULL,
    user_id TEXT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX short_tokens_by_expiry ON short_tokens (expires_ms);
CREATE TABLE profiles (
    user_id TEXT NOT NULL,
    field TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (user_id, field)
);
CREATE TABLE profile_jobs (
    user_id TEXT PRIMARY KEY,
    after_room BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE TABLE account_data (
    user_id TEXT NOT NULL,
    room_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    pos BIGINT NOT NULL,
    PRIMARY KEY (user_id, room_id, kind)
);
CREATE INDEX account_data_changes ON account_data (user_id, pos);
CREATE TABLE filters (
    user_id TEXT NOT NULL,
    filter_id BIGINT NOT NULL,
    hash BLOB NOT NULL,
    definition TEXT NOT NULL,
    PRIMARY KEY (user_id, filter_id)
);
CREATE UNIQUE INDEX filters_by_hash ON filters (user_id, hash);
CREATE TABLE pushers (
    user_id TEXT NOT NULL,
    app_id TEXT NOT NULL,
    pushkey TEXT NOT NULL,
    device_id TEXT,
    definition TEXT NOT NULL,
    PRIMARY KEY (user_id, app_id, pushkey)
);
CREATE INDEX pushers_by_key ON pushers (app_id, pushkey);
CREATE TABLE device_keys (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    keys TEXT NOT NULL,
    PRIMARY KEY (user_id, device_id)
);
CREATE TABLE one_time_keys (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    key_id TEXT NOT NULL,
    key TEXT NOT NULL,
    pos BIGINT NOT NULL,
    PRIMARY KEY (user_id, device_id, algorithm, key_id)
);
CREATE TABLE fallback_keys (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    key_id TEXT NOT NULL,
    key TEXT NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (user_id, device_id, algorithm)
);
CREATE TABLE cross_signing_keys (
    user_id TEXT NOT NULL,
    usage TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (user_id, usage)
);
CREATE TABLE key_signatures (
    target_user TEXT NOT NULL,
    target_key TEXT NOT NULL,
    signer_user TEXT NOT NULL,
    signer_key TEXT NOT NULL,
    signature TEXT NOT NULL,
    PRIMARY KEY (target_user, target_key, signer_user, signer_key)
);
CREATE TABLE device_list_changes (
    user_id TEXT PRIMARY KEY,
    pos BIGINT NOT NULL
);
CREATE INDEX device_list_changes_by_pos ON device_list_changes (pos);
CREATE TABLE to_device (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    pos BIGINT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (user_id, device_id, pos)
);
CREATE TABLE done_requests (
    scope TEXT NOT NULL,
    request TEXT NOT NULL,
    done_ms BIGINT NOT NULL,
    PRIMARY KEY (scope, request)
);
CREATE INDEX done_requests_by_age ON done_requests (done_ms);
CREATE TABLE reports (
    id INTEGER PRIMARY KEY,
    reporter TEXT NOT NULL,
    room_id TEXT,
    event_id TEXT,
    user_id TEXT,
    reason TEXT,
    score BIGINT,
    reported_ms BIGINT NOT NULL
);
CREATE TABLE published_rooms (
    room_id TEXT PRIMARY KEY,
    published_ms BIGINT NOT NULL
);
