/*
 * option.c
 *		The options of servers, user mappings and foreign tables: which there are, what they
 *		may be, and what they are.
 *
 * They have the names of mongo_fdw's, where it has them, so that definitions can be taken
 * over.  Credentials are options of user mappings alone: those of servers can be read by
 * everybody.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include <mongoc/mongoc.h>

#include "option.h"

typedef struct WmOption WmOption;

struct WmOption
{
	const char *name;
	Oid catalog;
	void (*check)(const WmOption *option, DefElem *def);
	int min; /* of integers */
	int max;
};

static void check_text(const WmOption *option, DefElem *def);
static void check_boolean(const WmOption *option, DefElem *def);
static void check_integer(const WmOption *option, DefElem *def);
static void check_file(const WmOption *option, DefElem *def);
static void check_address(const WmOption *option, DefElem *def);
static void check_uri(const WmOption *option, DefElem *def);
static void check_read_preference(const WmOption *option, DefElem *def);
static void check_write_concern(const WmOption *option, DefElem *def);
static void check_mechanism(const WmOption *option, DefElem *def);
static void check_password_required(const WmOption *option, DefElem *def);
static void check_database(const WmOption *option, DefElem *def);
static void check_collection(const WmOption *option, DefElem *def);
static void check_on_duplicate(const WmOption *option, DefElem *def);

#define SERVER ForeignServerRelationId
#define MAPPING UserMappingRelationId
#define TABLE ForeignTableRelationId
#define MAX_TIMEOUT (24 * 60 * 60 * 1000)

static const WmOption options[] = {
	{"address", SERVER, check_address, 0, 0},
	{"port", SERVER, check_integer, 1, 65535},
	{"uri", SERVER, check_uri, 0, 0},
	{"authentication_database", SERVER, check_database, 0, 0},
	{"replica_set", SERVER, check_text, 0, 0},
	{"read_preference", SERVER, check_read_preference, 0, 0},
	{"ssl", SERVER, check_boolean, 0, 0},
	{"pem_file", SERVER, check_file, 0, 0},
	{"ca_file", SERVER, check_file, 0, 0},
	{"ca_dir", SERVER, check_file, 0, 0},
	{"crl_file", SERVER, check_file, 0, 0},
	{"weak_cert_validation", SERVER, check_boolean, 0, 0},
	{"server_selection_timeout_ms", SERVER, check_integer, 1, MAX_TIMEOUT},
	{"connect_timeout_ms", SERVER, check_integer, 1, MAX_TIMEOUT},
	{"socket_timeout_ms", SERVER, check_integer, 0, MAX_TIMEOUT},
	{"write_concern", SERVER, check_write_concern, 0, 0},
	{"journal", SERVER, check_boolean, 0, 0},
	{"batch_size", SERVER, check_integer, 1, 100000},
	/* mongo_fdw has it here, where everybody can read it; so ours may be in both places. */
	{"pem_pwd", SERVER, check_text, 0, 0},
	{"pem_pwd", MAPPING, check_text, 0, 0},
	/* Settings of mongo_fdw's planner, which have nothing to do here. */
	{"use_remote_estimate", SERVER, check_boolean, 0, 0},
	{"enable_join_pushdown", SERVER, check_boolean, 0, 0},
	{"enable_aggregate_pushdown", SERVER, check_boolean, 0, 0},
	{"enable_order_by_pushdown", SERVER, check_boolean, 0, 0},
	{"enable_join_pushdown", TABLE, check_boolean, 0, 0},
	{"enable_aggregate_pushdown", TABLE, check_boolean, 0, 0},
	{"enable_order_by_pushdown", TABLE, check_boolean, 0, 0},

	{"username", MAPPING, check_text, 0, 0},
	{"password", MAPPING, check_text, 0, 0},
	{"auth_mechanism", MAPPING, check_mechanism, 0, 0},
	{"password_required", MAPPING, check_password_required, 0, 0},

	{"database", TABLE, check_database, 0, 0},
	{"collection", TABLE, check_collection, 0, 0},
	{"batch_size", TABLE, check_integer, 1, 100000},
	{"on_duplicate", TABLE, check_on_duplicate, 0, 0},
};

#undef TABLE
#undef MAPPING
#undef SERVER

PG_FUNCTION_INFO_V1(windtrap_mongo_validator);

