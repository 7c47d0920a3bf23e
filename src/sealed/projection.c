/*
 * projection.c
 *		Rows of a chunk as values: opens what is needed of a chunk, and fills rows.
 *
 * Shapes that have the same columns among those that are needed share a layout: the tree
 * of objects that their documents are.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "sealed/missing.h"
#include "sealed/projection_state.h"

/* Beyond so many columns in a chunk nothing is kept of each by row. */
#define MANY_COLUMNS 256

/* So many rows of a chunk are read without what others take. */
#define FEW_TEXTS 4

/* Where fewer than one row in so many has a column, its ranks are looked up. */
#define FEW_ROWS 8

WtProjection *
wt_projection_create(WtChunkScan *scan, const WtNeeds *asked)
{
	WtProjection *p = palloc0(sizeof(WtProjection));
	WtNeeds all = {.whole = asked->whole,
				   .paths = list_copy(asked->paths),
				   .columns = bms_copy(asked->columns),
				   .system = asked->system};
	const WtNeeds *needs = &all;

	p->scan = scan;
	p->context = CurrentMemoryContext;
	p->row_context =
		AllocSetContextCreate(CurrentMemoryContext, "sealed row", ALLOCSET_SMALL_SIZES);
	p->generated = wt_generated_create(scan->foreign, scan->data_column, &all);
	p->documents = scan->data_column != InvalidAttrNumber &&
				   (needs->system || bms_is_member(scan->data_column, needs->columns));
	p->whole = needs->whole || needs->system;
	p->paths = wt_keys_of_paths(needs->paths, &p->n_paths);
	p->attributes = palloc0(scan->columns->natts * sizeof(Attribute));
	for (int i = 1; i <= scan->columns->natts; i++)
	{
		Form_pg_attribute form = TupleDescAttr(scan->columns, i - 1);
		Attribute *a = &p->attributes[p->n_attributes];
		Oid function;

		if (form->attisdropped || form->attgenerated != '\0' || i == scan->data_column ||
			(!needs->system && !bms_is_member(i, needs->columns)))
			continue;
		p->n_attributes++;
		a->number = i;
		a->modifier = form->atttypmod;
		/* What a domain asks for was asked when the row was stored. */
		a->type = getBaseTypeAndTypmod(form->atttypid, &a->modifier);
		getTypeInputInfo(a->type, &function, &a->input_parameter);
		fmgr_info(function, &a->input);
		get_typlenbyval(a->type, &a->length, &a->by_value);
	}
	p->room = 1024;
	p->buffer = palloc(p->room);
	return p;
}

static Source *
source_of(WtProjection *p, int column)
{
	WtChunkScan *scan = p->scan;
	WtColumn *c = &scan->chunk->columns[column];
	Source *s = p->sources[column];

	if (s != NULL)
		return s;
	p->sources[column] = s = palloc0(sizeof(Source));
	s->column = column;
	s->kind = c->kind;
	s->encoding = c->encoding;
	if (c->encoding == WT_ENCODING_NONE)
	{
		/* Which rows have it tells their combinations apart. */
		wt_chunk_scan_want(scan, column, WT_WANT_ROWS);
		s->ranks = wt_column_ranks(scan->chunk, column);
		return s;
	}
	wt_chunk_scan_want(scan, column,
					   p->n_codes > 0							? WT_WANT_DISTINCT
					   : wt_chunk_scan_count(scan) <= FEW_TEXTS ? WT_WANT_FEW
																: WT_WANT_VALUES);
	s->sparse = scan->chunk->n_columns > MANY_COLUMNS ||
				(p->whole && c->n_values < scan->chunk->n_rows / FEW_ROWS);
	if (!s->sparse)
		s->ranks = wt_column_ranks(scan->chunk, column);
	if (c->encoding == WT_ENCODING_CONSTANT || c->encoding == WT_ENCODING_DICTIONARY)
	{
		s->narrow = wt_column_narrow_codes(scan->chunk, column);
		if (s->narrow == NULL && c->encoding == WT_ENCODING_DICTIONARY)
			s->value_codes = wt_column_value_codes(scan->chunk, column);
		s->has_codes = true;
		s->distinct = wt_column_distinct(scan->chunk, column);
		if (c->kind == WT_KIND_NUMBER || c->kind == WT_KIND_JSON ||
			c->kind == WT_KIND_WHOLE)
			s->made = palloc0(s->distinct.n * sizeof(Made));
	}
	else if (c->encoding == WT_ENCODING_INTEGER)
	{
		s->integers = wt_column_integers(scan->chunk, column, &s->decimals);
		s->n_decimals = wt_column_decimals(scan->chunk, column);
	}
	return s;
}

