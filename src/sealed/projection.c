/*
 * projection.c
 *		Rows of a chunk as values: documents are written as jsonb lies on disk, which is what
 *		jsonb_util.c makes of them.
 *
 * Shapes that have the same columns among those that are needed share a layout: the tree
 * of objects that their documents are, in which all that is the same for each row (headers,
 * keys, objects of constants) is prepared.  So a document is a few copies.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "sealed/decimal.h"
#include "sealed/members.h"
#include "sealed/projection.h"

/* Beyond so many combinations in a chunk numbering them is worth nothing. */
#define MAX_COMBINATIONS 65536

/* Members that EXPLAIN names. */
#define MAX_TOLD 12

/* Integers of a column that lie so close to each other are numbered. */
#define MAX_DIGIT 4096

/* Beyond so many columns in a chunk nothing is kept of each by row. */
#define MANY_COLUMNS 256

/* Where fewer than one row in so many has a column, its ranks are looked up. */
#define FEW_ROWS 8

/* Bytes of a value that are made once for a code: a numeric, or a jsonb's container. */
typedef struct Made
{
	const char *bytes;
	uint32 length;
} Made;

/* A column of documents that is read. */
typedef struct Source
{
	int column;
	WtKind kind;
	WtEncoding encoding;
	bool has_codes;				 /* of CONSTANT and DICTIONARY */
	const uint16_t *value_codes; /* by value */
	WtTexts distinct;
	const int32_t *ranks; /* by row; NULL: a row's value has its number */
	bool
		sparse; /* ranks are looked up: few rows have it, or there are too many columns */
	const int64_t *integers;
	const uint8_t *decimals; /* by value; NULL: all have n_decimals */
	int n_decimals;
	Made *made; /* by code */
} Source;

/* An object, or a value, of a layout. */
typedef struct Piece
{
	Source *source; /* NULL: an object */
	int path;
	int n, room;
	struct Piece **members;
	uint32 keys_length;
	/* An object begins with: its header, its entries, its keys. */
	char *head;
	uint32 head_length;
	/* An object of constants, as a whole. */
	char *constant;
	uint32 constant_length;
} Piece;

typedef struct Layout
{
	int n_columns;
	const uint16 *columns;
	bool no_document; /* data is NULL */
	Piece *root;	  /* NULL: not made yet */
	int64 first;	  /* number of its first combination; -1: they are not numbered */
} Layout;

/* A column of the table other than data. */
typedef struct Attribute
{
	AttrNumber number;
	Oid type;
	int32 modifier;
	FmgrInfo input;
	Oid input_parameter;
	bool missing_is_known, missing_is_null;
	Datum missing;
	/* Of the chunk. */
	int column; /* -1: it has none of this name */
	WtEncoding encoding;
	const int32_t *ranks;
	const int64 *integers;
	const uint16_t *codes;
	WtTexts distinct;
	Datum *made;
	bool *is_made;
} Attribute;

struct WtProjection
{
	WtChunkScan *scan;
	MemoryContext context, row_context;
	bool row_is_used; /* something is in row_context */
	bool documents;	  /* data is needed */
	bool whole;
	int n_paths;
	WtKeys *paths;
	int n_attributes;
	Attribute *attributes;

	/* Of the chunk. */
	uint64 serial;
	Source **sources; /* by column */
	int n_layouts;
	Layout *layouts;
	int *layout_of_shape;
	const uint16_t *row_shapes; /* NULL: all rows have layout 0 */
	int32 *document_numbers;	/* by row; NULL: documents are made a row */
	int n_documents;
	Datum *made_documents; /* by number */

	/* The document that is being written. */
	char *buffer;
	size_t length, room;
};

/* For what is of a row. */
static MemoryContext
enter_row(WtProjection *p)
{
	p->row_is_used = true;
	return MemoryContextSwitchTo(p->row_context);
}

static inline void
leave_row(WtProjection *p)
{
	if (p->row_is_used)
		MemoryContextReset(p->row_context);
	p->row_is_used = false;
}

