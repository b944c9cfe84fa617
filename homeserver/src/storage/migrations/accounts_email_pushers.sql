-- Pushers that send e-mail: when the last one went out, where the stream stood then, and how many went out since their reader last read
-- anything.
ALTER TABLE pushers ADD COLUMN mailed_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pushers ADD COLUMN mailed_pos BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pushers ADD COLUMN mails BIGINT NOT NULL DEFAULT 0;
