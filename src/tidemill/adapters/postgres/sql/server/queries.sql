-- Every statement that is sent to the server, by name. Parameters are `%s` in the order of the text, or named.

-- name: has_ledger
-- Whether the schema that is set has a ledger.
SELECT to_regclass(%s || '.ledger') IS NOT NULL;

-- name: has_schema
SELECT to_regnamespace(%s) IS NOT NULL;

-- name: create_schema
CREATE SCHEMA {schema};

-- name: lock_creation
-- So that of several that find no ledger one makes it.
SELECT pg_advisory_xact_lock(hashtextextended(%s, 0));

-- name: settings
-- Another writer is waited for for so many seconds. Before that the server gives up one that was cut off, whether it
-- waits for its next statement, for the rest of one, or for the receipt of an answer.
SELECT set_config('lock_timeout', %(lock_ms)s, false),
    set_config('idle_in_transaction_session_timeout', %(lost_ms)s, false),
    set_config('tcp_user_timeout', %(lost_ms)s, false),
    set_config('tcp_keepalives_idle', %(quiet_s)s, false),
    set_config('tcp_keepalives_interval', %(quiet_s)s, false),
    set_config('tcp_keepalives_count', '2', false),
    set_config('search_path', %(schema)s, false),
    current_setting('server_encoding');

-- name: create_ledger
INSERT INTO ledger (id, layout, schema_version, tidemill, link) VALUES (%s, %s, %s, %s, %s);

-- name: head
-- Whose ledger it is, its newest fact and change, and the server's time.
SELECT id, layout, schema_version, tidemill, seq, link, changes, moved_to,
    extract(epoch FROM clock_timestamp())::float8
FROM ledger;

-- name: lock_head
-- The same, once no other transaction writes.
SELECT id, layout, schema_version, tidemill, seq, link, changes, moved_to,
    extract(epoch FROM clock_timestamp())::float8
FROM ledger FOR UPDATE;

-- name: now
SELECT extract(epoch FROM clock_timestamp())::float8;

-- name: upgrade
UPDATE ledger SET schema_version = %s, tidemill = %s;

-- name: link
SELECT link FROM events WHERE seq = %s;

-- name: events
-- The first facts after a number in order, with what is known of those that lost details.
SELECT e.seq, e.batch, e.at, e.kind, e.environment, e.run, e.stage, e.partition, e.body, e.link, c.digest, c.by
FROM events AS e LEFT JOIN compacted AS c ON c.seq = e.seq
WHERE e.seq > %s ORDER BY e.seq LIMIT %s;

-- name: bodies
-- The bodies between two facts that were replaced, with what is known of those that lost details.
SELECT e.seq, e.kind, e.body, c.digest, c.by FROM events AS e LEFT JOIN compacted AS c ON c.seq = e.seq
WHERE e.seq BETWEEN %s AND %s AND substr(e.body, 1, 1) = '\xff' ORDER BY e.seq;

-- name: leases
SELECT name, token, holder, heartbeat, expires, after_seq, changed FROM leases WHERE changed > %s;

-- name: people
SELECT ref, name, salt, changed FROM people WHERE changed > %s;

-- name: erased
SELECT ref, changed FROM erased WHERE changed > %s;

-- name: add_events
INSERT INTO events (seq, batch, at, kind, environment, run, stage, partition, body, link)
SELECT * FROM unnest(
    %s::bigint[], %s::bigint[], %s::float8[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::bytea[], %s::bytea[]
);

-- name: add_compacted
INSERT INTO compacted (seq, by, digest) SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[]);

-- name: replace_bodies
UPDATE events SET body = new.body
FROM unnest(%s::bigint[], %s::bytea[]) AS new (seq, body)
WHERE events.seq = new.seq AND events.body IS DISTINCT FROM new.body;

-- name: put_lease
INSERT INTO leases (name, token, holder, heartbeat, expires, after_seq, changed)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (name) DO UPDATE SET
    token = excluded.token, holder = excluded.holder, heartbeat = excluded.heartbeat,
    expires = excluded.expires, after_seq = excluded.after_seq, changed = excluded.changed;

-- name: put_person
INSERT INTO people (ref, name, salt, changed) VALUES (%s, %s, %s, %s);

-- name: remove_person
DELETE FROM people WHERE ref = %s;

-- name: note_erased
INSERT INTO erased (ref, changed) VALUES (%s, %s) ON CONFLICT (ref) DO UPDATE SET changed = excluded.changed;

-- name: move_head
UPDATE ledger SET seq = %s, link = %s, changes = %s;

-- name: name_ledger
UPDATE ledger SET id = %s;

-- name: use_schema
SELECT set_config('search_path', %s, false);

-- name: move_away
UPDATE ledger SET moved_to = %s;

-- name: held_leases
-- Who holds leases that haven't expired.
SELECT name, holder FROM leases
WHERE holder IS NOT NULL AND expires > extract(epoch FROM clock_timestamp()) ORDER BY heartbeat DESC;

-- name: copy_events
COPY events (seq, batch, at, kind, environment, run, stage, partition, body, link) FROM STDIN;

-- name: copy_compacted
COPY compacted (seq, by, digest) FROM STDIN;

-- name: copy_people
COPY people (ref, name, salt, changed) FROM STDIN;

-- name: copy_leases
COPY leases (name, token, holder, heartbeat, expires, after_seq, changed) FROM STDIN;

-- name: notify
SELECT pg_notify(%s, %s);

-- name: vacuum_people
-- So that a name that was erased isn't in the table's file any more.
VACUUM (FULL) people;

-- name: try_claim
SELECT pg_try_advisory_lock(hashtextextended(%s, 0));

-- name: release_claim
SELECT pg_advisory_unlock(hashtextextended(%s, 0));
