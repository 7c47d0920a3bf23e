/*
 * groups.c
 *		A hash table of groups.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "sealed/groups.h"

typedef struct Key
{
	FmgrInfo hash;
	FmgrInfo equal;
	Oid collation;
	int16 length;
	bool by_value;
} Key;

struct WtGroups
{
	MemoryContext
		context; /* of the groups, and of the table: reset by wt_groups_clear() */
	Size limit;
	int n_keys;
	Key *keys;
	int n_values;
	struct places_hash *places;
	bool walks;
	struct places_iterator *iterator;
};

typedef struct Place
{
	WtGroup *group;
	uint32 hash;
	char status;
} Place;

/* NULLs are one group. */
static bool
same_keys(WtGroups *groups, const WtGroup *a, const WtGroup *b)
{
	for (int i = 0; i < groups->n_keys; i++)
	{
		Key *key = &groups->keys[i];

		if (a->nulls[i] != b->nulls[i])
			return false;
		if (!a->nulls[i] && !DatumGetBool(FunctionCall2Coll(&key->equal, key->collation,
															a->keys[i], b->keys[i])))
			return false;
	}
	return true;
}

#define SH_PREFIX places
#define SH_ELEMENT_TYPE Place
#define SH_KEY_TYPE WtGroup *
#define SH_KEY group
#define SH_HASH_KEY(tb, key) ((key)->hash)
#define SH_EQUAL(tb, a, b) same_keys((tb)->private_data, a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, place) ((place)->hash)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static void
make_table(WtGroups *groups)
{
	groups->places = places_create(groups->context, 64, groups);
	groups->walks = false;
}

WtGroups *
wt_groups_create(List *keys, List *equals, int n_values)
{
	WtGroups *groups = palloc0(sizeof(WtGroups));
	ListCell *key, *equal;

	groups->context = AllocSetContextCreate(CurrentMemoryContext, "sealed groups",
											ALLOCSET_DEFAULT_SIZES);
	groups->limit = get_hash_memory_limit();
	groups->n_values = n_values;
	groups->keys = palloc0(Max(list_length(keys), 1) * sizeof(Key));
	groups->iterator = palloc(sizeof(places_iterator));
	forboth(key, keys, equal, equals)
	{
		Key *k = &groups->keys[groups->n_keys++];
		Oid left, right;

		if (!get_op_hash_functions(lfirst_oid(equal), &left, &right))
			elog(ERROR, "no hash function for operator %u", lfirst_oid(equal));
		fmgr_info(left, &k->hash);
		fmgr_info(get_opcode(lfirst_oid(equal)), &k->equal);
		k->collation = exprCollation(lfirst(key));
		get_typlenbyval(exprType(lfirst(key)), &k->length, &k->by_value);
	}
	make_table(groups);
	return groups;
}

static WtGroup *
new_group(WtGroups *groups, const WtGroup *probe)
{
	MemoryContext old = MemoryContextSwitchTo(groups->context);
	WtGroup *group = palloc(sizeof(WtGroup));

	group->hash = probe->hash;
	group->keys = palloc(Max(groups->n_keys, 1) * (sizeof(Datum) + sizeof(bool)));
	group->nulls = (bool *) (group->keys + Max(groups->n_keys, 1));
	for (int i = 0; i < groups->n_keys; i++)
	{
		group->nulls[i] = probe->nulls[i];
		group->keys[i] = probe->nulls[i]
							 ? (Datum) 0
							 : datumCopy(probe->keys[i], groups->keys[i].by_value,
										 groups->keys[i].length);
	}
	group->values = palloc(Max(groups->n_values, 1) * sizeof(WtGroupValue));
	for (int i = 0; i < groups->n_values; i++)
		group->values[i] = (WtGroupValue){(Datum) 0, true};
	MemoryContextSwitchTo(old);
	return group;
}

WtGroup *
wt_groups_find(WtGroups *groups, const Datum *keys, const bool *nulls)
{
	WtGroup probe = {.keys = (Datum *) keys, .nulls = (bool *) nulls};
	bool found;
	Place *place;

	for (int i = 0; i < groups->n_keys; i++)
		probe.hash = hash_combine(
			probe.hash,
			nulls[i] ? 0
					 : DatumGetUInt32(FunctionCall1Coll(
						   &groups->keys[i].hash, groups->keys[i].collation, keys[i])));
	probe.hash = murmurhash32(probe.hash);
	place = places_insert_hash(groups->places, &probe, probe.hash, &found);
	/* Should this fail, the query does, and the table is not looked at again. */
	if (!found)
		place->group = new_group(groups, &probe);
	return place->group;
}

MemoryContext
wt_groups_context(const WtGroups *groups)
{
	return groups->context;
}

bool
wt_groups_are_many(const WtGroups *groups)
{
	return MemoryContextMemAllocated(groups->context, true) > groups->limit;
}

WtGroup *
wt_groups_next(WtGroups *groups)
{
	Place *place;

	if (!groups->walks)
		places_start_iterate(groups->places, groups->iterator);
	groups->walks = true;
	place = places_iterate(groups->places, groups->iterator);
	return place ? place->group : NULL;
}

void
wt_groups_clear(WtGroups *groups)
{
	MemoryContextReset(groups->context);
	make_table(groups);
}
