-- The jobs that servers run by themselves. A server that has claimed a run is its holder and grows the heartbeat until
-- the run ends; when the heartbeat stands still, another server takes over.
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
);

-- The last runs of each job.
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
);
