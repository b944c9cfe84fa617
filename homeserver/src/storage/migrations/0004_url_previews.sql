-- Previews of links, by the SHA-256 of the URL, as clients are told them.
CREATE TABLE url_preview (
    key BLOB PRIMARY KEY,
    url TEXT NOT NULL,
    fetched BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX url_preview_fetched ON url_preview (fetched);
