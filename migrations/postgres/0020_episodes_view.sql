-- What was handed out, for dashboards: of a merged customer under the id that it has now.
CREATE VIEW v_episodes AS
    SELECT coalesce(c.survivor_id, e.customer_id) AS customer_id, e.customer_id AS published_id, e.kind, e.action,
           e.as_of_time, e.until_time, e.publish_time, e.held_out, e.outcome, e.outcome_action, e.outcome_note,
           e.outcome_time
    FROM worklist_episodes AS e JOIN customers AS c ON c.customer_id = e.customer_id;
