/*
 * chunk_data.h
 *		What the reader's files share of a chunk that is open: chunk_reader.c opens it and adds
 *		parts, column_decode.c makes values of them, column_values.c gives them out.
 */
#ifndef WT_COLUMN_CHUNK_DATA_H
#define WT_COLUMN_CHUNK_DATA_H

#include "column/bytes.h"
#include "column/chunk_reader.h"
#include "column/forms.h"
#include "column/templates.h"

/* Where the streams of a column lie. */
typedef struct WtBodyPlace
{
	int part;			  /* 0: in the directory */
	size_t stored;		  /* bytes */
	size_t raw;			  /* bytes of its streams, decompressed */
	const char *in_place; /* in the directory */
	bool is_there;		  /* it is decoded */
} WtBodyPlace;

/* Rows that have some columns, which most often have many columns in common. */
typedef struct WtRowSet
{
	struct WtRowSet *next; /* of the chunk */
	int n_shapes;		   /* that they have; as a bitmap: */
	uint64_t *shapes;
	uint64_t *bits;		  /* a row */
	int32_t *bits_before; /* how many are set before each 64 */
	int32_t *ranks;		  /* a row; NULL until it is asked for */
} WtRowSet;

struct WtColumnData
{
	int index;
	WtBodyPlace body;
	WtBodyPlace digits; /* of TEMPLATE */

	WtTexts texts;		 /* distinct ones, or all of TEXT */
	bool wants_distinct; /* the next that is decoded of the body is them alone */
	bool has_distinct;	 /* they are there, whether codes are or not */
	bool has_codes;
	const uint8_t *narrow; /* codes a value, of DICTIONARY with few of them */
	const uint16_t
		*codes; /* a value; of CONSTANT, and beside narrow, made when asked for */
	const uint32_t *code_counts; /* a code; of CONSTANT and DICTIONARY, the same */
	WtTemplates templates;
	bool all_wanted; /* of TEMPLATE: the runs of all values, once the digits are there */
	int64_t *integers;
	const uint8_t *mixed_decimals; /* a value, or NULL: */
	int decimals;
	uint64_t *chances;	   /* of UUID7 */
	const uint8_t *packed; /* of UUID, 16 bytes a value; of HEX, width */
	size_t width;
	WtInstantForm instant;
	WtInstantPrinted printed;
	bool is_relative; /* integers of INSTANT are differences to the row's time, as yet */
	size_t longest;	  /* text of a value, in bytes */

	/* Made when they are asked for: */
	char *scratch;
	WtRowSet *rows; /* that have a value */
	uint16_t *row_codes;
	WtTexts all;
	bool utf8_known, is_utf8;
};

typedef struct WtPartOwner
{
	int column; /* or WT_COLUMN_SHAPES */
	WtBodyPlace *place;
} WtPartOwner;

struct WtChunkParts
{
	WtArena *arena;
	size_t budget;		 /* bytes that may yet be allocated */
	WtPartOwner *owners; /* of parts 1 … */

	WtBodyPlace shapes_place;
	int n_shapes;

	WtShape *shapes;
	uint16_t *row_shapes;
	uint32_t *first_shape;	 /* of each column, in column_shapes; one more at the end */
	uint16_t *column_shapes; /* the shapes that have it, ascending */
	WtRowSet *row_sets;
};

/*
 * Takes memory off the budget; false: there is not so much.  All that depends on what a chunk
 * says is taken so before it is allocated.
 */
static inline bool
wt_chunk_afford(WtChunk *chunk, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes) || bytes > chunk->own->budget)
		return false;
	chunk->own->budget -= bytes;
	return true;
}

/* Finds the runs of a TEMPLATE's values, whose digits are there.  false: they are bad. */
extern bool wt_column_find_runs(WtChunk *chunk, WtColumn *column);

/* Decodes a column's body, or its digits.  false: they are bad. */
extern bool wt_column_decode(WtChunk *chunk, WtColumn *column, WtBodyPlace *place,
							 const char *bytes, size_t length);

#endif
