/*
 * swap.c
 *		A partition is exchanged for another table with the same rows.
 *
 * All that takes time is done before anything is locked: what happens under the strong lock is
 * a few rows of the catalog.  ATTACH reads the default partition meanwhile, which is empty as
 * a rule; where it is large the exchange is refused.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/identity.h"
#include "sealed/swap.h"
#include "store/lock_gently.h"
#include "store/log_table.h"
#include "store/scope.h"

/* The default partition may have so many blocks: 64 MB, which are read in some 20 ms. */
#define MAX_DEFAULT_BLOCKS 8192

/* An exchange is tried so often; in between, ms, all go on. */
#define TRIES 20
#define PAUSE 200

static char *
name_of(Oid relation)
{
	return wt_scope_name(relation);
}

/* A text of the first row of the last statement, in the current memory context. */
static char *
text_of_row(uint64 row, int column)
{
	char *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);

	return value ? value : pstrdup("");
}

/* Runs each of the statements that a query gives, with its parameters. */
static void
run_results(const char *query, int n_args, Oid *types, Datum *values)
{
	int n;
	char **commands;

	wt_scope_run(query, n_args, types, values);
	n = (int) SPI_processed;
	commands = palloc(sizeof(char *) * (size_t) Max(n, 1));
	for (int i = 0; i < n; i++)
		commands[i] = text_of_row((uint64) i, 1);
	for (int i = 0; i < n; i++)
		wt_scope_run(commands[i], 0, NULL, NULL);
}

/* The same, with $1 and $2 its relations. */
static void
run_each(const char *query, Oid first, Oid second)
{
	Oid types[] = {OIDOID, OIDOID};
	Datum values[] = {ObjectIdGetDatum(first), ObjectIdGetDatum(second)};

	run_results(query, 2, types, values);
}

void
wt_place_read(Oid partition, WtPlace *place)
{
	Oid types[] = {OIDOID};
	Datum values[] = {ObjectIdGetDatum(partition)};

	memset(place, 0, sizeof(*place));
	place->partition = partition;
	place->parent = get_partition_parent(partition, false);
	place->schema = get_rel_namespace(partition);
	wt_hold_schema(place->schema);
	place->name = get_rel_name(partition);
	place->owner = wt_log_table_owner(partition);
	place->tablespace = get_rel_tablespace(partition);
	place->default_partition = get_default_partition_oid(place->parent);
	wt_scope_run("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = $1", 1,
				 types, values);
	if (!place->name || SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("partition with OID %u has just been dropped", partition)));
	place->bound = text_of_row(0, 1);
}

char *
wt_place_name_beside(const WtPlace *place, const char *suffix)
{
	char *name = makeObjectName(place->name, NULL, suffix);

	for (int i = 1; OidIsValid(get_relname_relid(name, place->schema)) ||
					SearchSysCacheExists2(TYPENAMENSP, CStringGetDatum(name),
										  ObjectIdGetDatum(place->schema));
		 i++)
		name = makeObjectName(place->name, NULL, psprintf("%s_%d", suffix, i));
	return name;
}

/* The columns of a partition, as CREATE FOREIGN TABLE takes them: no expressions of anybody's. */
static char *
columns_of(Oid partition)
{
	Oid types[] = {OIDOID};
	Datum values[] = {ObjectIdGetDatum(partition)};

	wt_scope_run(
		"SELECT string_agg(format('%I %s%s%s', attname, "
		"format_type(atttypid, atttypmod), CASE WHEN attcollation <> 0 AND "
		"attcollation <> (SELECT typcollation FROM pg_type WHERE oid = atttypid) "
		"THEN (SELECT format(' COLLATE %I.%I', n.nspname, c.collname) "
		"FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace "
		"WHERE c.oid = attcollation) ELSE '' END, "
		"CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END), ', ' "
		"ORDER BY attnum) FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 "
		"AND NOT attisdropped",
		1, types, values);
	return text_of_row(0, 1);
}

