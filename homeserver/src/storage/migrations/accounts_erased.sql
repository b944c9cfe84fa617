-- Users who wanted what they said to be erased: whoever comes into a room later gets redacted copies of it.
CREATE TABLE erased_user (
    user_id TEXT PRIMARY KEY,
    erased_ms BIGINT NOT NULL
);
