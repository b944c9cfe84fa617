-- The rooms of the public list come into the table of all lists.
INSERT INTO room_listing (room, room_id)
    SELECT nid, id FROM room WHERE id IN (SELECT room_id FROM published_rooms)
        AND nid NOT IN (SELECT room FROM room_listing);

-- The words of users' ids and names, in small letters, as bytes, so that both engines order them alike.
CREATE TABLE user_word (
    word BLOB NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (word, user_id)
);
CREATE INDEX user_word_user ON user_word (user_id);
