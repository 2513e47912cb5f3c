-- What a SQLite file has besides the schema of a ledger when it is the copy of one on a server.

-- Which ledger it is, and the marks of the leases and people that it has.
CREATE TABLE replica (
    id          TEXT NOT NULL,
    leases_mark TEXT NOT NULL,
    people_mark TEXT NOT NULL
);

INSERT INTO replica (id, leases_mark, people_mark) VALUES ('', '', '');

-- Only connections that also write to the server have this function; its name is all that others say.
CREATE TRIGGER copy_refuses_events BEFORE INSERT ON events
WHEN NOT this_is_a_copy_of_a_ledger_in_postgresql_so_open_it_by_its_url()
BEGIN
    SELECT RAISE(ABORT, 'this is a copy');
END;

CREATE TRIGGER copy_refuses_leases BEFORE INSERT ON leases
WHEN NOT this_is_a_copy_of_a_ledger_in_postgresql_so_open_it_by_its_url()
BEGIN
    SELECT RAISE(ABORT, 'this is a copy');
END;

CREATE TRIGGER copy_refuses_lease_changes BEFORE UPDATE ON leases
WHEN NOT this_is_a_copy_of_a_ledger_in_postgresql_so_open_it_by_its_url()
BEGIN
    SELECT RAISE(ABORT, 'this is a copy');
END;

CREATE TRIGGER copy_refuses_erasure BEFORE DELETE ON people
WHEN NOT this_is_a_copy_of_a_ledger_in_postgresql_so_open_it_by_its_url()
BEGIN
    SELECT RAISE(ABORT, 'this is a copy');
END;
