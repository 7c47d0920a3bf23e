-- Forwarding: the outbox, how far each target has got, and what they refuse.

-- The outbox: what is still to be forwarded, a row for each batch that was committed.  What an
-- id means is said in src/store/outbox.c.

CREATE SEQUENCE windtrap.outbox_id;

COMMENT ON SEQUENCE windtrap.outbox_id IS 'numbers the batches of windtrap.outbox';

CREATE TABLE windtrap.outbox (
    id bigint PRIMARY KEY,
    created timestamptz NOT NULL DEFAULT now(),
    n_events integer NOT NULL,
    bytes integer NOT NULL,
    events bytea NOT NULL)
WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
      autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000,
      toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 10000);

-- It is compressed already.
ALTER TABLE windtrap.outbox ALTER COLUMN events SET STORAGE EXTERNAL;
ALTER SEQUENCE windtrap.outbox_id OWNED BY windtrap.outbox.id;

COMMENT ON TABLE windtrap.outbox IS
'batches of events that are still to be forwarded to the targets of windtrap.forward_to';
COMMENT ON COLUMN windtrap.outbox.id IS 'the order in which they are forwarded';
COMMENT ON COLUMN windtrap.outbox.created IS 'when the batch was committed';
COMMENT ON COLUMN windtrap.outbox.n_events IS 'how many events it holds';
COMMENT ON COLUMN windtrap.outbox.bytes IS 'the size of events';
COMMENT ON COLUMN windtrap.outbox.events IS 'the events themselves, compressed by zstd';

CREATE FUNCTION windtrap.number_batch() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_number_batch'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.number_batch() IS
'gives a batch of windtrap.outbox its id, whoever inserts it';

CREATE TRIGGER number_batch BEFORE INSERT ON windtrap.outbox
FOR EACH ROW EXECUTE FUNCTION windtrap.number_batch();
ALTER TABLE windtrap.outbox ENABLE ALWAYS TRIGGER number_batch;

CREATE TABLE windtrap.outbox_position (
    target text PRIMARY KEY,
    id bigint NOT NULL DEFAULT 0,
    part integer,
    delivered bigint NOT NULL DEFAULT 0,
    changed timestamptz NOT NULL DEFAULT now())
WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

COMMENT ON TABLE windtrap.outbox_position IS
'how far each target of windtrap.forward_to, now or before, has got in windtrap.outbox';
COMMENT ON COLUMN windtrap.outbox_position.target IS 'the table, as schema.name, or the URL';
COMMENT ON COLUMN windtrap.outbox_position.id IS 'the last batch that was forwarded to it';
COMMENT ON COLUMN windtrap.outbox_position.part IS
'how many events of that batch were, where it is not done yet; null: all';
COMMENT ON COLUMN windtrap.outbox_position.delivered IS 'events forwarded to it so far';
COMMENT ON COLUMN windtrap.outbox_position.changed IS 'when that was last';

CREATE TABLE windtrap.dead_letter (
    target text NOT NULL,
    id text NOT NULL,
    event_timestamp timestamptz NOT NULL,
    data jsonb NOT NULL,
    status integer NOT NULL,
    error text NOT NULL,
    tries integer NOT NULL,
    first_try timestamptz NOT NULL DEFAULT now(),
    last_try timestamptz NOT NULL DEFAULT now(),
    next_try timestamptz,
    PRIMARY KEY (target, id));

CREATE INDEX dead_letter_next_try ON windtrap.dead_letter (target, next_try);

COMMENT ON TABLE windtrap.dead_letter IS
'events that a target refuses: those that are to be tried again, and those that were tried often enough';
COMMENT ON COLUMN windtrap.dead_letter.target IS 'the table, or the URL, that refuses it';
COMMENT ON COLUMN windtrap.dead_letter.id IS 'the id of the event';
COMMENT ON COLUMN windtrap.dead_letter.event_timestamp IS 'when the event was received';
COMMENT ON COLUMN windtrap.dead_letter.data IS 'the event and what is known of its request';
COMMENT ON COLUMN windtrap.dead_letter.status IS 'its status when it was stored';
COMMENT ON COLUMN windtrap.dead_letter.error IS 'what the target said the last time';
COMMENT ON COLUMN windtrap.dead_letter.tries IS 'how often it was tried';
COMMENT ON COLUMN windtrap.dead_letter.first_try IS 'when it was refused first';
COMMENT ON COLUMN windtrap.dead_letter.last_try IS 'when it was refused last';
COMMENT ON COLUMN windtrap.dead_letter.next_try IS
'when it will be tried again; null: not before windtrap.redeliver()';

