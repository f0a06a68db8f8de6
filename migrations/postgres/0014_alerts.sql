-- What the rules of early warning found. Alerts of all customers have one order, in which they are watched, so these
-- tables are not distributed; an erased customer's rows are deleted by the statement that erases it.
CREATE TABLE alerts (
    -- Empty unless it is about a customer.
    customer_id       TEXT COLLATE "C" NOT NULL,
    alert_id          TEXT COLLATE "C" NOT NULL,
    -- The order of commits: drawn from alert_counter, which stays locked until the commit.
    sequence          BIGINT NOT NULL,
    rule              TEXT NOT NULL,
    kind              TEXT NOT NULL,
    -- The model or the kind of interaction that it is about; empty for a customer.
    subject           TEXT NOT NULL,
    -- What caused it. No second alert of the rule has the same cause.
    cause             TEXT NOT NULL,
    as_of_time        TIMESTAMPTZ NOT NULL,
    create_time       TIMESTAMPTZ NOT NULL,
    message           TEXT NOT NULL,
    value             DOUBLE PRECISION,
    previous_value    DOUBLE PRECISION,
    limit_value       DOUBLE PRECISION,
    acknowledge_time  TIMESTAMPTZ,
    acknowledged_by   TEXT NOT NULL DEFAULT '',
    note              TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (customer_id, alert_id)
);
CREATE UNIQUE INDEX alerts_by_cause ON alerts (rule, cause, customer_id);
CREATE INDEX alerts_by_sequence ON alerts (sequence);
CREATE INDEX alerts_by_customer ON alerts (customer_id, sequence);
CREATE INDEX alerts_by_id ON alerts (alert_id);

-- One row.
CREATE TABLE alert_counter (
    counter       BIGINT NOT NULL,
    last_sequence BIGINT NOT NULL,
    PRIMARY KEY (counter)
);
INSERT INTO alert_counter (counter, last_sequence) VALUES (1, 0);

-- The deliveries of alerts by webhook, written with the alert.
CREATE TABLE alert_deliveries (
    customer_id       TEXT COLLATE "C" NOT NULL,
    alert_id          TEXT COLLATE "C" NOT NULL,
    sequence          BIGINT NOT NULL,
    -- pending, delivered or parked.
    state             TEXT NOT NULL,
    attempts          BIGINT NOT NULL,
    last_error        TEXT NOT NULL,
    next_attempt_time TIMESTAMPTZ NOT NULL,
    -- The server that tries, and until when nobody else does.
    lease_owner       TEXT NOT NULL,
    lease_until       TIMESTAMPTZ NOT NULL,
    deliver_time      TIMESTAMPTZ,
    PRIMARY KEY (customer_id, alert_id)
);
CREATE INDEX alert_deliveries_pending ON alert_deliveries (customer_id, sequence) WHERE state = 'pending';
CREATE INDEX alert_deliveries_due ON alert_deliveries (sequence) WHERE state = 'pending';
CREATE INDEX alert_deliveries_parked ON alert_deliveries (sequence) WHERE state = 'parked';
CREATE INDEX alert_deliveries_by_id ON alert_deliveries (alert_id);

-- Models that the gate did not let through.
CREATE TABLE promotion_refusals (
    target        TEXT NOT NULL,
    model_version BIGINT NOT NULL,
    reason        TEXT NOT NULL,
    refuse_time   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (target, model_version, reason)
);

-- Whether rules have compared it with the pass that they looked at before.
ALTER TABLE insight_passes ADD COLUMN watched BOOLEAN NOT NULL DEFAULT false;

-- Complaints are looked through for open ones.
DO $$
BEGIN
    EXECUTE 'CREATE INDEX interactions_complaints ON interactions (occur_time, customer_id, interaction_id) '
        'WHERE kind = ''complaint''';
END
$$;

-- For dashboards.
CREATE VIEW v_alerts AS
    SELECT a.alert_id, a.rule, a.kind, a.customer_id, a.subject, a.message, a.value, a.previous_value, a.limit_value,
           a.as_of_time AS as_of_time,
           a.create_time AS create_time,
           a.acknowledge_time AS acknowledge_time,
           a.acknowledged_by, a.note,
           coalesce(d.state, 'none') AS delivery_state,
           coalesce(d.attempts, 0) AS delivery_attempts,
           d.deliver_time AS deliver_time
    FROM alerts AS a LEFT JOIN alert_deliveries AS d ON d.customer_id = a.customer_id AND d.alert_id = a.alert_id;
