-- Every statement that the SQLite ledger runs, by name. Parameters (`?`) are in the order of the text.


-- The file itself ------------------------------------------------------------------------------------

-- name: any_table
SELECT name FROM sqlite_master LIMIT 1;

-- name: record_migration
INSERT INTO migrations (version, tidemill) VALUES (?, ?);

-- name: migrated_by
-- The Tidemill version that migrated the file to a schema version.
SELECT tidemill FROM migrations WHERE version = ?;


-- The facts ------------------------------------------------------------------------------------------

-- name: last_seq
-- The number of the newest fact; 0 in an empty ledger.
SELECT coalesce(max(seq), 0) FROM events;

-- name: newest_event
SELECT seq, at FROM events ORDER BY seq DESC LIMIT 1;

-- name: last_seq_of_kind
-- The number of the newest fact of a kind; 0 if there is none.
SELECT coalesce(max(seq), 0) FROM events WHERE kind = ?;

-- name: insert_event
INSERT INTO events (seq, batch, at, kind, environment, run, stage, partition, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_compacted
-- The digest of the whole body of a fact that gets a smaller one, and the fact that covers it.
INSERT INTO compacted (seq, by, digest) VALUES (?, ?, ?);

-- name: insert_link
INSERT INTO links (seq, link) VALUES (?, ?);

-- name: last_link
SELECT link FROM links ORDER BY seq DESC LIMIT 1;

-- name: linked_events
-- All that is stored of the facts after one number in order, the link of each, the digest of a body that was replaced by a
-- smaller one and the fact that covers it, and whether a text is stored as a blob that isn't packed: no query finds it
-- then.
SELECT
    event.seq, event.batch, event.at, event.kind, event.environment, event.run, event.stage,
    event.partition, event.body, links.link, compacted.digest, compacted.by,
    'blob' IN (
        typeof(batch), typeof(at), typeof(kind), typeof(environment), typeof(run), typeof(stage),
        typeof(partition), iif(substr(body, 1, 1) IN (x'fe', x'ff'), 'text', typeof(body))
    )
FROM events AS event NOT INDEXED
LEFT JOIN links ON links.seq = event.seq
LEFT JOIN compacted ON compacted.seq = event.seq
WHERE event.seq > ?
ORDER BY event.seq;

-- name: whole_bodies
-- The next page of older facts that may lose details, or whose body isn't packed, as before schema 17.
SELECT seq, batch, kind, run, stage, partition, body
FROM events NOT INDEXED
WHERE seq > :after AND seq <= :until AND at <= :before AND kind != 'Compacted'
  AND (typeof(body) = 'text'
       OR (kind IN ('Published', 'Computed', 'Attempted', 'RunEnded', 'SourceSeen') AND seq NOT IN (SELECT seq FROM compacted)))
ORDER BY seq LIMIT :limit;

-- name: uncompacted_among
-- Those of some facts (a JSON list) that didn't lose details, with whether their bodies are packed.
SELECT seq, typeof(body) = 'blob' FROM events
WHERE seq IN (SELECT value FROM json_each(?)) AND seq NOT IN (SELECT seq FROM compacted)
ORDER BY seq;

-- name: bound_facts
-- The facts that bind partitions now, or in a state that a branch reads.
SELECT seq FROM bindings UNION ALL SELECT seq FROM past_bindings;

-- name: traced_facts
-- The facts whose results can be reused, or aren't swept yet.
SELECT seq FROM traces UNION ALL SELECT seq FROM results;

-- name: ruled_facts
SELECT seq FROM rulings;

-- name: source_facts
-- The facts that recorded files as they are known now, or in a state that a branch reads.
SELECT seq FROM sources UNION SELECT seq FROM past_sources;

-- name: traced_keys
-- Those of some keys (a JSON list) whose results can be reused.
SELECT key FROM traces WHERE key IN (SELECT value FROM json_each(?));

-- name: running
SELECT id FROM runs WHERE status = 'running';

-- name: published_among
-- What the appends from that of one fact to that of another published.
SELECT seq, batch, stage, partition FROM events NOT INDEXED
WHERE seq BETWEEN :first AND (
    SELECT coalesce(min(seq), 0x7FFFFFFFFFFFFFFF) FROM (
        SELECT seq FROM events NOT INDEXED WHERE seq > :last AND batch > :batch ORDER BY seq LIMIT 1
    )
) AND kind = 'Published';

-- name: replace_body
UPDATE events SET body = ? WHERE seq = ?;

-- name: replace_receipt
UPDATE runs SET receipt = ? WHERE id = ?;

-- name: pages
-- The number of pages of the file, the bytes of one, and how many are unused.
SELECT page_count, page_size, freelist_count
FROM pragma_page_count, pragma_page_size, pragma_freelist_count;

-- name: make_aside
-- Where events are while they are stored anew.
CREATE TEMP TABLE IF NOT EXISTS aside AS SELECT * FROM events LIMIT 0;

-- name: set_aside
INSERT INTO temp.aside SELECT * FROM events WHERE seq BETWEEN ? AND ?;

-- name: take_out_aside
DELETE FROM events WHERE seq IN (SELECT seq FROM temp.aside);

-- name: put_back_aside
INSERT INTO events SELECT * FROM temp.aside ORDER BY seq;

-- name: clear_aside
DELETE FROM temp.aside;

-- name: pinned_objects
SELECT DISTINCT object FROM pins;

-- name: marked_and_stored
-- What sweeps marked, and didn't confirm to be deleted.
SELECT object FROM garbage;

-- name: pins_by_people
SELECT body FROM events WHERE kind IN ('DataPinned', 'DataUnpinned') ORDER BY seq;

-- name: known_sources
SELECT body FROM sources WHERE gone = 0 UNION ALL SELECT body FROM past_sources WHERE gone = 0;

-- name: links_without_event
SELECT seq FROM links WHERE seq NOT IN (SELECT seq FROM events) ORDER BY seq LIMIT 1;

-- name: person
SELECT ref FROM people WHERE name = ?;

-- name: people
-- The names behind references (a JSON list).
SELECT ref, name FROM people WHERE ref IN (SELECT value FROM json_each(?));

-- name: events_with
-- All texts of each fact that has a text anywhere, as it is or as JSON has it. `unpacked` gives the text of a packed body.
SELECT text || char(10) || ifnull(environment, '') || char(10) || ifnull(stage, '') || char(10) || ifnull(partition, '')
FROM (
    SELECT iif(typeof(body) = 'blob', unpacked(body), body) AS text, environment, stage, partition FROM events
)
WHERE instr(text, :json) > 0 OR instr(environment, :text) > 0 OR instr(stage, :text) > 0
   OR instr(partition, :text) > 0;

-- name: lease_holders_with
-- The holders of leases (JSON) that have a text.
SELECT holder FROM leases WHERE instr(holder, ?) > 0;

-- name: events_with_people
-- The texts of all facts that refer to people.
SELECT body FROM events WHERE instr(iif(typeof(body) = 'blob', unpacked(body), body), 'person:') > 0;

-- name: every_person
SELECT ref, name, salt FROM people ORDER BY ref;

-- name: add_person
INSERT INTO people (ref, name, salt) VALUES (?, ?, ?) ON CONFLICT DO NOTHING;

-- name: remove_person
DELETE FROM people WHERE ref = ?;

-- Pages of facts between two numbers. Those that come first are in the order of an index; where the newest
-- come first, `ORDER BY event.seq` becomes a descending order. A filter that is NULL selects all; `kinds` is a
-- JSON list. The caller merges several kinds, so that each reads an index in order.

-- name: events_page
SELECT event.seq, event.at, event.body FROM events AS event NOT INDEXED
WHERE event.seq > :after AND event.seq < :before
ORDER BY event.seq LIMIT :limit;

-- name: events_page_of_kind
SELECT event.seq, event.at, event.body FROM events AS event
WHERE event.seq > :after AND event.seq < :before AND event.kind = :kind
  AND (:stage IS NULL OR event.stage = :stage)
  AND (:partition IS NULL OR event.partition = :partition)
ORDER BY event.seq LIMIT :limit;

-- name: events_page_of_stage
-- Of all kinds but attempts, which have an index of their own.
SELECT event.seq, event.at, event.body FROM events AS event INDEXED BY events_by_stage
WHERE event.seq > :after AND event.seq < :before AND event.stage = :stage AND event.kind = :kind
  AND event.kind != 'Attempted'
  AND (:partition IS NULL OR event.partition = :partition)
ORDER BY event.seq LIMIT :limit;

-- name: events_page_of_attempts
SELECT event.seq, event.at, event.body FROM events AS event INDEXED BY attempts_by_stage
WHERE event.seq > :after AND event.seq < :before AND event.kind = 'Attempted'
  AND event.stage = :stage AND (:partition IS NULL OR event.partition = :partition)
ORDER BY event.seq LIMIT :limit;

-- name: events_page_of_partition
-- The publications of one partition.
SELECT event.seq, event.at, event.body FROM events AS event INDEXED BY events_by_partition
WHERE event.seq > :after AND event.seq < :before AND event.kind = 'Published'
  AND event.stage = :stage AND event.partition = :partition
ORDER BY event.seq LIMIT :limit;

-- name: events_page_of_run
-- A run has few facts.
SELECT event.seq, event.at, event.body FROM events AS event
WHERE event.seq > :after AND event.seq < :before AND event.run = :run
  AND (:kinds IS NULL OR event.kind IN (SELECT value FROM json_each(:kinds)))
  AND (:stage IS NULL OR event.stage = :stage)
  AND (:partition IS NULL OR event.partition = :partition)
ORDER BY event.seq LIMIT :limit;

-- name: events_page_about
-- The facts about subjects from one name up to another, in the order of the alphabet.
SELECT DISTINCT event.seq, event.at, event.body
FROM subjects CROSS JOIN events AS event ON event.seq = subjects.seq
WHERE subjects.subject >= :first AND subjects.subject < :beyond
  AND event.seq > :after AND event.seq < :before
  AND (:kinds IS NULL OR event.kind IN (SELECT value FROM json_each(:kinds)))
  AND (:run IS NULL OR event.run = :run)
  AND (:stage IS NULL OR event.stage = :stage)
  AND (:partition IS NULL OR event.partition = :partition)
ORDER BY event.seq LIMIT :limit;

-- name: events_page_of_subject
SELECT event.seq, event.at, event.body
FROM subjects CROSS JOIN events AS event ON event.seq = subjects.seq
WHERE subjects.subject = :first AND subjects.seq > :after AND subjects.seq < :before
  AND (:among IS NULL OR subjects.subject IN (SELECT value FROM json_each(:among)))
  AND (:kinds IS NULL OR event.kind IN (SELECT value FROM json_each(:kinds)))
  AND (:run IS NULL OR event.run = :run)
  AND (:stage IS NULL OR event.stage = :stage)
  AND (:partition IS NULL OR event.partition = :partition)
ORDER BY subjects.seq LIMIT :limit;

-- name: events_page_among
-- The facts about some subjects (a JSON list).
SELECT DISTINCT event.seq, event.at, event.body
FROM json_each(:among) AS wanted CROSS JOIN subjects ON subjects.subject = wanted.value
CROSS JOIN events AS event ON event.seq = subjects.seq
WHERE subjects.subject >= :first AND subjects.subject < :beyond
  AND subjects.seq > :after AND subjects.seq < :before
  AND (:kinds IS NULL OR event.kind IN (SELECT value FROM json_each(:kinds)))
  AND (:run IS NULL OR event.run = :run)
  AND (:stage IS NULL OR event.stage = :stage)
  AND (:partition IS NULL OR event.partition = :partition)
ORDER BY event.seq LIMIT :limit;

-- name: events_page_open
-- The facts about the subjects from one name up to another that haven't ended.
SELECT DISTINCT event.seq, event.at, event.body
FROM open_subjects CROSS JOIN subjects USING (subject) CROSS JOIN events AS event ON event.seq = subjects.seq
WHERE open_subjects.subject >= :first AND open_subjects.subject < :beyond
  AND (:among IS NULL OR subjects.subject IN (SELECT value FROM json_each(:among)))
  AND event.seq > :after AND event.seq < :before
  AND (:kinds IS NULL OR event.kind IN (SELECT value FROM json_each(:kinds)))
  AND (:run IS NULL OR event.run = :run)
  AND (:stage IS NULL OR event.stage = :stage)
  AND (:partition IS NULL OR event.partition = :partition)
ORDER BY event.seq LIMIT :limit;

-- name: note_subject
INSERT INTO subjects (subject, seq) VALUES (?, ?);

-- name: open_subject
INSERT INTO open_subjects (subject) VALUES (?) ON CONFLICT DO NOTHING;

-- name: end_subject
DELETE FROM open_subjects WHERE subject = ?;

-- name: event_numbers
-- The numbers of all facts, from the table itself.
SELECT seq FROM events NOT INDEXED ORDER BY seq;

-- name: indexed_event_numbers
-- The same from an index, which also has the numbers of facts on a damaged page.
SELECT seq FROM events INDEXED BY events_by_kind WHERE kind IS NOT NULL ORDER BY seq;

-- name: stored_event
-- All that is stored of a fact, and the digest of the body that was replaced by a smaller one.
SELECT
    batch, at, digest, by, kind, environment, run, stage, partition, body
FROM events LEFT JOIN compacted USING (seq)
WHERE seq = ?;

-- name: has_compacted
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'compacted';

-- name: no_compacted
CREATE TEMP TABLE compacted (seq INTEGER PRIMARY KEY, by INTEGER, digest BLOB);

-- name: key_columns
-- The columns of the primary key of a table, in order.
SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk;

-- name: tables
-- All tables but SQLite's own.
SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name;


-- Leases ---------------------------------------------------------------------------------------------

-- name: lease
SELECT token, holder, expires FROM leases WHERE name = ?;

-- name: lease_holders
-- The current lease holders, for the message that explains why the ledger is busy.
SELECT name, holder FROM leases WHERE holder IS NOT NULL ORDER BY heartbeat DESC;

-- name: active_leases
-- Those that haven't expired.
SELECT name, holder FROM leases
WHERE holder IS NOT NULL AND expires > CAST(strftime('%s', 'now') AS REAL) ORDER BY heartbeat DESC;

-- name: lease_tokens
SELECT name, token FROM leases;

-- name: take_lease
INSERT INTO leases (name, token, holder, heartbeat, expires, after_seq)
VALUES (?, ?, ?, ?, ?, (SELECT coalesce(max(seq), 0) FROM events))
ON CONFLICT (name) DO UPDATE SET
    token = excluded.token, holder = excluded.holder, heartbeat = excluded.heartbeat,
    expires = excluded.expires, after_seq = excluded.after_seq;

-- name: free_leases
UPDATE leases SET holder = NULL, expires = 0, token = token + 1;

-- name: renew_lease
UPDATE leases SET heartbeat = ?, expires = ?
WHERE name = ? AND token = ? AND holder IS NOT NULL;

-- name: release_lease
UPDATE leases SET holder = NULL, expires = 0 WHERE name = ? AND token = ?;


-- Projecting one fact onto the tables of current state -----------------------------------------------

-- name: add_environment
-- Changes one row if the environment is new.
INSERT INTO environments (name, parent, since, at, expires, sample, profile) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO NOTHING;

-- name: branching
-- An environment's parent, the fact that created its newest branch, and its sample.
SELECT parent, (SELECT max(since) FROM environments AS branch WHERE branch.parent = own.name), sample
FROM environments AS own WHERE name = ?;

-- name: copy_recipes
-- A new environment starts with its parent's recipes, heads (whose partitions are read as of then),
-- marks of stages that are wholly current, ...
INSERT INTO recipes (environment, stage, recipe, parts)
SELECT ?, stage, recipe, parts FROM recipes WHERE environment = ?;

-- name: copy_heads
INSERT INTO heads (environment, stage, version, moved)
SELECT ?, stage, version, moved FROM heads WHERE environment = ?;

-- name: copy_settled
INSERT INTO settled (environment, stage, signature, partitions)
SELECT ?, stage, signature, partitions FROM settled WHERE environment = ?;

-- name: copy_deliveries
-- ... live deliveries and decisions.
INSERT INTO deliveries (environment, name, body)
SELECT ?, name, body FROM deliveries WHERE environment = ?;

-- name: copy_decisions
INSERT INTO decisions (environment, subject, stage, body)
SELECT ?, subject, stage, body FROM decisions WHERE environment = ?;

-- name: copy_contract_versions
INSERT INTO contract_versions (environment, stage, contract, first, last, published)
SELECT ?, stage, contract, first, last, published FROM contract_versions WHERE environment = ?;

-- name: copy_stale_tables
INSERT INTO stale_tables (environment, stage, seq)
SELECT ?, stage, seq FROM stale_tables WHERE environment = ?;

-- name: drop_environment
DELETE FROM environments WHERE name = ?;

-- name: drop_recipes
DELETE FROM recipes WHERE environment = ?;

-- name: drop_heads
DELETE FROM heads WHERE environment = ?;

-- name: drop_settled
DELETE FROM settled WHERE environment = ?;

-- name: drop_deliveries
DELETE FROM deliveries WHERE environment = ?;

-- name: drop_decisions
DELETE FROM decisions WHERE environment = ?;

-- name: drop_contract_versions
DELETE FROM contract_versions WHERE environment = ?;

-- name: drop_stale_tables
DELETE FROM stale_tables WHERE environment = ?;

-- name: drop_bindings
DELETE FROM bindings WHERE environment = ?;

-- name: drop_sources
DELETE FROM sources WHERE environment = ?;

-- name: drop_rulings
DELETE FROM rulings WHERE environment = ?;

-- name: drop_effects
-- Pending effects are cancelled.
UPDATE outbox SET state = 'done', detail = '{}' WHERE environment = ? AND state = 'pending';

-- name: forget_past_bindings
-- Delete past bindings that no branch of the environment reads.
DELETE FROM past_bindings
WHERE environment = :environment AND NOT EXISTS (
    SELECT 1 FROM environments AS branch
    WHERE branch.parent = :environment AND branch.since > past_bindings.seq AND branch.since < past_bindings.until
);

-- name: forget_past_sources
DELETE FROM past_sources
WHERE environment = :environment AND NOT EXISTS (
    SELECT 1 FROM environments AS branch
    WHERE branch.parent = :environment AND branch.since > past_sources.seq AND branch.since < past_sources.until
);

-- name: set_recipe
INSERT INTO recipes (environment, stage, recipe, parts) VALUES (?, ?, ?, ?)
ON CONFLICT (environment, stage) DO UPDATE SET recipe = excluded.recipe, parts = excluded.parts;

-- name: move_head
INSERT INTO heads (environment, stage, version, moved) VALUES (?, ?, 1, ?)
ON CONFLICT (environment, stage) DO UPDATE SET version = version + 1, moved = excluded.moved;

-- name: bind
INSERT INTO bindings (environment, stage, partition, seq) VALUES (?, ?, ?, ?)
ON CONFLICT (environment, stage, partition) DO UPDATE SET seq = excluded.seq, gone = 0;

-- name: note_quarantined
INSERT INTO quarantined (seq) VALUES (?);

-- name: note_contract
INSERT INTO contract_versions (environment, stage, contract, first, last, published) VALUES (?, ?, ?, ?, ?, 1)
ON CONFLICT (environment, stage, contract) DO UPDATE SET last = excluded.last, published = published + 1;

-- name: note_stale
INSERT INTO stale_tables (environment, stage, seq) VALUES (?, ?, ?)
ON CONFLICT (environment, stage) DO UPDATE SET seq = excluded.seq;

-- name: drop_stale
DELETE FROM stale_tables WHERE environment = ? AND stage = ?;

-- name: keep_binding
-- Keep a binding before it is replaced, for the branches created while it was current.
INSERT INTO past_bindings (environment, stage, partition, seq, until, gone)
SELECT environment, stage, partition, seq, ?, gone FROM bindings
WHERE environment = ? AND stage = ? AND partition = ? AND seq < ?;

-- name: unbind
DELETE FROM bindings WHERE environment = ? AND stage = ? AND partition = ?;

-- name: hide_binding
-- The same in a branch, whose parent may still have the partition.
INSERT INTO bindings (environment, stage, partition, seq, gone) VALUES (?, ?, ?, ?, 1)
ON CONFLICT (environment, stage, partition) DO UPDATE SET seq = excluded.seq, gone = 1;

-- name: trace
-- The first result under a key is kept.
INSERT INTO traces (key, stage, seq) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING;

-- name: add_result
INSERT INTO results (seq, key, since) VALUES (?, ?, ?);

-- name: supersede_binding
-- Note since when the result that a partition is bound to isn't bound there any more.
UPDATE results SET since = max(:at, ifnull(since, :at))
WHERE seq = (
    SELECT seq FROM bindings
    WHERE environment = :environment AND stage = :stage AND partition = :partition AND gone = 0
);

-- name: supersede_bindings
-- The same for all partitions of an environment.
UPDATE results SET since = max(:at, ifnull(since, :at))
WHERE seq IN (SELECT seq FROM bindings WHERE environment = :environment AND gone = 0);

-- name: supersede_past_bindings
-- The same for past bindings that no branch of the environment reads.
UPDATE results SET since = max(:at, ifnull(since, :at))
WHERE seq IN (
    SELECT seq FROM past_bindings
    WHERE environment = :environment AND gone = 0 AND NOT EXISTS (
        SELECT 1 FROM environments AS branch
        WHERE branch.parent = :environment AND branch.since > past_bindings.seq
          AND branch.since < past_bindings.until
    )
);

-- name: pin
INSERT INTO pins (object, seq) VALUES (?, ?) ON CONFLICT (object, seq) DO NOTHING;

-- name: unpin
DELETE FROM pins WHERE object = ? AND seq = ?;

-- name: is_pinned
SELECT 1 FROM pins WHERE object = ? LIMIT 1;

-- name: rescue
-- Changes one row if a sweep was about to delete the object.
DELETE FROM garbage WHERE object = ?;

-- name: add_garbage
INSERT INTO garbage (object, mark) VALUES (?, ?) ON CONFLICT (object) DO UPDATE SET mark = excluded.mark;

-- name: drop_garbage
DELETE FROM garbage WHERE mark = ?;

-- name: result_use
-- The key of a result, and whether any result under this key is bound, or is read by a branch.
SELECT own.key, EXISTS (
    SELECT 1 FROM results AS other WHERE other.key = own.key AND (
        other.since IS NULL
        OR EXISTS (SELECT 1 FROM past_bindings WHERE past_bindings.seq = other.seq AND gone = 0)
    )
)
FROM results AS own WHERE own.seq = ?;

-- name: drop_result
DELETE FROM results WHERE seq = ?;

-- name: drop_trace
DELETE FROM traces WHERE key = ? AND seq = ?;

-- name: start_run
-- Changes one row if the run is new.
INSERT INTO runs (id, environment, status, started, command, steps, holder)
VALUES (?, ?, 'running', ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING;

-- name: end_run
-- Changes one row if the run is open.
UPDATE runs SET status = ?, ended = ?, receipt = ? WHERE id = ? AND status = 'running';

-- name: update_cost
-- Add an attempt to the mean cost of a stage's action. The newest attempt weighs at least one sixteenth,
-- so about the last 16 determine the mean.
INSERT INTO costs (stage, action, attempts, wall_s, cpu_s, rows_in, bytes_in, rows_out)
VALUES (?, ?, 1, ?, ?, ?, ?, ?)
ON CONFLICT (stage, action) DO UPDATE SET
    attempts = attempts + 1,
    wall_s = wall_s + (excluded.wall_s - wall_s) / min(attempts + 1, 16),
    cpu_s = cpu_s + (excluded.cpu_s - cpu_s) / min(attempts + 1, 16),
    rows_in = rows_in + (excluded.rows_in - rows_in) / min(attempts + 1, 16),
    bytes_in = bytes_in + (excluded.bytes_in - bytes_in) / min(attempts + 1, 16),
    rows_out = rows_out + (excluded.rows_out - rows_out) / min(attempts + 1, 16);

-- name: effect
SELECT environment, body FROM outbox WHERE key = ?;

-- name: queue_effect
INSERT INTO outbox (key, environment, queued, state, body) VALUES (?, ?, ?, 'pending', ?);

-- name: finish_effect
-- The first report about an effect is kept.
UPDATE outbox SET state = 'done', detail = ? WHERE key = ? AND state = 'pending';

-- name: set_decision
INSERT INTO decisions (environment, subject, stage, body) VALUES (?, ?, ?, ?)
ON CONFLICT (environment, subject) DO UPDATE SET stage = excluded.stage, body = excluded.body;

-- name: set_delivery
INSERT INTO deliveries (environment, name, body) VALUES (?, ?, ?)
ON CONFLICT (environment, name) DO UPDATE SET body = excluded.body;

-- name: record_source
INSERT INTO sources (environment, stage, path, body, seq) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (environment, stage, path) DO UPDATE SET
    body = excluded.body, seq = excluded.seq, gone = 0;

-- name: keep_source
INSERT INTO past_sources (environment, stage, path, body, seq, until, gone)
SELECT environment, stage, path, body, seq, ?, gone FROM sources
WHERE environment = ? AND stage = ? AND path = ? AND seq < ?;

-- name: forget_source
DELETE FROM sources WHERE environment = ? AND stage = ? AND path = ?;

-- name: hide_source
INSERT INTO sources (environment, stage, path, body, seq, gone) VALUES (?, ?, ?, '', ?, 1)
ON CONFLICT (environment, stage, path) DO UPDATE SET body = '', seq = excluded.seq, gone = 1;

-- name: set_settled
INSERT INTO settled (environment, stage, signature, partitions) VALUES (?, ?, ?, ?)
ON CONFLICT (environment, stage) DO UPDATE SET
    signature = excluded.signature, partitions = excluded.partitions;

-- name: clear_settled
-- The mark was set for the files that were seen before.
DELETE FROM settled WHERE environment = ? AND stage = ?;

-- name: record_ruling
INSERT INTO rulings (environment, stage, partition, seq) VALUES (?, ?, ?, ?);

-- name: record_tick
-- Changes one row if the tick is new.
INSERT INTO ticks (schedule, tick) VALUES (?, ?) ON CONFLICT (schedule, tick) DO NOTHING;


-- Reading the current state --------------------------------------------------------------------------

-- name: environments
SELECT name, parent, since, at, expires, sample, profile FROM environments ORDER BY name;

-- name: layers
-- An environment and its ancestors, nearest first, each with the fact before which its facts count: the
-- one that created its branch.
WITH RECURSIVE layers (name, before) AS (
    VALUES (?, 0x7FFFFFFFFFFFFFFF)
    UNION ALL
    SELECT own.parent, own.since FROM layers JOIN environments AS own ON own.name = layers.name
    WHERE own.parent != ''
)
SELECT name, before FROM layers;

-- name: head
SELECT version, moved FROM heads WHERE environment = ? AND stage = ?;

-- name: heads
SELECT stage, version, moved FROM heads WHERE environment = ? ORDER BY stage;

-- name: bindings
-- Everything that an environment itself bound of a stage, or removed from its parent's partitions. A row
-- that refers to a fact about another partition is damaged: its body is NULL.
SELECT bindings.partition, bindings.gone, events.body
FROM bindings
LEFT JOIN events ON events.seq = bindings.seq
    AND events.stage = bindings.stage AND events.partition = bindings.partition
WHERE bindings.environment = ? AND bindings.stage = ?
ORDER BY bindings.partition;

-- name: bindings_before
-- The same before a given fact.
WITH held (partition, gone, seq) AS (
    SELECT partition, gone, seq FROM bindings
    WHERE environment = :environment AND stage = :stage AND seq < :before
    UNION ALL
    SELECT partition, gone, seq FROM past_bindings
    WHERE environment = :environment AND stage = :stage AND seq < :before AND until > :before
)
SELECT held.partition, held.gone, events.body FROM held
LEFT JOIN events ON events.seq = held.seq
    AND events.stage = :stage AND events.partition = held.partition;

-- name: binding
-- One partition's row before a given fact.
SELECT held.gone, events.body
FROM (
    SELECT gone, seq FROM bindings
    WHERE environment = :environment AND stage = :stage AND partition = :partition AND seq < :before
    UNION ALL
    SELECT gone, seq FROM past_bindings
    WHERE environment = :environment AND stage = :stage AND partition = :partition AND seq < :before AND until > :before
) AS held
LEFT JOIN events ON events.seq = held.seq
    AND events.stage = :stage AND events.partition = :partition;

-- name: partitions
-- Names with the facts that bound them; the index covers it.
SELECT partition, gone, seq FROM bindings WHERE environment = ? AND stage = ? ORDER BY partition;

-- name: partitions_before
SELECT partition, gone, seq FROM bindings WHERE environment = :environment AND stage = :stage AND seq < :before
UNION ALL
SELECT partition, gone, seq FROM past_bindings
WHERE environment = :environment AND stage = :stage AND seq < :before AND until > :before;

-- name: quarantined
-- Names with whether the fact that bound them sent rows to quarantine.
SELECT partition, gone, EXISTS (SELECT 1 FROM quarantined WHERE quarantined.seq = bindings.seq)
FROM bindings WHERE environment = ? AND stage = ? ORDER BY partition;

-- name: quarantined_before
WITH held (partition, gone, seq) AS (
    SELECT partition, gone, seq FROM bindings
    WHERE environment = :environment AND stage = :stage AND seq < :before
    UNION ALL
    SELECT partition, gone, seq FROM past_bindings
    WHERE environment = :environment AND stage = :stage AND seq < :before AND until > :before
)
SELECT partition, gone, EXISTS (SELECT 1 FROM quarantined WHERE quarantined.seq = held.seq) FROM held;

-- name: count_bindings
SELECT count(*) FROM bindings WHERE environment = ? AND stage = ?;

-- name: has_bindings
SELECT 1 FROM bindings WHERE environment = ? AND stage = ? LIMIT 1;

-- name: recipes
SELECT stage, parts FROM recipes WHERE environment = ? ORDER BY stage;

-- name: sources_before
-- The files that an environment itself recorded before a fact, or recorded as gone.
SELECT stage, path, gone, body FROM sources WHERE environment = :environment AND seq < :before
UNION ALL
SELECT stage, path, gone, body FROM past_sources
WHERE environment = :environment AND seq < :before AND until > :before;

-- name: settled
SELECT stage, signature, partitions FROM settled WHERE environment = ? ORDER BY stage;

-- name: contract_versions
-- In the order in which they were published first.
SELECT contract, first, last, published FROM contract_versions WHERE environment = ? AND stage = ? ORDER BY first;

-- name: stale_tables
SELECT stale_tables.stage, events.body
FROM stale_tables LEFT JOIN events ON events.seq = stale_tables.seq AND events.stage = stale_tables.stage
WHERE stale_tables.environment = ? ORDER BY stale_tables.stage;

-- name: rulings_before
-- In the order in which they were recorded.
SELECT rulings.stage, rulings.partition, events.body
FROM rulings
LEFT JOIN events ON events.seq = rulings.seq
    AND events.stage = rulings.stage AND events.partition = rulings.partition
WHERE rulings.environment = ? AND rulings.seq < ?
ORDER BY rulings.stage, rulings.partition, rulings.seq;

-- name: delivery
-- What is live under a name.
SELECT body FROM deliveries WHERE environment = ? AND name = ?;

-- name: deliveries
SELECT name, body FROM deliveries WHERE environment = ? ORDER BY name;

-- name: decisions
SELECT subject, body FROM decisions WHERE environment = ? ORDER BY subject;

-- name: pending_effects
SELECT body FROM outbox WHERE environment = ? AND state = 'pending' ORDER BY queued;

-- name: open_runs
SELECT id, started, command, holder FROM runs
WHERE environment = ? AND status = 'running'
ORDER BY started, id;

-- name: costs
-- One row per stage and action, whatever the number of attempts.
SELECT stage, action, attempts, wall_s, cpu_s, rows_in, bytes_in, rows_out FROM costs
ORDER BY stage, action;

-- name: traces
-- The results computed under any of the keys (a JSON list), but for those that lost details.
SELECT traces.key, events.body
FROM json_each(?) AS wanted
JOIN traces ON traces.key = wanted.value
LEFT JOIN events ON events.seq = traces.seq AND events.stage = traces.stage
WHERE NOT EXISTS (SELECT 1 FROM compacted WHERE compacted.seq = traces.seq);


-- Retention ------------------------------------------------------------------------------------------

-- name: superseded_results
-- The next page of keys whose results are neither bound nor read by a branch: since when, and their facts in
-- order. What was only computed is in the environment of its run. A stage and a partition may be asked for.
SELECT page.key, page.since, event.seq, ifnull(event.environment, runs.environment), event.stage, event.partition,
    event.run, event.body
FROM (
    SELECT key, max(since) AS since
    FROM results AS old
    WHERE key > :after AND since IS NOT NULL AND (:stage = '' OR key IN (
        SELECT own.key FROM events JOIN results AS own ON own.seq = events.seq
        WHERE events.stage = :stage AND events.kind != 'Attempted'
            AND (:partition = '' OR events.partition = :partition)
    )) AND NOT EXISTS (
        SELECT 1 FROM results AS used WHERE used.key = old.key AND (
            used.since IS NULL
            OR EXISTS (SELECT 1 FROM past_bindings WHERE past_bindings.seq = used.seq AND gone = 0)
        )
    )
    GROUP BY key ORDER BY key LIMIT :limit
) AS page
JOIN results ON results.key = page.key
JOIN events AS event ON event.seq = results.seq
LEFT JOIN runs ON runs.id = event.run
ORDER BY page.key, event.seq;

-- name: newest_superseded
-- The keys of the newest superseded results of each partition of each environment, with their rank from 1.
SELECT environment, stage, key, place FROM (
    SELECT environment, stage, key,
        row_number() OVER (PARTITION BY environment, stage, partition ORDER BY since DESC, seq DESC) AS place
    FROM (
        SELECT ifnull(ifnull(event.environment, runs.environment), '') AS environment, event.stage AS stage,
            event.partition AS partition, old.key AS key, max(old.since) AS since, max(old.seq) AS seq
        FROM results AS old
        JOIN events AS event ON event.seq = old.seq
        LEFT JOIN runs ON runs.id = event.run
        WHERE old.since IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM results AS used WHERE used.key = old.key AND (
                used.since IS NULL
                OR EXISTS (SELECT 1 FROM past_bindings WHERE past_bindings.seq = used.seq AND gone = 0)
            )
        )
        GROUP BY 1, 2, 3, 4
    )
)
WHERE place <= ?;

-- name: count_superseded
-- The results that weren't bound any more from between two times on, as far as `since` tells.
SELECT count(*) FROM results WHERE since IS NOT NULL AND since > ? AND since <= ?;

-- name: superseded_effects
-- Carried-out effects that a later one on the same partition replaced, or whose environment is gone, as long
-- as their objects are kept: when that was.
SELECT seq, environment, stage, partition, since FROM (
    SELECT outbox.queued AS seq, outbox.environment, event.stage, event.partition, outbox.state, outbox.body,
        ifnull(
            lead(event.at) OVER (
                PARTITION BY outbox.environment, event.stage, event.partition ORDER BY outbox.queued
            ),
            CASE WHEN outbox.environment NOT IN (SELECT name FROM environments) THEN event.at END
        ) AS since
    FROM outbox JOIN events AS event ON event.seq = outbox.queued
) AS superseded
WHERE state = 'done' AND since <= ? AND EXISTS (
    SELECT 1 FROM pins
    WHERE pins.object = json_extract(substr(body, 1, length(body) - 9), '$.object') AND pins.seq = superseded.seq
)
ORDER BY seq;

-- name: pinning_facts
SELECT seq FROM pins WHERE object = ? ORDER BY seq;

-- name: fact_of_object
-- What an object is needed by, and since when it isn't bound any more.
SELECT pins.seq, event.kind, event.environment, event.stage, event.partition, event.at, results.since,
    EXISTS (SELECT 1 FROM past_bindings WHERE past_bindings.seq = pins.seq AND gone = 0)
FROM pins
JOIN events AS event ON event.seq = pins.seq
LEFT JOIN results ON results.seq = pins.seq
WHERE pins.object = ?
ORDER BY pins.seq;

-- name: dropped_rulings
-- Rulings whose environment was dropped.
SELECT seq, environment, stage, partition, at FROM events
WHERE kind = 'Ruled' AND seq NOT IN (SELECT seq FROM rulings) ORDER BY seq;

-- name: pulled_objects
-- The digests of pulled rows among the sources, with their stage.
SELECT json_extract(substr(body, 1, length(body) - 9), '$.digest'), stage FROM sources
WHERE path GLOB 'batch [0-9]*' AND body != ''
UNION ALL
SELECT json_extract(substr(body, 1, length(body) - 9), '$.digest'), stage FROM past_sources
WHERE path GLOB 'batch [0-9]*' AND body != '';

-- name: pending_marks
SELECT DISTINCT mark FROM garbage ORDER BY mark;

-- name: marked_event
-- What a sweep marked; what was only computed is in the environment of its run.
SELECT ifnull(event.environment, runs.environment), event.partition, event.run, event.body
FROM events AS event LEFT JOIN runs ON runs.id = event.run WHERE event.seq = ?;

-- name: marked_objects
SELECT object FROM garbage WHERE mark = ? AND object > ? ORDER BY object LIMIT ?;

-- name: is_garbage
SELECT 1 FROM garbage WHERE object = ?;

-- name: run_leases
-- The holders of leases of runs, and the newest fact when they took them.
SELECT name, holder, expires, after_seq FROM leases WHERE holder IS NOT NULL AND instr(name, 'run:') > 0;