static void
open_attribute(WtProjection *p, Attribute *a)
{
	WtChunkScan *scan = p->scan;
	WtColumn *c;

	a->ranks = NULL;
	a->integers = NULL;
	a->codes = NULL;
	a->made = NULL;
	a->column = a->number == scan->time_column ? 0 : wt_chunk_scan_extra(scan, a->number);
	if (a->column < 0)
	{
		if (!a->missing_is_known)
		{
			MemoryContext old = MemoryContextSwitchTo(p->context);

			a->missing = wt_missing_value(scan->foreign, a->number, &a->missing_is_null);
			a->missing_is_known = true;
			MemoryContextSwitchTo(old);
		}
		return;
	}
	c = &scan->chunk->columns[a->column];
	a->encoding = c->encoding;
	wt_chunk_scan_want(scan, a->column, WT_WANT_VALUES);
	a->ranks = wt_column_ranks(scan->chunk, a->column);
	if (c->kind == WT_KIND_TIME || c->kind == WT_KIND_EXTRA_INT)
		a->integers = wt_chunk_scan_integers(scan, a->column);
	if (c->encoding == WT_ENCODING_CONSTANT || c->encoding == WT_ENCODING_DICTIONARY)
	{
		a->codes = wt_column_row_codes(scan->chunk, a->column);
		a->distinct = wt_column_distinct(scan->chunk, a->column);
		a->made = palloc(a->distinct.n * sizeof(Datum));
		a->is_made = palloc0(a->distinct.n * sizeof(bool));
	}
}

/* Shapes with the same columns among those that are needed get one layout. */
static void
find_layouts(WtProjection *p, const bool *needed)
{
	WtChunk *chunk = p->scan->chunk;
	int n_shapes, size = 16;
	const WtShape *shapes = wt_chunk_shapes(chunk, &n_shapes);
	int *table;

	while (size < n_shapes * 2)
		size *= 2;
	table = palloc(size * sizeof(int));
	memset(table, -1, size * sizeof(int));
	p->layouts = palloc0(Max(n_shapes, 1) * sizeof(Layout));
	p->layout_of_shape = palloc(Max(n_shapes, 1) * sizeof(int));
	p->n_layouts = 0;
	for (int i = 0; i < n_shapes; i++)
	{
		uint16 *columns = palloc(Max(shapes[i].n_columns, 1) * sizeof(uint16));
		int n = 0;
		bool none = shapes[i].n_columns == 0;
		uint32 at;

		for (int k = 0; k < shapes[i].n_columns; k++)
			if (needed[shapes[i].columns[k]])
				columns[n++] = shapes[i].columns[k];
		at = hash_bytes((unsigned char *) columns, n * sizeof(uint16)) & (size - 1);
		for (; table[at] >= 0; at = (at + 1) & (size - 1))
		{
			Layout *l = &p->layouts[table[at]];

			if (l->n_columns == n && l->no_document == none &&
				memcmp(l->columns, columns, n * sizeof(uint16)) == 0)
				break;
		}
		if (table[at] < 0)
		{
			Layout *l = &p->layouts[p->n_layouts];

			table[at] = p->n_layouts++;
			l->n_columns = n;
			l->columns = columns;
			l->no_document = none;
			l->first = -1;
		}
		else
			pfree(columns);
		p->layout_of_shape[i] = table[at];
	}
	pfree(table);
	p->row_shapes = p->n_layouts > 1 ? wt_chunk_row_shapes(chunk) : NULL;
}

