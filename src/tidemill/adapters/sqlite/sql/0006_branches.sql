-- Branches copy nothing: a branch is read as its parent's state when the branch was created, with its
-- own changes on top.

-- `since` is the fact that created an environment: only its parent's older facts apply to it. Branches
-- from before this schema hold copies of everything they inherited, so they have no parent now.
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

-- The fact that moved a head last (the first such fact of its append). A branch starts with its parent's
-- heads, so equal numbers mean that two environments hold the same partitions.
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

-- `gone`: the parent has the partition and the branch doesn't; `seq` is then its `Removed`.
ALTER TABLE bindings ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;

-- Bindings that were current from `seq` until `until`, kept for branches created between the two.
CREATE TABLE past_bindings (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    partition   TEXT NOT NULL,
    seq         INTEGER NOT NULL REFERENCES events (seq),
    until       INTEGER NOT NULL,
    gone        INTEGER NOT NULL,
    PRIMARY KEY (environment, stage, partition, seq)
) WITHOUT ROWID;

-- The same for files; `seq` is the `SourceSeen` that recorded each.
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
