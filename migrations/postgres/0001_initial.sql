-- Every key contains customer_id where rows belong to a customer: with Citus, those tables are distributed by
-- it. A table can be distributed only while no other refers to it, so foreign keys come last. Texts that are ordered by compare byte by byte, as in SQLite. Documents are always
-- read whole: JSON comes as it was written, where JSONB would have to be made into text for every row.

CREATE TABLE customers (
    customer_id TEXT COLLATE "C" NOT NULL,
    name        TEXT NOT NULL,
    create_time TIMESTAMPTZ NOT NULL,
    -- False while create_time is only the time of the first interaction.
    stated      BOOLEAN NOT NULL,
    -- How often UpsertCustomers has found the row; 0 for one that it has just created.
    revision    BIGINT NOT NULL,
    PRIMARY KEY (customer_id)
);

-- The customer record as it stood from effective_time on.
CREATE TABLE customer_versions (
    customer_id    TEXT COLLATE "C" NOT NULL,
    version        BIGINT NOT NULL,
    effective_time TIMESTAMPTZ NOT NULL,
    record_time    TIMESTAMPTZ NOT NULL,
    create_time    TIMESTAMPTZ NOT NULL,
    attributes     JSON NOT NULL,
    PRIMARY KEY (customer_id, version)
);

CREATE TABLE interactions (
    customer_id    TEXT COLLATE "C" NOT NULL,
    interaction_id TEXT COLLATE "C" NOT NULL,
    kind           TEXT NOT NULL,
    occur_time     TIMESTAMPTZ NOT NULL,
    record_time    TIMESTAMPTZ NOT NULL,
    amount_minor   BIGINT,
    channel        TEXT NOT NULL,
    properties     JSON NOT NULL,
    -- Whether the properties are too long for an index, whose entries hold 2,700 bytes.
    long           BOOLEAN NOT NULL GENERATED ALWAYS AS (octet_length(properties::text) > 500) STORED,
    PRIMARY KEY (customer_id, interaction_id)
);
-- Histories are read in this order, nearly all from the index alone.
CREATE INDEX interactions_short ON interactions (customer_id, occur_time, interaction_id)
    INCLUDE (kind, record_time, amount_minor, properties) WHERE NOT long;
CREATE INDEX interactions_long ON interactions (customer_id, occur_time, interaction_id) WHERE long;

-- Histories as the programs pack them, of those customers of whom nothing has been written since: a copy, from
-- which they are read faster than from their rows. Whoever writes of a customer removes the row in the same
-- transaction, after it has locked the customer as a foreign key does; whoever packs locks the customer against
-- that. Who changes interactions or customer_versions by hand must empty this table.
CREATE TABLE packed_histories (
    customer_id TEXT COLLATE "C" NOT NULL,
    -- Programs of another format leave the row alone.
    format      BIGINT NOT NULL,
    history     BYTEA NOT NULL,
    PRIMARY KEY (customer_id)
);
-- They hardly shrink any more.
ALTER TABLE packed_histories ALTER COLUMN history SET STORAGE EXTERNAL;

CREATE TABLE models (
    target      TEXT NOT NULL,
    version     BIGINT NOT NULL,
    create_time TIMESTAMPTZ NOT NULL,
    created_by  TEXT NOT NULL,
    artifact    BYTEA NOT NULL,
    -- The same model as it was evaluated: learned from the training part alone.
    evaluated   BYTEA NOT NULL,
    PRIMARY KEY (target, version)
);

-- The version of each target that serves.
CREATE TABLE champions (
    target       TEXT NOT NULL,
    version      BIGINT NOT NULL,
    promote_time TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (target),
    FOREIGN KEY (target, version) REFERENCES models
);

-- The audit of every move of a champion. Each is written in one transaction with the move itself.
CREATE TABLE promotions (
    target       TEXT NOT NULL,
    -- 1, 2, 3, … within a target.
    sequence     BIGINT NOT NULL,
    promote_time TIMESTAMPTZ NOT NULL,
    who          TEXT NOT NULL,
    -- NULL for the first champion.
    from_version BIGINT,
    to_version   BIGINT NOT NULL,
    -- promote, rollback or training.
    kind         TEXT NOT NULL,
    -- Whether the gate had refused it.
    forced       BOOLEAN NOT NULL,
    reason       TEXT NOT NULL,
    -- What the gate found, in words.
    finding      TEXT NOT NULL,
    PRIMARY KEY (target, sequence),
    FOREIGN KEY (target, to_version) REFERENCES models
);

-- What a model said of holdout rows that it had not learned from; two models are compared on the
-- rows that they share.
CREATE TABLE holdout_scores (
    customer_id   TEXT COLLATE "C" NOT NULL,
    target        TEXT NOT NULL,
    model_version BIGINT NOT NULL,
    as_of_time    TIMESTAMPTZ NOT NULL,
    label         BOOLEAN NOT NULL,
    probability   DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (customer_id, target, model_version, as_of_time)
);
CREATE INDEX holdout_scores_by_model ON holdout_scores (target, model_version);