/* In no option is its value part of a message unless it is known to be harmless. */
static void
refuse(const WmOption *option, const char *what)
{
	ereport(ERROR, errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			errmsg("option \"%s\" must be %s", option->name, what));
}

static void
check_text(const WmOption *option, DefElem *def)
{
	if (*defGetString(def) == '\0')
		refuse(option, "a text that is not empty");
}

static void
check_boolean(const WmOption *option, DefElem *def)
{
	(void) defGetBoolean(def);
}

static int
integer_of(DefElem *def, bool *ok)
{
	const char *text = defGetString(def);
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	*ok = *text != '\0' && *end == '\0' && errno == 0 && n >= PG_INT32_MIN &&
		  n <= PG_INT32_MAX;
	return (int) n;
}

static void
check_integer(const WmOption *option, DefElem *def)
{
	bool ok;
	int n = integer_of(def, &ok);

	if (!ok || n < option->min || n > option->max)
		refuse(option,
			   psprintf("a whole number from %d to %d", option->min, option->max));
}

/* The server's process reads the file, with its own rights. */
static void
check_file(const WmOption *option, DefElem *def)
{
	if (!superuser())
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("only superusers may set option \"%s\"", option->name));
	if (*defGetString(def) != '/')
		refuse(option, "an absolute path");
}

static bool
is_address(const char *address)
{
	if (*address == '\0' || strlen(address) > 255)
		return false;
	for (const char *p = address; *p != '\0'; p++)
	{
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			  (*p >= '0' && *p <= '9') || strchr(".-_:", *p) != NULL))
			return false;
	}
	return true;
}

static void
check_address(const WmOption *option, DefElem *def)
{
	const char *address = defGetString(def);
	size_t length = strlen(address);

	/* libmongoc takes any other path for a host's name. */
	if (*address == '/' ? length < 6 || strcmp(address + length - 5, ".sock") != 0
						: !is_address(address))
		refuse(option, "a host name, an IP address, or the path of a Unix-domain socket, "
					   "which ends in .sock");
}

/*
 * libmongoc's reasons quote the text, which may hold a password, so they are not shown.
 * Version 2 aborts where there is no place for them.
 */
static void
check_uri(const WmOption *option, DefElem *def)
{
	const char *text = defGetString(def);
	mongoc_uri_t *uri = NULL;
	bson_error_t reason;
	const char *problem = NULL;

	mongoc_log_set_handler(NULL, NULL);
	if (!pg_verify_mbstr(PG_UTF8, text, (int) strlen(text), true))
		refuse(option, "a connection string of MongoDB's");
	if (strncmp(text, "mongodb://", 10) == 0 || strncmp(text, "mongodb+srv://", 14) == 0)
		uri = mongoc_uri_new_with_error(text, &reason);
	if (uri == NULL)
		refuse(option,
			   "a connection string of MongoDB's, as mongodb://host:port/?option=value");

	if (mongoc_uri_get_username(uri) != NULL || mongoc_uri_get_password(uri) != NULL ||
		mongoc_uri_get_auth_mechanism(uri) != NULL || strchr(text, '@') != NULL)
		problem =
			"without user, password and mechanism, which belong into a user mapping";
	else
	{
		bson_iter_t it;

		/* What names files, and what takes the safety away. */
		if (bson_iter_init(&it, mongoc_uri_get_options(uri)))
		{
			while (bson_iter_next(&it))
			{
				const char *key = bson_iter_key(&it);

				if (pg_strncasecmp(key, "tls", 3) == 0 && pg_strcasecmp(key, "tls") != 0)
					problem =
						"without TLS settings but tls itself: there are options for them";
				else if (pg_strcasecmp(key, MONGOC_URI_W) == 0 &&
						 BSON_ITER_HOLDS_INT(&it) && bson_iter_as_int64(&it) == 0)
					problem = "without w=0: a write must be acknowledged";
				else if (pg_strcasecmp(key, MONGOC_URI_SERVERSELECTIONTRYONCE) == 0 ||
						 pg_strcasecmp(key, MONGOC_URI_SERVERSELECTIONTIMEOUTMS) == 0 ||
						 pg_strcasecmp(key, MONGOC_URI_CONNECTTIMEOUTMS) == 0 ||
						 pg_strcasecmp(key, MONGOC_URI_SOCKETTIMEOUTMS) == 0)
					problem = "without timeouts: there are options for them";
			}
		}
	}
	mongoc_uri_destroy(uri);
	if (problem != NULL)
		refuse(option, psprintf("a connection string %s", problem));
}

