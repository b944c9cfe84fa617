-- What each application service is told, in order. An item waits in `appservice_queue` until it is closed into a
-- transaction, whose exact bytes stay in `appservice_txn` until the service has taken them.
CREATE TABLE appservice_state (
    service TEXT PRIMARY KEY,
    -- The number of the newest transaction.
    last_txn BIGINT NOT NULL
);

CREATE TABLE appservice_txn (
    service TEXT NOT NULL,
    number BIGINT NOT NULL,
    body BLOB NOT NULL,
    -- The to-device messages in it, as a list of [user, device, position]: they are deleted with it.
    to_device TEXT NOT NULL,
    PRIMARY KEY (service, number)
);

CREATE TABLE appservice_queue (
    service TEXT NOT NULL,
    pos BIGINT NOT NULL,
    -- Several items may stand at one position.
    part BIGINT NOT NULL,
    -- 0 an event, 1 a to-device message, 2 a user whose devices changed, 3 one whose devices concern it no longer.
    kind BIGINT NOT NULL,
    item TEXT NOT NULL,
    -- Of a to-device message: whose it is.
    user_id TEXT,
    device_id TEXT,
    PRIMARY KEY (service, pos, part)
);

-- The rooms that services publish under their networks.
CREATE TABLE appservice_directory (
    service TEXT NOT NULL,
    network TEXT NOT NULL,
    room BIGINT NOT NULL,
    PRIMARY KEY (service, network, room)
);
