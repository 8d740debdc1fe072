-- The answers to requests that carried an `Idempotency-Key`, for a day.
CREATE TABLE idempotency (
    key            TEXT    NOT NULL PRIMARY KEY,
    request_sha256 BLOB    NOT NULL,
    answer         TEXT    NOT NULL,
    at_us          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_by_age ON idempotency (at_us);
