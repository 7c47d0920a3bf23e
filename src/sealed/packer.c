/*
 * packer.c
 *		Rows in order of time become chunks of a table.
 *
 * Memory: a chunk's rows as text, and about as much again while it is encoded, from malloc
 * (column/chunk_writer.h); a row's own, which is reset with each row.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "column/chunk_writer.h"
#include "sealed/packer.h"
#include "sealed/shred.h"
#include "sealed/stored_columns.h"
#include "store/scope.h"

/* What zstd is told: more costs a third of the time again, and gains 3 %. */
#define LEVEL 3

/* A column beside the time and the document. */
typedef struct Extra
{
	int attribute; /* index */
	int number;	   /* the writer's */
	Oid type;	   /* that its values are given as; of a domain what is beneath */
	FmgrInfo output;
} Extra;

struct WtPacker
{
	MemoryContext context;
	MemoryContext row; /* reset with each row */
	MemoryContextCallback cleanup;
	WtChunkStore *store;
	WtChunkWriter *writer;
	int time; /* indexes of attributes */
	int data;
	int n_extras;
	Extra *extras;
	StringInfoData scratch;
	int64 chunk;
	WtPacking packing;
	int n_chunks;
	const WtRowHash *hash;
	uint64 *hashes; /* of the chunk's rows */
	int n_rows;
	WtChunkWritten written;
	void *arg;
};

static void
out_of_memory(size_t bytes)
{
	ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
					errdetail("A chunk of events needs %zu bytes more.", bytes)));
}

static void
destroy_writer(void *arg)
{
	wt_chunk_writer_destroy(arg);
}

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

/*
 * Whether a type's values are the same for ever as text: types of users may change what
 * their text means, and names of objects do.
 */
static bool
is_stable(Oid type)
{
	Oid element = get_element_type(type);

	if (OidIsValid(element))
		type = element;
	if (type >= FirstNormalObjectId)
		return false;
	switch (type)
	{
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCLASSOID:
		case REGCOLLATIONOID:
		case REGTYPEOID:
		case REGROLEOID:
		case REGNAMESPACEOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
		case ACLITEMOID:
			return false;
	}
	return get_typtype(type) == TYPTYPE_BASE || get_typtype(type) == TYPTYPE_RANGE ||
		   get_typtype(type) == TYPTYPE_MULTIRANGE;
}

const char *
wt_packer_refuses(Relation relation)
{
	TupleDesc desc = RelationGetDescr(relation);
	bool has_time = false;
	bool has_data = false;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		const char *name = NameStr(attribute->attname);

		if (attribute->attisdropped)
			continue;
		if (attribute->attgenerated != '\0')
			return psprintf("its column \"%s\" is generated", name);
		if (attribute->attidentity != '\0')
			return psprintf("its column \"%s\" is an identity", name);
		if (strcmp(name, WT_STORED_TIME) == 0)
			has_time = attribute->atttypid == TIMESTAMPTZOID;
		else if (strcmp(name, WT_STORED_DATA) == 0)
			has_data = attribute->atttypid == JSONBOID;
		else if (!is_stable(getBaseType(attribute->atttypid)))
			return psprintf("its column \"%s\" is of type %s, which chunks do not keep",
							name, format_type_be(attribute->atttypid));
	}
	if (!has_time || !has_data)
		return "it has not the columns of a log table";
	return NULL;
}

WtPacker *
wt_packer_create(TupleDesc desc, const WtRowHash *hash, WtChunkStore *store,
				 const WtPacking *packing, WtChunkWritten written, void *arg)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "windtrap packer",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	WtPacker *packer = palloc0(sizeof(*packer));

	packer->context = context;
	packer->row =
		AllocSetContextCreate(context, "windtrap packed row", ALLOCSET_DEFAULT_SIZES);
	packer->store = store;
	packer->packing = *packing;
	packer->chunk = packing->first;
	packer->hash = hash;
	packer->hashes = palloc(sizeof(uint64) * (size_t) packing->max_rows);
	packer->written = written;
	packer->arg = arg;
	packer->time = packer->data = -1;
	packer->extras = palloc0(sizeof(Extra) * (size_t) desc->natts);
	initStringInfo(&packer->scratch);
	packer->writer = wt_chunk_writer_create(packing->max_rows, LEVEL, out_of_memory);
	if (!packer->writer)
		out_of_memory(0);
	packer->cleanup.func = destroy_writer;
	packer->cleanup.arg = packer->writer;
	MemoryContextRegisterResetCallback(context, &packer->cleanup);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		const char *name = NameStr(attribute->attname);
		Extra *extra = &packer->extras[packer->n_extras];
		Oid function;
		bool varlena;

		if (!wt_is_stored(attribute))
			continue;
		if (strcmp(name, WT_STORED_TIME) == 0)
		{
			packer->time = i;
			continue;
		}
		if (strcmp(name, WT_STORED_DATA) == 0)
		{
			packer->data = i;
			continue;
		}
		extra->attribute = i;
		extra->type = getBaseType(attribute->atttypid);
		getTypeOutputInfo(extra->type, &function, &varlena);
		fmgr_info(function, &extra->output);
		extra->number = wt_chunk_writer_declare(packer->writer, name, strlen(name),
												is_integer(extra->type));
		if (extra->number < 0)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("a table with so many columns cannot be sealed")));
		packer->n_extras++;
	}
	MemoryContextSwitchTo(old);
	return packer;
}

