CREATE TABLE signed_users (
    user_id TEXT NOT NULL,
    target TEXT NOT NULL,
    pos BIGINT NOT NULL,
    PRIMARY KEY (user_id, target)
);
CREATE INDEX signed_users_by_pos ON signed_users (user_id, pos);
