/*
 * shards.c
 *		A log table of which some rows go to other servers.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "foreign/foreign.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"

#include "store/log_table.h"
#include "store/shards.h"

/* The wrapper of sealed partitions (sealed/links.h): their rows are in tables here. */
#define SEALED_WRAPPER "windtrap_sealed"

/* The server that a partition's rows are at; InvalidOid: here. */
static Oid
server_of(Oid partition)
{
	Oid server;
	const char *wrapper;

	if (get_rel_relkind(partition) != RELKIND_FOREIGN_TABLE)
		return InvalidOid;
	server = GetForeignTable(partition)->serverid;
	wrapper = GetForeignDataWrapper(GetForeignServer(server)->fdwid)->fdwname;
	return strcmp(wrapper, SEALED_WRAPPER) == 0 ? InvalidOid : server;
}

/* The servers that the rows of a table are at, each once. */
static List *
servers_of(Oid relation)
{
	List *servers = NIL;
	ListCell *cell;

	foreach (cell, find_all_inheritors(relation, NoLock, NULL))
		if (get_rel_relkind(lfirst_oid(cell)) != RELKIND_PARTITIONED_TABLE)
			servers = list_append_unique_oid(servers, server_of(lfirst_oid(cell)));
	return servers;
}

/* Whether a column has the same value in all rows that a transaction inserts. */
static bool
is_of_transaction(Relation relation, AttrNumber number)
{
	Form_pg_attribute attribute;
	const char *name;

	if (number == InvalidAttrNumber)
		return false; /* an expression */
	attribute = TupleDescAttr(RelationGetDescr(relation), number - 1);
	name = NameStr(attribute->attname);
	/* A column is generated from others, and identity counts. */
	if (attribute->attgenerated || attribute->attidentity ||
		strcmp(name, "event_timestamp") == 0 || strcmp(name, "data") == 0 ||
		strcmp(name, "status") == 0)
		return false;
	return !contain_volatile_functions(build_column_default(relation, number));
}

/* Whether all rows of a transaction go to the same server. */
static bool
keeps_together(Oid oid)
{
	Relation relation;
	PartitionKey key;
	List *partitions;
	ListCell *cell;
	bool together = true;

	if (list_length(servers_of(oid)) <= 1)
		return true;
	relation = table_open(oid, AccessShareLock);
	key = RelationGetPartitionKey(relation);
	for (int i = 0; i < key->partnatts; i++)
		together = together && is_of_transaction(relation, key->partattrs[i]);
	table_close(relation, NoLock);
	partitions = together ? find_inheritance_children(oid, NoLock) : NIL;
	foreach (cell, partitions)
		together = together && keeps_together(lfirst_oid(cell));
	return together;
}

bool
wt_shards_look(Oid relation)
{
	static Oid said_of = InvalidOid;
	List *servers = servers_of(relation);
	bool elsewhere =
		list_length(servers) > 1 || (servers != NIL && OidIsValid(linitial_oid(servers)));

	if (!elsewhere || keeps_together(relation))
		said_of = InvalidOid;
	else if (said_of != relation)
	{
		said_of = relation;
		ereport(
			LOG,
			(errmsg("windtrap: rows of one request can go to several servers, and a part "
					"of them be stored where it fails"),
			 errdetail("The partitions of \"%s\" are at %d servers, and which one takes "
					   "a row is not the same throughout a transaction.",
					   get_rel_name(relation), list_length(servers)),
			 errhint("Partition it by a column whose default is, as docs/sharding.md "
					 "describes.")));
	}
	list_free(servers);
	return elsewhere;
}
