-- Dashboards read the views, and JSONB has the operators to take reasons apart.
DROP VIEW v_customers_at_risk;
DROP VIEW v_latest_predictions;

-- For dashboards: one row a customer and target.
CREATE VIEW v_latest_predictions AS
    SELECT p.customer_id, c.name, p.target, p.target || '/' || p.model_version AS model,
           p.probability, p.lower, p.upper, p.grade, p.basis, p.as_of_time, p.score_time,
           p.horizon_days, p.reasons::jsonb AS reasons, p.prediction_id
    FROM latest_predictions AS l
    JOIN predictions AS p ON p.customer_id = l.customer_id AND p.prediction_id = l.prediction_id
    JOIN customers AS c ON c.customer_id = p.customer_id;

-- For dashboards: who is likelier to leave than to stay, or in the worst quarter.
CREATE VIEW v_customers_at_risk AS
    SELECT * FROM v_latest_predictions WHERE target = 'churn' AND (probability >= 0.5 OR grade = 'D');