/* Whether a path is another, or beneath it. */
static bool
is_within(const WtChunk *chunk, int path, int other)
{
	while (path > other)
		path = chunk->paths[path].parent;
	return path == other;
}

/*
 * The same by what the directory says: where each row has all columns that are needed there is one
 * layout, and it takes no shapes.  False: it does not say that.
 */
static bool
find_layout(WtProjection *p, const bool *needed)
{
	WtChunk *chunk = p->scan->chunk;
	uint16 *columns = palloc(chunk->n_columns * sizeof(uint16));
	bool is_document = false; /* each row's data */
	int n = 0;

	for (int c = chunk->n_extras + 1; c < chunk->n_columns; c++)
	{
		is_document |= chunk->columns[c].n_values == chunk->n_rows;
		if (!needed[c])
			continue;
		/* That no value has members is said by shapes. */
		if (chunk->columns[c].n_values < chunk->n_rows ||
			(n > 0 && is_within(chunk, chunk->columns[c].path,
								chunk->columns[columns[n - 1]].path)))
			return false;
		columns[n++] = c;
	}
	if (!is_document)
		return false;
	p->n_layouts = 1;
	p->layouts = palloc0(sizeof(Layout));
	*p->layouts = (Layout){.n_columns = n, .columns = columns, .first = -1};
	p->row_shapes = NULL;
	return true;
}

/* How many codes the one column has that has several values; 0: there are more, or no codes. */
static int
codes_of_layout(const WtProjection *p)
{
	const WtChunk *chunk = p->scan->chunk;
	const Layout *l = &p->layouts[0];
	int n_codes = 1;

	for (int i = 0; i < l->n_columns; i++)
	{
		const WtColumn *c = &chunk->columns[l->columns[i]];

		if (c->encoding == WT_ENCODING_DICTIONARY && n_codes == 1 &&
			c->kind != WT_KIND_WHOLE && c->n_distinct > 1 &&
			c->n_distinct <= chunk->n_rows)
			n_codes = c->n_distinct;
		else if (c->encoding != WT_ENCODING_NONE && c->encoding != WT_ENCODING_CONSTANT)
			return 0;
	}
	return n_codes;
}

void
wt_projection_open(WtProjection *p, bool different)
{
	WtChunkScan *scan = p->scan;
	WtChunk *chunk = scan->chunk;
	MemoryContext old = MemoryContextSwitchTo(scan->chunk_context);

	p->serial = scan->serial;
	p->kept_context = AllocSetContextCreate(scan->chunk_context, "sealed documents",
											ALLOCSET_DEFAULT_SIZES);
	p->is_numbered = false;
	p->document_numbers = NULL;
	p->n_codes = 0;
	for (int i = 0; i < p->n_attributes; i++)
		open_attribute(p, &p->attributes[i]);
	if (p->documents)
	{
		bool *needed = palloc0(chunk->n_columns * sizeof(bool));

		if (p->whole)
			memset(needed, true, chunk->n_columns);
		else
			wt_members_needed(chunk, p->paths, p->n_paths, needed);
		if (!find_layout(p, needed))
		{
			wt_chunk_scan_want(scan, WT_COLUMN_SHAPES, WT_WANT_VALUES);
			find_layouts(p, needed);
		}
		else if (different && p->n_attributes == 0)
			p->n_codes = codes_of_layout(p);
		p->sources = palloc0(chunk->n_columns * sizeof(Source *));
		for (int l = 0; l < p->n_layouts; l++)
			for (int i = 0; i < p->layouts[l].n_columns; i++)
				source_of(p, p->layouts[l].columns[i]);
	}
	MemoryContextSwitchTo(old);
}

void
wt_projection_say_where(void *arg)
{
	const WtChunkScan *scan = arg;

	errcontext("a row in chunk %d of \"%s\"", scan->chunk->number,
			   wt_chunk_table_name(scan->table));
}

