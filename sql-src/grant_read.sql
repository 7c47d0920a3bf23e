-- Who only looks.

-- With its caller's rights: he grants what he may grant.
CREATE FUNCTION windtrap.grant_read(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    log oid := windtrap.log_table();
BEGIN
    IF log IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table',
            MESSAGE = 'there is no log table that could be read yet',
            HINT = 'The collector makes the table that windtrap.table names when it starts, SELECT windtrap.create_log_table() at once.';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO %s',
                   (SELECT relnamespace::regnamespace FROM pg_class WHERE pg_class.oid = log), role);
    -- Of partitions, those to come too, it is the parent's that counts.
    EXECUTE format('GRANT SELECT ON %s TO %s', log::regclass, role);
    EXECUTE format('GRANT SELECT ON windtrap.status, windtrap.stats, windtrap.intakes, windtrap.metrics, windtrap.refused, '
                   'windtrap.refused_clients, windtrap.forwarding, windtrap.alerts, windtrap.upkeep_failures TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION windtrap.worker_status(), windtrap.worker_stats(), '
                   'windtrap.worker_intakes(), windtrap.all_metrics(), windtrap.refused_requests(), windtrap.refused_by_client(), '
                   'windtrap.forwarder_status(), windtrap.upkeep_failed() TO %s', role);
END
$$;

COMMENT ON FUNCTION windtrap.grant_read(regrole) IS
'lets a role read the events and how the collector does, and nothing else; DROP OWNED BY takes it back';

REVOKE ALL ON FUNCTION windtrap.grant_read(regrole) FROM PUBLIC;
