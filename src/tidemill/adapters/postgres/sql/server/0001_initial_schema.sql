-- What a shared home keeps: the facts, and what isn't derived from them. Every machine derives the rest.
-- Texts of events are bytes as the SQLite file of each machine has them: JSON with its checksum, or packed.

-- One row, which a transaction that writes locks first, so that one follows another. `seq` and `link` are those
-- of the newest fact; each change of leases and of people leaves a new random mark. `schema_version` is the
-- newest schema of the machines, and `tidemill` who has it. Once the home was moved, `moved_to` says where it is.
CREATE TABLE ledger (
    is_only        boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    id             text    NOT NULL,
    layout         integer NOT NULL,
    schema_version integer NOT NULL,
    tidemill       text    NOT NULL,
    seq            bigint  NOT NULL DEFAULT 0,
    link           bytea   NOT NULL,
    leases_mark    text    NOT NULL DEFAULT '',
    people_mark    text    NOT NULL DEFAULT '',
    moved_to       text    NOT NULL DEFAULT ''
);

CREATE TABLE events (
    seq         bigint PRIMARY KEY,
    batch       bigint NOT NULL,
    at          double precision NOT NULL,
    kind        text   NOT NULL,
    environment text,
    run         text,
    stage       text,
    partition   text,
    body        bytea  NOT NULL,
    link        bytea  NOT NULL
);

-- The digests of bodies that were replaced by smaller ones, and the fact that covers each.
CREATE TABLE compacted (
    seq    bigint PRIMARY KEY REFERENCES events (seq),
    by     bigint NOT NULL,
    digest bytea  NOT NULL
);

CREATE INDEX compacted_by ON compacted (by);

CREATE TABLE leases (
    name      text   PRIMARY KEY,
    token     bigint NOT NULL,
    holder    text,
    heartbeat double precision NOT NULL,
    expires   double precision NOT NULL,
    after_seq bigint NOT NULL
);

-- Who isn't here any more is erased on every machine.
CREATE TABLE people (
    ref  text PRIMARY KEY,
    name text NOT NULL UNIQUE,
    salt text NOT NULL
);

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are append-only: a fact is never changed or removed';
END
$$;

CREATE TRIGGER events_refuse_delete BEFORE DELETE OR TRUNCATE ON events EXECUTE FUNCTION refuse();

CREATE TRIGGER compacted_refuse_delete BEFORE DELETE OR UPDATE OR TRUNCATE ON compacted EXECUTE FUNCTION refuse();

-- Only bodies may be replaced: what the chain says of them shows whether it is the same fact.
CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events FOR EACH ROW
WHEN (ROW(NEW.seq, NEW.batch, NEW.at, NEW.kind, NEW.environment, NEW.run, NEW.stage, NEW.partition, NEW.link)
    IS DISTINCT FROM
    ROW(OLD.seq, OLD.batch, OLD.at, OLD.kind, OLD.environment, OLD.run, OLD.stage, OLD.partition, OLD.link))
EXECUTE FUNCTION refuse();
