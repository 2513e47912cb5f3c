-- A binding refers to the fact that made it, as a trace does: what it says was there twice.

DROP TABLE bindings;

-- The partitions of the heads; `seq` is the `Published` that bound each. A new environment begins with
-- those of its parent. Rows are kept in the order of their key, so that there is no index beside them.
CREATE TABLE bindings (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    partition   TEXT NOT NULL,
    seq         INTEGER NOT NULL REFERENCES events (seq),
    PRIMARY KEY (environment, stage, partition)
) WITHOUT ROWID;

-- Derived anew from the facts. `lineage` says which facts an environment stands on: all of its own, and
-- those that its ancestor had when it was created. Its own are newer than that, so of all facts about a
-- partition the newest counts (with max(), SQLite takes `kind` from that row). An ancestor could have
-- been created after its child, under a name that was free then: such a one handed nothing down.
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