/* The following are taken from $1, and given to $2; either may be a foreign table. */

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
	/* What default privileges have given the new one is not the old one's. */
	run_each("SELECT DISTINCT format('REVOKE ALL ON TABLE %s FROM %s', $2::regclass, "
			 "CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END) "
			 "FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = $2 AND $1 <> 0",
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

Oid
wt_swap_make_late(const WtPlace *place)
{
	char *name = wt_place_name_beside(place, WT_LATE_SUFFIX);
	char *quoted = quote_qualified_identifier(get_namespace_name(place->schema), name);

	wt_scope_run(
		psprintf("CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING "
				 "CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION) USING heap%s%s",
				 quoted, wt_scope_name(place->partition),
				 OidIsValid(place->tablespace) ? " TABLESPACE " : "",
				 OidIsValid(place->tablespace)
					 ? quote_identifier(get_tablespace_name(place->tablespace))
					 : ""),
		0, NULL, NULL);
	wt_scope_run(psprintf("CREATE INDEX ON %s (event_timestamp)", quoted), 0, NULL, NULL);
	return get_relname_relid(name, place->schema);
}

Oid
wt_swap_make_foreign(const WtPlace *place, Oid chunks, Oid late)
{
	char *name = wt_place_name_beside(place, "new");
	char *quoted = quote_qualified_identifier(get_namespace_name(place->schema), name);
	char *columns = columns_of(place->partition);
	WtLinks links = {.chunks = chunks, .late = late};
	Oid saved_role;
	int saved_context;

	/* The server is nobody else's to use; and no expression of the owner's is in this. */
	wt_become(BOOTSTRAP_SUPERUSERID, &saved_role, &saved_context);
	wt_scope_run(psprintf("CREATE FOREIGN TABLE %s (%s) SERVER %s "
						  "OPTIONS (chunks %s, late %s)",
						  quoted, columns, WT_SEALED_SERVER,
						  quote_literal_cstr(get_rel_name(chunks)),
						  quote_literal_cstr(get_rel_name(late))),
				 0, NULL, NULL);
	wt_scope_run(psprintf("ALTER FOREIGN TABLE %s OWNER TO %s", quoted,
						  quote_identifier(GetUserNameFromId(place->owner, false))),
				 0, NULL, NULL);
	wt_restore(saved_role, saved_context);

	links.partition = get_relname_relid(name, place->schema);
	copy_defaults_and_checks(place->partition, links.partition);
	/* Of a sealed one: what a column is in chunks that lack it, see missing.h. */
	run_each("SELECT format('ALTER FOREIGN TABLE %s ALTER %I OPTIONS (ADD missing %L)', "
			 "$2::regclass, attname, option_value) FROM pg_attribute, "
			 "pg_options_to_table(attfdwoptions) WHERE attrelid = $1 "
			 "AND NOT attisdropped AND option_name = 'missing'",
			 place->partition, links.partition);
	copy_what_is_said(place->partition, links.partition);
	copy_statistics(place->partition, links.partition);
	wt_links_record(&links);
	return links.partition;
}

void
wt_swap_note(Oid foreign, int64 rows, int64 heap_bytes)
{
	Relation classes;
	HeapTuple tuple;

	wt_scope_run(psprintf("ALTER FOREIGN TABLE %s OPTIONS (ADD rows '" INT64_FORMAT
						  "', ADD heap_bytes '" INT64_FORMAT "')",
						  name_of(foreign), rows, heap_bytes),
				 0, NULL, NULL);
	CommandCounterIncrement();
	classes = table_open(RelationRelationId, RowExclusiveLock);
	tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(foreign));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "relation with OID %u has vanished", foreign);
	((Form_pg_class) GETSTRUCT(tuple))->reltuples = (float4) rows;
	CatalogTupleUpdate(classes, &tuple->t_self, tuple);
	heap_freetuple(tuple);
	table_close(classes, RowExclusiveLock);
	CommandCounterIncrement();
}

