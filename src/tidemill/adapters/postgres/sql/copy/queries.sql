-- Every statement on the copy of a ledger in SQLite that other ledgers don't run, by name. Parameters (`?`) are in
-- the order of the text.

-- name: new_events
-- The facts after a number as they are stored, and their links.
SELECT event.seq, event.batch, event.at, event.kind, event.environment, event.run, event.stage, event.partition,
    event.body, links.link
FROM events AS event NOT INDEXED JOIN links ON links.seq = event.seq
WHERE event.seq > ? ORDER BY event.seq;

-- name: compacted_by
-- What facts after a number cover: bodies that were replaced by smaller ones.
SELECT seq, by, digest FROM compacted WHERE by > ? ORDER BY seq;

-- name: packed_between
-- The packed bodies of the facts between two.
SELECT seq, body FROM events NOT INDEXED WHERE seq BETWEEN ? AND ? AND typeof(body) = 'blob' ORDER BY seq;

-- name: lease_row
SELECT name, token, holder, heartbeat, expires, after_seq FROM leases WHERE name = ?;

-- name: put_lease
INSERT INTO leases (name, token, holder, heartbeat, expires, after_seq) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
    token = excluded.token, holder = excluded.holder, heartbeat = excluded.heartbeat,
    expires = excluded.expires, after_seq = excluded.after_seq;

-- name: person_row
SELECT ref, name, salt FROM people WHERE ref = ?;

-- name: is_copy
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'replica';

-- name: copied
-- Which ledger a copy is of, its newest fact, the link of that, and the marks of its leases and people.
SELECT id, coalesce((SELECT max(seq) FROM events), 0), (SELECT link FROM links ORDER BY seq DESC LIMIT 1),
    leases_mark, people_mark
FROM replica;

-- name: name_copy
UPDATE replica SET id = ?;

-- name: move_copy
UPDATE replica SET id = ?, leases_mark = ?, people_mark = ?;

-- name: forget_leases
DELETE FROM leases;

-- name: every_event
-- All facts as they are stored, and their links.
SELECT event.seq, event.batch, event.at, event.kind, event.environment, event.run, event.stage, event.partition,
    event.body, links.link
FROM events AS event NOT INDEXED JOIN links ON links.seq = event.seq ORDER BY event.seq;

-- name: link_of
SELECT link FROM links WHERE seq = ?;

-- name: every_compacted
SELECT seq, by, digest FROM compacted ORDER BY seq;

-- name: every_lease
SELECT name, token, NULL, 0.0, 0.0, after_seq FROM leases ORDER BY name;

-- name: is_compacted
SELECT 1 FROM compacted WHERE seq = ?;

-- name: replace_other_body
UPDATE events SET body = :body WHERE seq = :seq AND body IS NOT :body;

-- name: noted
SELECT place, key FROM temp.noted ORDER BY place, key;

-- name: clear_noted
DELETE FROM temp.noted;
