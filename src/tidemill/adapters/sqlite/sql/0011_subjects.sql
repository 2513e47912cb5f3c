-- Find the events of a stage, a partition or a subject without reading the others.

-- Attempts are half of all facts, and read by their run.
CREATE INDEX events_by_stage ON events (stage, kind) WHERE stage IS NOT NULL AND kind != 'Attempted';

CREATE INDEX events_by_partition ON events (stage, partition) WHERE kind = 'Published';

-- What events are about beside their stage and run, such as one review (ledger/event_subjects.py).
CREATE TABLE subjects (
    subject TEXT NOT NULL,
    seq     INTEGER NOT NULL REFERENCES events (seq),
    PRIMARY KEY (subject, seq)
) WITHOUT ROWID;

-- The subjects that began and haven't ended.
CREATE TABLE open_subjects (
    subject TEXT PRIMARY KEY
) WITHOUT ROWID;

INSERT OR IGNORE INTO subjects (subject, seq)
SELECT found.value, seq
FROM json_each(kinds_with_subjects()) AS wanted
JOIN events ON events.kind = wanted.value
JOIN json_each(subjects_of(body)) AS found
-- Of the attempts, half of all facts, only trainings have a subject.
WHERE kind != 'Attempted' OR instr(body, '"action":"train"') > 0;

-- What began or ended last counts (with max(), SQLite takes `kind` from that row).
INSERT INTO open_subjects (subject)
SELECT subject
FROM (
    SELECT subject, max(seq), kind FROM subjects JOIN events USING (seq)
    WHERE kind IN (
        'RunStarted', 'RunEnded', 'ReviewOpened', 'ReviewClosed', 'TokenCreated', 'TokenRevoked',
        'Waived', 'WaiverEnded', 'IncidentOpened', 'IncidentClosed', 'Silenced', 'SilenceEnded'
    )
      -- Only these begin and end: the openings of reviews have others as well.
      AND substr(subject, 1, instr(subject, ' ')) IN (
          'run ', 'review ', 'token ', 'waiver ', 'incident ', 'silence '
      )
    GROUP BY subject
)
WHERE kind IN ('RunStarted', 'ReviewOpened', 'TokenCreated', 'Waived', 'IncidentOpened', 'Silenced');
