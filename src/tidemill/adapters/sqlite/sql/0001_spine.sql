-- The ledger's first schema: one table of facts, and tables that are derived from it.
--
-- Everything but `migrations` and `leases` can be made anew from `events`. Bodies are JSON as
-- adapters/codec.py writes it. Times are Unix seconds.

-- Which schema versions this file went through, and which Tidemill brought it there.
CREATE TABLE migrations (
    version  INTEGER PRIMARY KEY,
    tidemill TEXT NOT NULL
);

-- The facts, in order. `batch` is the seq of the first event of the same append: an append moves a
-- head by one, however many partitions it publishes, so without it heads couldn't be derived again.
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

-- INSERT OR REPLACE would delete without the trigger above; an older seq is refused for that.
CREATE TRIGGER events_refuse_replace BEFORE INSERT ON events
WHEN NEW.seq <= (SELECT max(seq) FROM events)
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: a fact is never replaced');
END;

-- Who may act under a name. A free lease keeps its row (holder is NULL), so that tokens grow for ever.
CREATE TABLE leases (
    name      TEXT PRIMARY KEY,
    token     INTEGER NOT NULL,
    holder    TEXT,
    heartbeat REAL NOT NULL,
    expires   REAL NOT NULL
);

-- Environments that were created, or that an event named.
CREATE TABLE environments (
    name   TEXT PRIMARY KEY,
    parent TEXT NOT NULL
);

-- What each stage does now: the recipe's digest, and the digests that it is made of.
CREATE TABLE recipes (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    recipe      TEXT NOT NULL,
    parts       TEXT NOT NULL,
    PRIMARY KEY (environment, stage)
);

-- How many appends published or removed partitions of a stage.
CREATE TABLE heads (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    version     INTEGER NOT NULL,
    PRIMARY KEY (environment, stage)
);

-- The partitions of the heads. `key` is what each was computed under.
CREATE TABLE bindings (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    partition   TEXT NOT NULL,
    key         TEXT NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (environment, stage, partition)
);

-- What was ever computed under a key: the first `Published` with it. A recorded result is the truth.
CREATE TABLE traces (
    key   TEXT PRIMARY KEY,
    stage TEXT NOT NULL,
    seq   INTEGER NOT NULL REFERENCES events (seq)
) WITHOUT ROWID;

-- Which objects must exist, and for the sake of which key of a trace, a binding or an effect.
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

-- What is to be done outside, exactly once; `queued` is the event that asked for it.
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

-- What is live under each name.
CREATE TABLE deliveries (
    environment TEXT NOT NULL,
    name        TEXT NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (environment, name)
);

-- The files of ingest stages, as they were last read.
CREATE TABLE sources (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    path        TEXT NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (environment, stage, path)
);

-- The ticks of schedules that were taken; each only once.
CREATE TABLE ticks (
    schedule TEXT NOT NULL,
    tick     TEXT NOT NULL,
    PRIMARY KEY (schedule, tick)
) WITHOUT ROWID;