/* A column's value in another type than it was stored as, or of a type that is kept as text. */
static Datum
input(WtProjection *p, Attribute *a, const char *text)
{
	ErrorContextCallback callback = {error_context_stack, wt_projection_say_where,
									 p->scan};
	Datum result;

	error_context_stack = &callback;
	result = wt_input_as_owner(p->scan->foreign, a->type, &a->input, text,
							   a->input_parameter, a->modifier);
	error_context_stack = callback.previous;
	return result;
}

static Datum
integer_value(WtProjection *p, Attribute *a, int64 value)
{
	char text[32];

	switch (a->type)
	{
		case INT8OID:
			return Int64GetDatum(value);
		case TIMESTAMPTZOID:
			wt_chunk_scan_check_time(p->scan, value);
			return TimestampTzGetDatum(value);
		case INT4OID:
			if (value < PG_INT32_MIN || value > PG_INT32_MAX)
				wt_chunk_scan_damaged(p->scan, "an integer is out of range");
			return Int32GetDatum((int32) value);
		case INT2OID:
			if (value < PG_INT16_MIN || value > PG_INT16_MAX)
				wt_chunk_scan_damaged(p->scan, "an integer is out of range");
			return Int16GetDatum((int16) value);
		default:
		{
			MemoryContext old = wt_enter_row(p);
			Datum result;

			snprintf(text, sizeof(text), INT64_FORMAT, value);
			result = input(p, a, text);
			MemoryContextSwitchTo(old);
			return result;
		}
	}
}

static Datum
attribute_value(WtProjection *p, Attribute *a, int row, bool *is_null)
{
	WtChunkScan *scan = p->scan;
	int value;

	*is_null = false;
	if (a->number == scan->status_column && scan->has_statuses &&
		wt_overlay_bit(scan->statuses.changed, row))
	{
		*is_null = wt_overlay_bit(scan->statuses.null, row);
		return *is_null ? (Datum) 0 : integer_value(p, a, scan->statuses.values[row]);
	}
	if (a->column < 0)
	{
		*is_null = a->missing_is_null;
		return a->missing;
	}
	value = a->ranks ? a->ranks[row] : row;
	if (value < 0)
	{
		*is_null = true;
		return (Datum) 0;
	}
	if (a->integers)
		return integer_value(p, a, a->integers[value]);
	if (a->codes)
	{
		int code = a->codes[row];

		if (code >= a->distinct.n)
			wt_chunk_scan_damaged(scan, "a row lacks a value that its shape has");
		if (!a->is_made[code])
		{
			MemoryContext old = wt_enter_row(p);
			Datum made = input(p, a, wt_texts_at(&a->distinct, code).text);

			MemoryContextSwitchTo(scan->chunk_context);
			a->made[code] = datumCopy(made, a->by_value, a->length);
			a->is_made[code] = true;
			MemoryContextSwitchTo(old);
		}
		return a->made[code];
	}
	else
	{
		MemoryContext old = wt_enter_row(p);
		Datum result = input(p, a, wt_column_text(scan->chunk, a->column, value).text);

		MemoryContextSwitchTo(old);
		return result;
	}
}

void
wt_projection_fill_columns(WtProjection *p, int row, Datum *values, bool *nulls)
{
	wt_projection_ensure_open(p);
	wt_leave_row(p);
	memset(nulls, true, p->scan->columns->natts);
	for (int i = 0; i < p->n_attributes; i++)
	{
		Attribute *a = &p->attributes[i];

		values[a->number - 1] = attribute_value(p, a, row, &nulls[a->number - 1]);
	}
}

void
wt_projection_fill(WtProjection *p, int row, Datum *values, bool *nulls)
{
	AttrNumber data = p->scan->data_column;

	wt_projection_fill_columns(p, row, values, nulls);
	if (p->documents)
		nulls[data - 1] = !wt_projection_document(p, row, &values[data - 1]);
	if (p->generated)
		wt_generated_fill(p->generated, values, nulls);
}
