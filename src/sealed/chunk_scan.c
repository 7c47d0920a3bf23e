/*
 * chunk_scan.c
 *		Opens chunks, fetches their columns, and knows which rows are left.
 *
 * Two kinds of memory: what column/ decodes is in an arena from malloc, which no ERROR frees;
 * so its end hangs on the scan's memory context.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "base/identity.h"
#include "sealed/chunk_scan.h"
#include "sealed/pending.h"
#include "sealed/stored_columns.h"

static void
no_memory(size_t bytes)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
			 errdetail("A chunk of a sealed partition needs %zu bytes more.", bytes)));
}

static void
destroy_arena(void *arena)
{
	wt_arena_destroy(arena);
}

WtChunkScan *
wt_chunk_scan_create(Relation foreign, Oid chunks, Snapshot snapshot)
{
	WtChunkScan *scan = palloc0(sizeof(WtChunkScan));
	MemoryContextCallback *callback;

	scan->foreign = foreign;
	scan->columns = wt_stored_columns(foreign);
	scan->time_column = wt_column_named(scan->columns, WT_STORED_TIME);
	scan->data_column = wt_column_named(scan->columns, WT_STORED_DATA);
	scan->status_column = wt_column_named(scan->columns, WT_STORED_STATUS);
	scan->context = CurrentMemoryContext;
	scan->chunk_context = AllocSetContextCreate(CurrentMemoryContext, "sealed chunk",
												ALLOCSET_DEFAULT_SIZES);
	/* A callback is called once only: so it is not chunk_context's, which is reset. */
	scan->arena_context = AllocSetContextCreate(CurrentMemoryContext, "sealed columns",
												ALLOCSET_SMALL_SIZES);
	callback = MemoryContextAllocZero(scan->arena_context, sizeof(*callback));
	scan->arena = wt_arena_create(no_memory);
	if (scan->arena == NULL)
		no_memory(1);
	callback->func = destroy_arena;
	callback->arg = scan->arena;
	MemoryContextRegisterResetCallback(scan->arena_context, callback);
	scan->table = wt_chunk_table_open(chunks, snapshot);
	scan->n_numbers = wt_chunk_table_numbers(scan->table, &scan->numbers);
	return scan;
}

void
wt_chunk_scan_destroy(WtChunkScan *scan)
{
	wt_chunk_table_close(scan->table);
	MemoryContextDelete(scan->chunk_context);
	MemoryContextDelete(scan->arena_context);
	pfree(scan->numbers);
	pfree(scan);
}

void
wt_chunk_scan_damaged(const WtChunkScan *scan, const char *how)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("chunk %d of \"%s\" is damaged: %s",
						   scan->chunk ? scan->chunk->number : -1,
						   wt_chunk_table_name(scan->table), how)));
}

void
wt_chunk_scan_check_time(const WtChunkScan *scan, int64 time)
{
	if (!IS_VALID_TIMESTAMP(time) && !TIMESTAMP_NOT_FINITE(time))
		wt_chunk_scan_damaged(scan, "a time is out of range");
}

void
wt_chunk_scan_close_chunk(WtChunkScan *scan)
{
	scan->chunk = NULL;
	scan->selected = NULL;
	scan->checked = NULL;
	scan->n_selected = 0;
	scan->has_deleted = scan->has_statuses = scan->has_origins = false;
	scan->origin_bytes.bytes = NULL;
	MemoryContextReset(scan->chunk_context);
	wt_arena_reset(scan->arena);
}

/* Raises: a chunk that could not be opened. */
static void
refuse(const WtChunkScan *scan, int32 number, const WtColumnError *error)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("chunk %d of \"%s\" is damaged: %s", number,
						   wt_chunk_table_name(scan->table), error->text)));
}

/* Reads a directory; false: there is no such chunk. */
static bool
open_directory(WtChunkScan *scan, int32 number, WtChunkHead *head)
{
	MemoryContext old;
	WtColumnError error;
	bool found;

	CHECK_FOR_INTERRUPTS();
	wt_chunk_scan_close_chunk(scan);
	scan->serial++;
	old = MemoryContextSwitchTo(scan->chunk_context);
	found = wt_chunk_table_head(scan->table, number, head);
	MemoryContextSwitchTo(old);
	if (!found)
		return false;
	scan->chunk = wt_chunk_open(scan->arena, head->directory.bytes,
								head->directory.length, number, &error);
	if (scan->chunk == NULL)
		refuse(scan, number, &error);
	wt_chunk_scan_check_time(scan, scan->chunk->first_time);
	wt_chunk_scan_check_time(scan, scan->chunk->last_time);
	return true;
}

