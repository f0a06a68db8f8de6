-- What was handed out, for dashboards: of a merged customer under the id that it has now.
CREATE VIEW v_episodes AS
    SELECT coalesce(c.survivor_id, e.customer_id) AS customer_id, e.customer_id AS published_id, e.kind, e.action,
           strftime('%Y-%m-%dT%H:%M:%S', e.as_of_time / 1000000, 'unixepoch')
               || printf('.%06dZ', e.as_of_time % 1000000) AS as_of_time,
           strftime('%Y-%m-%dT%H:%M:%S', e.until_time / 1000000, 'unixepoch')
               || printf('.%06dZ', e.until_time % 1000000) AS until_time,
           strftime('%Y-%m-%dT%H:%M:%S', e.publish_time / 1000000, 'unixepoch')
               || printf('.%06dZ', e.publish_time % 1000000) AS publish_time,
           e.held_out, e.outcome, e.outcome_action, e.outcome_note,
           strftime('%Y-%m-%dT%H:%M:%S', e.outcome_time / 1000000, 'unixepoch')
               || printf('.%06dZ', e.outcome_time % 1000000) AS outcome_time
    FROM worklist_episodes AS e JOIN customers AS c ON c.customer_id = e.customer_id;
