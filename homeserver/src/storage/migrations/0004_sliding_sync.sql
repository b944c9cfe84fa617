-- What lists of rooms are ordered and filtered by, so that none of the rooms has to be loaded for it. `bump` is the position of the
-- newest event that moves the room up; `kind` the type in its create event, empty without one, null while nobody has looked.
ALTER TABLE room ADD COLUMN bump BIGINT NOT NULL DEFAULT 0;
ALTER TABLE room ADD COLUMN encrypted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE room ADD COLUMN kind TEXT;

-- What each connection of a device has been told: the state that its last request came with, and the one of the last answer.
CREATE TABLE sliding_connection (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    conn_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    created BIGINT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (user_id, device_id, conn_id, number)
);