bool
wt_chunk_scan_open(WtChunkScan *scan, int32 number)
{
	WtChunkHead head;
	WtColumnError error;
	WtChunk *chunk;

	if (!open_directory(scan, number, &head))
		return false;
	chunk = scan->chunk;
	for (int i = 1; i < chunk->n_paths; i++)
		if (!pg_verifymbstr(chunk->paths[i].key, chunk->paths[i].key_length, true))
			wt_chunk_scan_damaged(scan, "a key is not in the database's encoding");
	scan->checked = MemoryContextAllocZero(scan->chunk_context, chunk->n_columns);
	scan->selected = MemoryContextAlloc(scan->chunk_context, chunk->n_rows);
	memset(scan->selected, 1, chunk->n_rows);
	scan->n_selected = chunk->n_rows;
	if (head.deleted.bytes != NULL)
	{
		scan->has_deleted = true;
		if (!wt_deleted_read(scan->arena, head.deleted.bytes, head.deleted.length, number,
							 chunk->n_rows, &scan->deleted, &error))
			refuse(scan, number, &error);
	}
	if (head.status.bytes != NULL)
	{
		scan->has_statuses = true;
		if (!wt_statuses_read(scan->arena, head.status.bytes, head.status.length, number,
							  chunk->n_rows, &scan->statuses, &error))
			refuse(scan, number, &error);
	}
	scan->origin_bytes = head.origins;
	wt_pending_apply(scan);
	if (scan->has_deleted)
	{
		for (int row = 0; row < chunk->n_rows; row++)
			scan->selected[row] = !wt_overlay_bit(scan->deleted.bits, row);
		scan->n_selected = -1;
	}
	return wt_chunk_scan_count(scan) > 0;
}

WtOrigin
wt_chunk_scan_origin(WtChunkScan *scan, int row)
{
	WtOrigin origin = {.xmin = FrozenTransactionId};
	int low = 0;
	int high;

	if (scan->origin_bytes.bytes == NULL)
		return origin;
	if (!scan->has_origins)
	{
		WtColumnError error;

		if (!wt_origins_read(scan->arena, scan->origin_bytes.bytes,
							 scan->origin_bytes.length, scan->chunk->number,
							 scan->chunk->n_rows, &scan->origins, &error))
			refuse(scan, scan->chunk->number, &error);
		scan->has_origins = true;
	}
	high = scan->origins.n;
	while (low < high)
	{
		int middle = (low + high) / 2;

		if (scan->origins.rows[middle] < row)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < scan->origins.n && scan->origins.rows[low] == row)
		origin = wt_origin_read(scan->origins.numbers[low]);
	return origin;
}

int
wt_chunk_scan_seek(WtChunkScan *scan, int64 time)
{
	int low = 0, high = scan->n_numbers;

	while (low < high)
	{
		int middle = low + (high - low) / 2, at = middle;
		WtChunkHead head;

		/* Numbers that the snapshot does not see say nothing: the next that it sees does. */
		while (at < high && !open_directory(scan, scan->numbers[at], &head))
			at++;
		if (at == high)
			high = middle;
		else if (scan->chunk->last_time < time)
			low = at + 1;
		else
			high = middle;
	}
	wt_chunk_scan_close_chunk(scan);
	return low;
}

static void
check_text(const WtChunkScan *scan, WtText text)
{
	if (!pg_verifymbstr(text.text, text.length, true))
		wt_chunk_scan_damaged(scan, "a text is not in the database's encoding");
}

/* Raises unless texts, which are about to become texts of PostgreSQL's, are in its encoding. */
static void
check_texts(WtChunkScan *scan, WtKind kind, const WtTexts *texts)
{
	const char *p = texts->base;
	size_t n = texts->n > 0 ? texts->start[texts->n] : 0, i = 0;
	uint64 bits = 0;

	/* What is ASCII all over, which most is, needs no closer look; nor NULs but of other columns. */
	for (; i + sizeof(uint64) <= n; i += sizeof(uint64))
	{
		uint64 eight;

		memcpy(&eight, p + i, sizeof(eight));
		bits |= eight;
	}
	for (; i < n; i++)
		bits |= (unsigned char) p[i];
	if ((bits & UINT64CONST(0x8080808080808080)) == 0 && kind != WT_KIND_EXTRA)
		return;
	for (int v = 0; v < texts->n; v++)
		check_text(scan, wt_texts_at(texts, v));
}

