-- The e-mail addresses of accounts. An address belongs to one account at most.
CREATE TABLE threepids (
    medium TEXT NOT NULL,
    address TEXT NOT NULL,
    user_id TEXT NOT NULL,
    validated_ms BIGINT NOT NULL,
    added_ms BIGINT NOT NULL,
    PRIMARY KEY (medium, address)
);
CREATE INDEX threepids_of_user ON threepids (user_id);
-- Addresses that identity servers publish on their owners' behalf.
CREATE TABLE threepid_binds (
    user_id TEXT NOT NULL,
    medium TEXT NOT NULL,
    address TEXT NOT NULL,
    id_server TEXT NOT NULL,
    PRIMARY KEY (user_id, medium, address, id_server)
);
-- Proofs under way that an address is somebody's. Of the client's secret and the e-mail's token only the hash is kept.
CREATE TABLE threepid_proofs (
    sid TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    medium TEXT NOT NULL,
    address TEXT NOT NULL,
    client_secret BLOB NOT NULL,
    token BLOB NOT NULL,
    next_link TEXT,
    send_attempt BIGINT NOT NULL,
    validated_ms BIGINT,
    expires_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX threepid_proofs_by_client ON threepid_proofs (purpose, medium, address, client_secret);
CREATE INDEX threepid_proofs_by_expiry ON threepid_proofs (expires_ms);
