-- Every key contains customer_id where rows belong to a customer, so that the tables can be
-- distributed by it in PostgreSQL. Times are microseconds since 1970, JSON is text.

CREATE TABLE customers (
    customer_id TEXT NOT NULL,
    name        TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    -- False while create_time is only the time of the first interaction.
    stated      INTEGER NOT NULL,
    -- How often UpsertCustomers has found the row; 0 for one that it has just created.
    revision    INTEGER NOT NULL,
    PRIMARY KEY (customer_id)
) STRICT, WITHOUT ROWID;

-- The customer record as it stood from effective_time on.
CREATE TABLE customer_versions (
    customer_id    TEXT NOT NULL REFERENCES customers ON DELETE CASCADE,
    version        INTEGER NOT NULL,
    effective_time INTEGER NOT NULL,
    record_time    INTEGER NOT NULL,
    create_time    INTEGER NOT NULL,
    attributes     TEXT NOT NULL,
    PRIMARY KEY (customer_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE interactions (
    customer_id    TEXT NOT NULL REFERENCES customers ON DELETE CASCADE,
    interaction_id TEXT NOT NULL,
    kind           TEXT NOT NULL,
    occur_time     INTEGER NOT NULL,
    record_time    INTEGER NOT NULL,
    amount_minor   INTEGER,
    channel        TEXT NOT NULL,
    properties     TEXT NOT NULL,
    -- The table itself is in the order in which histories are read.
    PRIMARY KEY (customer_id, occur_time, interaction_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX interactions_by_id ON interactions (customer_id, interaction_id);

-- Histories as the programs pack them, of those customers of whom nothing has been written since: a copy, from
-- which they are read faster than from their rows. Whoever writes of a customer removes the row in the same
-- transaction. Who changes interactions or customer_versions by hand must empty this table.
CREATE TABLE packed_histories (
    customer_id TEXT NOT NULL REFERENCES customers ON DELETE CASCADE,
    -- Programs of another format leave the row alone.
    format      INTEGER NOT NULL,
    history     BLOB NOT NULL,
    PRIMARY KEY (customer_id)
) STRICT;

CREATE TABLE models (
    target      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    created_by  TEXT NOT NULL,
    artifact    BLOB NOT NULL,
    -- The same model as it was evaluated: learned from the training part alone.
    evaluated   BLOB NOT NULL,
    PRIMARY KEY (target, version)
) STRICT;

-- The version of each target that serves.
CREATE TABLE champions (
    target       TEXT NOT NULL,
    version      INTEGER NOT NULL,
    promote_time INTEGER NOT NULL,
    PRIMARY KEY (target),
    FOREIGN KEY (target, version) REFERENCES models
) STRICT;

-- The audit of every move of a champion. Each is written in one transaction with the move itself.
CREATE TABLE promotions (
    target       TEXT NOT NULL,
    -- 1, 2, 3, … within a target.
    sequence     INTEGER NOT NULL,
    promote_time INTEGER NOT NULL,
    who          TEXT NOT NULL,
    -- NULL for the first champion.
    from_version INTEGER,
    to_version   INTEGER NOT NULL,
    -- promote, rollback or training.
    kind         TEXT NOT NULL,
    -- Whether the gate had refused it.
    forced       INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    -- What the gate found, in words.
    finding      TEXT NOT NULL,
    PRIMARY KEY (target, sequence),
    FOREIGN KEY (target, to_version) REFERENCES models
) STRICT;

-- What a model said of holdout rows that it had not learned from; two models are compared on the
-- rows that they share.
CREATE TABLE holdout_scores (
    customer_id   TEXT NOT NULL REFERENCES customers ON DELETE CASCADE,
    target        TEXT NOT NULL,
    model_version INTEGER NOT NULL,
    as_of_time    INTEGER NOT NULL,
    label         INTEGER NOT NULL,
    probability   REAL NOT NULL,
    PRIMARY KEY (customer_id, target, model_version, as_of_time)
) STRICT, WITHOUT ROWID;
CREATE INDEX holdout_scores_by_model ON holdout_scores (target, model_version);

CREATE TABLE predictions (
    customer_id      TEXT NOT NULL REFERENCES customers ON DELETE CASCADE,
    prediction_id    TEXT NOT NULL,
    target           TEXT NOT NULL,
    model_version    INTEGER NOT NULL,
    as_of_time       INTEGER NOT NULL,
    known_time       INTEGER NOT NULL,
    score_time       INTEGER NOT NULL,
    horizon_days     INTEGER NOT NULL,
    probability      REAL NOT NULL,
    lower            REAL NOT NULL,
    upper            REAL NOT NULL,
    grade            TEXT NOT NULL,
    basis            TEXT NOT NULL,
    base_log_odds    REAL NOT NULL,
    reasons          TEXT NOT NULL,
    missing_features TEXT NOT NULL,
    PRIMARY KEY (prediction_id, customer_id)
) STRICT, WITHOUT ROWID;
-- Of a customer, for realised performance too. An id alone finds its prediction by the primary key; ids grow
-- with time, so that a run appends to it.
CREATE INDEX predictions_by_customer ON predictions (customer_id, target, as_of_time);
CREATE INDEX predictions_by_probability ON predictions (target, probability, prediction_id);
CREATE INDEX predictions_by_score_time ON predictions (target, score_time, prediction_id);

-- Per customer and target the prediction with the greatest as_of_time, among those the last stored. Without a
-- foreign key, whose check of every row would cost as much as the rest of the upsert: who removes predictions
-- removes them here as well.
CREATE TABLE latest_predictions (
    customer_id   TEXT NOT NULL,
    target        TEXT NOT NULL,
    prediction_id TEXT NOT NULL,
    as_of_time    INTEGER NOT NULL,
    score_time    INTEGER NOT NULL,
    probability   REAL NOT NULL,
    PRIMARY KEY (customer_id, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX latest_predictions_by_probability ON latest_predictions (target, probability, prediction_id);
CREATE INDEX latest_predictions_by_score_time ON latest_predictions (target, score_time, prediction_id);

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

-- Per model the last scored population, as counts without names: of those with the greatest as_of_time
-- the one that ended last. A customer that is erased stays a number in them.
CREATE TABLE populations (
    target        TEXT NOT NULL,
    model_version INTEGER NOT NULL,
    as_of_time    INTEGER NOT NULL,
    score_time    INTEGER NOT NULL,
    customers     INTEGER NOT NULL,
    counts        TEXT NOT NULL,
    PRIMARY KEY (target, model_version),
    FOREIGN KEY (target, model_version) REFERENCES models
) STRICT;

-- Whose data was written, one row a write: servers drop what they keep of these customers in memory. Rows
-- are removed after some minutes.
CREATE TABLE changes (
    change_id    INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Which server wrote.
    writer       TEXT NOT NULL,
    -- A JSON array.
    customer_ids TEXT NOT NULL
) STRICT;

-- What belongs to the deployment as a whole, such as the key that authenticates page tokens.
CREATE TABLE settings (
    name  TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (name)
) STRICT;
