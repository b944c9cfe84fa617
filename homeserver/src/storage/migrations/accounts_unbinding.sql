-- What identity servers are to forget: when they are asked next (null: what they publish is to stay), and how often they were.
ALTER TABLE threepid_binds ADD COLUMN unbind_ms BIGINT;
ALTER TABLE threepid_binds ADD COLUMN tries BIGINT NOT NULL DEFAULT 0;
CREATE INDEX threepid_binds_due ON threepid_binds (unbind_ms) WHERE unbind_ms IS NOT NULL;
