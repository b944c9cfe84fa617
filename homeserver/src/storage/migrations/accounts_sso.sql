-- Who people are at identity providers, and which of their sessions there began which of ours.
CREATE TABLE external_ids (
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (provider, subject)
);
CREATE INDEX external_ids_of_user ON external_ids (user_id);
CREATE TABLE sso_sessions (
    token BLOB PRIMARY KEY,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    sid TEXT,
    user_id TEXT NOT NULL,
    device_id TEXT,
    created_ms BIGINT NOT NULL
);
CREATE INDEX sso_sessions_of_user ON sso_sessions (user_id);
CREATE INDEX sso_sessions_of_subject ON sso_sessions (provider, subject);
CREATE INDEX sso_sessions_of_sid ON sso_sessions (provider, sid);
