-- A program of an earlier schema that has the ledger open doesn't notice that it was migrated: it would go on
-- appending. Programs from now on look at the schema in each transaction. Earlier ones lack the function with
-- the long name, so SQLite refuses to prepare their statement, and that name is all that they say.
DROP TRIGGER events_refuse_replace;

CREATE TRIGGER events_refuse_replace BEFORE INSERT ON events
WHEN NEW.seq <= (SELECT max(seq) FROM events)
    AND NOT a_newer_tidemill_upgraded_this_ledger_so_end_this_process_and_start_it_again()
    AND NOT is_stored_anew(NEW.seq)
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: a fact is never replaced');
END;

DROP TRIGGER events_refuse_delete;

-- Smaller bodies leave pages half empty. Storing the same rows anew, in one transaction, packs them; only the
-- program that does so has a function that says yes.
CREATE TRIGGER events_refuse_delete BEFORE DELETE ON events
WHEN NOT is_stored_anew(OLD.seq)
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: a fact is never deleted');
END;
