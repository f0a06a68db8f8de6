-- Reports find sales by their time; the index has all that most of them read.
CREATE INDEX interactions_sales ON interactions (occur_time, customer_id, kind, amount_minor, channel)
    WHERE kind IN ('purchase', 'return');

-- The end of the chain that begins with merged_into, so that reports find it without following the chain; NULL in
-- customers that are not merged.
ALTER TABLE customers ADD COLUMN survivor_id TEXT;
CREATE INDEX customers_by_survivor ON customers (survivor_id) WHERE survivor_id IS NOT NULL;
WITH RECURSIVE chains (customer_id, survivor_id) AS (
    SELECT customer_id, merged_into FROM customers WHERE merged_into IS NOT NULL
    UNION ALL
    SELECT chains.customer_id, next.merged_into
    FROM chains JOIN customers AS next ON next.customer_id = chains.survivor_id
    WHERE next.merged_into IS NOT NULL
)
UPDATE customers SET survivor_id = chains.survivor_id
FROM chains JOIN customers AS survivor ON survivor.customer_id = chains.survivor_id
WHERE customers.customer_id = chains.customer_id AND survivor.merged_into IS NULL;
