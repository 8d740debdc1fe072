-- Of each memory only the oldest announcement that waits may go out. That is noted in the row, so
-- that finding what is due costs the same with one row in the outbox as with a hundred thousand.
ALTER TABLE outbox ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0;
UPDATE outbox SET blocked = 1
WHERE state = 'pending' AND EXISTS (SELECT 1 FROM outbox AS e
    WHERE e.subscription_id = outbox.subscription_id AND e.object_id = outbox.object_id
      AND e.state = 'pending' AND e.seq < outbox.seq);

DROP INDEX outbox_due;
CREATE INDEX outbox_ready ON outbox (subscription_id, due_us)
    WHERE state = 'pending' AND blocked = 0;
CREATE INDEX outbox_leased ON outbox (seq) WHERE leased = 1;
-- For listings, and for the end of a subscription.
CREATE INDEX outbox_of_subscription ON outbox (subscription_id, seq);
-- Counts of what is delivered and dead, without reading the rows.
DROP INDEX outbox_done;
CREATE INDEX outbox_done ON outbox (state, done_us) WHERE state <> 'pending';
