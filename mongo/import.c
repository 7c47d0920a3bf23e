/*
 * import.c
 *		IMPORT FOREIGN SCHEMA: a foreign table for each collection of a database.
 *
 * Columns are the members that a sample of a collection's documents has, in the order in
 * which they are met; each of the type that holds all that the sample has in it, which in
 * doubt is jsonb.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "bson_writer.h"
#include "column.h"
#include "connection.h"
#include "error.h"
#include "import.h"
#include "option.h"

#define DEFAULT_SAMPLE_SIZE 100

typedef enum WmGuess
{
	WM_GUESS_NONE, /* nothing but null */
	WM_GUESS_INTEGER,
	WM_GUESS_DOUBLE,
	WM_GUESS_NUMERIC,
	WM_GUESS_BOOL,
	WM_GUESS_TEXT,
	WM_GUESS_TIME,
	WM_GUESS_UUID,
	WM_GUESS_BYTEA,
	WM_GUESS_JSONB
} WmGuess;

static const char *const guess_types[] = {
	"jsonb",   "bigint", "double precision",		 "numeric",
	"boolean", "text",	 "timestamp with time zone", "uuid",
	"bytea",   "jsonb"};

typedef struct WmMember
{
	char *name; /* in the server's encoding */
	WmGuess guess;
} WmMember;

static WmGuess
guess_of(const bson_iter_t *value)
{
	switch (bson_iter_type(value))
	{
		case BSON_TYPE_NULL:
		case BSON_TYPE_UNDEFINED:
			return WM_GUESS_NONE;
		case BSON_TYPE_INT32:
		case BSON_TYPE_INT64:
			return WM_GUESS_INTEGER;
		case BSON_TYPE_DOUBLE:
			return WM_GUESS_DOUBLE;
		case BSON_TYPE_DECIMAL128:
			return WM_GUESS_NUMERIC;
		case BSON_TYPE_BOOL:
			return WM_GUESS_BOOL;
		case BSON_TYPE_UTF8:
		case BSON_TYPE_OID:
			return WM_GUESS_TEXT;
		case BSON_TYPE_DATE_TIME:
			return WM_GUESS_TIME;
		case BSON_TYPE_BINARY:
		{
			bson_subtype_t subtype;
			uint32 length;
			const uint8 *data;

			bson_iter_binary(value, &subtype, &length, &data);
			return subtype == BSON_SUBTYPE_UUID && length == 16 ? WM_GUESS_UUID
																: WM_GUESS_BYTEA;
		}
		default:
			return WM_GUESS_JSONB;
	}
}

/* What holds both. */
static WmGuess
unite(WmGuess a, WmGuess b)
{
	if (a == b || b == WM_GUESS_NONE)
		return a;
	if (a == WM_GUESS_NONE)
		return b;
	if (a >= WM_GUESS_INTEGER && a <= WM_GUESS_NUMERIC && b >= WM_GUESS_INTEGER &&
		b <= WM_GUESS_NUMERIC)
		return Max(a, b);
	if ((a == WM_GUESS_UUID && b == WM_GUESS_BYTEA) ||
		(a == WM_GUESS_BYTEA && b == WM_GUESS_UUID))
		return WM_GUESS_BYTEA;
	return WM_GUESS_JSONB;
}

/* The member's name, if a column can have it; else NULL. */
static char *
column_name(const bson_iter_t *it)
{
	const char *name = bson_iter_key(it);
	int length = (int) bson_iter_key_len(it);

	if (length == 0 || length >= NAMEDATALEN || strcmp(name, "__doc") == 0 ||
		!pg_verify_mbstr(PG_UTF8, name, length, true))
		return NULL;
	name = pg_any_to_server(name, length, PG_UTF8);
	return strlen(name) >= NAMEDATALEN ? NULL : pstrdup(name);
}

static void
add_members(List **members, const bson_t *document)
{
	bson_iter_t it;

	if (!bson_iter_init(&it, document))
		return;
	while (bson_iter_next(&it))
	{
		char *name = column_name(&it);
		WmMember *found = NULL;
		ListCell *cell;

		if (name == NULL)
			continue;
		foreach (cell, *members)
		{
			WmMember *m = lfirst(cell);

			if (strcmp(m->name, name) == 0)
				found = m;
		}
		if (found == NULL)
		{
			/* More columns than a table may have. */
			if (list_length(*members) >= MaxHeapAttributeNumber - 2)
				continue;
			found = palloc0(sizeof(WmMember));
			found->name = name;
			*members = lappend(*members, found);
		}
		found->guess = unite(found->guess, guess_of(&it));
	}
}