static void
check_read_preference(const WmOption *option, DefElem *def)
{
	const char *value = defGetString(def);

	if (strcmp(value, "primary") != 0 && strcmp(value, "primaryPreferred") != 0 &&
		strcmp(value, "secondary") != 0 && strcmp(value, "secondaryPreferred") != 0 &&
		strcmp(value, "nearest") != 0)
		refuse(option,
			   "primary, primaryPreferred, secondary, secondaryPreferred or nearest");
}

static void
check_write_concern(const WmOption *option, DefElem *def)
{
	bool ok;
	int n = integer_of(def, &ok);

	check_text(option, def);
	if (ok && (n < 1 || n > 50))
		refuse(option, "majority, a number of servers from 1 to 50, or a name");
}

static void
check_mechanism(const WmOption *option, DefElem *def)
{
	const char *value = defGetString(def);

	if (strcmp(value, "SCRAM-SHA-1") != 0 && strcmp(value, "SCRAM-SHA-256") != 0 &&
		strcmp(value, "MONGODB-X509") != 0)
		refuse(option, "SCRAM-SHA-1, SCRAM-SHA-256 or MONGODB-X509");
}

static void
check_password_required(const WmOption *option, DefElem *def)
{
	if (!defGetBoolean(def) && !superuser())
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("only superusers may set \"password_required\" to false"),
				errhint("A user mapping without it needs a password."));
}

static void
check_database(const WmOption *option, DefElem *def)
{
	wm_check_database_name(defGetString(def));
}

static void
check_collection(const WmOption *option, DefElem *def)
{
	wm_check_collection_name(defGetString(def));
}

static void
check_on_duplicate(const WmOption *option, DefElem *def)
{
	const char *value = defGetString(def);

	if (strcmp(value, "error") != 0 && strcmp(value, "ignore") != 0)
		refuse(option, "error or ignore");
}

void
wm_check_database_name(const char *name)
{
	if (*name == '\0' || strlen(name) > 63 || strpbrk(name, "/\\. \"$*<>:|?") != NULL)
		ereport(ERROR, errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				errmsg("\"%s\" cannot be the name of a database of MongoDB's", name));
}

void
wm_check_collection_name(const char *name)
{
	if (*name == '\0' || strlen(name) > 180 || strchr(name, '$') != NULL ||
		*name == '.' || name[strlen(name) - 1] == '.')
		ereport(ERROR, errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				errmsg("\"%s\" cannot be the name of a collection of MongoDB's", name));
}

/* Whether options of this name are for the catalog; the hint of what there is. */
static const WmOption *
find_option(const char *name, Oid catalog, char **known)
{
	StringInfoData names;

	for (size_t i = 0; i < lengthof(options); i++)
	{
		if (options[i].catalog == catalog && strcmp(options[i].name, name) == 0)
			return &options[i];
	}
	initStringInfo(&names);
	for (size_t i = 0; i < lengthof(options); i++)
	{
		if (options[i].catalog == catalog &&
			strncmp(options[i].name, "enable_", 7) != 0 &&
			strcmp(options[i].name, "use_remote_estimate") != 0)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", options[i].name);
	}
	*known = names.data;
	return NULL;
}

/* VALIDATOR: checks the options of one object. */
Datum
windtrap_mongo_validator(PG_FUNCTION_ARGS)
{
	List *list = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid catalog = PG_GETARG_OID(1);
	bool uri = false;
	const char *place = NULL;
	ListCell *cell;

	foreach (cell, list)
	{
		DefElem *def = lfirst(cell);
		char *known;
		const WmOption *option = find_option(def->defname, catalog, &known);

		if (option == NULL)
			ereport(ERROR, errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					errmsg("invalid option \"%s\"", def->defname),
					*known != '\0' ? errhint("Valid options here are: %s.", known)
								   : errhint("There are no options here."));
		option->check(option, def);
		if (strcmp(def->defname, "uri") == 0)
			uri = true;
		if (strcmp(def->defname, "address") == 0 || strcmp(def->defname, "port") == 0 ||
			strcmp(def->defname, "replica_set") == 0)
			place = option->name;
	}
	if (uri && place != NULL)
		ereport(
			ERROR, errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			errmsg("options \"uri\" and \"%s\" exclude each other", place),
			errhint("The uri holds addresses, ports and the name of the replica set."));
	PG_RETURN_VOID();
}

