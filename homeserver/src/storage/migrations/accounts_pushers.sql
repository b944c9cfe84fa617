-- How far each pusher has come: notifications up to this position are told, or need not be.
ALTER TABLE pushers ADD COLUMN pos BIGINT NOT NULL DEFAULT 0;
-- The count of unread messages that it was told last.
ALTER TABLE pushers ADD COLUMN badge BIGINT NOT NULL DEFAULT 0;
-- When the client set it last.
ALTER TABLE pushers ADD COLUMN set_ms BIGINT NOT NULL DEFAULT 0;
