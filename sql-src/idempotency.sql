-- What is sent again with the same key within windtrap.idempotency_window is not stored again.
-- Not dumped: a dump that comes back is older than the window, or of another server.
CREATE TABLE windtrap.idempotency_key (
    key uuid PRIMARY KEY,
    seen_at timestamptz NOT NULL,
    fingerprint bigint,
    events bigint,
    rejected bigint)
WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000,
      autovacuum_analyze_scale_factor = 0.5);

COMMENT ON TABLE windtrap.idempotency_key IS
'events and requests that came with a key within windtrap.idempotency_window';
COMMENT ON COLUMN windtrap.idempotency_key.key IS
'16 bytes of the SHA-256 of the token''s source, the protocol and the key';
COMMENT ON COLUMN windtrap.idempotency_key.seen_at IS 'when it came first';
COMMENT ON COLUMN windtrap.idempotency_key.fingerprint IS
'of a request: what its body is known again by; null: the key is an event''s';
COMMENT ON COLUMN windtrap.idempotency_key.events IS
'of a request: how many of its events have been stored or rejected';
COMMENT ON COLUMN windtrap.idempotency_key.rejected IS
'of a request: how many of these are in quarantine or were refused';
