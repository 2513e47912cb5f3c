-- The hash chain through the facts: the link of a fact depends on all that is stored of it, and on the
-- link before it (ledger/event_digest.py). Facts from before this schema are linked as they are stored now.

CREATE TABLE links (
    seq  INTEGER PRIMARY KEY,
    link BLOB NOT NULL
);

INSERT INTO links (seq, link)
SELECT seq, linked(seq, batch, at, kind, environment, run, stage, partition, body)
FROM events NOT INDEXED ORDER BY seq;

CREATE TRIGGER links_refuse_update BEFORE UPDATE ON links
BEGIN
    SELECT RAISE(ABORT, 'links are append-only: a fact is never changed');
END;

CREATE TRIGGER links_refuse_delete BEFORE DELETE ON links
BEGIN
    SELECT RAISE(ABORT, 'links are append-only: a fact is never removed');
END;

-- INSERT OR REPLACE deletes without firing the trigger above.
CREATE TRIGGER links_refuse_replace BEFORE INSERT ON links
WHEN NEW.seq <= (SELECT max(seq) FROM links)
BEGIN
    SELECT RAISE(ABORT, 'links are append-only: a fact is never replaced');
END;
