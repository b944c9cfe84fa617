-- Events that are to be sent later (MSC4140). `status`: 0 waits, 1 is being sent, 2 was sent, 3 was cancelled, 4 was refused. The ones
-- that are done stay for a while, so that a request that is repeated is known.
CREATE TABLE delayed_event (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    -- The request that made it: who made it and its path with its transaction id. Null for state, which has none.
    scope TEXT NOT NULL,
    request TEXT,
    txn_id TEXT,
    room_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    state_key TEXT,
    content TEXT NOT NULL,
    ts BIGINT,
    delay BIGINT NOT NULL,
    -- When it was put here or restarted, and the stream's head then.
    since BIGINT NOT NULL,
    pos BIGINT NOT NULL,
    -- When it is to be sent, or when sending it is to be tried again.
    due BIGINT NOT NULL,
    status BIGINT NOT NULL,
    finished BIGINT
);
CREATE INDEX delayed_event_due ON delayed_event (due) WHERE finished IS NULL;
CREATE INDEX delayed_event_user ON delayed_event (user_id, since) WHERE finished IS NULL;
CREATE INDEX delayed_event_finished ON delayed_event (finished) WHERE finished IS NOT NULL;
CREATE UNIQUE INDEX delayed_event_request ON delayed_event (scope, request) WHERE request IS NOT NULL;
