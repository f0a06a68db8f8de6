-- The affinities of a property in a pass, computed when they are first asked for.
CREATE TABLE affinity_lists (
    list_id             INTEGER PRIMARY KEY AUTOINCREMENT,
    pass_id             INTEGER NOT NULL REFERENCES insight_passes ON DELETE CASCADE,
    property            TEXT NOT NULL,
    -- That of the pass. When it has grown since, a customer was erased or merged, and the list is computed anew.
    revision            INTEGER NOT NULL,
    known_time          INTEGER NOT NULL,
    -- Those with a purchase in the window that has the property.
    customers           INTEGER NOT NULL,
    affinities          INTEGER NOT NULL,
    values_left_out     INTEGER NOT NULL,
    affinities_left_out INTEGER NOT NULL,
    UNIQUE (pass_id, property)
) STRICT;

-- The values that have affinities.
CREATE TABLE affinity_values (
    list_id   INTEGER NOT NULL REFERENCES affinity_lists ON DELETE CASCADE,
    number    INTEGER NOT NULL,
    value     TEXT NOT NULL,
    -- Who bought it in the window.
    customers INTEGER NOT NULL,
    PRIMARY KEY (list_id, number)
) STRICT, WITHOUT ROWID;

-- In the order of the list.
CREATE TABLE affinities (
    list_id          INTEGER NOT NULL REFERENCES affinity_lists ON DELETE CASCADE,
    place            INTEGER NOT NULL,
    from_number      INTEGER NOT NULL,
    to_number        INTEGER NOT NULL,
    both_customers   INTEGER NOT NULL,
    confidence_lower REAL NOT NULL,
    lift             REAL NOT NULL,
    PRIMARY KEY (list_id, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX affinities_by_value ON affinities (list_id, from_number, place);
