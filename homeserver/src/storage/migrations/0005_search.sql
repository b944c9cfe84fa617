-- The words of events, for search. A follower of the feed writes them in batches, behind the events.
CREATE TABLE search_doc (
    -- The event that is found.
    nid INTEGER PRIMARY KEY,
    -- What of it: 0 the body, 1 a room's name, 2 its topic.
    part BIGINT NOT NULL,
    -- The edit whose words these are; null for the event's own.
    source BIGINT
);
CREATE INDEX search_doc_source ON search_doc (source) WHERE source IS NOT NULL;

-- Ranges of events, by their numbers, whose words are still to be written: imported history, and what was there before.
CREATE TABLE search_backlog (
    id INTEGER PRIMARY KEY,
    lowest BIGINT NOT NULL,
    highest BIGINT NOT NULL
);
INSERT INTO search_backlog (id, lowest, highest)
    SELECT 1, 1, nid FROM event ORDER BY nid DESC LIMIT 1;

-- How far those who follow the feed in the background have come.
CREATE TABLE follower (
    name TEXT PRIMARY KEY,
    pos BIGINT NOT NULL
);
INSERT INTO follower (name, pos) SELECT 'search', head FROM stream;

-- The words themselves come in our own form: in small letters, separated by spaces.
-- sqlite:
CREATE VIRTUAL TABLE search_words USING fts5 (
    room, words, content='', contentless_delete=1, prefix='2 3', tokenize='ascii'
);
-- postgres:
CREATE TABLE search_words (
    nid BIGINT PRIMARY KEY,
    room BIGINT NOT NULL,
    words TSVECTOR NOT NULL
);
CREATE INDEX search_words_words ON search_words USING GIN (words);
-- both:
