/*
 * connection.c
 *		Connections to MongoDB: one for each user mapping that this backend has used.
 *
 * A connection is a client of libmongoc's, without threads, made in this process and kept
 * from statement to statement.  It is thrown away, and made anew by the next statement,
 * when it has failed in a way that it may not recover from (a kept client would refuse to
 * look at a server that has failed for the next 5 seconds), when a server has closed its
 * end, and when its server's or user mapping's definition has changed.
 *
 * Words:
 *	holder		a memory context that needs the connection until it is reset
 *	stale		no longer what the catalogs say, or broken: goes with its last holder
 *
 * libmongoc's objects are not in memory contexts.  Each therefore hangs on one by a
 * callback, so that an error anywhere frees it; and such a callback must not raise, nor
 * wait for a server longer than GOODBYE_MS.
 */
#include "postgres.h"

#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "bson_writer.h"
#include "connection.h"
#include "error.h"
#include "option.h"
#include "stream.h"

/* How long a cursor's end may take to tell the server; it would find out by itself. */
#define GOODBYE_MS 150

/* Between two attempts to find a server. */
#define RETRY_MS 100

struct WmConnection
{
	Oid mapping;
	MemoryContext context; /* holds this struct and the strings of network */
	mongoc_client_t *client;
	WmNetwork network;
	int holders;
	bool stale;
	int server_selection_timeout_ms;
	uint32 server_hash;
	uint32 mapping_hash;
};

typedef struct WmEntry
{
	Oid mapping; /* the key */
	WmConnection *connection;
} WmEntry;

struct WmCursor
{
	MemoryContextCallback callback;
	WmConnection *connection;
	mongoc_cursor_t *cursor;
};

typedef struct WmHold
{
	MemoryContextCallback callback;
	WmConnection *connection;
} WmHold;

typedef struct WmCollectionHold
{
	MemoryContextCallback callback;
	mongoc_collection_t *collection;
} WmCollectionHold;

static HTAB *connections;

/*
 * libbson aborts the process where malloc fails.  So there is a reserve, which is given
 * back when that happens: the call of libmongoc's then goes on, its streams fail, and
 * when it has returned we raise.  Not touched, it costs no memory.
 */
#define RESERVE_SIZE ((size_t) 96 * 1024 * 1024)

static void *reserve;
static bool out_of_memory;

static bool
give_reserve(void)
{
	out_of_memory = true;
	if (reserve == NULL)
		return false;
	free(reserve);
	reserve = NULL;
	return true;
}

static void *
reserved_malloc(size_t size)
{
	void *p = malloc(size);

	return p == NULL && give_reserve() ? malloc(size) : p;
}

static void *
reserved_calloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	return p == NULL && give_reserve() ? calloc(n, size) : p;
}

static void *
reserved_realloc(void *old, size_t size)
{
	void *p = realloc(old, size);

	return p == NULL && size > 0 && give_reserve() ? realloc(old, size) : p;
}

static void *
reserved_aligned_alloc(size_t alignment, size_t size)
{
	void *p = aligned_alloc(alignment, size);

	return p == NULL && give_reserve() ? aligned_alloc(alignment, size) : p;
}

/* Raises where the reserve was needed; what used it has been given up by then. */
static void
check_memory(void)
{
	if (!out_of_memory)
		return;
	out_of_memory = false;
	ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
			errdetail("MongoDB's client library needed more than there is."));
}

/* Others wait until every process has done so: DROP DATABASE, of whichever database. */
static void
accept_barrier(void)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		ProcessProcSignalBarrier();
	}
	PG_CATCH();
	{
		/* It is still pending, and raises in CHECK_FOR_INTERRUPTS. */
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
}

/* Beneath libmongoc: whether we, or CHECK_FOR_INTERRUPTS, would raise. */
static bool
is_interrupted(void)
{
	if (out_of_memory)
		return true;
	if (!InterruptPending || InterruptHoldoffCount > 0 || CritSectionCount > 0)
		return false;
	if (ProcSignalBarrierPending)
		accept_barrier();
	return ProcDiePending || (QueryCancelPending && QueryCancelHoldoffCount == 0);
}

