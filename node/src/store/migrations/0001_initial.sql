-- What the node itself is: its signing key, the log's epoch, the digest of the local token.
CREATE TABLE node (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The log: every write is an immutable signed version, in this node's local order.
CREATE TABLE versions (
    seq        INTEGER PRIMARY KEY,      -- 1, 2, 3 … without a gap
    version_id BLOB    NOT NULL,         -- SHA-256 of the DSSE PAE
    object_id  BLOB    NOT NULL,         -- the memory's or the link's UUID
    author     BLOB    NOT NULL,         -- Ed25519 public key
    author_seq INTEGER NOT NULL,
    payload    TEXT    NOT NULL,         -- canonical JSON, byte for byte
    signature  BLOB    NOT NULL,
    salt       BLOB,                     -- NULL for a tombstone
    body       TEXT,                     -- NULL for a tombstone, and once erased
    root       BLOB    NOT NULL          -- the log's root hash up to and with this row
) STRICT;

-- UUIDv7 first, so that new rows go to the end of the index and not all over it.
CREATE UNIQUE INDEX versions_of_object ON versions (object_id, version_id);

-- The current state of each memory, a projection of the log.
CREATE TABLE memories (
    rowid            INTEGER PRIMARY KEY AUTOINCREMENT,
    id               BLOB    NOT NULL UNIQUE,
    version_seq      INTEGER NOT NULL REFERENCES versions (seq),
    namespace        TEXT    NOT NULL,
    tier             TEXT    NOT NULL,
    priority         INTEGER NOT NULL,
    agent_id         TEXT    NOT NULL,
    created_us       INTEGER NOT NULL,
    updated_us       INTEGER NOT NULL,
    expires_us       INTEGER,
    access_count     INTEGER NOT NULL DEFAULT 0,
    last_accessed_us INTEGER
) STRICT;

CREATE INDEX memories_by_namespace ON memories (namespace, rowid);
CREATE INDEX memories_by_end ON memories (expires_us) WHERE expires_us IS NOT NULL;

-- The index alone: the texts stand in versions.body, once.
CREATE VIRTUAL TABLE memories_fts USING fts5 (
    title, content, tags,
    content = '', contentless_delete = 1,
    tokenize = 'unicode61 remove_diacritics 2'
);
-- A hit in the title counts five times, one in the tags three times.
INSERT INTO memories_fts (memories_fts, rank) VALUES ('rank', 'bm25(5.0, 1.0, 3.0)');

CREATE TABLE links (
    id          BLOB    NOT NULL PRIMARY KEY,
    version_seq INTEGER NOT NULL REFERENCES versions (seq),
    source_id   BLOB    NOT NULL,
    target_id   BLOB    NOT NULL,
    relation    TEXT    NOT NULL,
    created_us  INTEGER NOT NULL,
    UNIQUE (source_id, target_id, relation)
) STRICT, WITHOUT ROWID;

CREATE INDEX links_by_target ON links (target_id);
CREATE UNIQUE INDEX links_by_version ON links (version_seq);
