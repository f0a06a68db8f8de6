-- When an alert was tried first: it is tried for a day from then on. NULL before.
ALTER TABLE alert_deliveries ADD COLUMN first_attempt_time INTEGER;

-- What is due is found without reading what waits for its next try.
DROP INDEX alert_deliveries_due;
CREATE INDEX alert_deliveries_due ON alert_deliveries (next_attempt_time, sequence) WHERE state = 'pending';

-- The ids in the cause of a complaint are divided by a line feed, which no id contains; a space may be part of one.
UPDATE alerts SET cause = substr(cause, 1, length(cause) - length(customer_id) - 1) || char(10) || customer_id
    WHERE kind = 'complaint_open' AND substr(cause, -length(customer_id) - 1) = ' ' || customer_id;
-- Complaints that were recorded under an id that was merged.
UPDATE alerts SET cause = replace(cause, ' ', char(10))
    WHERE kind = 'complaint_open' AND instr(cause, char(10)) = 0
    AND length(cause) - length(replace(cause, ' ', '')) = 1;

-- Both tables again, with types that SQLite enforces.
ALTER TABLE jobs RENAME TO jobs_before;
CREATE TABLE jobs (
    job              TEXT NOT NULL,
    interval_seconds INTEGER NOT NULL,
    -- The scheduled moment of the run that is next or going on; the moments are an interval apart.
    slot_time        INTEGER NOT NULL,
    -- When the next run may begin: slot_time, or later after a run that did not succeed.
    due_time         INTEGER NOT NULL,
    -- The number of the last run, 0 before the first one. It grows with each claim.
    run_id           INTEGER NOT NULL DEFAULT 0,
    -- The server that runs it now; NULL when none does.
    holder           TEXT,
    heartbeat        INTEGER NOT NULL DEFAULT 0,
    -- Runs in a row that did not succeed.
    retries          INTEGER NOT NULL DEFAULT 0,
    -- When the last run that succeeded ended.
    success_time     INTEGER,
    PRIMARY KEY (job)
) STRICT;
INSERT INTO jobs SELECT * FROM jobs_before;
DROP TABLE jobs_before;

ALTER TABLE job_runs RENAME TO job_runs_before;
CREATE TABLE job_runs (
    job        TEXT NOT NULL,
    run_id     INTEGER NOT NULL,
    server     TEXT NOT NULL,
    start_time INTEGER NOT NULL,
    -- NULL while it runs.
    end_time   INTEGER,
    -- running, succeeded, not_enough_data, failed or interrupted.
    state      TEXT NOT NULL,
    -- What came of it, or why it failed.
    result     TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (job, run_id)
) STRICT;
INSERT INTO job_runs SELECT * FROM job_runs_before;
DROP TABLE job_runs_before;
