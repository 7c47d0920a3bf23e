/*
 * row_hash.c
 *		A hash over all bytes of a row.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/jsonb.h"

#include "base/compat.h"
#include "sealed/row_hash.h"
#include "sealed/stored_columns.h"

typedef struct HashedColumn
{
	int index; /* of the source's attributes */
	int16 length;
	bool by_value;
	bool is_jsonb;
} HashedColumn;

struct WtRowHash
{
	int n_columns;
	HashedColumn columns[FLEXIBLE_ARRAY_MEMBER];
};

WtRowHash *
wt_row_hash_create(TupleDesc source, TupleDesc target)
{
	WtRowHash *hash = palloc(offsetof(WtRowHash, columns) +
							 sizeof(HashedColumn) * (size_t) Max(target->natts, 1));

	hash->n_columns = 0;
	for (int i = 0; i < target->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(target, i);

		AttrNumber number;

		if (!wt_is_stored(attribute) || attribute->attgenerated != '\0')
			continue;
		number = wt_column_named(source, NameStr(attribute->attname));
		if (!AttributeNumberIsValid(number) ||
			TupleDescAttr(source, number - 1)->atttypid != attribute->atttypid)
			elog(ERROR, "rows that are compared differ in column \"%s\"",
				 NameStr(attribute->attname));
		hash->columns[hash->n_columns++] =
			(HashedColumn){.index = number - 1,
						   .length = attribute->attlen,
						   .by_value = attribute->attbyval,
						   .is_jsonb = attribute->atttypid == JSONBOID};
	}
	return hash;
}

/*
 * Numbers and containers in a container are aligned, and what lies before them may be anything:
 * it depends on who made the document, and is no part of its value.
 */
static void
clear_padding(JsonbContainer *container)
{
	uint32 n = JsonContainerSize(container) * (JsonContainerIsObject(container) ? 2 : 1);
	char *base = (char *) &container->children[n];
	uint32 offset = 0;

	check_stack_depth();
	for (uint32 i = 0; i < n; i++)
	{
		JEntry entry = container->children[i];
		uint32 end =
			JBE_HAS_OFF(entry) ? JBE_OFFLENFLD(entry) : offset + JBE_OFFLENFLD(entry);

		if (JBE_ISNUMERIC(entry) || JBE_ISCONTAINER(entry))
		{
			uint32 start = INTALIGN(offset);

			memset(base + offset, 0, start - offset);
			if (JBE_ISCONTAINER(entry))
				clear_padding((JsonbContainer *) (base + start));
		}
		offset = end;
	}
}

static uint64
hash_jsonb(Datum value, uint64 seed)
{
	Jsonb *document = DatumGetJsonbPCopy(value);
	uint64 result;

	clear_padding(&document->root);
	result = hash_bytes_extended((const unsigned char *) VARDATA(document),
								 (int) (VARSIZE(document) - VARHDRSZ), seed);
	pfree(document);
	return result;
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
	if (column->is_jsonb)
		return hash_jsonb(value, seed);
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
