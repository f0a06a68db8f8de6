-- What the rules of early warning found. Alerts of all customers have one order, in which they are watched, so these
-- tables are not distributed; an erased customer's rows are deleted by the statement that erases it.
CREATE TABLE alerts (
    -- Empty unless it is about a customer.
    customer_id       TEXT NOT NULL,
    alert_id          TEXT NOT NULL,
    -- The order of commits: drawn from alert_counter, which stays locked until the commit.
    sequence          INTEGER NOT NULL,
    rule              TEXT NOT NULL,
    kind              TEXT NOT NULL,
    -- The model or the kind of interaction that it is about; empty for a customer.
    subject           TEXT NOT NULL,
    -- What caused it. No second alert of the rule has the same cause.
    cause             TEXT NOT NULL,
    as_of_time        INTEGER NOT NULL,
    create_time       INTEGER NOT NULL,
    message           TEXT NOT NULL,
    value             REAL,
    previous_value    REAL,
    limit_value       REAL,
    acknowledge_time  INTEGER,
    acknowledged_by   TEXT NOT NULL DEFAULT '',
    note              TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (customer_id, alert_id)
) STRICT;
CREATE UNIQUE INDEX alerts_by_cause ON alerts (rule, cause, customer_id);
CREATE INDEX alerts_by_sequence ON alerts (sequence);
CREATE INDEX alerts_by_customer ON alerts (customer_id, sequence);
CREATE INDEX alerts_by_id ON alerts (alert_id);

-- One row.
CREATE TABLE alert_counter (
    counter       INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL,
    PRIMARY KEY (counter)
) STRICT;
INSERT INTO alert_counter (counter, last_sequence) VALUES (1, 0);

-- The deliveries of alerts by webhook, written with the alert.
CREATE TABLE alert_deliveries (
    customer_id       TEXT NOT NULL,
    alert_id          TEXT NOT NULL,
    sequence          INTEGER NOT NULL,
    -- pending, delivered or parked.
    state             TEXT NOT NULL,
    attempts          INTEGER NOT NULL,
    last_error        TEXT NOT NULL,
    next_attempt_time INTEGER NOT NULL,
    -- The server that tries, and until when nobody else does.
    lease_owner       TEXT NOT NULL,
    lease_until       INTEGER NOT NULL,
    deliver_time      INTEGER,
    PRIMARY KEY (customer_id, alert_id)
) STRICT;
CREATE INDEX alert_deliveries_pending ON alert_deliveries (customer_id, sequence) WHERE state = 'pending';
CREATE INDEX alert_deliveries_due ON alert_deliveries (sequence) WHERE state = 'pending';
CREATE INDEX alert_deliveries_parked ON alert_deliveries (sequence) WHERE state = 'parked';
CREATE INDEX alert_deliveries_by_id ON alert_deliveries (alert_id);

-- Models that the gate did not let through.
CREATE TABLE promotion_refusals (
    target        TEXT NOT NULL,
    model_version INTEGER NOT NULL,
    reason        TEXT NOT NULL,
    refuse_time   INTEGER NOT NULL,
    PRIMARY KEY (target, model_version, reason)
) STRICT;

-- Whether rules have compared it with the pass that they looked at before.
ALTER TABLE insight_passes ADD COLUMN watched INTEGER NOT NULL DEFAULT 0;

-- Complaints are looked through for open ones.
CREATE INDEX interactions_complaints ON interactions (occur_time, customer_id, interaction_id)
    WHERE kind = 'complaint';

-- For dashboards.
CREATE VIEW v_alerts AS
    SELECT a.alert_id, a.rule, a.kind, a.customer_id, a.subject, a.message, a.value, a.previous_value, a.limit_value,
           strftime('%Y-%m-%dT%H:%M:%S', a.as_of_time / 1000000, 'unixepoch')
               || printf('.%06dZ', a.as_of_time % 1000000) AS as_of_time,
           strftime('%Y-%m-%dT%H:%M:%S', a.create_time / 1000000, 'unixepoch')
               || printf('.%06dZ', a.create_time % 1000000) AS create_time,
           strftime('%Y-%m-%dT%H:%M:%S', a.acknowledge_time / 1000000, 'unixepoch')
               || printf('.%06dZ', a.acknowledge_time % 1000000) AS acknowledge_time,
           a.acknowledged_by, a.note,
           coalesce(d.state, 'none') AS delivery_state,
           coalesce(d.attempts, 0) AS delivery_attempts,
           strftime('%Y-%m-%dT%H:%M:%S', d.deliver_time / 1000000, 'unixepoch')
               || printf('.%06dZ', d.deliver_time % 1000000) AS deliver_time
    FROM alerts AS a LEFT JOIN alert_deliveries AS d ON d.customer_id = a.customer_id AND d.alert_id = a.alert_id;
