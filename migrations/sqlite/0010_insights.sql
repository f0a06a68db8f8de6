-- The facts of all customers about a moment are a pass. Only complete passes are read; one that is replaced or has
-- expired is removed with its facts in small steps.
CREATE TABLE insight_passes (
    pass_id    INTEGER PRIMARY KEY AUTOINCREMENT,
    as_of_time INTEGER NOT NULL,
    known_time INTEGER NOT NULL,
    -- Whether RefreshInsights made it, so that it is kept for longer than a day.
    kept       INTEGER NOT NULL,
    -- building, complete, replaced (while pages of it are read) or removed.
    state      TEXT NOT NULL,
    -- Grows when a customer is erased, so that sums that are kept in memory are known to be old.
    revision   INTEGER NOT NULL DEFAULT 0,
    -- What is relative to all customers, as JSON; '{}' until the pass is complete.
    population TEXT NOT NULL
) STRICT;
CREATE INDEX insight_passes_by_time ON insight_passes (state, as_of_time);
CREATE UNIQUE INDEX insight_passes_complete ON insight_passes (as_of_time) WHERE state = 'complete';

-- One row a customer and pass.
CREATE TABLE customer_insights (
    customer_id            TEXT NOT NULL REFERENCES customers ON DELETE CASCADE,
    pass_id                INTEGER NOT NULL,
    life_cycle             TEXT NOT NULL,
    abc_class              TEXT NOT NULL,
    rfm_cell               TEXT NOT NULL,
    rfm_segment            TEXT NOT NULL,
    value_loyalty          TEXT NOT NULL,
    -- Of the window, like the next five.
    revenue_minor          INTEGER NOT NULL,
    returns_minor          INTEGER NOT NULL,
    net_minor              INTEGER NOT NULL,
    cost_minor             INTEGER NOT NULL,
    orders                 INTEGER NOT NULL,
    -- Of the window before.
    previous_net_minor     INTEGER NOT NULL,
    -- Of the whole relation, like the next three.
    total_revenue_minor    INTEGER NOT NULL,
    total_returns_minor    INTEGER NOT NULL,
    total_cost_minor       INTEGER NOT NULL,
    total_orders           INTEGER NOT NULL,
    purchase_days          INTEGER NOT NULL,
    first_purchase_time    INTEGER,
    last_purchase_time     INTEGER,
    recency_days           INTEGER,
    expected_interval_days REAL,
    overdue_ratio          REAL,
    surveys                INTEGER NOT NULL,
    satisfaction_sum       REAL NOT NULL,
    loyalty_points         INTEGER NOT NULL,
    discounted_orders      INTEGER NOT NULL,
    referrals              INTEGER NOT NULL,
    complaints             INTEGER NOT NULL,
    complaints_open        INTEGER NOT NULL,
    last_contact_time      INTEGER,
    lead_probability       REAL,
    churn_probability      REAL,
    -- As they stood, every value as a text.
    attributes             TEXT NOT NULL,
    PRIMARY KEY (customer_id, pass_id)
) STRICT, WITHOUT ROWID;
-- The members of a segment are listed by falling net revenue.
CREATE INDEX customer_insights_by_net ON customer_insights (pass_id, net_minor DESC, customer_id);
CREATE INDEX customer_insights_by_life_cycle ON customer_insights (pass_id, life_cycle, net_minor DESC, customer_id);
CREATE INDEX customer_insights_by_abc_class ON customer_insights (pass_id, abc_class, net_minor DESC, customer_id);
CREATE INDEX customer_insights_by_rfm_cell ON customer_insights (pass_id, rfm_cell, net_minor DESC, customer_id);
CREATE INDEX customer_insights_by_rfm_segment ON customer_insights (pass_id, rfm_segment, net_minor DESC, customer_id);
CREATE INDEX customer_insights_by_value_loyalty ON customer_insights (pass_id, value_loyalty, net_minor DESC, customer_id);

-- The latest pass, unless it was about the future when it was made: such a one would hide all that follow.
CREATE VIEW v_latest_pass AS
    SELECT pass_id FROM insight_passes
    WHERE state = 'complete' AND as_of_time <= known_time ORDER BY as_of_time DESC, pass_id DESC LIMIT 1;

