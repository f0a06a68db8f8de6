-- Affinities are looked up in memory.
DROP INDEX affinities_by_value;
