/*
 * likeness.c
 *		A table is made like another one, in all that is not its rows.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "sealed/likeness.h"
#include "store/scope.h"

/* Runs what a query gives of both tables: $1 is the old one, $2 the new one. */
static void
run_each(const char *query, Oid from, Oid to)
{
	Oid types[] = {OIDOID, OIDOID};
	Datum values[] = {ObjectIdGetDatum(from), ObjectIdGetDatum(to)};

	wt_scope_run_each(query, 2, types, values);
}

static void
copy_defaults_and_checks(Oid from, Oid to)
{
	run_each("SELECT format('ALTER TABLE %s ALTER %I SET DEFAULT %s', $2::regclass, "
			 "attname, pg_get_expr(adbin, adrelid)) FROM pg_attrdef "
			 "JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum "
			 "WHERE adrelid = $1 AND attgenerated = ''",
			 from, to);
	run_each("SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', $2::regclass, "
			 "conname, pg_get_constraintdef(oid)) FROM pg_constraint c "
			 "WHERE conrelid = $1 AND contype = 'c' AND NOT EXISTS (SELECT "
			 "FROM pg_constraint h WHERE h.conrelid = $2 AND h.conname = c.conname)",
			 from, to);
}

/* Those that were added to a sealed one. */
static void
copy_generated(Oid from, Oid to)
{
	run_each(
		"SELECT format('ALTER TABLE %s ADD %I %s GENERATED ALWAYS AS (%s) STORED%s', "
		"$2::regclass, attname, format_type(atttypid, atttypmod), "
		"pg_get_expr(adbin, adrelid), "
		"CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END) FROM pg_attrdef "
		"JOIN pg_attribute a ON attrelid = adrelid AND attnum = adnum "
		"WHERE adrelid = $1 AND attgenerated = 's' AND NOT EXISTS (SELECT "
		"FROM pg_attribute h WHERE h.attrelid = $2 AND h.attname = a.attname "
		"AND NOT h.attisdropped) ORDER BY attnum",
		from, to);
}

static void
copy_what_is_said(Oid from, Oid to)
{
	run_each("SELECT format('ALTER TABLE %s ALTER %I SET STATISTICS %s', $2::regclass, "
			 "attname, attstattarget) FROM pg_attribute WHERE attrelid = $1 "
			 "AND attnum > 0 AND NOT attisdropped AND attstattarget >= 0",
			 from, to);
	run_each("SELECT format('COMMENT ON %s %s IS %L', CASE (SELECT relkind FROM pg_class "
			 "WHERE oid = $2) WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, "
			 "$2::regclass, description) FROM pg_description "
			 "WHERE objoid = $1 AND classoid = 'pg_class'::regclass AND objsubid = 0 "
			 "UNION ALL SELECT format('COMMENT ON COLUMN %s.%I IS %L', $2::regclass, "
			 "attname, description) FROM pg_description JOIN pg_attribute "
			 "ON attrelid = objoid AND attnum = objsubid "
			 "WHERE objoid = $1 AND classoid = 'pg_class'::regclass AND objsubid > 0",
			 from, to);
}

/* Whether two tables of one owner grant the same, whoever has granted it. */
static bool
grant_alike(Oid from, Oid to)
{
	Oid types[] = {OIDOID, OIDOID};
	Datum values[] = {ObjectIdGetDatum(from), ObjectIdGetDatum(to)};

	wt_scope_run("WITH granted AS (SELECT c.oid AS relation, '' AS attname, grantee, "
				 "privilege_type, bool_or(is_grantable) AS is_grantable FROM pg_class c, "
				 "aclexplode(COALESCE(relacl, acldefault('r', relowner))) "
				 "WHERE c.oid IN ($1, $2) GROUP BY 1, 2, 3, 4 "
				 "UNION ALL SELECT attrelid, attname, grantee, privilege_type, "
				 "bool_or(is_grantable) FROM pg_attribute, aclexplode(attacl) "
				 "WHERE attrelid IN ($1, $2) AND attnum > 0 AND NOT attisdropped "
				 "GROUP BY 1, 2, 3, 4) "
				 "SELECT count(*) FROM (SELECT FROM granted "
				 "GROUP BY attname, grantee, privilege_type, is_grantable "
				 "HAVING count(*) = 1) AS of_one",
				 2, types, values);
	return wt_scope_int64(0, 1) == 0;
}

void
wt_likeness_copy_privileges(Oid from, Oid to)
{
	if (grant_alike(from, to))
		return;
	/* What default privileges have given the new one is not the old one's. */
	run_each("SELECT DISTINCT format('REVOKE ALL ON TABLE %s FROM %s', $2::regclass, "
			 "CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END) "
			 "FROM (SELECT COALESCE(relacl, acldefault('r', relowner)) AS acl "
			 "FROM pg_class WHERE pg_class.oid = $2 "
			 "UNION ALL SELECT attacl FROM pg_attribute WHERE attrelid = $2 "
			 "AND attnum > 0 AND NOT attisdropped) AS granted, aclexplode(acl) "
			 "WHERE $1 <> 0",
			 from, to);
	run_each("SELECT format('GRANT %s ON TABLE %s TO %s%s', privilege_type, "
			 "$2::regclass, CASE grantee WHEN 0 THEN 'PUBLIC' "
			 "ELSE grantee::regrole::text END, "
			 "CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) "
			 "FROM pg_class, aclexplode(COALESCE(relacl, acldefault('r', relowner))) "
			 "WHERE pg_class.oid = $1 "
			 "UNION ALL SELECT format('GRANT %s (%I) ON TABLE %s TO %s%s', "
			 "privilege_type, attname, $2::regclass, CASE grantee WHEN 0 THEN 'PUBLIC' "
			 "ELSE grantee::regrole::text END, "
			 "CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) "
			 "FROM pg_attribute, aclexplode(attacl) WHERE attrelid = $1 AND attnum > 0 "
			 "AND NOT attisdropped",
			 from, to);
}

/* What ANALYZE has found out is still so: the rows are the same. */
static void
copy_statistics(Oid from, Oid to)
{
	Relation statistics = table_open(StatisticRelationId, RowExclusiveLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_statistic_starelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(from));
	scan = systable_beginscan(statistics, StatisticRelidAttnumInhIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_statistic form = (Form_pg_statistic) GETSTRUCT(tuple);
		char *column = get_attname(from, form->staattnum, true);
		AttrNumber number = column ? get_attnum(to, column) : InvalidAttrNumber;
		HeapTuple copy;

		if (number == InvalidAttrNumber)
			continue;
		copy = heap_copytuple(tuple);
		form = (Form_pg_statistic) GETSTRUCT(copy);
		form->starelid = to;
		form->staattnum = number;
		CatalogTupleInsert(statistics, copy);
		heap_freetuple(copy);
	}
	systable_endscan(scan);
	table_close(statistics, RowExclusiveLock);
}

void
wt_likeness_copy(Oid from, Oid to)
{
	copy_generated(from, to);
	copy_defaults_and_checks(from, to);
	copy_what_is_said(from, to);
	wt_likeness_copy_privileges(from, to);
	copy_statistics(from, to);
}
