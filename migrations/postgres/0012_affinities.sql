-- The affinities of a property in a pass, computed when they are first asked for.
CREATE TABLE affinity_lists (
    list_id             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pass_id             BIGINT NOT NULL REFERENCES insight_passes ON DELETE CASCADE,
    property            TEXT NOT NULL,
    -- That of the pass. When it has grown since, a customer was erased or merged, and the list is computed anew.
    revision            BIGINT NOT NULL,
    known_time          TIMESTAMPTZ NOT NULL,
    -- Those with a purchase in the window that has the property.
    customers           BIGINT NOT NULL,
    affinities          BIGINT NOT NULL,
    values_left_out     BIGINT NOT NULL,
    affinities_left_out BIGINT NOT NULL,
    UNIQUE (pass_id, property)
);

-- The values that have affinities.
CREATE TABLE affinity_values (
    list_id   BIGINT NOT NULL REFERENCES affinity_lists ON DELETE CASCADE,
    number    BIGINT NOT NULL,
    value     TEXT COLLATE "C" NOT NULL,
    -- Who bought it in the window.
    customers BIGINT NOT NULL,
    PRIMARY KEY (list_id, number)
);

-- In the order of the list.
CREATE TABLE affinities (
    list_id          BIGINT NOT NULL REFERENCES affinity_lists ON DELETE CASCADE,
    place            BIGINT NOT NULL,
    from_number      BIGINT NOT NULL,
    to_number        BIGINT NOT NULL,
    both_customers   BIGINT NOT NULL,
    confidence_lower DOUBLE PRECISION NOT NULL,
    lift             DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (list_id, place)
);
CREATE INDEX affinities_by_value ON affinities (list_id, from_number, place);
