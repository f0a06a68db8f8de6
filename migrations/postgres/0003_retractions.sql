-- Interactions that do not count any more from retract_time on. Scores of before still know them. The same key may
-- be recorded, and retracted, again.
CREATE TABLE retracted_interactions (
    customer_id    TEXT COLLATE "C" NOT NULL,
    interaction_id TEXT COLLATE "C" NOT NULL,
    kind           TEXT NOT NULL,
    occur_time     TIMESTAMPTZ NOT NULL,
    record_time    TIMESTAMPTZ NOT NULL,
    amount_minor   BIGINT,
    channel        TEXT NOT NULL,
    properties     JSON NOT NULL,
    retract_time   TIMESTAMPTZ NOT NULL,
    -- Why, for the audit; may be empty.
    reason         TEXT NOT NULL,
    -- Histories are read in this order.
    PRIMARY KEY (customer_id, occur_time, interaction_id, retract_time)
);
CREATE INDEX retracted_interactions_by_id ON retracted_interactions (customer_id, interaction_id, retract_time);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        PERFORM create_distributed_table(
            'retracted_interactions', 'customer_id', colocate_with => 'customers'
        );
    END IF;
    EXECUTE 'ALTER TABLE retracted_interactions ADD CONSTRAINT retracted_interactions_customer_id_fkey '
        'FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE';
    -- When a backfill last changed what had been known at known_time; NULL if none did.
    EXECUTE 'ALTER TABLE predictions ADD COLUMN backfill_time TIMESTAMPTZ';
END
$$;
