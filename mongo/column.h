/*
 * column.h
 *		The columns of a foreign table, and how each is held in a document.
 *
 * A column is the member of the document that has its name.  "_id" is the document's key;
 * "__doc", of type jsonb or json, is the whole document.
 */
#ifndef WM_COLUMN_H
#define WM_COLUMN_H

#include "access/tupdesc.h"
#include "fmgr.h"

typedef enum WmKind
{
	WM_INT2,
	WM_INT4,
	WM_INT8,
	WM_FLOAT4,
	WM_FLOAT8,
	WM_NUMERIC,
	WM_BOOL,
	WM_TEXT, /* text, varchar, bpchar, name: a string */
	WM_UUID,
	WM_BYTEA,
	WM_DATE,
	WM_TIMESTAMP, /* with time zone or without, which then is UTC's */
	WM_JSONB,
	WM_JSON,
	WM_ARRAY,
	WM_OTHER /* by its input and output functions, as a string */
} WmKind;

typedef struct WmColumn
{
	AttrNumber number;
	Oid type; /* as declared */
	Oid base; /* what a domain is over; else the same */
	int32 typmod;
	WmKind kind;
	bool is_domain;
	bool is_id;	 /* "_id" */
	bool is_doc; /* "__doc" */
	bool is_not_null;
	bool can_be_path;  /* its name means the same in a query as in a document */
	const char *label; /* the name, in the server's encoding */
	const char *name;  /* ... in UTF-8 */
	int name_length;

	FmgrInfo input;
	Oid input_parameter;
	FmgrInfo output;
	void *domain_state; /* of domain_check */
	MemoryContext context;

	struct WmColumn *element; /* WM_ARRAY */
	int16 element_length;
	bool element_by_value;
	char element_align;
} WmColumn;

typedef struct WmColumns
{
	int n; /* as many as there are attributes; a dropped one has name NULL */
	WmColumn *column;
	WmColumn *id;  /* NULL: there is none */
	WmColumn *doc; /* NULL: there is none */
} WmColumns;

/* Allocates in the current memory context. */
extern WmColumns *wm_columns(TupleDesc tupdesc);

/* Sets up one column's kind and functions for a type. */
extern void wm_column_type(WmColumn *column, Oid type, int32 typmod);

/* Text of the server's encoding as UTF-8, and back; the latter checks it, and raises. */
extern const char *wm_to_utf8(const char *text, int length, int *utf8_length);
extern char *wm_from_utf8(const char *text, int length, int *own_length);

#endif
