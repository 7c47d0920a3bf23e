/*
 * numbering.c
 *		Numbers the combinations of values that a chunk's rows have, as a number of several digits, one a
 *		column; and finds rows that differ.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "sealed/projection_state.h"

/* Beyond so many combinations in a chunk numbering them is worth nothing. */
#define MAX_COMBINATIONS 65536

/* Integers of a column that lie so close to each other are numbered. */
#define MAX_DIGIT 4096

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
	int column;
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

	d.column = s->column;
	if (s->kind == WT_KIND_WHOLE)
		d.n = 0;
	return d;
}

static Digit
digit_of_attribute(WtProjection *p, const Attribute *a)
{
	const WtColumn *c = &p->scan->chunk->columns[a->column];
	Digit d = digit_of(c, a->integers ? NULL : a->codes, a->integers, a->ranks,
					   p->scan->chunk->n_rows);

	d.column = a->column;
	return d;
}

/* The digits of documents' columns, and with attributes of those, too; their count. */
static int
find_digits(WtProjection *p, bool attributes, Digit **digits)
{
	int n_columns = p->scan->chunk->n_columns, n = 0;

	*digits = palloc((n_columns + p->n_attributes) * sizeof(Digit));
	for (int c = 0; p->documents && c < n_columns; c++)
		if (p->sources[c] != NULL)
			(*digits)[n++] = digit_of_source(p, p->sources[c]);
	for (int i = 0; attributes && i < p->n_attributes; i++)
		if (p->attributes[i].column >= 0)
			(*digits)[n++] = digit_of_attribute(p, &p->attributes[i]);
	return n;
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
	int n_rows = scan->chunk->n_rows, n_columns;
	Digit *digits;
	int64 total = 1;
	int32 *numbers;
	uint32 largest = 0;

	/* Whole documents mostly have an id, or another column that all rows have values of their own in. */
	for (int c = 0; p->documents && c < scan->chunk->n_columns; c++)
		if (p->sources[c] != NULL && scan->chunk->columns[c].n_values == n_rows &&
			!p->sources[c]->has_codes && p->sources[c]->integers == NULL &&
			p->sources[c]->encoding != WT_ENCODING_NONE)
			return NULL;
	n_columns = find_digits(p, attributes, &digits);
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
			if (wt_row_layout(p, row) == l)
				numbers[row] = -1;
	*n_numbers = total;
	return numbers;
}

void
wt_number_documents(WtProjection *p)
{
	MemoryContext old = MemoryContextSwitchTo(p->scan->chunk_context);
	int n = 0;

	/* More documents than half of the rows are better made one by one. */
	p->document_numbers = number_rows(p, false, p->scan->chunk->n_rows / 2 + 1, &n);
	p->n_documents = n;
	if (p->document_numbers)
		p->made_documents = palloc0(n * sizeof(Datum));
	p->is_numbered = true;
	MemoryContextSwitchTo(old);
}

const int32 *
wt_projection_combinations(WtProjection *p, int *n)
{
	WtChunkScan *scan = p->scan;
	MemoryContext old;
	int32 *numbers;

	if (p->n_codes > 0)
		wt_projection_open(p, false);
	wt_projection_ensure_open(p);
	/* Where documents are all that is needed, those of them are these. */
	if (p->documents && !p->is_numbered)
		wt_number_documents(p);
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

/* Whether a row may differ from others of its combination. */
static bool
has_exceptions(const WtProjection *p)
{
	WtChunkScan *scan = p->scan;

	for (int l = 0; p->documents && l < p->n_layouts; l++)
		if (p->layouts[l].no_document)
			return true;
	for (int i = 0; i < p->n_attributes; i++)
		if (scan->has_statuses && p->attributes[i].number == scan->status_column)
			return true;
	return false;
}

/* A row of each code, as far as there is one; -1: there is none. */
static void
find_rows(const Digit *d, int n_rows, int32 *rows, int n)
{
	int left = n;

	memset(rows, -1, n * sizeof(int32));
	for (int row = 0; row < n_rows && left > 0; row++)
	{
		int code = d->codes[row] == WT_NO_CODE ? d->n : d->codes[row];

		if (code < n && rows[code] < 0)
		{
			rows[code] = row;
			left--;
		}
	}
}

/* Those that differ in one column. */
static void
by_codes(WtProjection *p, const Digit *d, WtDifferentRows *different)
{
	WtChunk *chunk = p->scan->chunk;
	int most = d->n + d->lacking;
	const uint32_t *counts = wt_column_code_counts(chunk, d->column);
	int32 *rows = palloc(most * sizeof(int32));
	uint32 *n_alike = palloc(most * sizeof(uint32));

	find_rows(d, chunk->n_rows, rows, most);
	for (int code = 0; code < most; code++)
	{
		if (rows[code] < 0)
			continue;
		rows[different->n] = rows[code];
		n_alike[different->n++] =
			code < d->n ? counts[code] : (uint32) (chunk->n_rows - d->n_values);
	}
	different->rows = rows;
	different->n_alike = n_alike;
}

bool
wt_projection_different(WtProjection *p, bool count, WtDifferentRows *different)
{
	WtChunkScan *scan = p->scan;
	MemoryContext old = MemoryContextSwitchTo(scan->chunk_context);
	const Digit *one = NULL;
	Digit *digits;
	int n, most;

	if (p->serial != scan->serial)
		wt_projection_open(p, !count);
	memset(different, 0, sizeof(*different));
	most = Max(p->n_codes, 1);
	if (p->n_codes == 0)
	{
		bool suits = !has_exceptions(p);

		n = suits ? find_digits(p, true, &digits) : 0;
		for (int i = 0; i < n && suits; i++)
		{
			if (digits[i].n == 1 && !digits[i].lacking)
				continue;
			suits = one == NULL && digits[i].n > 0 && digits[i].codes != NULL;
			one = &digits[i];
		}
		if (!suits)
		{
			MemoryContextSwitchTo(old);
			return false;
		}
	}
	if (one != NULL)
		by_codes(p, one, different);
	else
	{
		int32 *rows = palloc(most * sizeof(int32));
		uint32 *n_alike = palloc(sizeof(uint32));

		for (int i = 0; i < most; i++)
			rows[i] = i;
		*n_alike = scan->chunk->n_rows;
		*different = (WtDifferentRows){most, rows, count ? n_alike : NULL};
	}
	/* Of each a document is made once. */
	p->is_numbered = true;
	MemoryContextSwitchTo(old);
	return true;
}
