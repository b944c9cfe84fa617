-- Upgrades of rooms that are not finished. A row comes in the commit of the new room, and goes when all that follows is done.
CREATE TABLE room_upgrade (
    new_room BIGINT PRIMARY KEY,
    old_room BIGINT NOT NULL,
    user_id TEXT NOT NULL
);
