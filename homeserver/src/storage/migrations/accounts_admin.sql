-- What administrators say about an account: `bot` or `support`; null for a person.
ALTER TABLE accounts ADD COLUMN user_type TEXT;

-- Who asked to act as the user. Such a token belongs to no device: its `device_id` is empty.
ALTER TABLE access_tokens ADD COLUMN made_by TEXT;
CREATE INDEX access_tokens_made_by ON access_tokens (made_by) WHERE made_by IS NOT NULL;

-- Rate limits of single users; 0 and 0 is none.
CREATE TABLE rate_overrides (
    user_id TEXT PRIMARY KEY,
    per_second BIGINT NOT NULL,
    burst BIGINT NOT NULL
);
