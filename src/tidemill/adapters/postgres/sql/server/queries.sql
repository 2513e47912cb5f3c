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
-- Which ledger it is, its newest fact, the marks of leases and people, and the server's time.
SELECT id, layout, schema_version, tidemill, seq, link, leases_mark, people_mark, moved_to,
    extract(epoch FROM clock_timestamp())::float8
FROM ledger;

-- name: lock_head
-- The same, once no other transaction writes.
SELECT id, layout, schema_version, tidemill, seq, link, leases_mark, people_mark, moved_to,
    extract(epoch FROM clock_timestamp())::float8
FROM ledger FOR UPDATE;

-- name: may_write
SELECT has_table_privilege('ledger', 'UPDATE') AND has_table_privilege('events', 'INSERT');

-- name: now
SELECT extract(epoch FROM clock_timestamp())::float8;

-- name: upgrade
UPDATE ledger SET schema_version = %s, tidemill = %s WHERE schema_version < %s;

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
WHERE e.seq BETWEEN %s AND %s AND substr(e.body, 1, 1) IN ('\xfe', '\xff') ORDER BY e.seq;

-- name: leases
SELECT name, token, holder, heartbeat, expires, after_seq FROM leases;

-- name: people
SELECT ref, name, salt FROM people;

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
INSERT INTO leases (name, token, holder, heartbeat, expires, after_seq)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (name) DO UPDATE SET
    token = excluded.token, holder = excluded.holder, heartbeat = excluded.heartbeat,
    expires = excluded.expires, after_seq = excluded.after_seq;

-- name: put_person
INSERT INTO people (ref, name, salt) VALUES (%s, %s, %s);

-- name: remove_person
DELETE FROM people WHERE ref = %s;

-- name: move_head
UPDATE ledger SET seq = %s, link = %s, leases_mark = %s, people_mark = %s;

-- name: still_here
-- Whether the transaction that holds the lock goes on; to be asked also keeps it from being given up.
SELECT 1;

-- name: clear_ledger
-- Only of a ledger that nobody has used.
ALTER TABLE events DISABLE TRIGGER USER;
ALTER TABLE compacted DISABLE TRIGGER USER;
TRUNCATE events, compacted, leases, people;
ALTER TABLE events ENABLE TRIGGER USER;
ALTER TABLE compacted ENABLE TRIGGER USER;

-- name: name_ledger
UPDATE ledger SET id = %s;

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
COPY people (ref, name, salt) FROM STDIN;

-- name: copy_leases
COPY leases (name, token, holder, heartbeat, expires, after_seq) FROM STDIN;

-- name: notify
SELECT pg_notify(%s, %s);

-- name: vacuum_people
-- So that a name that was erased isn't in the table's file any more.
VACUUM (FULL) people;

-- name: try_claim
SELECT pg_try_advisory_lock(hashtextextended(%s, 0));

-- name: release_claim
SELECT pg_advisory_unlock(hashtextextended(%s, 0));