CREATE TABLE predictions (
    customer_id      TEXT COLLATE "C" NOT NULL,
    prediction_id    TEXT COLLATE "C" NOT NULL,
    target           TEXT NOT NULL,
    model_version    BIGINT NOT NULL,
    as_of_time       TIMESTAMPTZ NOT NULL,
    known_time       TIMESTAMPTZ NOT NULL,
    score_time       TIMESTAMPTZ NOT NULL,
    horizon_days     BIGINT NOT NULL,
    probability      DOUBLE PRECISION NOT NULL,
    lower            DOUBLE PRECISION NOT NULL,
    upper            DOUBLE PRECISION NOT NULL,
    grade            TEXT NOT NULL,
    basis            TEXT NOT NULL,
    base_log_odds    DOUBLE PRECISION NOT NULL,
    reasons          JSON NOT NULL,
    missing_features JSON NOT NULL,
    PRIMARY KEY (prediction_id, customer_id)
);
-- Of a customer, for realised performance too. An id alone finds its prediction by the primary key; ids grow
-- with time, so that a run appends to it.
CREATE INDEX predictions_by_customer ON predictions (customer_id, target, as_of_time);
CREATE INDEX predictions_by_probability ON predictions (target, probability, prediction_id);
CREATE INDEX predictions_by_score_time ON predictions (target, score_time, prediction_id);

-- Per customer and target the prediction with the greatest as_of_time, among those the last stored. Without a
-- foreign key, whose check of every row would cost as much as the rest of the upsert: who removes predictions
-- removes them here as well.
CREATE TABLE latest_predictions (
    customer_id   TEXT COLLATE "C" NOT NULL,
    target        TEXT NOT NULL,
    prediction_id TEXT COLLATE "C" NOT NULL,
    as_of_time    TIMESTAMPTZ NOT NULL,
    score_time    TIMESTAMPTZ NOT NULL,
    probability   DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (customer_id, target)
);
CREATE INDEX latest_predictions_by_probability ON latest_predictions (target, probability, prediction_id);
CREATE INDEX latest_predictions_by_score_time ON latest_predictions (target, score_time, prediction_id);

-- Per model the last scored population, as counts without names: of those with the greatest as_of_time
-- the one that ended last. A customer that is erased stays a number in them.
CREATE TABLE populations (
    target        TEXT NOT NULL,
    model_version BIGINT NOT NULL,
    as_of_time    TIMESTAMPTZ NOT NULL,
    score_time    TIMESTAMPTZ NOT NULL,
    customers     BIGINT NOT NULL,
    counts        JSON NOT NULL,
    PRIMARY KEY (target, model_version),
    FOREIGN KEY (target, model_version) REFERENCES models
);

-- Whose data was written, one row a write: servers drop what they keep of these customers in memory. Rows
-- are removed after some minutes.
CREATE TABLE changes (
    change_id    BIGINT GENERATED ALWAYS AS IDENTITY,
    -- Which server wrote.
    writer       TEXT NOT NULL,
    -- A JSON array.
    customer_ids TEXT NOT NULL,
    PRIMARY KEY (change_id)
);

-- What belongs to the deployment as a whole, such as the key that authenticates page tokens.
CREATE TABLE settings (
    name  TEXT NOT NULL,
    value BYTEA NOT NULL,
    PRIMARY KEY (name)
);

DO $$
DECLARE
    of_a_customer CONSTANT TEXT[] :=
        ARRAY['customer_versions', 'interactions', 'packed_histories', 'holdout_scores', 'predictions'];
    name TEXT;
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        PERFORM create_distributed_table('customers', 'customer_id');
        FOREACH name IN ARRAY of_a_customer || 'latest_predictions'::TEXT LOOP
            PERFORM create_distributed_table(name, 'customer_id', colocate_with => 'customers');
        END LOOP;
    END IF;
    FOREACH name IN ARRAY of_a_customer LOOP
        EXECUTE format(
            'ALTER TABLE %I ADD CONSTRAINT %I FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE',
            name, name || '_customer_id_fkey'
        );
    END LOOP;
END
$$;

-- For dashboards: one row a customer and target.
CREATE VIEW v_latest_predictions AS
    SELECT p.customer_id, c.name, p.target, p.target || '/' || p.model_version AS model,
           p.probability, p.lower, p.upper, p.grade, p.basis, p.as_of_time, p.score_time,
           p.horizon_days, p.reasons, p.prediction_id
    FROM latest_predictions AS l
    JOIN predictions AS p ON p.customer_id = l.customer_id AND p.prediction_id = l.prediction_id
    JOIN customers AS c ON c.customer_id = p.customer_id;

-- For dashboards: who is likelier to leave than to stay, or in the worst quarter.
CREATE VIEW v_customers_at_risk AS
    SELECT * FROM v_latest_predictions WHERE target = 'churn' AND (probability >= 0.5 OR grade = 'D');
