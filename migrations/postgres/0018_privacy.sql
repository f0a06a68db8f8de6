-- Whose data was erased, as HMAC-SHA-256 of the id with the setting customer_hash_key: what comes late of an erased
-- customer is recognised, and the id itself is not kept. Like all tables without a customer_id it is not distributed.
CREATE TABLE erased_customers (
    customer_hash BYTEA NOT NULL,
    erase_time    TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (customer_hash)
);

-- Referrals are found by whom they refer: an erased customer's id is taken out of them. No id is longer, and no entry of
-- an index may be much longer.
DO $$
BEGIN
    EXECUTE 'CREATE INDEX interactions_referrals ON interactions ((properties ->> ''referred_customer_id'')) '
        'WHERE kind = ''referral'' AND length(properties ->> ''referred_customer_id'') <= 256';
    EXECUTE 'CREATE INDEX retracted_interactions_referrals ON retracted_interactions '
        '((properties ->> ''referred_customer_id'')) '
        'WHERE kind = ''referral'' AND length(properties ->> ''referred_customer_id'') <= 256';
END
$$;

-- Another server has erased customers: what is kept in memory is dropped as a whole, since the ids are not noted.
ALTER TABLE changes ADD COLUMN erasure BOOLEAN NOT NULL DEFAULT false;

-- Who did what. Each row has a hash of itself and of the row before, so that no row can be changed or taken out
-- without changing all that follow.
CREATE TABLE audit_log (
    -- 1, 2, 3, …
    sequence      BIGINT NOT NULL,
    event_time    TIMESTAMPTZ NOT NULL,
    caller        TEXT NOT NULL,
    request_id    TEXT NOT NULL,
    -- An RPC, such as DeleteCustomer, or what a server did by itself, such as ReloadFile.
    action        TEXT NOT NULL,
    -- What it was done to, if that is no customer.
    subject       TEXT NOT NULL,
    -- As in erased_customers; empty if it is not about one customer.
    customer_hash BYTEA NOT NULL,
    -- OK, or the gRPC code of the refusal or failure.
    outcome       TEXT NOT NULL,
    -- How many calls, or rows, the row stands for.
    count         BIGINT NOT NULL,
    hash          BYTEA NOT NULL,
    PRIMARY KEY (sequence)
);
CREATE INDEX audit_log_by_customer ON audit_log (customer_hash, sequence);

-- The last row, so that rows taken off the end are missed. It stays locked while a row is appended.
CREATE TABLE audit_head (
    head     BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    hash     BYTEA NOT NULL,
    PRIMARY KEY (head)
);
INSERT INTO audit_head (head, sequence, hash) VALUES (1, 0, decode(repeat('00', 32), 'hex'));

-- Against mistakes; who can drop it is found out by the hashes.
CREATE FUNCTION refuse_change_of_audit_log() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log is append-only';
END
$$;
CREATE TRIGGER audit_log_stays BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit_log();