static List *
sample_members(WmConnection *connection, const char *database, const char *collection,
			   int size)
{
	List *members = NIL;
	StringInfoData bson;
	bson_t pipeline;
	bson_error_t error = {0};
	WmCursor *cursor;
	const bson_t *document;
	int stage;
	int sample;

	initStringInfo(&bson);
	wm_bson_begin(&bson);
	stage = wm_bson_begin_document(&bson, "0", 1);
	sample = wm_bson_begin_document(&bson, "$sample", 7);
	wm_bson_int32(&bson, "size", 4, size);
	wm_bson_end(&bson, sample);
	wm_bson_end(&bson, stage);
	wm_bson_end(&bson, 0);
	wm_bson_view(&pipeline, &bson, 0);
	cursor = wm_cursor(connection, mongoc_collection_aggregate(
									   wm_collection(connection, database, collection),
									   MONGOC_QUERY_NONE, &pipeline, NULL, NULL));
	while (mongoc_cursor_next(wm_cursor_of(cursor), &document))
		add_members(&members, document);
	if (mongoc_cursor_error(wm_cursor_of(cursor), &error))
		wm_fail(connection, &error,
				psprintf("could not sample MongoDB collection \"%s.%s\"", database,
						 collection),
				NULL);
	wm_cursor_close(cursor);
	return members;
}

static char *
create_table(const char *server, const char *schema, const char *database,
			 const char *collection, List *members, bool with_doc)
{
	StringInfoData sql;
	bool first = true;
	bool has_id = false;
	ListCell *cell;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE FOREIGN TABLE %s (",
					 quote_qualified_identifier(schema, collection));
	foreach (cell, members)
		has_id |= strcmp(((WmMember *) lfirst(cell))->name, "_id") == 0;
	/* An empty collection says nothing of its columns. */
	if (!has_id)
	{
		appendStringInfoString(&sql, "\n\t_id text");
		first = false;
	}
	foreach (cell, members)
	{
		WmMember *m = lfirst(cell);

		appendStringInfo(&sql, "%s\n\t%s %s", first ? "" : ",", quote_identifier(m->name),
						 guess_types[m->guess]);
		first = false;
	}
	if (with_doc || members == NIL)
		appendStringInfo(&sql, "%s\n\t__doc jsonb", first ? "" : ",");
	appendStringInfo(&sql, "\n) SERVER %s OPTIONS (database %s, collection %s)",
					 quote_identifier(server), quote_literal_cstr(database),
					 quote_literal_cstr(collection));
	return sql.data;
}

static bool
is_wanted(ImportForeignSchemaStmt *statement, const char *collection)
{
	bool listed = false;
	ListCell *cell;

	if (strncmp(collection, "system.", 7) == 0 || strlen(collection) >= NAMEDATALEN)
		return false;
	foreach (cell, statement->table_list)
		listed |= strcmp(((RangeVar *) lfirst(cell))->relname, collection) == 0;
	switch (statement->list_type)
	{
		case FDW_IMPORT_SCHEMA_LIMIT_TO:
			return listed;
		case FDW_IMPORT_SCHEMA_EXCEPT:
			return !listed;
		default:
			return true;
	}
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

List *
wm_import_schema(ImportForeignSchemaStmt *statement, Oid server_id)
{
	ForeignServer *server = GetForeignServer(server_id);
	const char *database = statement->remote_schema;
	int sample_size = DEFAULT_SAMPLE_SIZE;
	bool with_doc = false;
	WmConnection *connection;
	mongoc_database_t *handle;
	char **names;
	bson_error_t error = {0};
	List *collections = NIL;
	List *commands = NIL;
	ListCell *cell;

	foreach (cell, statement->options)
	{
		DefElem *def = lfirst(cell);

		if (strcmp(def->defname, "import_doc") == 0)
			with_doc = defGetBoolean(def);
		else if (strcmp(def->defname, "sample_size") == 0)
		{
			sample_size = pg_strtoint32(defGetString(def));
			if (sample_size < 1 || sample_size > 100000)
				ereport(ERROR, errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("option \"sample_size\" must be a whole number from 1 to "
							   "100000"));
		}
		else
			ereport(ERROR, errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					errmsg("invalid option \"%s\"", def->defname),
					errhint("Valid options here are: import_doc, sample_size."));
	}
	wm_check_database_name(database);
	connection = wm_connect(server_id, GetUserId(), false);
	handle = mongoc_client_get_database(wm_client(connection), database);
	names = mongoc_database_get_collection_names_with_opts(handle, NULL, &error);
	mongoc_database_destroy(handle);
	if (names == NULL)
		wm_fail(connection, &error,
				psprintf("could not list the collections of MongoDB database \"%s\"",
						 database),
				NULL);
	PG_TRY();
	{
		for (char **name = names; *name != NULL; name++)
		{
			if (!pg_verify_mbstr(PG_UTF8, *name, (int) strlen(*name), true))
				continue;
			if (is_wanted(statement, wm_printable(*name)))
				collections = lappend(collections, wm_printable(*name));
		}
	}
	PG_FINALLY();
	{
		bson_strfreev(names);
	}
	PG_END_TRY();
	list_sort(collections, compare_names);
	foreach (cell, collections)
	{
		char *collection = lfirst(cell);

		commands = lappend(
			commands,
			create_table(
				server->servername, statement->local_schema, database, collection,
				sample_members(connection, database, collection, sample_size), with_doc));
	}
	return commands;
}