void
wt_chunk_scan_want(WtChunkScan *scan, int column, WtWant want)
{
	int parts[WT_PARTS_OF_COLUMN];
	WtColumnError error;
	int n = wt_column_parts(scan->chunk, column, want, parts, &error);
	WtColumn *c;

	if (n < 0)
		refuse(scan, scan->chunk->number, &error);
	for (int i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(scan->chunk_context);
		WtPart part = wt_chunk_table_part(scan->table, scan->chunk->number, parts[i]);

		MemoryContextSwitchTo(old);
		if (!wt_chunk_add_part(scan->chunk, parts[i], part.bytes, part.length, &error))
			refuse(scan, scan->chunk->number, &error);
		pfree((char *) part.bytes - VARHDRSZ);
	}
	if (column < 0 || scan->checked[column] >= want)
		return;
	scan->checked[column] = want;
	c = &scan->chunk->columns[column];
	if (c->kind == WT_KIND_TIME && want >= WT_WANT_FEW)
	{
		const uint8_t *decimals;
		const int64_t *times = wt_column_integers(scan->chunk, column, &decimals);

		for (int row = 0; row < scan->chunk->n_rows; row++)
			wt_chunk_scan_check_time(scan, times[row]);
	}
	if (want == WT_WANT_ROWS || (c->kind != WT_KIND_STRING && c->kind != WT_KIND_JSON &&
								 c->kind != WT_KIND_WHOLE && c->kind != WT_KIND_EXTRA))
		return;
	switch (c->encoding)
	{
		case WT_ENCODING_CONSTANT:
		case WT_ENCODING_DICTIONARY:
		case WT_ENCODING_TEMPLATE:
		{
			WtTexts texts = wt_column_distinct(scan->chunk, column);

			check_texts(scan, c->kind, &texts);
		}
		break;
		case WT_ENCODING_TEXT:
			if (want >= WT_WANT_FEW)
			{
				WtTexts texts = wt_column_texts(scan->chunk, column);

				check_texts(scan, c->kind, &texts);
			}
			break;
		case WT_ENCODING_INSTANT:
			/* What stands beside the digits is the same in all of them. */
			if (want >= WT_WANT_FEW && c->n_values > 0)
			{
				WtText text = wt_column_text(scan->chunk, column, 0);

				check_text(scan, text);
			}
			break;
		default:
			break; /* made of digits and letters */
	}
}

const int64 *
wt_chunk_scan_integers(WtChunkScan *scan, int column)
{
	const uint8_t *decimals;

	wt_chunk_scan_want(scan, column, WT_WANT_VALUES);
	return (const int64 *) wt_column_integers(scan->chunk, column, &decimals);
}

int
wt_chunk_scan_previous(const WtChunkScan *scan, int row)
{
	const uint8 *previous;

	if (row <= 0)
		return -1;
	if (scan->selected[row - 1])
		return row - 1;
	previous = memrchr(scan->selected, 1, row - 1);
	return previous ? previous - scan->selected : -1;
}

int
wt_chunk_scan_count(WtChunkScan *scan)
{
	if (scan->n_selected < 0)
	{
		int n = 0;

		for (int row = 0; row < scan->chunk->n_rows; row++)
			n += scan->selected[row];
		scan->n_selected = n;
	}
	return scan->n_selected;
}

int
wt_chunk_scan_extra(const WtChunkScan *scan, AttrNumber column)
{
	Form_pg_attribute a = TupleDescAttr(scan->columns, column - 1);

	return wt_is_stored(a) ? wt_chunk_find_extra(scan->chunk, NameStr(a->attname),
												 strlen(NameStr(a->attname)))
						   : -1;
}

Datum
wt_input_as_owner(Relation foreign, Oid type, FmgrInfo *function, const char *text,
				  Oid parameter, int32 modifier)
{
	bool is_own = type >= FirstNormalObjectId;
	Oid saved_role;
	int saved_context;
	Datum value;

	if (is_own)
		wt_become(foreign->rd_rel->relowner, &saved_role, &saved_context);
	value = InputFunctionCall(function, (char *) text, parameter, modifier);
	if (is_own)
		wt_restore(saved_role, saved_context);
	return value;
}
