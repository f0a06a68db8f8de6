-- What a customer will bring, by the value model of its pass, and the grades of its scores.

-- The passes from before have no value model; a list makes the ones that it needs anew.
DELETE FROM customer_insights;
DELETE FROM insight_passes;

-- Drops what reads the columns that follow, to make it anew below.
DROP VIEW v_segments;
DROP VIEW v_customer_insights;

-- What it paid on purchase days after the first.
ALTER TABLE customer_insights ADD COLUMN repeat_revenue_minor INTEGER NOT NULL DEFAULT 0;
ALTER TABLE customer_insights ADD COLUMN p_alive REAL;
-- Within the horizon.
ALTER TABLE customer_insights ADD COLUMN expected_purchases REAL;
ALTER TABLE customer_insights ADD COLUMN clv_minor INTEGER;
ALTER TABLE customer_insights ADD COLUMN lead_grade TEXT;
ALTER TABLE customer_insights ADD COLUMN churn_grade TEXT;

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
           f.lead_probability, f.churn_probability, f.lead_grade, f.churn_grade,
           f.p_alive, f.expected_purchases, f.clv_minor, f.attributes
    FROM customer_insights AS f
    JOIN insight_passes AS p ON p.pass_id = f.pass_id
    JOIN customers AS c ON c.customer_id = f.customer_id
    WHERE f.pass_id = (SELECT pass_id FROM v_latest_pass);

-- For dashboards: the segments of the latest pass. Money and orders are of the window, but for the value to come.
CREATE VIEW v_segments AS
    WITH latest AS (
        SELECT * FROM customer_insights WHERE pass_id = (SELECT pass_id FROM v_latest_pass)
    ), placed AS (
        SELECT 'abc' AS segmentation, abc_class AS segment, l.* FROM latest AS l
    UNION ALL
        SELECT 'rfm' AS segmentation, rfm_segment AS segment, l.* FROM latest AS l
    UNION ALL
        SELECT 'rfm_cell' AS segmentation, rfm_cell AS segment, l.* FROM latest AS l
    UNION ALL
        SELECT 'life_cycle' AS segmentation, life_cycle AS segment, l.* FROM latest AS l
    UNION ALL
        SELECT 'value_loyalty' AS segmentation, value_loyalty AS segment, l.* FROM latest AS l
    )
    SELECT segmentation, segment, count(*) AS customers,
           sum(revenue_minor) AS revenue_minor, sum(returns_minor) AS returns_minor,
           sum(net_minor) AS net_minor, sum(orders) AS orders,
           sum(satisfaction_sum) / nullif(sum(surveys), 0) AS satisfaction,
           sum(clv_minor) AS clv_minor
    FROM placed
    GROUP BY segmentation, segment;
