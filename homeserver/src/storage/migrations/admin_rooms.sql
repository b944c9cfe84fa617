-- Rooms that nobody may join any more, whether they are known here or not.
CREATE TABLE blocked_rooms (
    room_id TEXT PRIMARY KEY,
    blocked_by TEXT NOT NULL,
    blocked_ms BIGINT NOT NULL
);

-- Work for administrators that takes long, such as deleting a room. What is unfinished goes on after a restart.
CREATE TABLE job (
    id TEXT PRIMARY KEY,
    -- In the order in which they were asked for.
    number BIGINT NOT NULL,
    kind TEXT NOT NULL,
    -- The ID of the room or user that it is about.
    subject TEXT NOT NULL,
    -- The room's number; null before the work has begun.
    room BIGINT,
    -- scheduled, active, purging (nothing of the room is served any more), complete, failed.
    status TEXT NOT NULL,
    -- What was asked for, and what has come of it, as JSON.
    request TEXT NOT NULL,
    result TEXT NOT NULL,
    error TEXT,
    changed_ms BIGINT NOT NULL
);
CREATE INDEX job_subject ON job (subject);

-- Events that stand in no timeline, of which there are few: a room's are found to be deleted with it.
CREATE INDEX event_unplaced ON event (room) WHERE ord IS NULL;

-- One row: the highest numbers whose rows were deleted; they are not given again.
CREATE TABLE number_floor (
    id BIGINT PRIMARY KEY,
    room BIGINT NOT NULL,
    event BIGINT NOT NULL,
    state_group BIGINT NOT NULL
);
INSERT INTO number_floor (id, room, event, state_group) VALUES (1, 0, 0, 0);