/* Never raises. */
static void
destroy(WmConnection *c)
{
	WmEntry *entry = hash_search(connections, &c->mapping, HASH_FIND, NULL);

	if (entry != NULL && entry->connection == c)
		entry->connection = NULL;
	/* No good-byes: whatever libmongoc still wants to send fails at once. */
	c->network.dead = true;
	if (c->client != NULL)
		mongoc_client_destroy(c->client);
	MemoryContextDelete(c->context);
}

static void
release(void *argument)
{
	WmConnection *c = argument;

	if (--c->holders == 0 && (c->stale || c->network.dead))
		destroy(c);
}

static void
invalidate(Datum argument, int cache, uint32 hash)
{
	HASH_SEQ_STATUS all;
	WmEntry *entry;

	hash_seq_init(&all, connections);
	while ((entry = hash_seq_search(&all)) != NULL)
	{
		WmConnection *c = entry->connection;

		/* Without holders it goes when it is looked for: a client is not destroyed here. */
		if (c != NULL &&
			(hash == 0 || (cache == FOREIGNSERVEROID && hash == c->server_hash) ||
			 (cache == USERMAPPINGOID && hash == c->mapping_hash)))
			c->stale = true;
	}
}

static void
initialize(void)
{
	HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(WmEntry)};
	bson_mem_vtable_t memory = {.malloc = reserved_malloc,
								.calloc = reserved_calloc,
								.realloc = reserved_realloc,
								.free = free,
								.aligned_alloc = reserved_aligned_alloc};

	if (reserve == NULL && (reserve = malloc(RESERVE_SIZE)) == NULL)
		ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"));
	if (connections != NULL)
		return;
	bson_mem_set_vtable(&memory);
	/* Its counters' file in /dev/shm would outlive a process that is killed. */
	setenv("MONGOC_DISABLE_SHM", "1", 0);
	mongoc_init();
	/* It would write to standard error, beneath the server's log. */
	mongoc_log_set_handler(NULL, NULL);
	connections =
		hash_create("windtrap_mongo connections", 8, &control, HASH_ELEM | HASH_BLOBS);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, invalidate, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, invalidate, (Datum) 0);
}

/*
 * A non-superuser must authenticate with what he has given himself; else he could use
 * what the server's process may do: its certificate, or its place in the network.
 */
static void
check_password(const WmServerOptions *o, Oid user)
{
	if (superuser_arg(user) || !o->password_required)
		return;
	if (o->username != NULL && o->password != NULL &&
		(o->auth_mechanism == NULL || strcmp(o->auth_mechanism, "MONGODB-X509") != 0))
		return;
	ereport(
		ERROR, errcode(ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED),
		errmsg("user name and password are required"),
		errdetail("Non-superusers must authenticate with a user name and a password of "
				  "their user mapping."));
}

/* libmongoc takes it for granted that what belongs together is there, and crashes. */
static void
check_credentials(const WmServerOptions *o)
{
	bool x509 =
		o->auth_mechanism != NULL && strcmp(o->auth_mechanism, "MONGODB-X509") == 0;

	if (x509 && ((!o->ssl && o->uri == NULL) || o->pem_file == NULL))
		ereport(ERROR, errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				errmsg("MONGODB-X509 needs the server options \"ssl\" and \"pem_file\""));
	if (!x509 && (o->username == NULL) != (o->password == NULL))
		ereport(ERROR, errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				errmsg("a user mapping must have both or none of \"username\" and "
					   "\"password\""));
	if (!x509 && o->username == NULL && o->auth_mechanism != NULL)
		ereport(ERROR, errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				errmsg("%s needs the options \"username\" and \"password\"",
					   o->auth_mechanism));
}

/* What libmongoc expects texts in. */
static const char *
utf8(const char *text)
{
	return pg_server_to_any(text, (int) strlen(text), PG_UTF8);
}

static void
bad_option(mongoc_uri_t *uri, const char *name)
{
	mongoc_uri_destroy(uri);
	ereport(ERROR, errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			errmsg("the value of option \"%s\" cannot be used", name));
}