void
wt_packer_destroy(WtPacker *packer)
{
	MemoryContextDelete(packer->context);
}

static bool
put_part(void *arg, int part, const char *bytes, size_t length)
{
	WtPacker *packer = arg;

	wt_chunk_store_put(packer->store, (int32) packer->chunk, part, bytes, length);
	return true;
}

static void
write_chunk(WtPacker *packer)
{
	WtColumnError error;

	if (packer->chunk >= packer->packing.limit)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many rows of a sealed partition belong to one place"),
				 errhint("windtrap.unseal() and windtrap.seal() put them in order.")));
	if (!wt_chunk_writer_finish(packer->writer, (int32) packer->chunk, put_part, packer,
								&error))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("could not write chunk " INT64_FORMAT " of events: %s",
							   packer->chunk, error.text)));
	packer->written(packer->arg, (int32) packer->chunk, packer->n_rows, packer->hashes);
	packer->n_rows = 0;
	packer->chunk += packer->packing.step;
	packer->n_chunks++;
	CHECK_FOR_INTERRUPTS();
}

static void
add_extra(WtPacker *packer, const Extra *extra, Datum value)
{
	char *text;

	switch (extra->type)
	{
		case INT2OID:
			wt_chunk_writer_extra_int(packer->writer, extra->number,
									  DatumGetInt16(value));
			return;
		case INT4OID:
			wt_chunk_writer_extra_int(packer->writer, extra->number,
									  DatumGetInt32(value));
			return;
		case INT8OID:
			wt_chunk_writer_extra_int(packer->writer, extra->number,
									  DatumGetInt64(value));
			return;
	}
	text = OutputFunctionCall(unconstify(FmgrInfo *, &extra->output), value);
	wt_chunk_writer_extra(packer->writer, extra->number, text, strlen(text));
}

int32
wt_packer_first(Oid partition)
{
	Oid types[] = {OIDOID};
	Datum values[] = {ObjectIdGetDatum(partition)};
	int64 number;

	/* Its bound is printed in UTC: the scope's settings say so. */
	wt_scope_run("SELECT (extract(epoch FROM b.t) * 1000)::bigint % 86400000 FROM "
				 "(SELECT substring("
				 "pg_get_expr(relpartbound, oid) FROM 'FROM "
				 "\\(''([^'']*)''\\)')::timestamptz AS t "
				 "FROM pg_class WHERE oid = $1) b WHERE isfinite(b.t)",
				 1, types, values);
	number = SPI_processed == 1 ? wt_scope_int64(0, 1) : 0;
	number = number < 0 ? number + 86400000 : number;
	number = number * (WT_CHUNKS_OF_DAY / 1000) / 86400 / WT_CHUNK_STEP * WT_CHUNK_STEP;
	return (int32) number + WT_CHUNK_STEP;
}

bool
wt_packer_takes(const WtPacker *packer, TupleTableSlot *slot)
{
	bool is_null;
	Datum data = slot_getattr(slot, packer->data + 1, &is_null);

	return is_null || toast_raw_datum_size(data) <= WT_PACKER_MAX_DOCUMENT;
}

bool
wt_packer_add(WtPacker *packer, TupleTableSlot *slot)
{
	MemoryContext old;

	slot_getallattrs(slot);
	if (!wt_packer_takes(packer, slot))
		return false;
	old = MemoryContextSwitchTo(packer->row);
	/* Once for the hash and for the leaves. */
	if (!slot->tts_isnull[packer->data])
		slot->tts_values[packer->data] =
			JsonbPGetDatum(DatumGetJsonbP(slot->tts_values[packer->data]));
	packer->hashes[packer->n_rows++] =
		wt_row_hash(packer->hash, slot->tts_values, slot->tts_isnull);
	wt_chunk_writer_begin_row(packer->writer,
							  DatumGetTimestampTz(slot->tts_values[packer->time]));
	/* A null, where a table allows it, has no leaves at all. */
	if (!slot->tts_isnull[packer->data])
		wt_shred(packer->writer, DatumGetJsonbP(slot->tts_values[packer->data]),
				 &packer->scratch);
	for (int i = 0; i < packer->n_extras; i++)
		if (!slot->tts_isnull[packer->extras[i].attribute])
			add_extra(packer, &packer->extras[i],
					  slot->tts_values[packer->extras[i].attribute]);
	wt_chunk_writer_end_row(packer->writer);
	/* What it points to goes now. */
	ExecClearTuple(slot);
	MemoryContextSwitchTo(old);
	MemoryContextReset(packer->row);
	if (wt_chunk_writer_rows(packer->writer) == packer->packing.max_rows ||
		wt_chunk_writer_bytes(packer->writer) >= WT_PACKER_BYTES)
		write_chunk(packer);
	return true;
}

int
wt_packer_finish(WtPacker *packer)
{
	if (wt_chunk_writer_rows(packer->writer) > 0)
		write_chunk(packer);
	return packer->n_chunks;
}
