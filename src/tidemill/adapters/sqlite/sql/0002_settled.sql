-- Marks of stages that are known to be wholly current.

-- The mark of a stage that a run left wholly current: the signature of the inputs it was checked against,
-- and its number of partitions. A new environment starts without marks: its parent's signature covers
-- files that it never saw.
CREATE TABLE settled (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    signature   TEXT NOT NULL,
    partitions  INTEGER NOT NULL,
    PRIMARY KEY (environment, stage)
);
