-- How far each peer's log was read, and how far ours was pushed to it.
CREATE TABLE peers (
    fingerprint   BLOB    NOT NULL PRIMARY KEY,  -- SHA-256 of its certificate
    epoch         TEXT    NOT NULL,              -- of its log, when it was last read
    after         INTEGER NOT NULL,              -- the place in it that was read last
    pushed_after  INTEGER NOT NULL DEFAULT 0,    -- the place in our log that was pushed last
    contact_us    INTEGER NOT NULL DEFAULT 0     -- the last good exchange
) STRICT, WITHOUT ROWID;

-- What came and was not taken in, named by the SHA-256 of exactly what came.
CREATE TABLE quarantine (
    digest      BLOB    NOT NULL PRIMARY KEY,
    version_id  BLOB    NOT NULL,
    genuine     INTEGER NOT NULL,      -- 1: the signature fits, and only our rules keep it out
    reason      TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    peer        BLOB    NOT NULL,
    way         TEXT    NOT NULL,      -- 'pulled' or 'pushed'
    at_us       INTEGER NOT NULL,
    state       TEXT    NOT NULL,      -- 'held', or 'dropped' by a person: it is not fetched again
    version     TEXT                   -- JSON, as it came; NULL once dropped
) STRICT, WITHOUT ROWID;
CREATE INDEX quarantine_by_version ON quarantine (version_id) WHERE genuine = 1;
CREATE INDEX quarantine_by_age ON quarantine (at_us);

-- Concurrent versions of memories that are shown; almost always empty.
CREATE TABLE siblings (
    object_id   BLOB    NOT NULL,
    version_seq INTEGER NOT NULL REFERENCES versions (seq),
    PRIMARY KEY (object_id, version_seq)
) STRICT, WITHOUT ROWID;

-- Which keys are one author, by records that the older key signed.
CREATE TABLE rotations (
    new_key BLOB NOT NULL PRIMARY KEY,
    old_key BLOB NOT NULL,
    record  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Namespaces whose new memories others may change.
CREATE TABLE shared_namespaces (
    namespace TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Governed actions that are no versions: each row carries the hash of the one before.
CREATE TABLE transcript (
    seq       INTEGER PRIMARY KEY,     -- 1, 2, 3 … without a gap
    at_us     INTEGER NOT NULL,
    action    TEXT    NOT NULL,
    detail    TEXT    NOT NULL,        -- a JSON object of texts
    author    BLOB    NOT NULL,        -- the node's key at that time
    root      BLOB    NOT NULL,        -- hash over this row and the root before
    signature BLOB    NOT NULL
) STRICT;

-- Two nodes may observe the same link: each is a link of its own.
CREATE TABLE links_of_many (
    id          BLOB    NOT NULL PRIMARY KEY,
    version_seq INTEGER NOT NULL REFERENCES versions (seq),
    source_id   BLOB    NOT NULL,
    target_id   BLOB    NOT NULL,
    relation    TEXT    NOT NULL,
    created_us  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO links_of_many SELECT id, version_seq, source_id, target_id, relation, created_us FROM links;
DROP TABLE links;
ALTER TABLE links_of_many RENAME TO links;
CREATE INDEX links_by_source ON links (source_id, target_id, relation);
CREATE INDEX links_by_target ON links (target_id);
CREATE UNIQUE INDEX links_by_version ON links (version_seq);
