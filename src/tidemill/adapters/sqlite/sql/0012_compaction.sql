-- Old facts get smaller bodies. The hash chain keeps the digests of the whole ones, which stand here.

-- `by` is the fact (a `Compacted`) that covers the smaller body, so that it can't be changed unnoticed either.
CREATE TABLE compacted (
    seq    INTEGER PRIMARY KEY REFERENCES events (seq),
    by     INTEGER NOT NULL,
    digest BLOB NOT NULL
);

CREATE TRIGGER compacted_refuse_update BEFORE UPDATE ON compacted
BEGIN
    SELECT RAISE(ABORT, 'digests are append-only: a fact is never changed');
END;

CREATE TRIGGER compacted_refuse_delete BEFORE DELETE ON compacted
BEGIN
    SELECT RAISE(ABORT, 'digests are append-only: a fact is never removed');
END;

-- INSERT OR REPLACE deletes without firing the trigger above.
CREATE TRIGGER compacted_refuse_replace BEFORE INSERT ON compacted
WHEN NEW.seq IN (SELECT seq FROM compacted)
BEGIN
    SELECT RAISE(ABORT, 'digests are append-only: a fact is never replaced');
END;

DROP TRIGGER events_refuse_update;

-- A body is replaced by a packed one: the same text, or once by a smaller one whose whole digest is noted.
-- Only the program that compacts has the function, so nothing else can change a fact at all.
CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events
WHEN NEW.seq IS NOT OLD.seq OR NEW.batch IS NOT OLD.batch OR NEW.at IS NOT OLD.at OR NEW.kind IS NOT OLD.kind
    OR NEW.environment IS NOT OLD.environment OR NEW.run IS NOT OLD.run OR NEW.stage IS NOT OLD.stage
    OR NEW.partition IS NOT OLD.partition
    OR NOT is_same_fact(OLD.body, NEW.body, (SELECT digest FROM compacted WHERE seq = OLD.seq))
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: a fact is never changed');
END;

-- Receipts are stored without fields that hold their default.
UPDATE runs SET receipt = sparse_receipt(receipt) WHERE receipt IS NOT NULL;
