-- What people were notified of, newest last. Bounded for each of them; whether it is read is said by their receipts.
CREATE TABLE notification (
    user_id TEXT NOT NULL,
    -- The event's position, number, and place in its room.
    pos BIGINT NOT NULL,
    room BIGINT NOT NULL,
    event BIGINT NOT NULL,
    ord BIGINT NOT NULL,
    -- The root of the thread that it is in; null in the main timeline.
    thread TEXT,
    highlight BIGINT NOT NULL,
    -- The actions of the push rule that matched, as JSON.
    actions TEXT NOT NULL,
    ts BIGINT NOT NULL,
    PRIMARY KEY (user_id, pos)
);
CREATE INDEX notification_highlight ON notification (user_id, pos) WHERE highlight = 1;
