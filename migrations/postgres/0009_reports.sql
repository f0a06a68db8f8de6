-- Reports find sales by their time; the index has all that most of them read.
--
-- survivor_id is the end of the chain that begins with merged_into, so that reports find it without following the
-- chain; NULL in customers that are not merged. With Citus, no statement can follow a chain, but a loop can.
DO $$
DECLARE
    merged RECORD;
    survivor TEXT;
    next TEXT;
BEGIN
    EXECUTE 'CREATE INDEX interactions_sales ON interactions (occur_time, customer_id) '
        'INCLUDE (kind, amount_minor, channel) WHERE kind IN (''purchase'', ''return'')';
    EXECUTE 'ALTER TABLE customers ADD COLUMN survivor_id TEXT COLLATE "C"';
    EXECUTE 'CREATE INDEX customers_by_survivor ON customers (survivor_id) WHERE survivor_id IS NOT NULL';
    FOR merged IN EXECUTE 'SELECT customer_id, merged_into FROM customers WHERE merged_into IS NOT NULL' LOOP
        next := merged.merged_into;
        WHILE next IS NOT NULL LOOP
            survivor := next;
            EXECUTE 'SELECT merged_into FROM customers WHERE customer_id = $1' INTO next USING survivor;
        END LOOP;
        EXECUTE 'UPDATE customers SET survivor_id = $1 WHERE customer_id = $2'
            USING survivor, merged.customer_id;
    END LOOP;
END
$$;
