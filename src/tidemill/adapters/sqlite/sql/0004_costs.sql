-- The cost of each stage's steps so far, for the estimates of a plan.

-- A decaying mean over the attempts at an action, in all environments. Only attempts that did what the
-- action says count: for `bind` those that bound, for any other action those that computed.
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

-- Add the attempts that were recorded before this table existed, in order. A figure missing from an
-- event is 0. SQLite parses one decimal in ten thousand to a neighbouring float, so a mean may differ in
-- its last digit from one that is rebuilt.
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
