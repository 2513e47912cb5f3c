-- What listings need, so that none reads all that was ever published. `listing_tables.py` fills the tables
-- from the facts.

-- The publications (each a `Published`) that sent rows to quarantine.
CREATE TABLE quarantined (
    seq INTEGER PRIMARY KEY REFERENCES events (seq)
);

-- Under which versions of its contract the partitions of a stage were published: the first and the last
-- publication under each, and how many there were. A new environment starts with its parent's.
CREATE TABLE contract_versions (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    contract    TEXT NOT NULL,
    first       INTEGER NOT NULL REFERENCES events (seq),
    last        INTEGER NOT NULL REFERENCES events (seq),
    published   INTEGER NOT NULL,
    PRIMARY KEY (environment, stage, contract)
) WITHOUT ROWID;

-- The tables that are stale by their last verdict; `seq` is the `Judged` that says so. A new environment starts
-- with its parent's.
CREATE TABLE stale_tables (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    seq         INTEGER NOT NULL REFERENCES events (seq),
    PRIMARY KEY (environment, stage)
) WITHOUT ROWID;
