-- Interactions that do not count any more from retract_time on. Scores of before still know them. The same key may
-- be recorded, and retracted, again.
CREATE TABLE retracted_interactions (
    customer_id    TEXT NOT NULL REFERENCES customers ON DELETE CASCADE,
    interaction_id TEXT NOT NULL,
    kind           TEXT NOT NULL,
    occur_time     INTEGER NOT NULL,
    record_time    INTEGER NOT NULL,
    amount_minor   INTEGER,
    channel        TEXT NOT NULL,
    properties     TEXT NOT NULL,
    retract_time   INTEGER NOT NULL,
    -- Why, for the audit; may be empty.
    reason         TEXT NOT NULL,
    -- The table itself is in the order in which histories are read.
    PRIMARY KEY (customer_id, occur_time, interaction_id, retract_time)
) STRICT, WITHOUT ROWID;
CREATE INDEX retracted_interactions_by_id ON retracted_interactions (customer_id, interaction_id, retract_time);

-- When a backfill last changed what had been known at known_time; NULL if none did.
ALTER TABLE predictions ADD COLUMN backfill_time INTEGER;
