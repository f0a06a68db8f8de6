-- Whose data was erased, as HMAC-SHA-256 of the id with the setting customer_hash_key: what comes late of an erased
-- customer is recognised, and the id itself is not kept.
CREATE TABLE erased_customers (
    customer_hash BLOB NOT NULL,
    erase_time    INTEGER NOT NULL,
    PRIMARY KEY (customer_hash)
) STRICT, WITHOUT ROWID;

-- Referrals are found by whom they refer: an erased customer's id is taken out of them. No id is longer.
CREATE INDEX interactions_referrals ON interactions (properties ->> 'referred_customer_id')
    WHERE kind = 'referral' AND length(properties ->> 'referred_customer_id') <= 256;
CREATE INDEX retracted_interactions_referrals ON retracted_interactions (properties ->> 'referred_customer_id')
    WHERE kind = 'referral' AND length(properties ->> 'referred_customer_id') <= 256;

-- Another server has erased customers: what is kept in memory is dropped as a whole, since the ids are not noted.
ALTER TABLE changes ADD COLUMN erasure INTEGER NOT NULL DEFAULT 0;

-- Who did what. Each row has a hash of itself and of the row before, so that no row can be changed or taken out
-- without changing all that follow.
CREATE TABLE audit_log (
    -- 1, 2, 3, …
    sequence      INTEGER NOT NULL,
    event_time    INTEGER NOT NULL,
    caller        TEXT NOT NULL,
    request_id    TEXT NOT NULL,
    -- An RPC, such as DeleteCustomer, or what a server did by itself, such as ReloadFile.
    action        TEXT NOT NULL,
    -- What it was done to, if that is no customer.
    subject       TEXT NOT NULL,
    -- As in erased_customers; empty if it is not about one customer.
    customer_hash BLOB NOT NULL,
    -- OK, or the gRPC code of the refusal or failure.
    outcome       TEXT NOT NULL,
    -- How many calls, or rows, the row stands for.
    count         INTEGER NOT NULL,
    hash          BLOB NOT NULL,
    PRIMARY KEY (sequence)
) STRICT;
CREATE INDEX audit_log_by_customer ON audit_log (customer_hash, sequence);

-- The last row, so that rows taken off the end are missed.
CREATE TABLE audit_head (
    head     INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    hash     BLOB NOT NULL,
    PRIMARY KEY (head)
) STRICT;
INSERT INTO audit_head (head, sequence, hash) VALUES (1, 0, zeroblob(32));

-- Against mistakes; who can drop them is found out by the hashes.
CREATE TRIGGER audit_log_stays BEFORE UPDATE ON audit_log BEGIN
    SELECT RAISE(ABORT, 'audit_log is append-only');
END;
CREATE TRIGGER audit_log_is_kept BEFORE DELETE ON audit_log BEGIN
    SELECT RAISE(ABORT, 'audit_log is append-only');
END;
