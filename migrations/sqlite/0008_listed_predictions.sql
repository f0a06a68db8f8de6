-- The latest predictions are those that still concern their customers: the kind of interaction after which one does not
-- any more, such as `purchase` for leads, takes its row away. NULL where no interaction does, and in rows of churn that
-- older versions have stored.
ALTER TABLE latest_predictions ADD COLUMN ended_by TEXT;
UPDATE latest_predictions SET ended_by = 'purchase' WHERE target = 'lead';

-- The predictions of one run, by probability.
CREATE INDEX predictions_by_as_of_time ON predictions (target, as_of_time, probability, prediction_id);
