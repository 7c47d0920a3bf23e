/*
 * altered.c
 *		Sealed partitions follow when the log table, or one of them, is altered:
 *		windtrap.sealed_altered(), of event triggers.
 *
 * PostgreSQL alters the catalog of a foreign table, and knows nothing of what is stored.  So when a
 * column is added, the late table gets it, too, and what it is in the rows that are there is
 * noted while that is known: later defaults are another matter.  Where a column is given a type
 * as which what is stored cannot be read (stored_types.h), or is one that cannot be done without,
 * the statement is refused; before tables are rewritten for it, if there are any.
 *
 * Event triggers can be switched off, and commands may meet what was altered before there were these:
 * so what is read and written looks for itself.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "sealed/late_columns.h"
#include "sealed/links.h"
#include "sealed/missing.h"
#include "sealed/stored_columns.h"
#include "store/scope.h"

PG_FUNCTION_INFO_V1(windtrap_sealed_altered);

/* What a statement does to columns. */
typedef struct Altered
{
	List *added; /* their names */
	bool takes;	 /* drops some, or gives them another type */
} Altered;

static Altered
what_is_altered(const AlterTableStmt *statement)
{
	Altered altered = {0};
	ListCell *lc;

	foreach (lc, statement->cmds)
	{
		const AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_AddColumn)
			altered.added =
				lappend(altered.added, ((const ColumnDef *) command->def)->colname);
		altered.takes |=
			command->subtype == AT_DropColumn || command->subtype == AT_AlterColumnType;
	}
	return altered;
}

/* The table that a statement, or the one before a table is rewritten, is about. */
static List *
find_tables(bool is_done)
{
	MemoryContext context = CurrentMemoryContext;
	List *tables = NIL;

	SPI_connect();
	wt_scope_run(is_done ? "SELECT objid::bigint FROM pg_event_trigger_ddl_commands() "
						   "WHERE classid = 'pg_class'::regclass"
						 : "SELECT coalesce(pg_partition_root(t), t)::oid::bigint "
						   "FROM pg_event_trigger_table_rewrite_oid() t",
				 0, NULL, NULL);
	MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++)
		tables = list_append_unique_oid(tables, (Oid) wt_scope_int64(i, 1));
	SPI_finish();
	return tables;
}

/* A column of a partition that was added, and is not known yet; 0: it is known, or is none. */
static AttrNumber
find_added(Oid partition, const char *name)
{
	AttrNumber column = get_attnum(partition, name);

	return AttributeNumberIsValid(column) &&
				   get_attgenerated(partition, column) == '\0' &&
				   wt_stored_name(partition, column) == NULL &&
				   !wt_missing_is_noted(partition, column)
			   ? column
			   : InvalidAttrNumber;
}

/* Notes what added columns are in the rows that are there; raises where nobody could say it later. */
static void
note_missing(Relation foreign, Oid late, const Altered *altered)
{
	ListCell *lc;

	foreach (lc, altered->added)
	{
		AttrNumber column = find_added(RelationGetRelid(foreign), lfirst(lc));
		Datum value = (Datum) 0;
		bool is_null;
		WtScope scope;

		if (!AttributeNumberIsValid(column))
			continue;
		/* By the settings of the session, as of other partitions. */
		if (!wt_missing_of_new(foreign, column, &value, &is_null))
			ereport(
				ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" cannot be added with that default: what it is in "
						"rows of the sealed partition \"%s\" would not be known",
						(const char *) lfirst(lc), RelationGetRelationName(foreign)),
				 errhint("Add it without a default, and set that afterwards.")));
		if (!wt_scope_enter(late, &scope))
			continue;
		wt_scope_pin_texts();
		wt_missing_note(foreign, column, value, is_null);
		wt_scope_leave(&scope);
	}
}

/* Has the late table follow: as ALTER TABLE of the partition does, it waits for that. */
static void
follow(const WtLinks *links, const Altered *altered)
{
	Relation foreign = table_open(links->partition, AccessShareLock);

	if (!wt_late_columns_fit(foreign, links->late))
	{
		LockRelationOid(links->late, AccessExclusiveLock);
		note_missing(foreign, links->late, altered);
		wt_late_columns_adopt(foreign, links->late, NULL);
	}
	table_close(foreign, NoLock);
}

static void
look_at(Oid partition, const Altered *altered, bool is_done)
{
	const char *problem;
	WtLinks links;
	bool fits = wt_links_find(partition, &links, &problem);

	/* One that is being restored has its tables yet to come. */
	if (!links.tables_fit)
		return;
	if (!fits && altered->takes)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the sealed partition \"%s\" could not be read any more: %s",
						get_rel_name(partition), problem),
				 errhint("SELECT windtrap.unseal(%s) first.",
						 quote_literal_cstr(quote_qualified_identifier(
							 get_namespace_name(get_rel_namespace(partition)),
							 get_rel_name(partition))))));
	if (fits && is_done)
		follow(&links, altered);
}

/* windtrap.sealed_altered() RETURNS event_trigger */
Datum
windtrap_sealed_altered(PG_FUNCTION_ARGS)
{
	const EventTriggerData *event = (const EventTriggerData *) fcinfo->context;
	Altered altered;
	bool is_done;
	ListCell *table;
	ListCell *partition;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("windtrap.sealed_altered() is for event triggers")));
	if (!IsA(event->parsetree, AlterTableStmt))
		PG_RETURN_NULL();
	altered = what_is_altered((const AlterTableStmt *) event->parsetree);
	if (altered.added == NIL && !altered.takes)
		PG_RETURN_NULL();
	is_done = strcmp(event->event, "ddl_command_end") == 0;
	foreach (table, find_tables(is_done))
		foreach (partition, find_all_inheritors(lfirst_oid(table), NoLock, NULL))
			if (wt_is_sealed(lfirst_oid(partition)))
				look_at(lfirst_oid(partition), &altered, is_done);
	PG_RETURN_NULL();
}
