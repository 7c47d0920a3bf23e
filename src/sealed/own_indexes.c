/*
 * own_indexes.c
 *		The indexes that a partition has beside those of its table.
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/genam.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_am_d.h"
#include "commands/comment.h"
#include "commands/defrem.h"
#include "nodes/execnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_utilcmd.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "sealed/own_indexes.h"
#include "store/scope.h"

typedef struct Made
{
	Oid index;
	Oid schema;
	char *name; /* of the original */
} Made;

/* Whether it is what wt_swap_make_late() makes. */
static bool
is_on_time(Relation index, Relation table)
{
	const FormData_pg_index *form = index->rd_index;

	return index->rd_rel->relam == BTREE_AM_OID && form->indnatts == 1 &&
		   form->indkey.values[0] ==
			   get_attnum(RelationGetRelid(table), "event_timestamp") &&
		   index->rd_indoption[0] == 0 && RelationGetIndexPredicate(index) == NIL;
}

/*
 * Where the source's columns are in the target, by name; 0: nowhere, since a table of late rows
 * keeps a column that its partition has lost.
 */
static AttrMap *
map_columns(Relation source, Relation target)
{
	TupleDesc columns = RelationGetDescr(source);
	AttrMap *map = make_attrmap(columns->natts);

	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);

		if (!column->attisdropped)
			map->attnums[i] =
				get_attnum(RelationGetRelid(target), NameStr(column->attname));
	}
	return map;
}

/* Whether all columns that an index is of are in the map. */
static bool
has_columns(Relation index, const AttrMap *map)
{
	const FormData_pg_index *form = index->rd_index;
	Bitmapset *columns = NULL;

	pull_varattnos((Node *) RelationGetIndexExpressions(index), 1, &columns);
	pull_varattnos((Node *) RelationGetIndexPredicate(index), 1, &columns);
	for (int i = 0; i < form->indnatts; i++)
		if (form->indkey.values[i] != 0)
			columns = bms_add_member(columns, form->indkey.values[i] -
												  FirstLowInvalidHeapAttributeNumber);
	for (int i = 0; i < map->maplen; i++)
		if (map->attnums[i] == InvalidAttrNumber &&
			bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber, columns))
			return false;
	return true;
}

/* Whether a table has an index that does the same; the map is from the source's columns to its. */
static bool
has_like(Relation table, Relation source, AttrMap *map)
{
	IndexInfo *info = BuildIndexInfo(source);
	bool found = false;
	ListCell *lc;

	foreach (lc, RelationGetIndexList(table))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		found = CompareIndexInfo(BuildIndexInfo(index), info, index->rd_indcollation,
								 source->rd_indcollation, index->rd_opfamily,
								 source->rd_opfamily, map);
		index_close(index, NoLock);
		if (found)
			break;
	}
	return found;
}

static Made *
make_like(Oid table, Relation source, const AttrMap *map)
{
	IndexStmt *statement = generateClonedIndexStmt(NULL, source, map, NULL);
	Made *made = palloc(sizeof(*made));

	statement->idxcomment = GetComment(RelationGetRelid(source), RelationRelationId, 0);
	made->index = wt_define_index(table, statement).objectId;
	made->schema = RelationGetNamespace(source);
	made->name = pstrdup(RelationGetRelationName(source));
	CommandCounterIncrement();
	return made;
}

/* from_late: the source is a table of late rows, not a partition. */
static List *
copy(Oid from, Oid to, bool from_late)
{
	Relation source = table_open(from, AccessShareLock);
	Relation target = table_open(to, AccessShareLock);
	AttrMap *map = map_columns(source, target);
	bool seeks_time = from_late;
	List *made = NIL;
	ListCell *lc;

	foreach (lc, RelationGetIndexList(source))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		if (seeks_time && is_on_time(index, source))
			seeks_time = false;
		else if (index->rd_index->indisvalid && !index->rd_index->indisunique &&
				 !index->rd_rel->relispartition && has_columns(index, map) &&
				 !(from_late && has_like(target, index, map)))
			made = lappend(made, make_like(to, index, map));
		index_close(index, NoLock);
	}
	table_close(target, NoLock);
	table_close(source, NoLock);
	return made;
}

List *
wt_own_indexes_put_by(Oid partition, Oid late)
{
	return copy(partition, late, false);
}

List *
wt_own_indexes_copy(Oid late, Oid to)
{
	return copy(late, to, true);
}

void
wt_own_indexes_name(const List *made)
{
	ListCell *lc;

	foreach (lc, made)
	{
		const Made *index = lfirst(lc);

		if (!OidIsValid(get_relname_relid(index->name, index->schema)))
			wt_scope_run(psprintf("ALTER INDEX %s RENAME TO %s",
								  wt_scope_name(index->index),
								  quote_identifier(index->name)),
						 0, NULL, NULL);
	}
}
