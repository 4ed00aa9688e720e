-- The counters and the lease. Exactly one row. `fence` and `seq` never go down.
CREATE TABLE state (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    seq             INTEGER NOT NULL,
    fence           INTEGER NOT NULL,
    holder          TEXT,
    renewals        INTEGER NOT NULL,
    ttl_millis      INTEGER NOT NULL,
    ends_wall_millis INTEGER NOT NULL
) STRICT;
INSERT INTO state VALUES (1, 0, 0, NULL, 0, 0, 0);

-- The values, each with the commit that wrote it.
CREATE TABLE kv (
    key   TEXT NOT NULL UNIQUE,
    value BLOB NOT NULL,
    seq   INTEGER NOT NULL
) STRICT;
CREATE INDEX kv_by_seq ON kv (seq, key);

-- The keys that were removed in the last 100,000 commits and not written again.
CREATE TABLE removed (
    key TEXT NOT NULL UNIQUE,
    seq INTEGER NOT NULL
) STRICT;
CREATE INDEX removed_by_seq ON removed (seq, key);
