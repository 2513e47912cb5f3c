-- Every text that records are read from ends with its checksum, in a line of its own: `stamped` adds it
-- (adapters/sqlite/stamps.py). Texts from before this schema get the checksum of what is stored now.

DROP TRIGGER events_refuse_update;

UPDATE events SET body = stamped(body);

CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: a fact is never changed');
END;

UPDATE recipes SET parts = stamped(parts);
UPDATE sources SET body = stamped(body) WHERE body != '';
UPDATE past_sources SET body = stamped(body) WHERE body != '';
UPDATE decisions SET body = stamped(body);
UPDATE deliveries SET body = stamped(body);
UPDATE outbox SET body = stamped(body);