Oid
wt_swap_make_heap(const WtPlace *place)
{
	char *name = wt_place_name_beside(place, "new");
	char *quoted = quote_qualified_identifier(get_namespace_name(place->schema), name);
	Oid made;

	/*
	 * As the upkeep makes partitions: with the table's indexes, which ATTACH would build while
	 * it holds its locks.
	 */
	wt_scope_run(psprintf("CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING "
						  "CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING "
						  "COMPRESSION INCLUDING INDEXES) USING heap%s%s",
						  quoted, name_of(place->parent),
						  OidIsValid(place->tablespace) ? " TABLESPACE " : "",
						  OidIsValid(place->tablespace)
							  ? quote_identifier(get_tablespace_name(place->tablespace))
							  : ""),
				 0, NULL, NULL);
	made = get_relname_relid(name, place->schema);
	copy_defaults_and_checks(place->partition, made);
	copy_what_is_said(place->partition, made);
	copy_statistics(place->partition, made);
	return made;
}

void
wt_swap_check_default(const WtPlace *place)
{
	Relation relation;
	BlockNumber blocks;

	if (!OidIsValid(place->default_partition) ||
		get_rel_relkind(place->default_partition) != RELKIND_RELATION)
		return;
	relation = table_open(place->default_partition, NoLock);
	blocks = RelationGetNumberOfBlocks(relation);
	table_close(relation, NoLock);
	if (blocks > MAX_DEFAULT_BLOCKS)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("partitions of %s cannot be exchanged while its default partition is "
					"large",
					name_of(place->parent)),
			 errdetail("PostgreSQL reads all of it while everybody waits."),
			 errhint("The upkeep empties it; VACUUM gives its space back.")));
}

bool
wt_swap_try_lock(const WtPlace *place, int patience)
{
	Oid locks[] = {place->parent, place->partition, place->default_partition};

	if (!wt_try_lock_gently(locks, OidIsValid(place->default_partition) ? 3 : 2,
							AccessExclusiveLock, patience))
		return false;
	wt_swap_check_default(place);
	return true;
}

void
wt_swap_wait(const WtPlace *place, const char *partition, int tries)
{
	if (tries == TRIES)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not lock %s", name_of(place->parent)),
				 partition ? errdetail("Somebody is using it, or \"%s\".", partition)
						   : errdetail("Somebody is using it.")));
	(void) WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, PAUSE, PG_WAIT_EXTENSION);
	CHECK_FOR_INTERRUPTS();
}

/* Indexes that were made under a name for the meantime are called after the partition. */
static void
rename_indexes(const char *from, const char *to, Oid relation)
{
	Oid types[] = {OIDOID, TEXTOID, TEXTOID};
	Datum values[] = {ObjectIdGetDatum(relation), CStringGetTextDatum(from),
					  CStringGetTextDatum(to)};

	run_results("SELECT format('ALTER INDEX %s RENAME TO %I', indexrelid::regclass, "
				"$3 || substr(relname, length($2) + 1)) FROM pg_index "
				"JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = $1 "
				"AND starts_with(relname, $2) AND NOT EXISTS (SELECT FROM pg_class o "
				"WHERE o.relnamespace = c.relnamespace "
				"AND o.relname = $3 || substr(c.relname, length($2) + 1))",
				3, types, values);
}

void
wt_swap(const WtPlace *place, Oid replacement)
{
	char *name = get_rel_name(replacement);
	char *parent = name_of(place->parent);
	char *partition = name_of(place->partition);
	bool is_foreign = get_rel_relkind(place->partition) == RELKIND_FOREIGN_TABLE;
	bool becomes_foreign = get_rel_relkind(replacement) == RELKIND_FOREIGN_TABLE;

	wt_scope_run(psprintf("DROP %sTABLE %s", is_foreign ? "FOREIGN " : "", partition), 0,
				 NULL, NULL);
	wt_scope_run(psprintf("ALTER %sTABLE %s RENAME TO %s",
						  becomes_foreign ? "FOREIGN " : "", name_of(replacement),
						  quote_identifier(place->name)),
				 0, NULL, NULL);
	rename_indexes(name, place->name, replacement);
	wt_scope_run(psprintf("ALTER TABLE %s ATTACH PARTITION %s %s", parent,
						  name_of(replacement), place->bound),
				 0, NULL, NULL);
}