static char *
percent_encoded(const char *text)
{
	StringInfoData out;

	initStringInfo(&out);
	for (const char *p = text; *p != '\0'; p++)
		appendStringInfo(&out, "%%%02X", (unsigned char) *p);
	return out.data;
}

/*
 * What a statement has written is to survive a crash, as elsewhere in PostgreSQL.  A server
 * by itself acknowledges before its journal is written, up to 100 ms; a replica set waits
 * for its majority, but no more once it is told of the journal alone.
 */
static void
set_write_concern(mongoc_uri_t *uri, const WmServerOptions *o)
{
	const mongoc_write_concern_t *of_uri = mongoc_uri_get_write_concern(uri);
	mongoc_write_concern_t *concern;
	const char *w = o->write_concern ? o->write_concern : "majority";
	char *end;
	long n = strtol(w, &end, 10);

	if (!o->write_concern && of_uri && !mongoc_write_concern_is_default(of_uri))
		return;
	concern = mongoc_write_concern_new();
	if (*end == '\0')
		mongoc_write_concern_set_w(concern, (int32_t) n);
	else if (strcmp(w, "majority") == 0)
		mongoc_write_concern_set_w(concern, MONGOC_WRITE_CONCERN_W_MAJORITY);
	else
		mongoc_write_concern_set_wtag(concern, w);
	mongoc_write_concern_set_journal(concern, o->journal);
	mongoc_uri_set_write_concern(uri, concern);
	mongoc_write_concern_destroy(concern);
}

/*
 * The options as a connection string of libmongoc's.  What could need quoting is set in
 * the parsed string, not written into one.
 */
static mongoc_uri_t *
make_uri(const WmServerOptions *o)
{
	mongoc_uri_t *uri;
	bson_error_t reason; /* not shown: it can quote a password */
	const char *text;

	if (o->uri != NULL)
		text = o->uri;
	else if (*o->address == '/')
		text = psprintf("mongodb://%s/", percent_encoded(o->address));
	else if (strchr(o->address, ':') != NULL)
		text = psprintf("mongodb://[%s]:%d/", o->address, o->port);
	else
		text = psprintf("mongodb://%s:%d/", o->address, o->port);
	uri = mongoc_uri_new_with_error(text, &reason);
	if (uri == NULL)
		ereport(ERROR, errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				errmsg("the value of option \"%s\" cannot be used",
					   o->uri != NULL ? "uri" : "address"));

	if (o->replica_set != NULL &&
		!mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_REPLICASET, o->replica_set))
		bad_option(uri, "replica_set");
	if (o->username != NULL && !mongoc_uri_set_username(uri, o->username))
		bad_option(uri, "username");
	if (o->password != NULL &&
		(o->auth_mechanism == NULL || strcmp(o->auth_mechanism, "MONGODB-X509") != 0) &&
		!mongoc_uri_set_password(uri, o->password))
		bad_option(uri, "password");
	if (o->auth_mechanism != NULL &&
		!mongoc_uri_set_auth_mechanism(uri, o->auth_mechanism))
		bad_option(uri, "auth_mechanism");
	if (o->auth_mechanism != NULL && strcmp(o->auth_mechanism, "MONGODB-X509") == 0)
		mongoc_uri_set_auth_source(uri, "$external");
	else if (o->authentication_database != NULL &&
			 !mongoc_uri_set_auth_source(uri, o->authentication_database))
		bad_option(uri, "authentication_database");
	if (o->read_preference != NULL)
	{
		static const struct
		{
			const char *name;
			mongoc_read_mode_t mode;
		} modes[] = {{"primary", MONGOC_READ_PRIMARY},
					 {"primaryPreferred", MONGOC_READ_PRIMARY_PREFERRED},
					 {"secondary", MONGOC_READ_SECONDARY},
					 {"secondaryPreferred", MONGOC_READ_SECONDARY_PREFERRED},
					 {"nearest", MONGOC_READ_NEAREST}};

		for (size_t i = 0; i < lengthof(modes); i++)
		{
			if (strcmp(modes[i].name, o->read_preference) == 0)
			{
				mongoc_read_prefs_t *prefs = mongoc_read_prefs_new(modes[i].mode);

				mongoc_uri_set_read_prefs_t(uri, prefs);
				mongoc_read_prefs_destroy(prefs);
			}
		}
	}
	set_write_concern(uri, o);
	mongoc_uri_set_appname(uri, "windtrap_mongo");
	mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS,
								   o->connect_timeout_ms);
	mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS,
								   o->socket_timeout_ms == 0 ? PG_INT32_MAX
															 : o->socket_timeout_ms);
	return uri;
}

