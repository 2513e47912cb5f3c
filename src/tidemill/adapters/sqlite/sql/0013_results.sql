-- What retention needs: since when a result isn't bound any more, which fact needs an object, and what a
-- sweep is about to delete. `result_backfill.py` fills the tables from the facts.

-- The results with stored objects; `seq` is the `Published` or `Computed` that recorded each. `since` is when
-- a newer one took its place, or its environment was dropped; NULL while it is bound. A `Computed` was never
-- bound, so it counts from its own time.
CREATE TABLE results (
    seq   INTEGER PRIMARY KEY REFERENCES events (seq),
    key   TEXT NOT NULL,
    since REAL
);

CREATE INDEX results_by_key ON results (key);
CREATE INDEX results_superseded ON results (since) WHERE since IS NOT NULL;
CREATE INDEX past_bindings_by_seq ON past_bindings (seq);

-- The objects that must exist, each with the fact that needs it.
DROP TABLE pins;

CREATE TABLE pins (
    object TEXT NOT NULL,
    seq    INTEGER NOT NULL REFERENCES events (seq),
    PRIMARY KEY (object, seq)
) WITHOUT ROWID;

-- The objects that a sweep deletes, each with the `SweepMarked` that marked it.
CREATE TABLE garbage (
    object TEXT PRIMARY KEY,
    mark   INTEGER NOT NULL REFERENCES events (seq)
) WITHOUT ROWID;

-- The entries of pulled rows among the sources: their digests are names of objects.
CREATE INDEX sources_pulled ON sources (stage) WHERE path GLOB 'batch [0-9]*';
CREATE INDEX past_sources_pulled ON past_sources (stage) WHERE path GLOB 'batch [0-9]*';

-- The newest fact when a lease was taken: its holder may rest on all that was recorded until then.
ALTER TABLE leases ADD COLUMN after_seq INTEGER NOT NULL DEFAULT 0;