WtProjection *
wt_projection_create(WtChunkScan *scan, const WtNeeds *needs)
{
	WtProjection *p = palloc0(sizeof(WtProjection));

	p->scan = scan;
	p->context = CurrentMemoryContext;
	p->row_context =
		AllocSetContextCreate(CurrentMemoryContext, "sealed row", ALLOCSET_SMALL_SIZES);
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

		if (form->attisdropped || i == scan->data_column ||
			(!needs->system && !bms_is_member(i, needs->columns)))
			continue;
		p->n_attributes++;
		a->number = i;
		a->modifier = form->atttypmod;
		/* What a domain asks for was asked when the row was stored. */
		a->type = getBaseTypeAndTypmod(form->atttypid, &a->modifier);
		getTypeInputInfo(a->type, &function, &a->input_parameter);
		fmgr_info(function, &a->input);
	}
	p->room = 1024;
	p->buffer = palloc(p->room);
	return p;
}

/* ------------------------------------------------------------------------ opening */

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
	wt_chunk_scan_want(scan, column, WT_WANT_VALUES);
	s->sparse = scan->chunk->n_columns > MANY_COLUMNS ||
				(p->whole && c->n_values < scan->chunk->n_rows / FEW_ROWS);
	if (!s->sparse)
		s->ranks = wt_column_ranks(scan->chunk, column);
	if (c->encoding == WT_ENCODING_CONSTANT || c->encoding == WT_ENCODING_DICTIONARY)
	{
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

static inline int
layout_of(const WtProjection *p, int row)
{
	return p->row_shapes ? p->layout_of_shape[p->row_shapes[row]] : 0;
}

static inline int
value_of(WtProjection *p, const Source *s, int row)
{
	int value = s->sparse  ? wt_column_rank(p->scan->chunk, s->column, row)
				: s->ranks ? s->ranks[row]
						   : row;

	if (unlikely(value < 0))
		wt_chunk_scan_damaged(p->scan, "a row lacks a value that its shape has");
	return value;
}

static inline int
code_of(WtProjection *p, const Source *s, int row)
{
	int code =
		s->encoding == WT_ENCODING_CONSTANT ? 0 : s->value_codes[value_of(p, s, row)];

	if (unlikely(code >= s->distinct.n))
		wt_chunk_scan_damaged(p->scan, "a row lacks a value that its shape has");
	return code;
}

int
wt_column_spread(const WtColumn *column, int most)
{
	bool integers = column->kind == WT_KIND_EXTRA_INT;
	uint64 distance;

	if (column->encoding == WT_ENCODING_NONE || column->n_values == 0)
		return 1;
	if (!integers && (column->encoding == WT_ENCODING_CONSTANT ||
					  column->encoding == WT_ENCODING_DICTIONARY))
		return column->n_distinct;
	if ((!integers && column->encoding != WT_ENCODING_INTEGER) || !column->has_range ||
		column->min.decimals != column->max.decimals ||
		column->min.value > column->max.value)
		return column->n_values;
	distance = (uint64) column->max.value - (uint64) column->min.value;
	return distance < (uint64) most ? (int) distance + 1 : column->n_values;
}

/* What a column adds to the number of a combination. */
typedef struct Digit
{
	int n;		  /* different ones, one more where rows lack it; 0: too many */
	bool lacking; /* some rows lack it */
	int n_values;
	const uint16_t *codes; /* by row; NULL: they are integers, or of one value */
	const int64_t *integers;
	const int32_t *ranks;
	int64 least;
} Digit;

/* The digit of a column whose values have codes, or are integers close to each other. */
static Digit
digit_of(const WtColumn *column, const uint16_t *codes, const int64_t *integers,
		 const int32_t *ranks, int n_rows)
{
	Digit d = {.lacking = column->n_values < n_rows,
			   .n_values = column->n_values,
			   .ranks = ranks};

	if (column->encoding == WT_ENCODING_NONE || column->n_values == 0)
		d.n = 1;
	else if (codes != NULL)
	{
		d.n = column->n_distinct;
		d.codes = codes;
	}
	else if (integers != NULL)
	{
		d.n = wt_column_spread(column, MAX_DIGIT);
		d.integers = integers;
		d.least = column->min.value;
		/* Fewer values than that may lie further apart. */
		if (d.n > MAX_DIGIT || !column->has_range ||
			column->min.value > column->max.value ||
			(uint64) column->max.value - (uint64) column->min.value >= (uint64) d.n)
			d.n = 0;
	}
	return d;
}

static Digit
digit_of_source(WtProjection *p, const Source *s)
{
	const WtColumn *c = &p->scan->chunk->columns[s->column];
	bool plain = s->integers != NULL && s->decimals == NULL &&
				 c->min.decimals == s->n_decimals && c->max.decimals == s->n_decimals;

	const uint16_t *codes = s->has_codes && !s->sparse
								? wt_column_row_codes(p->scan->chunk, s->column)
								: NULL;
	Digit d =
		digit_of(c, codes, plain ? s->integers : NULL, s->ranks, p->scan->chunk->n_rows);

	if (s->kind == WT_KIND_WHOLE)
		d.n = 0;
	return d;
}

static Digit
digit_of_attribute(WtProjection *p, const Attribute *a)
{
	const WtColumn *c = &p->scan->chunk->columns[a->column];

	return digit_of(c, a->integers ? NULL : a->codes, a->integers, a->ranks,
					p->scan->chunk->n_rows);
}

/* Adds a column's digit, times what those before it leave, to the numbers of all rows. */
static void
add_digit(WtProjection *p, const Digit *d, int32 *numbers, int32 weight)
{
	int n_rows = p->scan->chunk->n_rows;

	if (d->codes != NULL && !d->lacking)
		for (int row = 0; row < n_rows; row++)
			numbers[row] += d->codes[row] * weight;
	else if (d->codes != NULL)
		for (int row = 0; row < n_rows; row++)
			numbers[row] += (d->codes[row] == WT_NO_CODE ? d->n : d->codes[row]) * weight;
	else if (d->integers != NULL)
		for (int row = 0; row < n_rows; row++)
		{
			int value = d->ranks ? d->ranks[row] : row;
			int64 digit = value < 0 ? d->n : d->integers[value] - d->least;

			if (digit < 0 || digit > d->n || (digit == d->n && value >= 0))
				wt_chunk_scan_damaged(p->scan, "a value is out of its column's range");
			numbers[row] += (int32) digit * weight;
		}
	else if (d->lacking && d->ranks != NULL)
		for (int row = 0; row < n_rows; row++)
			numbers[row] += (d->ranks[row] < 0 ? d->n : 0) * weight;
}

static int
by_n_values(const void *a, const void *b)
{
	return ((const Digit *) b)->n_values - ((const Digit *) a)->n_values;
}

/*
 * The number of the combination of each row: of its document's columns, and with attributes of
 * those, too: a number of several digits, one a column; those that most rows have come first, as
 * there may be no room for all.  Rows that have a value in a column that
 * gets no digit have -1.  NULL: all would.
 */
static int32 *
number_rows(WtProjection *p, bool attributes, int64 limit, int *n_numbers)
{
	WtChunkScan *scan = p->scan;
	int n_rows = scan->chunk->n_rows, n_columns = 0;
	Digit *digits = palloc((scan->chunk->n_columns + p->n_attributes) * sizeof(Digit));
	int64 total = 1;
	int32 *numbers;
	uint32 largest = 0;

	/* Whole documents mostly have an id, or another column that all rows have values of their own in. */
	for (int c = 0; p->documents && c < scan->chunk->n_columns; c++)
		if (p->sources[c] != NULL && scan->chunk->columns[c].n_values == n_rows &&
			!p->sources[c]->has_codes && p->sources[c]->integers == NULL &&
			p->sources[c]->encoding != WT_ENCODING_NONE)
			return NULL;
	for (int c = 0; p->documents && c < scan->chunk->n_columns; c++)
		if (p->sources[c] != NULL)
			digits[n_columns++] = digit_of_source(p, p->sources[c]);
	for (int i = 0; attributes && i < p->n_attributes; i++)
		if (p->attributes[i].column >= 0)
			digits[n_columns++] = digit_of_attribute(p, &p->attributes[i]);
	qsort(digits, n_columns, sizeof(Digit), by_n_values);
	for (int i = 0; i < n_columns; i++)
	{
		Digit *d = &digits[i];

		if (d->n > 0 && total * (d->n + d->lacking) <= limit)
			total *= d->n + d->lacking;
		else if (d->lacking && d->ranks != NULL)
			d->n = 0;
		else
			return NULL;
	}
	numbers = palloc0(n_rows * sizeof(int32));
	for (int i = 0, weight = 1; i < n_columns; i++)
	{
		if (digits[i].n + digits[i].lacking > 1)
			add_digit(p, &digits[i], numbers, weight);
		if (digits[i].n > 0)
			weight *= digits[i].n + digits[i].lacking;
	}
	for (int row = 0; row < n_rows; row++)
		largest = Max(largest, (uint32) numbers[row]);
	if (largest >= total)
		wt_chunk_scan_damaged(scan, "a row lacks a value that its shape has");
	for (int i = 0; i < n_columns; i++)
		for (int row = 0; digits[i].n == 0 && row < n_rows; row++)
			if (digits[i].ranks[row] >= 0)
				numbers[row] = -1;
	/* Rows without a document have no column that says so. */
	for (int l = 0; p->documents && l < p->n_layouts; l++)
		for (int row = 0; p->layouts[l].no_document && row < n_rows; row++)
			if (layout_of(p, row) == l)
				numbers[row] = -1;
	*n_numbers = total;
	return numbers;
}

/* Reads what is needed of the chunk that is open. */
static void
open_chunk(WtProjection *p)
{
	WtChunkScan *scan = p->scan;
	WtChunk *chunk = scan->chunk;
	MemoryContext old = MemoryContextSwitchTo(scan->chunk_context);

	p->serial = scan->serial;
	p->document_numbers = NULL;
	for (int i = 0; i < p->n_attributes; i++)
		open_attribute(p, &p->attributes[i]);
	if (p->documents)
	{
		bool *needed = palloc0(chunk->n_columns * sizeof(bool));
		int n = 0;

		wt_chunk_scan_want(scan, WT_COLUMN_SHAPES, WT_WANT_VALUES);
		if (p->whole)
			memset(needed, true, chunk->n_columns);
		else
			wt_members_needed(chunk, p->paths, p->n_paths, needed);
		find_layouts(p, needed);
		p->sources = palloc0(chunk->n_columns * sizeof(Source *));
		for (int l = 0; l < p->n_layouts; l++)
			for (int i = 0; i < p->layouts[l].n_columns; i++)
				source_of(p, p->layouts[l].columns[i]);
		/* More documents than half of the rows are better made one by one. */
		p->document_numbers = number_rows(p, false, chunk->n_rows / 2 + 1, &n);
		p->n_documents = n;
		if (p->document_numbers)
			p->made_documents = palloc0(n * sizeof(Datum));
	}
	MemoryContextSwitchTo(old);
}

static inline void
ensure_open(WtProjection *p)
{
	if (p->serial != p->scan->serial)
		open_chunk(p);
}

const int32 *
wt_projection_combinations(WtProjection *p, int *n)
{
	WtChunkScan *scan = p->scan;
	MemoryContext old;
	int32 *numbers;

	ensure_open(p);
	/* Where documents are all that is needed, those of them are these. */
	if (p->n_attributes == 0 && p->document_numbers != NULL)
	{
		*n = p->n_documents;
		return p->document_numbers;
	}
	old = MemoryContextSwitchTo(scan->chunk_context);
	numbers = number_rows(p, true, MAX_COMBINATIONS, n);
	MemoryContextSwitchTo(old);
	if (numbers != NULL && scan->has_statuses && scan->status_column != InvalidAttrNumber)
		for (int i = 0; i < p->n_attributes; i++)
			if (p->attributes[i].number == scan->status_column)
				for (int row = 0; row < scan->chunk->n_rows; row++)
					if (wt_overlay_bit(scan->statuses.changed, row))
						numbers[row] = -1;
	return numbers;
}

/* ------------------------------------------------------------------------ writing */

static pg_noinline void
grow(WtProjection *p, size_t n)
{
	size_t wanted = p->length + n;

	if (wanted > MaxAllocSize)
		wt_chunk_scan_damaged(p->scan, "a document is too large");
	while (p->room < wanted)
		p->room *= 2;
	p->room = Min(p->room, MaxAllocSize);
	p->buffer = repalloc(p->buffer, p->room);
}

static inline void
reserve(WtProjection *p, size_t n)
{
	if (unlikely(p->length + n > p->room))
		grow(p, n);
}

/* Most values are short, and then a call costs more than the copy: two that overlap do. */
static inline void
copy(char *to, const char *from, size_t n)
{
	if (n > 32)
		memcpy(to, from, n);
	else if (n >= 16)
	{
		memcpy(to, from, 16);
		memcpy(to + n - 16, from + n - 16, 16);
	}
	else if (n >= 8)
	{
		memcpy(to, from, 8);
		memcpy(to + n - 8, from + n - 8, 8);
	}
	else if (n >= 4)
	{
		memcpy(to, from, 4);
		memcpy(to + n - 4, from + n - 4, 4);
	}
	else
		for (size_t i = 0; i < n; i++)
			to[i] = from[i];
}

static inline void
append(WtProjection *p, const char *bytes, size_t n)
{
	reserve(p, n);
	copy(p->buffer + p->length, bytes, n);
	p->length += n;
}

/* Numbers and containers begin at multiples of four bytes. */
static inline void
align(WtProjection *p)
{
	reserve(p, 3);
	while (p->length & 3)
		p->buffer[p->length++] = '\0';
}

static void
say_where(void *arg)
{
	const WtChunkScan *scan = arg;

	errcontext("a document in chunk %d of \"%s\"", scan->chunk->number,
			   wt_chunk_table_name(scan->table));
}

/* A document, or a part of it, of its text: in the current memory context. */
static Jsonb *
parse(WtProjection *p, WtText text)
{
	ErrorContextCallback callback = {error_context_stack, say_where, p->scan};
	Jsonb *result;

	error_context_stack = &callback;
	result = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text.text)));
	error_context_stack = callback.previous;
	return result;
}

