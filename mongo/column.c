/*
 * column.c
 *		The columns of a foreign table, and how each is held in a document.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/lsyscache.h"

#include "column.h"

static WmKind
kind_of(Oid type)
{
	switch (type)
	{
		case INT2OID:
			return WM_INT2;
		case INT4OID:
			return WM_INT4;
		case INT8OID:
			return WM_INT8;
		case FLOAT4OID:
			return WM_FLOAT4;
		case FLOAT8OID:
			return WM_FLOAT8;
		case NUMERICOID:
			return WM_NUMERIC;
		case BOOLOID:
			return WM_BOOL;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case NAMEOID:
			return WM_TEXT;
		case UUIDOID:
			return WM_UUID;
		case BYTEAOID:
			return WM_BYTEA;
		case DATEOID:
			return WM_DATE;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return WM_TIMESTAMP;
		case JSONBOID:
			return WM_JSONB;
		case JSONOID:
			return WM_JSON;
		default:
			return WM_OTHER;
	}
}

void
wm_column_type(WmColumn *c, Oid type, int32 typmod)
{
	Oid function;
	bool is_varlena;
	Oid element;

	c->type = type;
	c->typmod = typmod;
	c->base = getBaseTypeAndTypmod(type, &c->typmod);
	c->is_domain = c->base != type;
	c->kind = kind_of(c->base);
	c->context = CurrentMemoryContext;
	getTypeInputInfo(c->base, &function, &c->input_parameter);
	fmgr_info(function, &c->input);
	getTypeOutputInfo(c->base, &function, &is_varlena);
	fmgr_info(function, &c->output);
	element = get_element_type(c->base);
	if (c->kind == WM_OTHER && OidIsValid(element))
	{
		c->kind = WM_ARRAY;
		c->element = palloc0(sizeof(WmColumn));
		wm_column_type(c->element, element, c->typmod);
		c->element->label = c->label;
		get_typlenbyvalalign(element, &c->element_length, &c->element_by_value,
							 &c->element_align);
	}
}

WmColumns *
wm_columns(TupleDesc tupdesc)
{
	WmColumns *columns = palloc0(sizeof(WmColumns));

	columns->n = tupdesc->natts;
	columns->column = palloc0(sizeof(WmColumn) * Max(tupdesc->natts, 1));
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(tupdesc, i);
		WmColumn *c = &columns->column[i];

		if (attribute->attisdropped)
			continue;
		c->number = (AttrNumber) (i + 1);
		c->label = pstrdup(NameStr(attribute->attname));
		c->name = wm_to_utf8(c->label, (int) strlen(c->label), &c->name_length);
		c->is_not_null = attribute->attnotnull;
		c->can_be_path = strchr(c->name, '.') == NULL && c->name[0] != '$';
		wm_column_type(c, attribute->atttypid, attribute->atttypmod);
		if (strcmp(c->label, "_id") == 0)
		{
			c->is_id = true;
			columns->id = c;
		}
		else if (strcmp(c->label, "__doc") == 0)
		{
			if (c->kind != WM_JSONB && c->kind != WM_JSON)
				ereport(ERROR, errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
						errmsg("column \"__doc\" must be of type jsonb or json"),
						errdetail("It is the whole document."));
			c->is_doc = true;
			columns->doc = c;
		}
	}
	return columns;
}

const char *
wm_to_utf8(const char *text, int length, int *utf8_length)
{
	char *converted;

	*utf8_length = length;
	if (GetDatabaseEncoding() == PG_UTF8)
		return text;
	converted = pg_server_to_any(text, length, PG_UTF8);
	if (converted != text)
		*utf8_length = (int) strlen(converted);
	return converted;
}

char *
wm_from_utf8(const char *text, int length, int *own_length)
{
	char *converted = pg_any_to_server(text, length, PG_UTF8);

	*own_length = converted == text ? length : (int) strlen(converted);
	return converted;
}
