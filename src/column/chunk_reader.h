/*
 * chunk_reader.h
 *		A chunk is opened by its directory, and its columns are decoded as their parts are
 *		fetched.
 *
 * Nothing of what is read is trusted: who owns the table of chunks may have written anything
 * into it.  What opens a chunk and what adds a part checks all that the other functions rely
 * on; those cannot fail any more.  All memory is the arena's: a chunk, and all that its
 * functions return, is valid until the arena is reset.  It is bounded by twice
 * WT_CHUNK_MAX_BYTES, and six bytes a row for each column of which ranks or codes by row are
 * asked for.
 * The bytes of parts are not kept: they may be freed as soon as the call returns.
 *
 * To read a column, say to what extent it is wanted, fetch the parts that this takes, add
 * them:
 *
 *		int parts[WT_PARTS_OF_COLUMN];
 *		int n = wt_column_parts(chunk, column, WT_WANT_VALUES, parts, &error);
 *		for each of them: wt_chunk_add_part(chunk, part, bytes, length, &error)
 *
 * A column's values are numbered from 0, in order of rows; rows that lack it have none, so
 * a row's value must be looked up (wt_column_ranks()) unless it has a value for each
 * row (n_values = n_rows).
 */
#ifndef WT_COLUMN_CHUNK_READER_H
#define WT_COLUMN_CHUNK_READER_H

#include "column/arena.h"
#include "column/format.h"
#include "column/texts.h"

/* A path: its key, below its parent.  Path 0 is the document, has no key and parent -1. */
typedef struct WtPathInfo
{
	int parent;
	int depth; /* keys on the way: 0 for the document */
	const char *key;
	size_t key_length;
} WtPathInfo;

typedef struct WtColumnData WtColumnData;

/* What the directory says of a column. */
typedef struct WtColumn
{
	WtKind kind;
	WtEncoding encoding;
	int path;		  /* of a document's column; -1 for the time and extra columns */
	const char *name; /* of an extra column; else NULL */
	size_t name_length;
	int n_values; /* rows that have it */

	/* Distinct values of CONSTANT (1) and DICTIONARY; templates of TEMPLATE; else -1. */
	int n_distinct;

	/*
	 * The smallest and the largest value.  As numbers: where has_range; all values of the
	 * column lie between them, both included (kinds of integers, numbers of at most 18
	 * digits).  As text, in order of bytes as memcmp has it: where has_text_range (strings).
	 * Long texts are cut to WT_RANGE_TEXT bytes: the largest value is then no longer
	 * max_text, but begins with it or sorts before it (max_is_cut).
	 */
	bool has_range;
	WtDecimal min, max;
	bool has_text_range;
	bool max_is_cut;
	const char *min_text, *max_text;
	uint8_t min_length, max_length;

	WtColumnData *data; /* the reader's own */
} WtColumn;

#define WT_RANGE_TEXT 24

/* A shape: its columns in jsonb's order (of documents, extra columns left out). */
typedef struct WtShape
{
	int n_columns;
	const uint16_t *columns; /* indexes into the chunk's columns */
	int n_extras;
	const uint16_t *extras; /* extra columns that are not NULL: indexes, ascending */
	int n_rows;				/* that have it */
} WtShape;

typedef struct WtChunkParts WtChunkParts;

typedef struct WtChunk
{
	int32_t number;
	int n_rows;
	int64_t first_time, last_time; /* the smallest and the largest, µs since 2000 */

	int n_paths;
	const WtPathInfo *paths; /* a parent comes before its children */

	/* Column 0 is the time; then the extra columns as declared; then those of documents. */
	int n_columns;
	int n_extras;
	WtColumn *columns;

	int n_parts;	   /* parts 1 to n_parts are columns' */
	size_t raw_bytes;  /* of all columns' parts, decompressed */
	WtChunkParts *own; /* the reader's own */
} WtChunk;

/* --------------------------------------------------------- opening, and adding parts */

/*
 * A chunk, from the bytes of its directory (part 0 with its checksum); chunk is the number
 * under which it was found.  NULL, with what is wrong: the checksum, a version that this
 * reader does not know (it says which), or lies.
 */
extern WtChunk *wt_chunk_open(WtArena *arena, const char *bytes, size_t length,
							  int32_t chunk, WtColumnError *error);

/* How much of a column is wanted. */
typedef enum WtWant
{
	WT_WANT_ROWS, /* which rows have it: wt_column_ranks(), of NONE and CONSTANT all */
	WT_WANT_DISTINCT, /* texts of CONSTANT and DICTIONARY; of others as WT_WANT_CODES */
	WT_WANT_CODES, /* codes, and texts of CONSTANT and DICTIONARY; templates of TEMPLATE */
	WT_WANT_FEW,   /* all for wt_column_text(), of few values */
	WT_WANT_VALUES /* all */
} WtWant;

#define WT_PARTS_OF_COLUMN 4

/*
 * The parts that must be added yet to have so much of a column, in the order in which they
 * are to be added, and before anything else is asked for of the column; returns their count.  0: all
 * is there; small columns lie in the directory, and are decoded by this.  -1: what lies there is bad, with what is wrong.  What it takes to know
 * which rows have it is among them, where not all have.  column may be WT_COLUMN_SHAPES: for
 * wt_chunk_shapes() and wt_chunk_row_shapes().
 */
#define WT_COLUMN_SHAPES (-1)
extern int wt_column_parts(WtChunk *chunk, int column, WtWant want,
						   int parts[WT_PARTS_OF_COLUMN], WtColumnError *error);

