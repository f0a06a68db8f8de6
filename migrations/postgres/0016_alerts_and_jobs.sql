-- When an alert was tried first: it is tried for a day from then on. NULL before.
ALTER TABLE alert_deliveries ADD COLUMN first_attempt_time TIMESTAMPTZ;

-- What is due is found without reading what waits for its next try.
DROP INDEX alert_deliveries_due;
CREATE INDEX alert_deliveries_due ON alert_deliveries (next_attempt_time, sequence) WHERE state = 'pending';

-- The ids in the cause of a complaint are divided by a line feed, which no id contains; a space may be part of one.
UPDATE alerts SET cause = left(cause, -length(customer_id) - 1) || chr(10) || customer_id
    WHERE kind = 'complaint_open' AND right(cause, length(customer_id) + 1) = ' ' || customer_id;
-- Complaints that were recorded under an id that was merged.
UPDATE alerts SET cause = replace(cause, ' ', chr(10))
    WHERE kind = 'complaint_open' AND strpos(cause, chr(10)) = 0
    AND length(cause) - length(replace(cause, ' ', '')) = 1;

-- Rules ask what was recorded lately. Rows are stored nearly in the order in which they were recorded.
DO $$
BEGIN
    EXECUTE 'CREATE INDEX interactions_recorded ON interactions USING brin (record_time)';
END
$$;
