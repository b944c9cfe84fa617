-- Which threads users follow or have stopped to follow (MSC4306), and when they said so.
CREATE TABLE thread_subscription (
    user_id TEXT NOT NULL,
    room BIGINT NOT NULL,
    root TEXT NOT NULL,
    subscribed BIGINT NOT NULL,
    automatic BIGINT NOT NULL,
    pos BIGINT NOT NULL,
    PRIMARY KEY (user_id, room, root)
);
CREATE INDEX thread_subscription_pos ON thread_subscription (user_id, pos);
