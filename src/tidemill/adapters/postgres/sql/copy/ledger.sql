-- Makes a ledger of its own of the copy of one on a server.
DROP TRIGGER copy_refuses_events;
DROP TRIGGER copy_refuses_leases;
DROP TRIGGER copy_refuses_lease_changes;
DROP TRIGGER copy_refuses_erasure;
DROP TABLE replica;
