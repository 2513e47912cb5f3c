-- What people ruled on quarantined rows.

-- The rulings in force; `seq` is the `Ruled` that says each, and their order. A new environment begins
-- with those of its parent: it holds what was made under them.
CREATE TABLE rulings (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    partition   TEXT NOT NULL,
    seq         INTEGER NOT NULL REFERENCES events (seq),
    PRIMARY KEY (environment, stage, partition, seq)
) WITHOUT ROWID;
