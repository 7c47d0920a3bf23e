/*
 * swap.c
 *		A partition is exchanged for another table with the same rows.
 *
 * All that takes time is done before anything is locked: what happens under the strong lock is
 * a few rows of the catalog.  ATTACH reads the default partition meanwhile, which is empty as
 * a rule; where it is large the exchange is refused.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/identity.h"
#include "sealed/likeness.h"
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

static Datum
array_of(const char **texts, int n)
{
	Datum *values = palloc(sizeof(Datum) * (size_t) Max(n, 1));

	for (int i = 0; i < n; i++)
		values[i] = CStringGetTextDatum(texts[i]);
	return PointerGetDatum(construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The columns of a partition, as CREATE FOREIGN TABLE takes them: no expressions of anybody's. */
static char *
columns_of(Oid partition, const WtStoredNames *names)
{
	Oid types[] = {OIDOID, TEXTARRAYOID, TEXTARRAYOID};
	Datum values[] = {ObjectIdGetDatum(partition),
					  array_of(names ? names->own : NULL, names ? names->n : 0),
					  array_of(names ? names->stored : NULL, names ? names->n : 0)};

	wt_scope_run(
		"SELECT string_agg(format('%I %s OPTIONS (column_name %L)%s%s', attname, "
		"format_type(atttypid, atttypmod), "
		"COALESCE($3[array_position($2, attname::text)], attname), CASE WHEN "
		"attcollation <> 0 AND "
		"attcollation <> (SELECT typcollation FROM pg_type WHERE oid = atttypid) "
		"THEN (SELECT format(' COLLATE %I.%I', n.nspname, c.collname) "
		"FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace "
		"WHERE c.oid = attcollation) ELSE '' END, "
		"CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END), ', ' "
		"ORDER BY attnum) FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 "
		"AND NOT attisdropped AND attgenerated = ''",
		3, types, values);
	return text_of_row(0, 1);
}

Oid
wt_swap_make_late(const WtPlace *place, const char *columns)
{
	char *name = wt_place_name_beside(place, WT_LATE_SUFFIX);
	char *quoted = quote_qualified_identifier(get_namespace_name(place->schema), name);
	Oid late;
	Oid type = OIDOID;
	Datum value;

	wt_scope_run(
		psprintf("CREATE TABLE %s (%s) USING heap%s%s", quoted,
				 columns ? columns
						 : psprintf("LIKE %s INCLUDING STORAGE INCLUDING COMPRESSION",
									wt_scope_name(place->partition)),
				 OidIsValid(place->tablespace) ? " TABLESPACE " : "",
				 OidIsValid(place->tablespace)
					 ? quote_identifier(get_tablespace_name(place->tablespace))
					 : ""),
		0, NULL, NULL);
	wt_scope_run(psprintf("CREATE INDEX ON %s (event_timestamp)", quoted), 0, NULL, NULL);
	late = get_relname_relid(name, place->schema);
	/*
	 * What is written there has been checked as a row of the partition, which may drop a column,
	 * or what is asked of it; here that would stay, and be in the way of ALTER TABLE and of a restore.
	 */
	value = ObjectIdGetDatum(late);
	wt_scope_run_each(
		"SELECT format('ALTER TABLE %s ALTER %I DROP NOT NULL', $1::regclass, "
		"attname) FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 "
		"AND attnotnull AND NOT attisdropped",
		1, &type, &value);
	return late;
}

Oid
wt_swap_make_foreign(const WtPlace *place, const WtStoredNames *names, Oid chunks,
					 Oid late)
{
	char *name = wt_place_name_beside(place, "new");
	char *quoted = quote_qualified_identifier(get_namespace_name(place->schema), name);
	char *columns = columns_of(place->partition, names);
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
	wt_likeness_copy(place->partition, links.partition);
	wt_links_record(&links);
	return links.partition;
}

void
wt_swap_copy_missing(Oid partition, Oid foreign)
{
	Oid types[] = {OIDOID, OIDOID};
	Datum values[] = {ObjectIdGetDatum(partition), ObjectIdGetDatum(foreign)};

	wt_scope_run_each(
		"SELECT format('ALTER FOREIGN TABLE %s ALTER %I OPTIONS (ADD %I %L)', "
		"$2::regclass, attname, option_name, option_value) FROM pg_attribute a, "
		"pg_options_to_table(attfdwoptions) WHERE attrelid = $1 "
		"AND NOT attisdropped AND option_name IN ('missing', 'missing_null') "
		"AND NOT EXISTS (SELECT FROM pg_attribute o, "
		"pg_options_to_table(o.attfdwoptions) p "
		"WHERE o.attrelid = $2 AND o.attname = a.attname "
		"AND p.option_name IN ('missing', 'missing_null'))",
		2, types, values);
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

/*
 * Has the table check the partition's bound, in the very words in which ATTACH asks for it, which
 * then does not read all rows while everybody waits.  It is empty yet.
 */
static void
add_bound(WtPlace *place, Oid made)
{
	Oid types[] = {OIDOID, OIDOID, TEXTOID};
	Datum values[3];

	place->check = ChooseConstraintName(place->name, NULL, "bound", place->schema, NIL);
	values[0] = ObjectIdGetDatum(place->partition);
	values[1] = ObjectIdGetDatum(made);
	values[2] = CStringGetTextDatum(place->check);
	wt_scope_run_each("SELECT format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%s)', "
					  "$2::regclass, $3, pg_get_partition_constraintdef($1))",
					  3, types, values);
}

Oid
wt_swap_make_heap(WtPlace *place)
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
	wt_likeness_copy(place->partition, made);
	add_bound(place, made);
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

	wt_scope_run_each(
		"SELECT format('ALTER INDEX %s RENAME TO %I', indexrelid::regclass, "
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

	wt_likeness_copy_privileges(place->partition, replacement);
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
	if (place->check)
		wt_scope_run(psprintf("ALTER TABLE %s DROP CONSTRAINT %s", name_of(replacement),
							  quote_identifier(place->check)),
					 0, NULL, NULL);
}
