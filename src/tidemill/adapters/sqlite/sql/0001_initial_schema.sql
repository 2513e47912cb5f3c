-- The ledger's first schema: one table of facts, and projections that are derived from it.
--
-- Everything but `migrations` and `leases` can be rebuilt from `events`. Bodies are JSON as
-- adapters/codec/events.py writes it. Times are Unix seconds.

-- The schema versions this file was migrated to, and the Tidemill version that did each.
CREATE TABLE migrations (
    version  INTEGER PRIMARY KEY,
    tidemill TEXT NOT NULL
);

-- The facts, in order. `batch` is the seq of the first event of the same append: an append advances a
-- head by one, however many partitions it publishes, so heads can't be rebuilt without it.
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    batch       INTEGER NOT NULL,
    at          REAL NOT NULL,
    kind        TEXT NOT NULL,
    environment TEXT,
    run         TEXT,
    stage       TEXT,
    partition   TEXT,
    body        TEXT NOT NULL
);

CREATE INDEX events_by_kind ON events (kind);
CREATE INDEX events_by_run ON events (run) WHERE run IS NOT NULL;

CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: a fact is never changed');
END;

CREATE TRIGGER events_refuse_delete BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: a fact is never deleted');
END;

-- INSERT OR REPLACE deletes without firing the trigger above, so an older seq is rejected too.
CREATE TRIGGER events_refuse_replace BEFORE INSERT ON events
WHEN NEW.seq <= (SELECT max(seq) FROM events)
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: a fact is never replaced');
END;

-- Leases by name. A free lease keeps its row (holder is NULL), so that tokens always grow.
CREATE TABLE leases (
    name      TEXT PRIMARY KEY,
    token     INTEGER NOT NULL,
    holder    TEXT,
    heartbeat REAL NOT NULL,
    expires   REAL NOT NULL
);

-- Environments that were created or named by an event.
CREATE TABLE environments (
    name   TEXT PRIMARY KEY,
    parent TEXT NOT NULL
);

-- The current recipe of each stage: its digest, and the digests of its parts.
CREATE TABLE recipes (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    recipe      TEXT NOT NULL,
    parts       TEXT NOT NULL,
    PRIMARY KEY (environment, stage)
);

-- The number of appends that published or removed partitions of a stage.
CREATE TABLE heads (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    version     INTEGER NOT NULL,
    PRIMARY KEY (environment, stage)
);

-- The partitions of the heads, each with the key it was computed under.
CREATE TABLE bindings (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    partition   TEXT NOT NULL,
    key         TEXT NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (environment, stage, partition)
);

-- The first result ever computed under each key: the first `Published` with it.
CREATE TABLE traces (
    key   TEXT PRIMARY KEY,
    stage TEXT NOT NULL,
    seq   INTEGER NOT NULL REFERENCES events (seq)
) WITHOUT ROWID;

-- The objects that must exist, each with the key of the trace, binding or effect that needs it.
CREATE TABLE pins (
    object TEXT NOT NULL,
    key    TEXT NOT NULL,
    PRIMARY KEY (object, key)
) WITHOUT ROWID;

CREATE TABLE runs (
    id          TEXT PRIMARY KEY,
    environment TEXT NOT NULL,
    status      TEXT NOT NULL,
    started     REAL NOT NULL,
    ended       REAL,
    command     TEXT NOT NULL,
    steps       INTEGER NOT NULL,
    holder      TEXT NOT NULL,
    receipt     TEXT
);

CREATE INDEX runs_open ON runs (environment) WHERE status = 'running';

-- External effects, to be performed exactly once; `queued` is the event that requested each.
CREATE TABLE outbox (
    key         TEXT PRIMARY KEY,
    environment TEXT NOT NULL,
    queued      INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('pending', 'done')),
    body        TEXT NOT NULL,
    detail      TEXT
);

CREATE INDEX outbox_pending ON outbox (environment, queued) WHERE state = 'pending';

-- The latest decision on each subject.
CREATE TABLE decisions (
    environment TEXT NOT NULL,
    subject     TEXT NOT NULL,
    stage       TEXT NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (environment, subject)
);

-- The live delivery under each name.
CREATE TABLE deliveries (
    environment TEXT NOT NULL,
    name        TEXT NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (environment, name)
);

-- The files of ingest stages, as last read.
CREATE TABLE sources (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    path        TEXT NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (environment, stage, path)
);

-- The ticks of schedules that were claimed, each at most once.
CREATE TABLE ticks (
    schedule TEXT NOT NULL,
    tick     TEXT NOT NULL,
    PRIMARY KEY (schedule, tick)
) WITHOUT ROWID;