/* Bytes of a part as they are stored, for those who count the cost; 0: no such part. */
extern size_t wt_chunk_part_size(const WtChunk *chunk, int part);

/*
 * Adds a part: its bytes with the checksum.  Adding one again does nothing.  false, with
 * what is wrong; then the chunk is good for nothing more.
 */
extern bool wt_chunk_add_part(WtChunk *chunk, int part, const char *bytes, size_t length,
							  WtColumnError *error);

/* The column of an extra column's name, of a path and kind; -1: the chunk has none. */
extern int wt_chunk_find_extra(const WtChunk *chunk, const char *name, size_t length);
extern int wt_chunk_find_column(const WtChunk *chunk, int path, WtKind kind);

/* The path of a key below a path; -1: the chunk has none. */
extern int wt_chunk_find_path(const WtChunk *chunk, int parent, const char *key,
							  size_t length);

/* ------------------------------------------------------------------------------ rows */

/*
 * The shapes, and their count; and for each row the number of its shape.  After the parts of
 * WT_COLUMN_SHAPES.
 */
extern const WtShape *wt_chunk_shapes(WtChunk *chunk, int *n_shapes);
extern const uint16_t *wt_chunk_row_shapes(WtChunk *chunk);

/*
 * For each row the number of its value in the column, or -1 where it has none.  NULL where
 * every row has one: then the value's number is the row's.  Made at the first call, kept.
 */
extern const int32_t *wt_column_ranks(WtChunk *chunk, int column);

/*
 * The same for one row, from a bitmap: a tenth of the memory of all ranks, and made as soon.
 * Who goes through rows in order can count values by himself, by their shapes.
 */
extern int wt_column_rank(WtChunk *chunk, int column, int row);

/*
 * For each row the code of its value, as wt_column_distinct_text() takes it, or WT_NO_CODE
 * where it has none.  Of CONSTANT, DICTIONARY and TEMPLATE; NULL for all others, and for
 * integers that are CONSTANT.  Made at the first call, kept.
 */
#define WT_NO_CODE 0xFFFF
extern const uint16_t *wt_column_row_codes(WtChunk *chunk, int column);

/* The same, for each value instead of each row. */
extern const uint16_t *wt_column_value_codes(WtChunk *chunk, int column);

/* And in a byte each, as they are stored: of DICTIONARY with at most 256 distinct values; else NULL. */
extern const uint8_t *wt_column_narrow_codes(WtChunk *chunk, int column);

/* How many values have each code; NULL: it has none, or is of TEMPLATE. */
extern const uint32_t *wt_column_code_counts(WtChunk *chunk, int column);

/* ---------------------------------------------------------------------------- values */

/*
 * The distinct texts of CONSTANT and DICTIONARY, by code; for TEMPLATE, the templates, by
 * code: each gap, where a value has one run of digits (0 to 9, one or more), is the single digit
 * WT_TEMPLATE_GAP; a template has no other digits.  So a text without digits is part of a
 * value just where it is part of its template.  n is 0 for all other encodings.
 */
extern WtTexts wt_column_distinct(WtChunk *chunk, int column);

/*
 * A value as the bytes that the writer was given, of any column.  It is valid until the next
 * call for the same column, where the encoding is none of CONSTANT, DICTIONARY and TEXT; of
 * these as long as the chunk.  Of NONE it is empty.  Its text is NULL where a few values were
 * wanted of a TEMPLATE, which are looked at only now, and this one is bad.
 */
extern WtText wt_column_text(WtChunk *chunk, int column, int value);

/*
 * The gaps of a value of a TEMPLATE column: how many runs of digits; then run i of them.  To
 * search for digits within a place without joining the text.
 */
extern int wt_column_gaps(WtChunk *chunk, int column, int value);
extern WtText wt_column_gap(WtChunk *chunk, int column, int value, int gap);

/*
 * All values as texts one after another, by value's number: TEXT as it lies there,
 * all others printed at the first call, and kept.  For NONE, CONSTANT and DICTIONARY
 * wt_column_distinct() is meant instead: this works as well, but of the latter two gives none where
 * they would take more memory than a chunk may.
 */
extern WtTexts wt_column_texts(WtChunk *chunk, int column);

/*
 * All values as integers, by value's number: of INTEGER, of UUID7 (the ticks: 48 bits of
 * milliseconds since 1970 and the 12 bits behind the version) and of INSTANT (units of
 * 10^-decimals s since 1970-01-01 UTC, as the text says it without regard to its zone).  NULL
 * for all other encodings, but of kinds TIME and EXTRA_INT the values in any encoding.
 * *decimals: for INTEGER, how many of them are behind the point, one a value, or NULL where
 * all have as many as wt_column_decimals().
 */
extern const int64_t *wt_column_integers(WtChunk *chunk, int column,
										 const uint8_t **decimals);
extern int wt_column_decimals(const WtChunk *chunk, int column);

/* The 16 bytes of a value of UUID7 or UUID. */
extern void wt_column_uuid(WtChunk *chunk, int column, int value, uint8_t uuid[16]);

/*
 * Whether all texts of a column are UTF-8; asked once a column, it looks at dictionaries and
 * templates alone, where there are any.  No text but an extra column's has a NUL.
 */
extern bool wt_column_is_utf8(WtChunk *chunk, int column);
extern bool wt_is_utf8(const char *text, size_t length);

/*
 * Looks for a text among the values without printing them: compares packed forms where the
 * encoding has one (UUID, HEX, INSTANT, INTEGER), codes, or lengths and bytes.  The first value from
 * `from` on that is equal, or -1.
 */
extern int wt_column_find(WtChunk *chunk, int column, int from, const char *text,
						  size_t length);

#endif
