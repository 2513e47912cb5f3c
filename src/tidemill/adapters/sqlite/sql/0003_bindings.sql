-- Let a binding refer to the fact that made it, as a trace does, instead of storing its body twice.

DROP TABLE bindings;

-- The partitions of the heads; `seq` is the `Published` that bound each. A new environment starts with
-- those of its parent. Rows are stored in key order, so no separate index is needed.
CREATE TABLE bindings (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    partition   TEXT NOT NULL,
    seq         INTEGER NOT NULL REFERENCES events (seq),
    PRIMARY KEY (environment, stage, partition)
) WITHOUT ROWID;

-- Rebuild from the facts. `lineage` lists the facts that apply to an environment: all of its own, and
-- those of its ancestors from before it was created. Its own facts are newer, so the newest fact about a
-- partition counts (with max(), SQLite takes `kind` from that row). An ancestor may have been created
-- after its child, under a name that was free then; nothing is inherited from it.
INSERT INTO bindings (environment, stage, partition, seq)
WITH RECURSIVE lineage (environment, ancestor, until) AS (
    SELECT name, name, (SELECT max(seq) + 1 FROM events) FROM environments
    UNION ALL
    SELECT lineage.environment, known.parent, created.seq
    FROM lineage
    JOIN environments AS known ON known.name = lineage.ancestor
    JOIN events AS created
        ON created.kind = 'EnvironmentCreated' AND created.environment = lineage.ancestor
    WHERE created.seq < lineage.until
)
SELECT environment, stage, partition, seq
FROM (
    SELECT lineage.environment, fact.stage, fact.partition, max(fact.seq) AS seq, fact.kind
    FROM lineage
    JOIN events AS fact ON fact.environment = lineage.ancestor AND fact.seq < lineage.until
    WHERE fact.kind IN ('Published', 'Removed')
    GROUP BY lineage.environment, fact.stage, fact.partition
)
WHERE kind = 'Published';
