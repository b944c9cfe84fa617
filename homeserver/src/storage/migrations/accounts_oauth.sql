-- Clients that registered for OAuth 2.0. `digest` is of the metadata, so that equal clients are one.
CREATE TABLE oauth_clients (
    client_id TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    metadata TEXT NOT NULL,
    seen_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX oauth_clients_by_digest ON oauth_clients (digest);
CREATE INDEX oauth_clients_by_age ON oauth_clients (seen_ms);
-- Authorisation codes that were not yet shown.
CREATE TABLE oauth_codes (
    hash BLOB PRIMARY KEY,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX oauth_codes_by_expiry ON oauth_codes (expires_ms);
-- What clients without a browser wait for. `user_id` is of whoever decided. State: 0 open, 1 granted, 2 denied.
CREATE TABLE oauth_device_codes (
    hash BLOB PRIMARY KEY,
    user_code BLOB NOT NULL,
    client_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    state BIGINT NOT NULL DEFAULT 0,
    user_id TEXT,
    expires_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX oauth_device_codes_by_user_code ON oauth_device_codes (user_code);
CREATE INDEX oauth_device_codes_by_expiry ON oauth_device_codes (expires_ms);
-- Devices whose session a client was granted. All refresh tokens of one carry the secret that `family` is the hash of.
CREATE TABLE oauth_sessions (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    family BLOB NOT NULL,
    code BLOB,
    PRIMARY KEY (user_id, device_id)
);
CREATE UNIQUE INDEX oauth_sessions_by_family ON oauth_sessions (family);
CREATE INDEX oauth_sessions_by_code ON oauth_sessions (code);
CREATE INDEX oauth_sessions_by_client ON oauth_sessions (client_id);
-- Who is signed in in which browser. `password` is the hash of the password's hash at that time.
CREATE TABLE browser_sessions (
    hash BLOB PRIMARY KEY,
    user_id TEXT NOT NULL,
    password BLOB NOT NULL,
    begun_ms BIGINT NOT NULL
);
CREATE INDEX browser_sessions_by_age ON browser_sessions (begun_ms);
CREATE INDEX browser_sessions_of_user ON browser_sessions (user_id);
-- Users who confirmed that their cross-signing keys may be replaced.
CREATE TABLE cross_signing_resets (
    user_id TEXT PRIMARY KEY,
    until_ms BIGINT NOT NULL
);
