-- What administrators decide about files: who took one out of sight, and whether it is kept from that.
ALTER TABLE media ADD COLUMN quarantined_by TEXT;
ALTER TABLE media ADD COLUMN protected BIGINT NOT NULL DEFAULT 0;
-- When it was last served, give or take a day.
ALTER TABLE media ADD COLUMN accessed BIGINT;
CREATE INDEX media_sha256 ON media (sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX media_uploader ON media (uploader, created);

-- What was taken out of sight and shown again, in order: other servers' tools follow it.
CREATE TABLE media_quarantine (
    number INTEGER PRIMARY KEY,
    media_id TEXT NOT NULL,
    quarantined BIGINT NOT NULL
);
