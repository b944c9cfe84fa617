-- The room in which the server speaks to a user.
CREATE TABLE notice_rooms (
    user_id TEXT PRIMARY KEY,
    room_id TEXT NOT NULL
);
