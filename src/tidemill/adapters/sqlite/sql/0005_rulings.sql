-- People's rulings on quarantined rows.

-- The rulings in force; `seq` is the `Ruled` that recorded each, and their order. A new environment
-- starts with its parent's, because it holds partitions that were computed under them.
CREATE TABLE rulings (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    partition   TEXT NOT NULL,
    seq         INTEGER NOT NULL REFERENCES events (seq),
    PRIMARY KEY (environment, stage, partition, seq)
) WITHOUT ROWID;
