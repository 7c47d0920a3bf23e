/*
 * projection_state.h
 *		What a projection consists of, for the three files that make it: projection.c opens chunks and fills
 *		rows, documents.c writes documents, numbering.c numbers combinations of values.
 */
#ifndef WT_PROJECTION_STATE_H
#define WT_PROJECTION_STATE_H

#include "fmgr.h"
#include "utils/memutils.h"

#include "sealed/generated.h"
#include "sealed/members.h"
#include "sealed/projection.h"

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
	bool has_codes;		   /* of CONSTANT and DICTIONARY */
	const uint8_t *narrow; /* by value; NULL: they are in */
	const uint16_t *value_codes;
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
	int16 length;
	bool by_value;
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
	WtGenerated *generated; /* NULL: no such column is needed */

	/* Of the chunk. */
	uint64 serial;
	MemoryContext
		kept_context; /* layouts' pieces, and what was made once: up to MAX_KEPT */
	Source **sources; /* by column */
	int n_layouts;
	Layout *layouts;
	int *layout_of_shape;
	const uint16_t *row_shapes; /* NULL: all rows have layout 0 */
	int n_codes;				/* of them rows are asked for, not of rows; 0: of rows */
	bool is_numbered;			/* what follows has been looked for */
	int32 *document_numbers;	/* by row; NULL: documents are made a row */
	int n_documents;
	Datum *made_documents; /* by number */

	/* The document that is being written. */
	char *buffer;
	size_t length, room;
};

/* For what is of a row. */
static inline MemoryContext
wt_enter_row(WtProjection *p)
{
	p->row_is_used = true;
	return MemoryContextSwitchTo(p->row_context);
}

static inline void
wt_leave_row(WtProjection *p)
{
	if (p->row_is_used)
		MemoryContextReset(p->row_context);
	p->row_is_used = false;
}

static inline int
wt_row_layout(const WtProjection *p, int row)
{
	return p->row_shapes ? p->layout_of_shape[p->row_shapes[row]] : 0;
}

static inline int
wt_source_value(WtProjection *p, const Source *s, int row)
{
	int value = s->sparse  ? wt_column_rank(p->scan->chunk, s->column, row)
				: s->ranks ? s->ranks[row]
						   : row;

	if (unlikely(value < 0))
		wt_chunk_scan_damaged(p->scan, "a row lacks a value that its shape has");
	return value;
}

static inline int
wt_source_code(WtProjection *p, const Source *s, int row)
{
	int code = 0;

	if (p->n_codes > 0)
		code = row;
	else if (s->narrow != NULL)
		code = s->narrow[wt_source_value(p, s, row)];
	else if (s->encoding != WT_ENCODING_CONSTANT)
		code = s->value_codes[wt_source_value(p, s, row)];

	if (unlikely(code >= s->distinct.n))
		wt_chunk_scan_damaged(p->scan, "a row lacks a value that its shape has");
	return code;
}

/* Reads what is needed of the chunk that is open.  different: of different rows alone. */
extern void wt_projection_open(WtProjection *p, bool different);

static inline void
wt_projection_ensure_open(WtProjection *p)
{
	if (p->serial != p->scan->serial)
		wt_projection_open(p, false);
}

/* Says in errors of PostgreSQL's own, as a context callback's function, whose argument is the WtChunkScan, where a value is. */
extern void wt_projection_say_where(void *arg);

/* Numbers the documents of a chunk's rows, as far as there are few different ones: document_numbers. */
extern void wt_number_documents(WtProjection *p);

/*
 * A row's document; false: data is NULL.  It is in the projection's own memory, and valid until the next row or
 * chunk.
 */
extern bool wt_projection_document(WtProjection *p, int row, Datum *document);

#endif
