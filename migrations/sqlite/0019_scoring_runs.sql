-- The runs over all customers that have begun and not ended: those that go on, and those that were interrupted. All
-- predictions of a run have its score_time.
CREATE TABLE scoring_runs (
    target        TEXT NOT NULL,
    model_version INTEGER NOT NULL,
    as_of_time    INTEGER NOT NULL,
    score_time    INTEGER NOT NULL,
    -- Which part of the customers it scores, from 0, and of how many.
    partition_number INTEGER NOT NULL,
    partitions       INTEGER NOT NULL,
    PRIMARY KEY (target, model_version, as_of_time, score_time, partition_number, partitions)
);
