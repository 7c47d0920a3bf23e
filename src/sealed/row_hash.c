/*
 * row_hash.c
 *		A hash over all bytes of a row.
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/tupconvert.h"
#include "common/hashfn.h"
#include "fmgr.h"

#include "base/compat.h"
#include "sealed/row_hash.h"

typedef struct HashedColumn
{
	int index; /* of the source's attributes */
	int16 length;
	bool by_value;
} HashedColumn;

struct WtRowHash
{
	int n_columns;
	HashedColumn columns[FLEXIBLE_ARRAY_MEMBER];
};

WtRowHash *
wt_row_hash_create(TupleDesc source, TupleDesc target)
{
	AttrMap *map = wt_build_attrmap(source, target);
	WtRowHash *hash = palloc(offsetof(WtRowHash, columns) +
							 sizeof(HashedColumn) * (size_t) Max(target->natts, 1));

	hash->n_columns = 0;
	for (int i = 0; i < target->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(target, i);

		if (attribute->attisdropped)
			continue;
		hash->columns[hash->n_columns++] =
			(HashedColumn){.index = map ? map->attnums[i] - 1 : i,
						   .length = attribute->attlen,
						   .by_value = attribute->attbyval};
	}
	if (map)
		free_attrmap(map);
	return hash;
}

static uint64
hash_value(const HashedColumn *column, Datum value, uint64 seed)
{
	struct varlena *bytes;

	if (column->by_value)
		return hash_bytes_extended((const unsigned char *) &value, sizeof(value), seed);
	if (column->length > 0)
		return hash_bytes_extended((const unsigned char *) DatumGetPointer(value),
								   column->length, seed);
	if (column->length == -2)
		return hash_bytes_extended((const unsigned char *) DatumGetPointer(value),
								   (int) strlen(DatumGetCString(value)), seed);
	bytes = PG_DETOAST_DATUM_PACKED(value);
	return hash_bytes_extended((const unsigned char *) VARDATA_ANY(bytes),
							   (int) VARSIZE_ANY_EXHDR(bytes), seed);
}

uint64
wt_row_hash(const WtRowHash *hash, const Datum *values, const bool *nulls)
{
	uint64 result = 0;

	for (int i = 0; i < hash->n_columns; i++)
	{
		const HashedColumn *column = &hash->columns[i];

		/* The place counts, so that a null is not what stands behind it. */
		result = hash_combine64(result, (uint64) i + 1);
		if (!nulls[column->index])
			result = hash_value(column, values[column->index], result);
	}
	return result;
}
