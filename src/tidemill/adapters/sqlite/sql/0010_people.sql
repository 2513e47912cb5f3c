-- The names of people stand beside the facts, which refer to them, so that one can be erased without
-- changing any fact. Facts from before this schema have the names themselves.

-- `ref` is the start of a salted hash of the name: without the row nobody can tell whose it was.
CREATE TABLE people (
    ref  TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    salt TEXT NOT NULL
) WITHOUT ROWID;
