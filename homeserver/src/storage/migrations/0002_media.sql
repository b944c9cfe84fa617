-- Uploaded files. `sha256` names the bytes in the object store; null while the upload is awaited, until `expires`.
CREATE TABLE media (
    id TEXT PRIMARY KEY,
    uploader TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    sha256 BLOB,
    bytes BIGINT,
    content_type TEXT,
    filename TEXT,
    -- Whether only the authenticated paths serve it.
    frozen BIGINT
);
CREATE INDEX media_awaited ON media (uploader, expires) WHERE sha256 IS NULL;

-- How much each user has uploaded.
CREATE TABLE media_usage (
    uploader TEXT PRIMARY KEY,
    bytes BIGINT NOT NULL
);
