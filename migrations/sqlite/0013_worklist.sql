-- What the worklist needs of a customer; NULL in passes of before.
--
-- Why it may leave, by the churn model.
ALTER TABLE customer_insights ADD COLUMN churn_cause TEXT;
-- The sum of 1 AT_RISK, 2 WIN_BACK, 4 HOT_LEAD, 8 NEGLECTED, 16 CARE_DATE.
ALTER TABLE customer_insights ADD COLUMN work_kinds INTEGER;
-- The action that the playbook has for it.
ALTER TABLE customer_insights ADD COLUMN work_action TEXT;
ALTER TABLE customer_insights ADD COLUMN value_at_risk_minor INTEGER;
ALTER TABLE customer_insights ADD COLUMN next_care_time INTEGER;
ALTER TABLE customer_insights ADD COLUMN held_out INTEGER;
-- The value at risk, or −1 without one: the order of the list. Only then SQLite reads a page from the index alone.
ALTER TABLE customer_insights ADD COLUMN worklist_order INTEGER;
CREATE INDEX customer_insights_worklist
    ON customer_insights (pass_id, worklist_order DESC, customer_id, work_kinds, held_out) WHERE work_kinds > 0;

-- An item of a list that was handed out. It is open until its window is over.
CREATE TABLE worklist_episodes (
    customer_id    TEXT NOT NULL REFERENCES customers ON DELETE CASCADE,
    kind           TEXT NOT NULL,
    -- The moment of the list, and the end of the window in which a purchase counts as a success.
    as_of_time     INTEGER NOT NULL,
    until_time     INTEGER NOT NULL,
    publish_time   INTEGER NOT NULL,
    -- Of the playbook, also for customers who are held out.
    action         TEXT NOT NULL,
    held_out       INTEGER NOT NULL,
    -- What was reported last: DONE, NOT_REACHED, DECLINED or OTHER, with which action, and when it happened.
    outcome        TEXT,
    outcome_action TEXT,
    outcome_note   TEXT,
    outcome_time   INTEGER,
    PRIMARY KEY (customer_id, kind, as_of_time)
) STRICT, WITHOUT ROWID;
CREATE INDEX worklist_episodes_by_end ON worklist_episodes (until_time);

-- For dashboards: the worklist of the latest pass, one row a customer and kind, without those who are held out.
CREATE VIEW v_worklist AS
    SELECT f.customer_id, c.name,
           strftime('%Y-%m-%dT%H:%M:%S', p.as_of_time / 1000000, 'unixepoch')
               || printf('.%06dZ', p.as_of_time % 1000000) AS as_of_time,
           k.kind, f.value_at_risk_minor,
           CASE WHEN f.life_cycle = 'lead' THEN f.lead_probability ELSE f.churn_probability END AS probability,
           f.clv_minor, f.abc_class, coalesce(f.churn_cause, 'unknown') AS cause, f.work_action AS action,
           CASE WHEN k.kind = 'CARE_DATE' THEN strftime('%Y-%m-%dT%H:%M:%S', f.next_care_time / 1000000, 'unixepoch')
               || printf('.%06dZ', f.next_care_time % 1000000) END AS due_time
    FROM customer_insights AS f
    JOIN insight_passes AS p ON p.pass_id = f.pass_id
    JOIN customers AS c ON c.customer_id = f.customer_id
    JOIN (SELECT 1 AS bit, 'AT_RISK' AS kind UNION ALL SELECT 2, 'WIN_BACK' UNION ALL SELECT 4, 'HOT_LEAD'
          UNION ALL SELECT 8, 'NEGLECTED' UNION ALL SELECT 16, 'CARE_DATE') AS k ON (f.work_kinds & k.bit) > 0
    WHERE f.pass_id = (SELECT pass_id FROM v_latest_pass) AND NOT f.held_out AND c.merged_into IS NULL;