/* A value of a kind that is kept as text, in the form that a document has it: made anew. */
static Made
make(WtProjection *p, WtKind kind, WtText text)
{
	Made made;

	if (kind == WT_KIND_NUMBER)
	{
		ErrorContextCallback callback = {error_context_stack, say_where, p->scan};
		Datum number;

		error_context_stack = &callback;
		number = DirectFunctionCall3(numeric_in, CStringGetDatum(text.text),
									 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
		error_context_stack = callback.previous;
		made.bytes = DatumGetPointer(number);
		made.length = VARSIZE_ANY(made.bytes);
	}
	else
	{
		Jsonb *jsonb = parse(p, text);

		/* A scalar is kept as a value of its own kind, and what is within has another form. */
		if (kind == WT_KIND_JSON && JB_ROOT_IS_SCALAR(jsonb))
			wt_chunk_scan_damaged(p->scan,
								  "a scalar is where an array or object should be");
		made.bytes = VARDATA(jsonb);
		made.length = VARSIZE(jsonb) - VARHDRSZ;
	}
	return made;
}

/* A row's text of a column. */
static inline WtText
text_of(WtProjection *p, const Source *s, int row)
{
	if (s->has_codes)
		return wt_texts_at(&s->distinct, code_of(p, s, row));
	return wt_column_text(p->scan->chunk, s->column, value_of(p, s, row));
}

/* The same of a kind that is not text in a document. */
static Made
made_of(WtProjection *p, Source *s, int row)
{
	if (s->made != NULL)
	{
		Made *made = &s->made[code_of(p, s, row)];

		if (made->bytes == NULL)
		{
			MemoryContext old = MemoryContextSwitchTo(p->scan->chunk_context);

			*made = make(p, s->kind, text_of(p, s, row));
			MemoryContextSwitchTo(old);
		}
		return *made;
	}
	else
	{
		MemoryContext old = enter_row(p);
		Made made = make(p, s->kind, text_of(p, s, row));

		MemoryContextSwitchTo(old);
		return made;
	}
}

/* Appends a value; gives its entry. */
static JEntry
write_value(WtProjection *p, Source *s, int row)
{
	size_t start = p->length;

	switch (s->kind)
	{
		case WT_KIND_STRING:
		{
			WtText text = text_of(p, s, row);

			append(p, text.text, text.length);
			return JENTRY_ISSTRING | text.length;
		}
		case WT_KIND_NUMBER:
			align(p);
			if (s->integers != NULL)
			{
				int value = value_of(p, s, row);
				int decimals = s->decimals ? s->decimals[value] : s->n_decimals;

				if (decimals >= 0 && decimals <= WT_NUMERIC_DECIMALS)
				{
					reserve(p, WT_DECIMAL_BYTES);
					p->length += wt_decimal_numeric(s->integers[value], decimals,
													p->buffer + p->length);
					return JENTRY_ISNUMERIC | (p->length - start);
				}
			}
			{
				Made made = made_of(p, s, row);

				append(p, made.bytes, made.length);
				return JENTRY_ISNUMERIC | (p->length - start);
			}
		case WT_KIND_BOOLEAN:
			return text_of(p, s, row).text[0] == 't' ? JENTRY_ISBOOL_TRUE
													 : JENTRY_ISBOOL_FALSE;
		case WT_KIND_NULL:
			return JENTRY_ISNULL;
		case WT_KIND_EMPTY:
		{
			uint32 header = JB_FOBJECT;

			align(p);
			append(p, (char *) &header, sizeof(header));
			return JENTRY_ISCONTAINER | (p->length - start);
		}
		case WT_KIND_JSON:
		{
			Made made = made_of(p, s, row);

			align(p);
			append(p, made.bytes, made.length);
			return JENTRY_ISCONTAINER | (p->length - start);
		}
		default:
			wt_chunk_scan_damaged(p->scan,
								  "a document has a column that is none of its own");
			return 0; /* not reached */
	}
}

static JEntry
write_object(WtProjection *p, Piece *node, int row)
{
	size_t start = p->length, entries;
	uint32 total = node->keys_length;

	align(p);
	if (node->constant != NULL)
	{
		append(p, node->constant, node->constant_length);
		return JENTRY_ISCONTAINER | (p->length - start);
	}
	append(p, node->head, node->head_length);
	entries = p->length - node->keys_length - node->n * sizeof(JEntry);
	for (int i = 0; i < node->n; i++)
	{
		Piece *member = node->members[i];
		JEntry entry = member->source ? write_value(p, member->source, row)
									  : write_object(p, member, row);

		if (p->length - start > JENTRY_OFFLENMASK)
			wt_chunk_scan_damaged(p->scan, "a document is too large");
		total += JBE_OFFLENFLD(entry);
		/* Now and then an entry says where its value ends, not how long it is. */
		if ((node->n + i) % JB_OFFSET_STRIDE == 0)
			entry = (entry & JENTRY_TYPEMASK) | total | JENTRY_HAS_OFF;
		memcpy(p->buffer + entries + i * sizeof(JEntry), &entry, sizeof(entry));
	}
	return JENTRY_ISCONTAINER | (p->length - start);
}

/* ------------------------------------------------------------------------ layouts */

/* Prepares what is the same for each row: objects within are prepared already. */
static void
prepare_object(WtProjection *p, Piece *node)
{
	const WtPathInfo *paths = p->scan->chunk->paths;
	uint32 header = JB_FOBJECT | node->n;
	bool constant = true;
	StringInfoData head;

	initStringInfo(&head);
	appendBinaryStringInfo(&head, (char *) &header, sizeof(header));
	for (int i = 0; i < node->n; i++)
	{
		uint32 length = paths[node->members[i]->path].key_length;
		JEntry entry = JENTRY_ISSTRING | length;

		node->keys_length += length;
		if (node->keys_length > JENTRY_OFFLENMASK)
			wt_chunk_scan_damaged(p->scan, "a document is too large");
		if (i % JB_OFFSET_STRIDE == 0)
			entry = JENTRY_ISSTRING | JENTRY_HAS_OFF | node->keys_length;
		appendBinaryStringInfo(&head, (char *) &entry, sizeof(entry));
	}
	for (int i = 0; i < node->n; i++)
	{
		JEntry later = 0;

		appendBinaryStringInfo(&head, (char *) &later, sizeof(later));
	}
	for (int i = 0; i < node->n; i++)
	{
		const WtPathInfo *path = &paths[node->members[i]->path];

		appendBinaryStringInfo(&head, path->key, path->key_length);
	}
	node->head = head.data;
	node->head_length = head.len;
	for (int i = 0; i < node->n; i++)
	{
		Piece *member = node->members[i];

		constant &= member->source ? member->source->encoding == WT_ENCODING_NONE ||
										 member->source->encoding == WT_ENCODING_CONSTANT
								   : member->constant != NULL;
	}
	if (constant)
	{
		size_t begin = VARHDRSZ;

		/* Constants are the same in any row, also in one that has none of them. */
		p->length = begin;
		write_object(p, node, 0);
		node->constant_length = p->length - begin;
		node->constant = palloc(Max(node->constant_length, 1));
		memcpy(node->constant, p->buffer + begin, node->constant_length);
	}
}

static Piece *
add_member(Piece *object, int path)
{
	Piece *member = palloc0(sizeof(Piece));

	if (object->n == object->room)
	{
		object->room = object->room ? object->room * 2 : 8;
		object->members = object->members
							  ? repalloc(object->members, object->room * sizeof(Piece *))
							  : palloc(object->room * sizeof(Piece *));
	}
	object->members[object->n++] = member;
	member->path = path;
	return member;
}

/* The object at a path, on the way that the last column took, or a new branch of it. */
static Piece *
object_at(WtProjection *p, Piece *root, int path)
{
	int steps[WT_CHUNK_MAX_DEPTH + 1], n = 0;
	Piece *node = root;

	for (; path > WT_PATH_ROOT && n <= WT_CHUNK_MAX_DEPTH;
		 path = p->scan->chunk->paths[path].parent)
		steps[n++] = path;
	while (n-- > 0)
	{
		Piece *last = node->n ? node->members[node->n - 1] : NULL;

		if (last == NULL || last->path != steps[n])
			last = add_member(node, steps[n]);
		if (last->source != NULL)
			wt_chunk_scan_damaged(p->scan, "a value has members");
		node = last;
	}
	return node;
}

static void
prepare_tree(WtProjection *p, Piece *node)
{
	check_stack_depth();
	for (int i = 0; i < node->n; i++)
		if (node->members[i]->source == NULL)
			prepare_tree(p, node->members[i]);
	prepare_object(p, node);
}

static void
make_layout(WtProjection *p, Layout *l)
{
	MemoryContext old = MemoryContextSwitchTo(p->scan->chunk_context);
	Piece *root = palloc0(sizeof(Piece));

	for (int i = 0; i < l->n_columns; i++)
	{
		Source *s = p->sources[l->columns[i]];
		int path = p->scan->chunk->columns[l->columns[i]].path;
		Piece *object;

		if (path == WT_PATH_ROOT)
		{
			/* The document is no object with members: it has this column alone. */
			if (l->n_columns != 1)
				wt_chunk_scan_damaged(p->scan, "a value has members");
			root->source = s;
			break;
		}
		object = object_at(p, root, p->scan->chunk->paths[path].parent);
		add_member(object, path)->source = s;
	}
	if (root->source == NULL)
		prepare_tree(p, root);
	l->root = root;
	MemoryContextSwitchTo(old);
}

/* A document that is a scalar. */
static Datum
scalar_document(WtProjection *p, Source *s, int row)
{
	MemoryContext old = enter_row(p);
	JsonbValue value;
	WtText text = s->encoding == WT_ENCODING_NONE ? (WtText){"", 0} : text_of(p, s, row);
	Jsonb *result;

	switch (s->kind)
	{
		case WT_KIND_STRING:
			value.type = jbvString;
			value.val.string.val = (char *) text.text;
			value.val.string.len = text.length;
			break;
		case WT_KIND_NUMBER:
			value.type = jbvNumeric;
			value.val.numeric = (Numeric) make(p, WT_KIND_NUMBER, text).bytes;
			break;
		case WT_KIND_BOOLEAN:
			value.type = jbvBool;
			value.val.boolean = text.text[0] == 't';
			break;
		case WT_KIND_NULL:
			value.type = jbvNull;
			break;
		default:
			wt_chunk_scan_damaged(p->scan,
								  "a document has a column that is none of its own");
	}
	result = JsonbValueToJsonb(&value);
	MemoryContextSwitchTo(old);
	return JsonbPGetDatum(result);
}

/* Writes a row's document: in the buffer, or in the context of the row. */
static Datum
write_document(WtProjection *p, Layout *l, int row)
{
	Source *s;

	if (l->root == NULL)
		make_layout(p, l);
	s = l->root->source;
	if (s != NULL && s->kind != WT_KIND_EMPTY && s->kind != WT_KIND_JSON &&
		s->kind != WT_KIND_WHOLE)
		return scalar_document(p, s, row);
	p->length = VARHDRSZ;
	if (s == NULL)
		write_object(p, l->root, row);
	else if (s->kind == WT_KIND_EMPTY)
		write_value(p, s, row);
	else
	{
		Made made = made_of(p, s, row);

		append(p, made.bytes, made.length);
	}
	SET_VARSIZE(p->buffer, p->length);
	return PointerGetDatum(p->buffer);
}

/* A row's document; false: data is NULL. */
static inline bool
document_of(WtProjection *p, int row, Datum *document)
{
	Layout *l = &p->layouts[layout_of(p, row)];
	int32 number = p->document_numbers ? p->document_numbers[row] : -1;

	if (l->no_document)
		return false;
	if (number < 0)
		*document = write_document(p, l, row);
	else
	{
		if (p->made_documents[number] == 0)
		{
			Pointer made = DatumGetPointer(write_document(p, l, row));
			Pointer copy = MemoryContextAlloc(p->scan->chunk_context, VARSIZE(made));

			p->made_documents[number] =
				PointerGetDatum(memcpy(copy, made, VARSIZE(made)));
		}
		*document = p->made_documents[number];
	}
	return true;
}

/* ------------------------------------------------------------------------ other columns */

/* A column's value in another type than it was stored as, or of a type that is kept as text. */
static Datum
input(Attribute *a, const char *text)
{
	return InputFunctionCall(&a->input, (char *) text, a->input_parameter, a->modifier);
}

static Datum
integer_value(WtProjection *p, Attribute *a, int64 value)
{
	char text[32];

	switch (a->type)
	{
		case INT8OID:
		case TIMESTAMPTZOID:
			return Int64GetDatum(value);
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
			MemoryContext old = enter_row(p);
			Datum result;

			snprintf(text, sizeof(text), INT64_FORMAT, value);
			result = input(a, text);
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
			MemoryContext old = MemoryContextSwitchTo(scan->chunk_context);

			a->made[code] = input(a, wt_texts_at(&a->distinct, code).text);
			a->is_made[code] = true;
			MemoryContextSwitchTo(old);
		}
		return a->made[code];
	}
	else
	{
		MemoryContext old = enter_row(p);
		Datum result = input(a, wt_column_text(scan->chunk, a->column, value).text);

		MemoryContextSwitchTo(old);
		return result;
	}
}

void
wt_projection_fill_columns(WtProjection *p, int row, Datum *values, bool *nulls)
{
	ensure_open(p);
	leave_row(p);
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
		nulls[data - 1] = !document_of(p, row, &values[data - 1]);
}

char *
wt_needs_text(const WtNeeds *needs, AttrNumber data)
{
	StringInfoData text;
	ListCell *lc, *key;

	if (needs->whole)
		return pstrdup("whole");
	if (!bms_is_member(data, needs->columns))
		return pstrdup("none");
	initStringInfo(&text);
	foreach (lc, needs->paths)
	{
		if (foreach_current_index(lc) == MAX_TOLD)
		{
			appendStringInfo(&text, " and %d more", list_length(needs->paths) - MAX_TOLD);
			break;
		}
		if (text.len > 0)
			appendStringInfoString(&text, ", ");
		foreach (key, (List *) lfirst(lc))
			appendStringInfo(&text, "%s%s", key == list_head(lfirst(lc)) ? "" : ".",
							 strVal(lfirst(key)));
	}
	return text.data;
}
