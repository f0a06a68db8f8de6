-- Several ids can be one person: rows stay with the id that they were stored under, and from merge_time on they count
-- as those of merged_into, too. has_merged says whether others are merged into a customer, so that reading all others
-- needs no further query.
ALTER TABLE customers ADD COLUMN merged_into TEXT;
ALTER TABLE customers ADD COLUMN merge_time INTEGER;
ALTER TABLE customers ADD COLUMN has_merged INTEGER NOT NULL DEFAULT 0;
CREATE INDEX customers_by_merged_into ON customers (merged_into) WHERE merged_into IS NOT NULL;

-- Whether ids were merged, or merged ones erased: servers then read anew which are.
ALTER TABLE changes ADD COLUMN merges INTEGER NOT NULL DEFAULT 0;
