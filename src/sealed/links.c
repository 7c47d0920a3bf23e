/*
 * links.c
 *		From a sealed partition to the tables that hold its rows.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "sealed/links.h"
#include "sealed/stored_columns.h"
#include "sealed/stored_types.h"
#include "store/log_table.h"

bool
wt_is_sealed(Oid relation)
{
	ForeignServer *server;

	if (get_rel_relkind(relation) != RELKIND_FOREIGN_TABLE)
		return false;
	server = GetForeignServer(GetForeignTable(relation)->serverid);
	/* No one but a superuser makes wrappers, and there is one of that name. */
	return strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, WT_SEALED_SERVER) == 0;
}

static AttrNumber
column_of_type(Oid relation, const char *name, Oid type)
{
	AttrNumber number = get_attnum(relation, name);

	return number != InvalidAttrNumber && get_atttype(relation, number) == type
			   ? number
			   : InvalidAttrNumber;
}

/* Whether it is a table as we write them. */
static bool
is_heap(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	bool fits;

	if (!HeapTupleIsValid(tuple))
		return false;
	fits = ((Form_pg_class) GETSTRUCT(tuple))->relkind == RELKIND_RELATION &&
		   ((Form_pg_class) GETSTRUCT(tuple))->relam == HEAP_TABLE_AM_OID;
	ReleaseSysCache(tuple);
	return fits;
}

static bool
is_chunks(Oid relation)
{
	return is_heap(relation) && column_of_type(relation, "chunk", INT4OID) == 1 &&
		   column_of_type(relation, "part", INT4OID) == 2 &&
		   column_of_type(relation, "body", BYTEAOID) == 3;
}

static bool
is_late(Oid relation)
{
	return is_heap(relation) &&
		   column_of_type(relation, WT_STORED_TIME, TIMESTAMPTZOID) != InvalidAttrNumber;
}

/* Finds the tables that depend on the partition; each stays InvalidOid where there is none. */
static void
find_dependents(Oid partition, WtLinks *links)
{
	Relation depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(partition));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, lengthof(keys),
							  keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->classid != RelationRelationId || form->objsubid != 0 ||
			form->deptype != DEPENDENCY_INTERNAL)
			continue;
		if (is_chunks(form->objid))
			links->chunks = form->objid;
		else if (is_late(form->objid))
			links->late = form->objid;
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
}

/* The table that an option of the partition names; InvalidOid: none. */
static Oid
find_by_option(Oid partition, const char *option)
{
	ListCell *cell;

	foreach (cell, GetForeignTable(partition)->options)
	{
		DefElem *def = lfirst_node(DefElem, cell);

		if (strcmp(def->defname, option) == 0)
			return get_relname_relid(defGetString(def), get_rel_namespace(partition));
	}
	return InvalidOid;
}

/* Why one of the two tables cannot be used; NULL: it can. */
static const char *
check_table(const WtLinks *links, Oid table, bool fits, const char *what)
{
	if (!OidIsValid(table))
		return psprintf("its table of %s is missing", what);
	if (!fits)
		return psprintf("\"%s\" is no table of %s", get_rel_name(table), what);
	if (get_rel_persistence(table) != RELPERSISTENCE_PERMANENT)
		return psprintf("its table of %s is not durable", what);
	if (wt_log_table_owner(table) != wt_log_table_owner(links->partition))
		return psprintf("its table of %s, \"%s\", belongs to somebody else", what,
						get_rel_name(table));
	return NULL;
}

/* Why a partition's own columns cannot be read; NULL: they can.  Chunks have them as these types. */
static const char *
check_columns(Oid partition)
{
	AttrNumber time = wt_stored_column(partition, WT_STORED_TIME);
	AttrNumber data = wt_stored_column(partition, WT_STORED_DATA);

	if (time == InvalidAttrNumber || get_atttype(partition, time) != TIMESTAMPTZOID)
		return "it has no column event_timestamp of type timestamp with time zone";
	if (data == InvalidAttrNumber)
		return "it has lost its column data";
	if (get_atttype(partition, data) != JSONBOID)
		return psprintf("its column \"%s\" is not of type jsonb",
						get_attname(partition, data, false));
	return NULL;
}

bool
wt_links_find(Oid partition, WtLinks *links, const char **problem)
{
	memset(links, 0, sizeof(*links));
	links->partition = partition;
	links->types_fit = true;
	if (!wt_is_sealed(partition))
	{
		*problem = "it is no sealed partition";
		return false;
	}
	find_dependents(partition, links);
	links->recorded = OidIsValid(links->chunks) && OidIsValid(links->late);
	if (!OidIsValid(links->chunks))
		links->chunks = find_by_option(partition, "chunks");
	if (!OidIsValid(links->late))
		links->late = find_by_option(partition, "late");
	*problem = check_table(links, links->chunks, is_chunks(links->chunks), "chunks");
	if (!*problem)
		*problem = check_table(links, links->late, is_late(links->late), "late rows");
	links->tables_fit = !*problem;
	if (!*problem)
		*problem = check_columns(partition);
	if (!*problem)
	{
		*problem = wt_stored_types_misfit(partition, links->late);
		links->types_fit = !*problem;
	}
	return !*problem;
}

void
wt_links_read(Oid partition, WtLinks *links)
{
	const char *problem;

	if (!wt_links_find(partition, links, &problem))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the sealed partition \"%s\" cannot be used: %s",
							   get_rel_name(partition), problem),
						links->types_fit
							? 0
							: errhint("As texts of the new type its rows are read when "
									  "\"%s\" has that type, too.",
									  get_rel_name(links->late))));
}

/* Takes them back: the tables stay when the partition goes. */
static void
forget(const WtLinks *links)
{
	(void) deleteDependencyRecordsForSpecific(RelationRelationId, links->chunks,
											  DEPENDENCY_INTERNAL, RelationRelationId,
											  links->partition);
	(void) deleteDependencyRecordsForSpecific(RelationRelationId, links->late,
											  DEPENDENCY_INTERNAL, RelationRelationId,
											  links->partition);
	CommandCounterIncrement();
}

void
wt_links_record(const WtLinks *links)
{
	ObjectAddress partition;
	ObjectAddress table;

	ObjectAddressSet(partition, RelationRelationId, links->partition);
	forget(links);
	ObjectAddressSet(table, RelationRelationId, links->chunks);
	recordDependencyOn(&table, &partition, DEPENDENCY_INTERNAL);
	ObjectAddressSet(table, RelationRelationId, links->late);
	recordDependencyOn(&table, &partition, DEPENDENCY_INTERNAL);
	CommandCounterIncrement();
}
