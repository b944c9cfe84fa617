-- Events by their own time, for `timestamp_to_event`.
CREATE INDEX event_time ON event (room, ts, ord) WHERE ord IS NOT NULL;

-- Whether anyone may see who is in a room: it may be joined by all, or read by the world. Rooms without a row are looked at
-- after the start.
CREATE TABLE room_open (
    room BIGINT PRIMARY KEY,
    open BIGINT NOT NULL
);

-- Rooms as the public lists show them. `stale` counts the changes since; the next request for a list reads those rooms anew.
CREATE TABLE room_listing (
    room BIGINT PRIMARY KEY,
    room_id TEXT NOT NULL,
    members BIGINT NOT NULL DEFAULT 0,
    -- The type of the room, empty for none.
    kind TEXT NOT NULL DEFAULT '',
    -- Name, topic and alias in small letters.
    words TEXT NOT NULL DEFAULT '',
    -- What clients are told, as JSON; null before the room was ever looked at.
    listed TEXT,
    stale BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX room_listing_members ON room_listing (members DESC, room_id);
CREATE INDEX room_listing_stale ON room_listing (room) WHERE stale > 0;
CREATE INDEX appservice_directory_room ON appservice_directory (room);
INSERT INTO room_listing (room, room_id)
    SELECT nid, id FROM room WHERE nid IN (SELECT room FROM appservice_directory);
