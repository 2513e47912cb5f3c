-- What the transaction of a connection changes besides adding events: the table and the key of each row.
CREATE TEMP TABLE noted (
    place TEXT NOT NULL,
    key   TEXT NOT NULL,
    PRIMARY KEY (place, key)
) WITHOUT ROWID;

CREATE TEMP TRIGGER note_new_lease AFTER INSERT ON main.leases
BEGIN
    INSERT OR IGNORE INTO noted VALUES ('leases', NEW.name);
END;

CREATE TEMP TRIGGER note_lease AFTER UPDATE ON main.leases
BEGIN
    INSERT OR IGNORE INTO noted VALUES ('leases', NEW.name);
END;

CREATE TEMP TRIGGER note_person AFTER INSERT ON main.people
BEGIN
    INSERT OR IGNORE INTO noted VALUES ('people', NEW.ref);
END;

CREATE TEMP TRIGGER note_erased AFTER DELETE ON main.people
BEGIN
    INSERT OR IGNORE INTO noted VALUES ('erased', OLD.ref);
END;