static const char *
copy(const char *text)
{
	return text == NULL ? NULL : pstrdup(text);
}

/* A connection without a client yet. */
static WmConnection *
make_connection(ForeignServer *server, UserMapping *mapping, const WmServerOptions *o)
{
	MemoryContext context = AllocSetContextCreate(
		TopMemoryContext, "windtrap_mongo connection", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	WmConnection *c = palloc0(sizeof(WmConnection));

	c->context = context;
	c->mapping = mapping->umid;
	c->server_selection_timeout_ms = o->server_selection_timeout_ms;
	c->server_hash =
		GetSysCacheHashValue1(FOREIGNSERVEROID, ObjectIdGetDatum(server->serverid));
	c->mapping_hash =
		GetSysCacheHashValue1(USERMAPPINGOID, ObjectIdGetDatum(mapping->umid));
	c->network.interrupted = is_interrupted;
	c->network.connect_timeout_ms = o->connect_timeout_ms;
	c->network.tls = o->ssl;
	c->network.ca_file = copy(o->ca_file);
	c->network.ca_dir = copy(o->ca_dir);
	c->network.crl_file = copy(o->crl_file);
	c->network.pem_file = copy(o->pem_file);
	c->network.pem_password = copy(o->pem_pwd);
	c->network.accept_any_certificate = o->weak_cert_validation;
	MemoryContextSwitchTo(old);
	return c;
}

static void
make_client(WmConnection *c, const WmServerOptions *o)
{
	mongoc_uri_t *uri = make_uri(o);
	bson_error_t error = {0};

	if (mongoc_uri_get_tls(uri))
	{
		/* TLS is the streams' business; libmongoc need not know of it. */
		c->network.tls = true;
		mongoc_uri_set_option_as_bool(uri, MONGOC_URI_TLS, false);
	}
	c->network.dead = false;
	c->network.connected = false;
	c->network.deadline_ms = 0;
	c->client = mongoc_client_new_from_uri_with_error(uri, &error);
	mongoc_uri_destroy(uri);
	if (c->client == NULL)
		wm_fail(c, &error, "could not make a connection to MongoDB", NULL);
	mongoc_client_set_error_api(c->client, MONGOC_ERROR_API_VERSION_2);
	if (c->network.pem_file != NULL && o->auth_mechanism != NULL &&
		strcmp(o->auth_mechanism, "MONGODB-X509") == 0)
	{
		/* Whence it takes the user's name. */
		mongoc_ssl_opt_t ssl = {.pem_file = c->network.pem_file,
								.pem_pwd = c->network.pem_password,
								.ca_file = c->network.ca_file};

		mongoc_client_set_ssl_opts(c->client, &ssl);
	}
	mongoc_client_set_stream_initiator(c->client, wm_stream_open, &c->network);
}

/*
 * Makes a client that has found a server.  libmongoc would look once, or else sleep where
 * no cancellation reaches it; so the waiting is done here, with a new client each time.
 */
static void
find_server(WmConnection *c, const WmServerOptions *o, bool for_writing)
{
	int64 until = wm_monotonic_ms() + c->server_selection_timeout_ms;

	for (;;)
	{
		bson_error_t error = {0};
		mongoc_server_description_t *found;

		make_client(c, o);
		found = mongoc_client_select_server(c->client, for_writing, NULL, &error);
		if (found != NULL)
		{
			mongoc_server_description_destroy(found);
			return;
		}
		c->network.dead = true;
		mongoc_client_destroy(c->client);
		c->client = NULL;
		CHECK_FOR_INTERRUPTS();
		check_memory();
		if (error.domain != MONGOC_ERROR_SERVER_SELECTION || wm_monotonic_ms() >= until)
			wm_raise(&error, "could not connect to MongoDB", NULL);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 RETRY_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

WmConnection *
wm_connect(Oid server_id, Oid user, bool for_writing)
{
	ForeignServer *server = GetForeignServer(server_id);
	UserMapping *mapping = GetUserMapping(user, server_id);
	WmServerOptions o;
	WmEntry *entry;
	WmConnection *c;
	WmHold *hold;
	bool found;

	initialize();
	/* Left over from a call that has ended otherwise. */
	out_of_memory = false;
	wm_server_options(server, mapping, &o);
	check_password(&o, user);
	check_credentials(&o);
	if (GetDatabaseEncoding() != PG_UTF8)
	{
		o.username = o.username != NULL ? utf8(o.username) : NULL;
		o.password = o.password != NULL ? utf8(o.password) : NULL;
	}

	entry = hash_search(connections, &mapping->umid, HASH_ENTER, &found);
	if (!found)
		entry->connection = NULL;
	c = entry->connection;
	if (c != NULL && c->holders == 0 && !wm_network_is_alive(&c->network))
		c->stale = true;
	if (c != NULL && (c->stale || c->network.dead || c->client == NULL))
	{
		/* Whoever still holds it sees to its end. */
		if (c->holders == 0)
			destroy(c);
		entry->connection = c = NULL;
	}
	if (c == NULL)
		entry->connection = c = make_connection(server, mapping, &o);

	hold = palloc0(sizeof(WmHold));
	hold->connection = c;
	hold->callback.func = release;
	hold->callback.arg = c;
	c->holders++;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &hold->callback);

	if (c->client == NULL)
		find_server(c, &o, for_writing);
	return c;
}

mongoc_client_t *
wm_client(WmConnection *connection)
{
	return connection->client;
}

void
wm_check_interrupted(WmConnection *c)
{
	if (c->network.dead)
	{
		c->stale = true;
		CHECK_FOR_INTERRUPTS();
		check_memory();
	}
}

void
wm_fail(WmConnection *c, const bson_error_t *error, const char *doing, const char *detail)
{
	if (c->network.dead || wm_error_breaks_connection(error))
		c->stale = true;
	/* A cancellation makes libmongoc fail with whatever it was at. */
	CHECK_FOR_INTERRUPTS();
	check_memory();
	wm_raise(error, doing, detail);
}

static void
destroy_collection(void *argument)
{
	mongoc_collection_destroy(argument);
}

mongoc_collection_t *
wm_collection(WmConnection *c, const char *database, const char *collection)
{
	WmCollectionHold *hold = palloc0(sizeof(WmCollectionHold));

	hold->collection =
		mongoc_client_get_collection(c->client, utf8(database), utf8(collection));
	hold->callback.func = destroy_collection;
	hold->callback.arg = hold->collection;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &hold->callback);
	return hold->collection;
}

/* After an error: tells the server of the end, which may be what has failed. */
static void
destroy_cursor(void *argument)
{
	WmCursor *c = argument;

	if (c->cursor == NULL)
		return;
	c->connection->network.deadline_ms = wm_monotonic_ms() + GOODBYE_MS;
	mongoc_cursor_destroy(c->cursor);
	c->connection->network.deadline_ms = 0;
	c->cursor = NULL;
}

WmCursor *
wm_cursor(WmConnection *connection, mongoc_cursor_t *cursor)
{
	WmCursor *c = palloc0(sizeof(WmCursor));

	c->connection = connection;
	c->cursor = cursor;
	c->callback.func = destroy_cursor;
	c->callback.arg = c;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &c->callback);
	return c;
}

mongoc_cursor_t *
wm_cursor_of(WmCursor *cursor)
{
	return cursor->cursor;
}

void
wm_cursor_close(WmCursor *cursor)
{
	if (cursor->cursor == NULL)
		return;
	mongoc_cursor_destroy(cursor->cursor);
	cursor->cursor = NULL;
	wm_check_interrupted(cursor->connection);
}

static void
destroy_reply(void *argument)
{
	bson_destroy(argument);
}

bson_t *
wm_reply(void)
{
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	bson_t *reply = wm_bson_array(1);

	bson_init(reply);
	callback->func = destroy_reply;
	callback->arg = reply;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return reply;
}
