-- What the gate said of a candidate is named as everywhere else.
ALTER TABLE promotions RENAME COLUMN finding TO gate_result;
