-- Tokens that let people register, made by administrators. Those in the settings are not among them.
CREATE TABLE registration_tokens (
    token TEXT PRIMARY KEY,
    -- How many may register with it; null for any number.
    uses_allowed BIGINT,
    -- How many have.
    completed BIGINT NOT NULL DEFAULT 0,
    -- Until when it is good, in milliseconds since 1970; null for ever.
    expiry_ms BIGINT
);

-- Until when users may replace their cross-signing keys without confirming it, because an administrator allowed it.
CREATE TABLE cross_signing_grants (
    user_id TEXT PRIMARY KEY,
    until_ms BIGINT NOT NULL
);
