-- Several ids can be one person: rows stay with the id that they were stored under, and from merge_time on they count
-- as those of merged_into, too. has_merged says whether others are merged into a customer, so that reading all others
-- needs no further query.
DO $$
BEGIN
    EXECUTE 'ALTER TABLE customers ADD COLUMN merged_into TEXT COLLATE "C"';
    EXECUTE 'ALTER TABLE customers ADD COLUMN merge_time TIMESTAMPTZ';
    EXECUTE 'ALTER TABLE customers ADD COLUMN has_merged BOOLEAN NOT NULL DEFAULT false';
    EXECUTE 'CREATE INDEX customers_by_merged_into ON customers (merged_into) WHERE merged_into IS NOT NULL';
END
$$;

-- Whether ids were merged, or merged ones erased: servers then read anew which are.
ALTER TABLE changes ADD COLUMN merges BOOLEAN NOT NULL DEFAULT false;
