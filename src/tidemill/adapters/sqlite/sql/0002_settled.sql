-- Which stages are known to be wholly current.

-- The mark of a stage that a run left wholly current: what that was found on, and how many partitions it
-- holds. A new environment begins without: what its parent was found on includes files that it never saw.
CREATE TABLE settled (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    signature   TEXT NOT NULL,
    partitions  INTEGER NOT NULL,
    PRIMARY KEY (environment, stage)
);
