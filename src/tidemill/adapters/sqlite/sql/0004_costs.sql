-- What steps of a stage cost so far: what a plan's estimates are made of.

-- A decayed mean over the attempts at an action, of all environments. Only those count that did what the
-- action says: `bind` those that bound something, any other those that computed something.
CREATE TABLE costs (
    stage    TEXT NOT NULL,
    action   TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    wall_s   REAL NOT NULL,
    cpu_s    REAL NOT NULL,
    rows_in  REAL NOT NULL,
    bytes_in REAL NOT NULL,
    rows_out REAL NOT NULL,
    PRIMARY KEY (stage, action)
);

-- The attempts that were recorded before there was this table, in their order. A figure that isn't in an
-- event is 0. SQLite takes one decimal in ten thousand for the float beside it, so that a mean may differ
-- in its last digit from one that is derived anew.
INSERT INTO costs (stage, action, attempts, wall_s, cpu_s, rows_in, bytes_in, rows_out)
SELECT
    stage,
    CASE outcome WHEN 'bound' THEN 'bind' ELSE action END,
    1,
    coalesce(json_extract(body, '$.event.attempt.wall_s'), 0),
    coalesce(json_extract(body, '$.event.attempt.cpu_s'), 0),
    coalesce(json_extract(body, '$.event.attempt.rows_in'), 0),
    coalesce(json_extract(body, '$.event.attempt.bytes_in'), 0),
    coalesce(json_extract(body, '$.event.attempt.rows_out'), 0)
FROM (
    SELECT
        seq, stage, body,
        json_extract(body, '$.event.attempt.action') AS action,
        json_extract(body, '$.event.attempt.outcome') AS outcome
    FROM events
    WHERE kind = 'Attempted'
)
WHERE outcome = 'bound' OR (outcome = 'ok' AND action != 'bind')
ORDER BY seq
ON CONFLICT (stage, action) DO UPDATE SET
    attempts = attempts + 1,
    wall_s = wall_s + (excluded.wall_s - wall_s) / min(attempts + 1, 16),
    cpu_s = cpu_s + (excluded.cpu_s - cpu_s) / min(attempts + 1, 16),
    rows_in = rows_in + (excluded.rows_in - rows_in) / min(attempts + 1, 16),
    bytes_in = bytes_in + (excluded.bytes_in - bytes_in) / min(attempts + 1, 16),
    rows_out = rows_out + (excluded.rows_out - rows_out) / min(attempts + 1, 16);