static void
take_server_option(WmServerOptions *o, DefElem *def)
{
	const char *name = def->defname;
	const char **text = NULL;
	bool *boolean = NULL;
	int *integer = NULL;
	bool ok;

	if (strcmp(name, "address") == 0)
		text = &o->address;
	else if (strcmp(name, "port") == 0)
		integer = &o->port;
	else if (strcmp(name, "uri") == 0)
		text = &o->uri;
	else if (strcmp(name, "authentication_database") == 0)
		text = &o->authentication_database;
	else if (strcmp(name, "replica_set") == 0)
		text = &o->replica_set;
	else if (strcmp(name, "read_preference") == 0)
		text = &o->read_preference;
	else if (strcmp(name, "ssl") == 0)
		boolean = &o->ssl;
	else if (strcmp(name, "pem_file") == 0)
		text = &o->pem_file;
	else if (strcmp(name, "pem_pwd") == 0)
		text = &o->pem_pwd;
	else if (strcmp(name, "ca_file") == 0)
		text = &o->ca_file;
	else if (strcmp(name, "ca_dir") == 0)
		text = &o->ca_dir;
	else if (strcmp(name, "crl_file") == 0)
		text = &o->crl_file;
	else if (strcmp(name, "weak_cert_validation") == 0)
		boolean = &o->weak_cert_validation;
	else if (strcmp(name, "server_selection_timeout_ms") == 0)
		integer = &o->server_selection_timeout_ms;
	else if (strcmp(name, "connect_timeout_ms") == 0)
		integer = &o->connect_timeout_ms;
	else if (strcmp(name, "socket_timeout_ms") == 0)
		integer = &o->socket_timeout_ms;
	else if (strcmp(name, "write_concern") == 0)
		text = &o->write_concern;
	else if (strcmp(name, "journal") == 0)
		boolean = &o->journal;
	else if (strcmp(name, "username") == 0)
		text = &o->username;
	else if (strcmp(name, "password") == 0)
		text = &o->password;
	else if (strcmp(name, "auth_mechanism") == 0)
		text = &o->auth_mechanism;
	else if (strcmp(name, "password_required") == 0)
		boolean = &o->password_required;

	if (text != NULL)
		*text = defGetString(def);
	else if (boolean != NULL)
		*boolean = defGetBoolean(def);
	else if (integer != NULL)
		*integer = integer_of(def, &ok);
}

void
wm_server_options(ForeignServer *server, UserMapping *mapping, WmServerOptions *o)
{
	ListCell *cell;

	memset(o, 0, sizeof(*o));
	o->address = "127.0.0.1";
	o->port = 27017;
	o->server_selection_timeout_ms = 5000;
	o->connect_timeout_ms = 5000;
	o->socket_timeout_ms = 30000;
	o->password_required = true;
	o->journal = true;
	foreach (cell, server->options)
		take_server_option(o, lfirst(cell));
	foreach (cell, mapping->options)
		take_server_option(o, lfirst(cell));
}

void
wm_table_options(Oid relation, WmTableOptions *o)
{
	ForeignTable *table = GetForeignTable(relation);
	ForeignServer *server = GetForeignServer(table->serverid);
	ListCell *cell;
	bool ok;

	o->database = "test";
	o->collection = NULL;
	o->batch_size = WM_DEFAULT_BATCH_SIZE;
	o->ignore_duplicates = false;
	foreach (cell, server->options)
	{
		DefElem *def = lfirst(cell);

		if (strcmp(def->defname, "batch_size") == 0)
			o->batch_size = integer_of(def, &ok);
	}
	foreach (cell, table->options)
	{
		DefElem *def = lfirst(cell);

		if (strcmp(def->defname, "database") == 0)
			o->database = defGetString(def);
		else if (strcmp(def->defname, "collection") == 0)
			o->collection = defGetString(def);
		else if (strcmp(def->defname, "batch_size") == 0)
			o->batch_size = integer_of(def, &ok);
		else if (strcmp(def->defname, "on_duplicate") == 0)
			o->ignore_duplicates = strcmp(defGetString(def), "ignore") == 0;
	}
	if (o->collection == NULL)
	{
		o->collection = get_rel_name(relation);
		wm_check_collection_name(o->collection);
	}
}