-- For dashboards: one row a customer, of the latest pass. Money and orders without `total_` are of the window.
CREATE VIEW v_customer_insights AS
    SELECT f.customer_id, c.name,
           strftime('%Y-%m-%dT%H:%M:%S', p.as_of_time / 1000000, 'unixepoch')
               || printf('.%06dZ', p.as_of_time % 1000000) AS as_of_time,
           strftime('%Y-%m-%dT%H:%M:%S', p.known_time / 1000000, 'unixepoch')
               || printf('.%06dZ', p.known_time % 1000000) AS known_time,
           f.life_cycle, f.abc_class, f.rfm_cell, f.rfm_segment, f.value_loyalty,
           f.revenue_minor, f.returns_minor, f.net_minor, f.cost_minor, f.orders, f.previous_net_minor,
           f.total_revenue_minor, f.total_returns_minor, f.total_cost_minor,
           f.total_revenue_minor - f.total_returns_minor - f.total_cost_minor AS total_profit_minor,
           f.total_orders, f.purchase_days,
           strftime('%Y-%m-%dT%H:%M:%S', f.first_purchase_time / 1000000, 'unixepoch')
               || printf('.%06dZ', f.first_purchase_time % 1000000) AS first_purchase_time,
           strftime('%Y-%m-%dT%H:%M:%S', f.last_purchase_time / 1000000, 'unixepoch')
               || printf('.%06dZ', f.last_purchase_time % 1000000) AS last_purchase_time,
           f.recency_days, f.expected_interval_days, f.overdue_ratio,
           CASE WHEN f.surveys > 0 THEN f.satisfaction_sum / f.surveys END AS satisfaction,
           f.loyalty_points,
           CASE WHEN f.total_orders > 0 THEN CAST(f.discounted_orders AS REAL) / f.total_orders END AS discount_share,
           f.referrals, f.complaints, f.complaints_open,
           strftime('%Y-%m-%dT%H:%M:%S', f.last_contact_time / 1000000, 'unixepoch')
               || printf('.%06dZ', f.last_contact_time % 1000000) AS last_contact_time,
           f.lead_probability, f.churn_probability, f.attributes
    FROM customer_insights AS f
    JOIN insight_passes AS p ON p.pass_id = f.pass_id
    JOIN customers AS c ON c.customer_id = f.customer_id
    WHERE f.pass_id = (SELECT pass_id FROM v_latest_pass);

-- For dashboards: the segments of the latest pass. Money and orders are of the window.
CREATE VIEW v_segments AS
    SELECT 'abc' AS segmentation, f.abc_class AS segment, count(*) AS customers,
           sum(f.revenue_minor) AS revenue_minor, sum(f.returns_minor) AS returns_minor,
           sum(f.net_minor) AS net_minor, sum(f.orders) AS orders,
           sum(f.satisfaction_sum) / nullif(sum(f.surveys), 0) AS satisfaction
    FROM customer_insights AS f
    WHERE f.pass_id = (SELECT pass_id FROM v_latest_pass)
    GROUP BY f.abc_class
    UNION ALL
    SELECT 'rfm' AS segmentation, f.rfm_segment AS segment, count(*) AS customers,
           sum(f.revenue_minor) AS revenue_minor, sum(f.returns_minor) AS returns_minor,
           sum(f.net_minor) AS net_minor, sum(f.orders) AS orders,
           sum(f.satisfaction_sum) / nullif(sum(f.surveys), 0) AS satisfaction
    FROM customer_insights AS f
    WHERE f.pass_id = (SELECT pass_id FROM v_latest_pass)
    GROUP BY f.rfm_segment
    UNION ALL
    SELECT 'rfm_cell' AS segmentation, f.rfm_cell AS segment, count(*) AS customers,
           sum(f.revenue_minor) AS revenue_minor, sum(f.returns_minor) AS returns_minor,
           sum(f.net_minor) AS net_minor, sum(f.orders) AS orders,
           sum(f.satisfaction_sum) / nullif(sum(f.surveys), 0) AS satisfaction
    FROM customer_insights AS f
    WHERE f.pass_id = (SELECT pass_id FROM v_latest_pass)
    GROUP BY f.rfm_cell
    UNION ALL
    SELECT 'life_cycle' AS segmentation, f.life_cycle AS segment, count(*) AS customers,
           sum(f.revenue_minor) AS revenue_minor, sum(f.returns_minor) AS returns_minor,
           sum(f.net_minor) AS net_minor, sum(f.orders) AS orders,
           sum(f.satisfaction_sum) / nullif(sum(f.surveys), 0) AS satisfaction
    FROM customer_insights AS f
    WHERE f.pass_id = (SELECT pass_id FROM v_latest_pass)
    GROUP BY f.life_cycle
    UNION ALL
    SELECT 'value_loyalty' AS segmentation, f.value_loyalty AS segment, count(*) AS customers,
           sum(f.revenue_minor) AS revenue_minor, sum(f.returns_minor) AS returns_minor,
           sum(f.net_minor) AS net_minor, sum(f.orders) AS orders,
           sum(f.satisfaction_sum) / nullif(sum(f.surveys), 0) AS satisfaction
    FROM customer_insights AS f
    WHERE f.pass_id = (SELECT pass_id FROM v_latest_pass)
    GROUP BY f.value_loyalty;

-- For dashboards: what was sold, by UTC month.
CREATE VIEW v_sales_by_month AS
    SELECT strftime('%Y-%m-01', i.occur_time / 1000000, 'unixepoch') AS month,
           coalesce(sum(i.amount_minor) FILTER (WHERE i.kind = 'purchase'), 0) AS revenue_minor,
           coalesce(sum(i.amount_minor) FILTER (WHERE i.kind = 'return'), 0) AS returns_minor,
           count(*) FILTER (WHERE i.kind = 'purchase') AS orders,
           count(DISTINCT coalesce(c.survivor_id, i.customer_id)) FILTER (WHERE i.kind = 'purchase') AS customers
    FROM interactions AS i JOIN customers AS c ON c.customer_id = i.customer_id
    WHERE i.kind IN ('purchase', 'return')
    GROUP BY 1;
