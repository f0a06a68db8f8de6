-- The jobs that servers run by themselves. A server that has claimed a run is its holder and grows the heartbeat until
-- the run ends; when the heartbeat stands still, another server takes over.
CREATE TABLE jobs (
    job              TEXT COLLATE "C" NOT NULL,
    interval_seconds BIGINT NOT NULL,
    -- The scheduled moment of the run that is next or going on; the moments are an interval apart.
    slot_time        TIMESTAMPTZ NOT NULL,
    -- When the next run may begin: slot_time, or later after a run that did not succeed.
    due_time         TIMESTAMPTZ NOT NULL,
    -- The number of the last run, 0 before the first one. It grows with each claim.
    run_id           BIGINT NOT NULL DEFAULT 0,
    -- The server that runs it now; NULL when none does.
    holder           TEXT,
    heartbeat        BIGINT NOT NULL DEFAULT 0,
    -- Runs in a row that did not succeed.
    retries          BIGINT NOT NULL DEFAULT 0,
    -- When the last run that succeeded ended.
    success_time     TIMESTAMPTZ,
    PRIMARY KEY (job)
);

-- The last runs of each job.
CREATE TABLE job_runs (
    job        TEXT COLLATE "C" NOT NULL,
    run_id     BIGINT NOT NULL,
    server     TEXT NOT NULL,
    start_time TIMESTAMPTZ NOT NULL,
    -- NULL while it runs.
    end_time   TIMESTAMPTZ,
    -- running, succeeded, not_enough_data, failed or interrupted.
    state      TEXT NOT NULL,
    -- What came of it, or why it failed.
    result     TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (job, run_id)
);
