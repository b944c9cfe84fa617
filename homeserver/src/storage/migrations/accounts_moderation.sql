-- What administrators may do to an account short of closing it, and what sessions say they are.
ALTER TABLE accounts ADD COLUMN locked BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN suspended BIGINT NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN user_agent TEXT;
