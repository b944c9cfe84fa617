-- Whether the client of a pusher has shown that it gets what is sent there; the question that it was asked, until when it may answer,
-- and whether it still has to be asked (MSC4174).
ALTER TABLE pushers ADD COLUMN active BIGINT NOT NULL DEFAULT 1;
ALTER TABLE pushers ADD COLUMN ack_token TEXT;
ALTER TABLE pushers ADD COLUMN ack_expires_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pushers ADD COLUMN ack_due BIGINT NOT NULL DEFAULT 0;