-- Undelivered events are data.  Positions are not: batches are numbered anew where they are
-- restored.
SELECT pg_catalog.pg_extension_config_dump('windtrap.outbox', '');
SELECT pg_catalog.pg_extension_config_dump('windtrap.dead_letter', '');

CREATE FUNCTION windtrap.forwarder_status(
    OUT target text,
    OUT pid integer,
    OUT state text,
    OUT since timestamptz,
    OUT last_error text,
    OUT lag_events bigint,
    OUT lag_seconds double precision,
    OUT delivered bigint,
    OUT dead bigint)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'windtrap_forwarder_status'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.forwarder_status() IS 'the rows of the view windtrap.forwarding';

CREATE VIEW windtrap.forwarding AS
SELECT target, pid, state, since, last_error, lag_events, lag_seconds, delivered, dead
FROM windtrap.forwarder_status()
UNION ALL
-- Who has taken the last target away must see what nobody will get.
SELECT NULL, NULL, 'no target', min(created), NULL, sum(n_events)::bigint,
       extract(epoch FROM now() - min(created))::double precision, NULL, NULL
  FROM windtrap.outbox
 WHERE NOT EXISTS (SELECT FROM windtrap.forwarder_status())
HAVING count(*) > 0;

COMMENT ON VIEW windtrap.forwarding IS
'each target of windtrap.forward_to: how it does, and how far behind it is; without one, a row for what still waits in the outbox';
COMMENT ON COLUMN windtrap.forwarding.target IS 'the table, as schema.name, or the URL; null: there is none';
COMMENT ON COLUMN windtrap.forwarding.pid IS 'the process that forwards to it; null while there is none';
COMMENT ON COLUMN windtrap.forwarding.state IS
'starting, waiting for the extension, working, failing (it tries again), stopped; no target';
COMMENT ON COLUMN windtrap.forwarding.since IS 'when the state began';
COMMENT ON COLUMN windtrap.forwarding.last_error IS 'why it fails; null: it does not';
COMMENT ON COLUMN windtrap.forwarding.lag_events IS 'events that it has not got yet';
COMMENT ON COLUMN windtrap.forwarding.lag_seconds IS 'how long the oldest of them has been waiting';
COMMENT ON COLUMN windtrap.forwarding.delivered IS 'events that it has got so far';
COMMENT ON COLUMN windtrap.forwarding.dead IS
'events in windtrap.dead_letter that it refused too often to be tried again';

CREATE FUNCTION windtrap.redeliver(
    target text DEFAULT NULL,
    ids text[] DEFAULT NULL)
RETURNS TABLE (
    to_target text,
    id text)
LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- As windtrap.forward_to is read.
    is_url boolean := redeliver.target ~* '^\s*https?://';
    names text[] := CASE WHEN NOT is_url THEN parse_ident(redeliver.target) END;
    name text := CASE WHEN is_url THEN btrim(redeliver.target, E' \t\n\r')
                 WHEN cardinality(names) = 1 THEN format('public.%I', names[1])
                 WHEN cardinality(names) = 2 THEN format('%I.%I', names[1], names[2]) END;
BEGIN
    IF redeliver.target IS NOT NULL AND (name IS NULL
       OR NOT EXISTS (SELECT FROM windtrap.outbox_position AS p WHERE p.target = name)
      AND NOT EXISTS (SELECT FROM windtrap.dead_letter AS d WHERE d.target = name)
      AND NOT EXISTS (SELECT FROM windtrap.forwarder_status() AS f WHERE f.target = name)) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('no events are, or were, forwarded to "%s"', redeliver.target),
            HINT = 'See windtrap.forwarding and windtrap.dead_letter for the targets that there are.';
    END IF;
    RETURN QUERY
    UPDATE windtrap.dead_letter AS d
       SET next_try = now(), tries = 0
     WHERE (redeliver.target IS NULL OR d.target = name)
       AND (ids IS NULL OR d.id = ANY (ids))
    RETURNING d.target, d.id;
END
$$;

COMMENT ON FUNCTION windtrap.redeliver(text, text[]) IS
'has dead letters (all, or those for this target, named as in windtrap.forward_to, or with these ids) sent again, each to the target that refused it; gives which';

REVOKE ALL ON FUNCTION windtrap.forwarder_status() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.number_batch() FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.redeliver(text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION windtrap.forwarder_status() TO pg_monitor;
GRANT SELECT ON windtrap.forwarding TO pg_monitor;
