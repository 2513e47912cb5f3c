-- An environment that is a branch copies nothing: it is read as what its parent had then, with its own
-- changes over it.

-- `since` is the fact that began an environment: of its parent, what older facts say counts. Those that
-- were branches before this schema hold copies of all that they were given, so they have no parent now.
ALTER TABLE environments ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE environments ADD COLUMN at REAL NOT NULL DEFAULT 0;
ALTER TABLE environments ADD COLUMN expires REAL;
ALTER TABLE environments ADD COLUMN sample REAL NOT NULL DEFAULT 1;

UPDATE environments SET parent = '', since = first.seq, at = first.at
FROM (
    SELECT environment, min(seq) AS seq, at FROM events
    WHERE environment IS NOT NULL GROUP BY environment
) AS first
WHERE first.environment = environments.name;

-- The fact that moved a head last (the first such one of its append). A branch begins with the heads of
-- its parent, so equal numbers say that two environments hold the same.
ALTER TABLE heads ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;

UPDATE heads SET moved = -rowid;

UPDATE heads SET moved = last.seq
FROM (
    SELECT environment, stage, min(seq) AS seq
    FROM events
    JOIN (
        SELECT environment, stage, max(batch) AS batch FROM events
        WHERE kind IN ('Published', 'Removed') GROUP BY environment, stage
    ) USING (environment, stage, batch)
    WHERE kind IN ('Published', 'Removed')
    GROUP BY environment, stage
) AS last
WHERE last.environment = heads.environment AND last.stage = heads.stage;

-- `gone`: the parent has it, and the branch hasn't; `seq` is then the `Removed` that says so.
ALTER TABLE bindings ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;

-- What was bound from `seq` until `until`, kept for the branches that began between the two.
CREATE TABLE past_bindings (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    partition   TEXT NOT NULL,
    seq         INTEGER NOT NULL REFERENCES events (seq),
    until       INTEGER NOT NULL,
    gone        INTEGER NOT NULL,
    PRIMARY KEY (environment, stage, partition, seq)
) WITHOUT ROWID;

-- The same of files; `seq` is the `SourceSeen` that says each.
ALTER TABLE sources ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sources ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;

CREATE TABLE past_sources (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    path        TEXT NOT NULL,
    body        TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    gone        INTEGER NOT NULL,
    PRIMARY KEY (environment, stage, path, seq)
) WITHOUT ROWID;
