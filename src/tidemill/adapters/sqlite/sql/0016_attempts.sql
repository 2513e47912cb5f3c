-- Find the last attempts at a stage without reading those at all others.

CREATE INDEX attempts_by_stage ON events (stage) WHERE kind = 'Attempted';
