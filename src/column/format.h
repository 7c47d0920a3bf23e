/*
 * format.h
 *		What a chunk of rows is made of, as its writer and its reader both name it.
 *
 * A chunk is a directory (part 0) and the bodies of its larger columns (parts 1, 2, …);
 * what was changed since is in parts of its own (overlay.h).  Each part ends with the
 * CRC-32C of its bytes, of its chunk's number and of its own.  All integers are little
 * endian.
 *
 * A row's document (jsonb) is taken apart into its leaves; a column holds, in order of rows,
 * the leaves of one path and one kind.  Which columns a row has, in jsonb's order of keys,
 * is its shape: each distinct one is stored once, and a number for each row.  Beside the
 * document a row has a time (event_timestamp) and extra columns, by name (status, what a
 * user has added); a NULL is a row whose shape lacks the column.
 */
#ifndef WT_COLUMN_FORMAT_H
#define WT_COLUMN_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WT_COLUMN_FORMAT_VERSION 1

/* Numbers of parts that are not columns' bodies. */
#define WT_PART_DIRECTORY 0
#define WT_PART_DELETED (-1)
#define WT_PART_STATUSES (-2)
#define WT_PART_MOVED (-3)
#define WT_PART_ORIGINS (-4)
#define WT_PART_PLACES (-5)

/* Limits of a chunk: a writer keeps to them, a reader refuses what is beyond. */
#define WT_CHUNK_MAX_ROWS 65535
#define WT_CHUNK_MAX_COLUMNS 2048 /* of documents; rows that need more are kept whole */
#define WT_CHUNK_MAX_EXTRAS 1600
#define WT_CHUNK_MAX_PATHS 4096
#define WT_CHUNK_MAX_DEPTH 32 /* of a path; deeper objects are kept as text */
#define WT_CHUNK_MAX_BYTES ((size_t) 256 << 20) /* a reader's memory for one chunk */

/* The path of the document itself: a scalar or an array on top, {}, or a row kept whole. */
#define WT_PATH_ROOT 0

/* What a column's values are.  What they are as bytes, is what the writer was given. */
typedef enum WtKind
{
	WT_KIND_TIME,	   /* the row's time, µs since 2000-01-01 UTC: always column 0 */
	WT_KIND_EXTRA_INT, /* an extra column of integers */
	WT_KIND_EXTRA,	   /* an extra column of any bytes */
	WT_KIND_STRING,	   /* its text, without quotes or escapes */
	WT_KIND_NUMBER,	   /* as numeric_out gives it: with its trailing zeros */
	WT_KIND_BOOLEAN,   /* true or false, in letters */
	WT_KIND_NULL,	   /* a null of JSON: no bytes */
	WT_KIND_EMPTY,	   /* {}: no bytes */
	WT_KIND_JSON, /* an array, or an object that is too deep: its text as jsonb prints it */
	WT_KIND_WHOLE, /* a document that fits no columns: the same, at WT_PATH_ROOT */
	WT_N_KINDS
} WtKind;

/* How a column's values are stored.  Each is exact, or the writer does not choose it. */
typedef enum WtEncoding
{
	WT_ENCODING_NONE,		/* no values, or values of no bytes */
	WT_ENCODING_CONSTANT,	/* one distinct value */
	WT_ENCODING_DICTIONARY, /* distinct values once, a code a value */
	WT_ENCODING_INTEGER,	/* integers, or decimals: a value and its count of decimals */
	WT_ENCODING_TEXT,		/* one after another */
	WT_ENCODING_TEMPLATE, /* distinct texts without their runs of digits; and the digits */
	WT_ENCODING_UUID7,	  /* UUIDs of version 7 */
	WT_ENCODING_UUID,	  /* any in lower case */
	WT_ENCODING_HEX,	  /* of one length, in lower case */
	WT_ENCODING_INSTANT,  /* ISO 8601 in one form */
	WT_N_ENCODINGS
} WtEncoding;

/* What stands in a template for a run of digits of a value. */
#define WT_TEMPLATE_GAP '0'

/* An integer over a power of ten: 150 with 2 decimals is 1.50. */
typedef struct WtDecimal
{
	int64_t value;
	int decimals;
} WtDecimal;

/* What is wrong, in a sentence without a full stop that fits behind "table …, chunk …: ". */
typedef struct WtColumnError
{
	char text[160];
} WtColumnError;

#endif
