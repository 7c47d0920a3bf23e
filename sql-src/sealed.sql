-- Sealed partitions: made, undone, shown.

CREATE FUNCTION windtrap.seal(partition regclass) RETURNS bigint
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_seal'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.seal(regclass) IS
'rewrites a partition of a log table into compressed columns, under the same name and the same SQL, and gives the number of its rows; for the table''s owner';

CREATE FUNCTION windtrap.unseal(partition regclass) RETURNS bigint
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_unseal'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.unseal(regclass) IS
'makes a sealed partition an ordinary one again, and gives the number of its rows; for the table''s owner';

CREATE FUNCTION windtrap.erase(partition regclass) RETURNS bigint
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'windtrap_erase'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.erase(regclass) IS
'rewrites those chunks of a sealed partition of which rows were deleted, so that VACUUM removes their bytes, and gives the number of those rows; the upkeep does it by itself; for the table''s owner';

CREATE FUNCTION windtrap.unsealable(partition regclass) RETURNS text
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'windtrap_unsealable'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.unsealable(regclass) IS
'why a partition cannot be sealed; null: it can';

CREATE FUNCTION windtrap.sealed_altered() RETURNS event_trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'windtrap_sealed_altered'
SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION windtrap.sealed_altered() IS
'has sealed partitions follow when columns are added, and refuses what would make them unreadable';

-- The second one refuses before tables are rewritten, which may take long.
CREATE EVENT TRIGGER windtrap_sealed_altered ON ddl_command_end
WHEN TAG IN ('ALTER TABLE', 'ALTER FOREIGN TABLE') EXECUTE FUNCTION windtrap.sealed_altered();
CREATE EVENT TRIGGER windtrap_sealed_rewritten ON table_rewrite
WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION windtrap.sealed_altered();
ALTER EVENT TRIGGER windtrap_sealed_altered ENABLE ALWAYS;
ALTER EVENT TRIGGER windtrap_sealed_rewritten ENABLE ALWAYS;

COMMENT ON EVENT TRIGGER windtrap_sealed_altered IS
'sealed partitions follow when the log table''s columns are altered';
COMMENT ON EVENT TRIGGER windtrap_sealed_rewritten IS
'what would make sealed partitions unreadable is refused before others are rewritten';

REVOKE ALL ON FUNCTION windtrap.seal(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.unseal(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.erase(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION windtrap.sealed_altered() FROM PUBLIC;

CREATE VIEW windtrap.partitions AS
SELECT c.oid::regclass AS partition,
       CASE WHEN f.ftrelid IS NOT NULL THEN 'sealed'
            WHEN c.relkind = 'r' THEN 'heap'
            WHEN c.relkind = 'p' THEN 'partitioned'
            ELSE 'foreign' END AS kind,
       b.bound[1]::timestamptz AS from_time,
       b.bound[2]::timestamptz AS to_time,
       CASE WHEN c.reltuples >= 0
            THEN c.reltuples::bigint + CASE WHEN l.late IS NULL THEN 0 ELSE pg_stat_get_live_tuples(l.late) END
       END AS rows,
       CASE WHEN l.late IS NOT NULL THEN pg_stat_get_live_tuples(l.late) END AS late_rows,
       s.bytes,
       o.heap_bytes,
       CASE WHEN s.bytes > 0 THEN round(o.heap_bytes::numeric / s.bytes, 1) END AS ratio,
       a.progress,
       CASE WHEN c.relkind IN ('r', 'p') THEN windtrap.unsealable(c.oid) END AS not_sealable
  FROM pg_inherits i
  JOIN pg_class c ON c.oid = i.inhrelid
  LEFT JOIN (pg_foreign_table f JOIN pg_foreign_server v ON v.oid = f.ftserver AND v.srvname = 'windtrap_sealed')
    ON f.ftrelid = c.oid
  LEFT JOIN LATERAL (
       SELECT (SELECT option_value::bigint FROM pg_options_to_table(f.ftoptions) WHERE option_name = 'heap_bytes'))
       AS o(heap_bytes) ON true
 CROSS JOIN LATERAL (
       SELECT ARRAY[CASE m[1] WHEN 'MINVALUE' THEN '-infinity' ELSE btrim(m[1], '''') END,
                    CASE m[2] WHEN 'MAXVALUE' THEN 'infinity' ELSE btrim(m[2], '''') END]
         FROM (SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM \((.*)\) TO \((.*)\)$')) r(m))
       AS b(bound)
 CROSS JOIN LATERAL (
       SELECT min(t.oid) FILTER (WHERE EXISTS (SELECT FROM pg_attribute t_a WHERE t_a.attrelid = t.oid
                                                  AND t_a.attname = 'event_timestamp')),
              sum(pg_total_relation_size(t.oid))::bigint
         FROM pg_depend d JOIN pg_class t ON t.oid = d.objid AND t.relkind = 'r'
        WHERE f.ftrelid IS NOT NULL AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
          AND d.classid = 'pg_class'::regclass AND d.deptype = 'i')
       AS l(late, bytes)
 CROSS JOIN LATERAL (
       SELECT CASE WHEN f.ftrelid IS NOT NULL THEN l.bytes
                   WHEN c.relkind = 'p' THEN (SELECT sum(pg_total_relation_size(relid))::bigint FROM pg_partition_tree(c.oid))
                   ELSE pg_total_relation_size(c.oid) END)
       AS s(bytes)
  LEFT JOIN LATERAL (
       SELECT substr(query, 11) FROM pg_stat_activity
        WHERE state = 'active' AND datname = current_database()
          AND query LIKE 'windtrap: %ing %' AND split_part(split_part(query, ': ', 2), ' ', 2) = c.relname
        LIMIT 1)
       AS a(progress) ON true
 WHERE i.inhparent = windtrap.log_table();

COMMENT ON VIEW windtrap.partitions IS
'the partitions of the log table: which are sealed, what they take, and why one is not sealed';
COMMENT ON COLUMN windtrap.partitions.partition IS 'the partition';
COMMENT ON COLUMN windtrap.partitions.kind IS
'heap: an ordinary table; sealed: compressed columns; partitioned, foreign: something of the owner''s';
COMMENT ON COLUMN windtrap.partitions.from_time IS 'the beginning of its time; null: it is the default one';
COMMENT ON COLUMN windtrap.partitions.to_time IS 'the end of its time';
COMMENT ON COLUMN windtrap.partitions.rows IS 'about how many rows it has; null: not known';
COMMENT ON COLUMN windtrap.partitions.late_rows IS
'of a sealed one: about how many of them lie beside its chunks, since they came late or were changed';
COMMENT ON COLUMN windtrap.partitions.bytes IS 'its size on disk, with indexes, chunks and all';
COMMENT ON COLUMN windtrap.partitions.heap_bytes IS 'of a sealed one: its size before it was';
COMMENT ON COLUMN windtrap.partitions.ratio IS 'how many times smaller that made it';
COMMENT ON COLUMN windtrap.partitions.progress IS 'how far its sealing is, for who may see what sessions do; null: it is not being sealed';
COMMENT ON COLUMN windtrap.partitions.not_sealable IS 'why it is not going to be sealed; null: nothing is in the way';

GRANT SELECT ON windtrap.partitions TO PUBLIC;
