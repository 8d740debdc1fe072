-- Who is told of changes. The secret signs, so it is kept as it is, inside the encrypted database.
CREATE TABLE subscriptions (
    id               BLOB    NOT NULL PRIMARY KEY,
    url              TEXT    NOT NULL,
    events           TEXT    NOT NULL,     -- JSON array of event names; empty: all
    namespace_filter TEXT,
    agent_filter     TEXT,
    profile          TEXT    NOT NULL,     -- 'standard' or 'legacy-sha256'
    secret           TEXT    NOT NULL,
    old_secret       TEXT,                 -- during a rotation
    old_until_us     INTEGER,
    active           INTEGER NOT NULL,
    created_us       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each announcement to each subscriber, written in the transaction of the change.
CREATE TABLE outbox (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    subscription_id BLOB    NOT NULL REFERENCES subscriptions (id) ON DELETE CASCADE,
    event_id        TEXT    NOT NULL,      -- the same for every attempt
    event           TEXT    NOT NULL,
    object_id       BLOB    NOT NULL,      -- announcements of one memory keep their order
    body            TEXT    NOT NULL,      -- byte for byte what is sent and signed
    state           TEXT    NOT NULL,      -- 'pending', 'delivered' or 'dead'
    attempts        INTEGER NOT NULL DEFAULT 0,
    due_us          INTEGER NOT NULL,      -- the next attempt; the end of the lease during one
    leased          INTEGER NOT NULL DEFAULT 0,
    done_us         INTEGER,
    last_status     INTEGER,
    last_error      TEXT
) STRICT;

CREATE INDEX outbox_due ON outbox (due_us) WHERE state = 'pending';
CREATE INDEX outbox_order ON outbox (subscription_id, object_id, seq) WHERE state = 'pending';
CREATE INDEX outbox_done ON outbox (done_us) WHERE state <> 'pending';
