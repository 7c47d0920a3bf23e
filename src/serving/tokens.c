/*
 * tokens.c
 *		Tokens: the table windtrap.token, and a worker's knowledge of it.
 *
 * The table holds digests only: a token's text is what windtrap.create_token() returns, and
 * it is kept nowhere, so that no log of statements or parameters can have it.
 *
 * Whoever changes the table invalidates the cache entry of it, by a trigger; so the news
 * reaches the workers with the commit, as that of a changed definition would, and they ask
 * for such news before they look at a request.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/monotonic.h"
#include "base/origins.h"
#include "base/shared.h"
#include "base/sql.h"
#include "serving/tokens.h"
#include "base/transact.h"
#include "base/unix_time.h"

PG_FUNCTION_INFO_V1(windtrap_create_token);
PG_FUNCTION_INFO_V1(windtrap_tokens_changed);

/* What a token's text begins with, and the random bytes that follow in base62. */
#define TOKEN_PREFIX "wt_"
#define TOKEN_BYTES 32
#define TOKEN_DIGITS 43 /* 62^43 > 2^256 */

/* Reading the table, and writing to it, may take so long, ms. */
#define TRANSACTION_TIMEOUT 2000

/* After the table could not be read, ms. */
#define RETRY 500

/* Uses that are noted in one turn, since requests wait meanwhile. */
#define MAX_USES 4

/* Readings in one turn, where the tokens change while they are read. */
#define MAX_LOADS 10

/* From PostgreSQL's time to that of 1970, µs. */

static bool changed = true;
static bool callbacks_registered;
static Oid token_table;
static int64_t not_before; /* of the next try, after one that failed; steady us */
static bool failing;
static char failure[WT_ERROR_SIZE]; /* why it does */

/*
 * A token's text: the bytes as one number in base 62.
 */
static void
encode_token(const unsigned char *bytes, char *text)
{
	static const char digits[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	unsigned char number[TOKEN_BYTES];
	char *out = text + strlen(TOKEN_PREFIX);

	memcpy(text, TOKEN_PREFIX, strlen(TOKEN_PREFIX));
	memcpy(number, bytes, TOKEN_BYTES);
	for (int i = TOKEN_DIGITS - 1; i >= 0; i--)
	{
		unsigned int rest = 0;

		for (int k = 0; k < TOKEN_BYTES; k++)
		{
			rest = rest * 256 + number[k];
			number[k] = (unsigned char) (rest / 62);
			rest %= 62;
		}
		out[i] = digits[rest];
	}
	out[TOKEN_DIGITS] = '\0';
	explicit_bzero(number, sizeof(number));
}

static bool
origins_are_valid(ArrayType *origins)
{
	Datum *items;
	bool *nulls;
	int n;

	deconstruct_array(origins, TEXTOID, -1, false, TYPALIGN_INT, &items, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		text *item = nulls[i] ? NULL : DatumGetTextPP(items[i]);

		/* "self" means a page beside the collector, which a token does not name. */
		if (!item || !wt_origin_is_valid(VARDATA_ANY(item), VARSIZE_ANY_EXHDR(item)) ||
			(VARSIZE_ANY_EXHDR(item) == 4 &&
			 pg_strncasecmp(VARDATA_ANY(item), "self", 4) == 0))
			return false;
	}
	return n > 0;
}

/* Raises where what a token is to be makes no sense. */
static void
check_token(FunctionCallInfo fcinfo)
{
	char *scope;
	Size length;

	for (int i = 0; i < 2; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("a token needs a %s", i == 0 ? "name" : "scope")));
	length = VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(0));
	if (length < 1 || length > WT_MAX_SOURCE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the name of a token has 1 to %d bytes", WT_MAX_SOURCE)));
	scope = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (strcmp(scope, "ingest") != 0 && strcmp(scope, "read") != 0 &&
		strcmp(scope, "all") != 0 && strcmp(scope, "forward") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the scope of a token is ingest, read, all or forward, not "
						"\"%s\"",
						scope)));
	length = PG_ARGISNULL(2) ? 1 : VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(2));
	if (length < 1 || length > WT_MAX_SOURCE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the source of a token has 1 to %d bytes", WT_MAX_SOURCE)));
	if (!PG_ARGISNULL(3) && !origins_are_valid(PG_GETARG_ARRAYTYPE_P(3)))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the origins of a token are not a list of origins"),
						errhint("An origin is what a page's address begins with, such as "
								"https://app.example.com or https://*.example.com.")));
	if (!PG_ARGISNULL(4) && PG_GETARG_INT32(4) < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the rate of a token is at least one request a second")));
	if (!PG_ARGISNULL(5) && PG_GETARG_TIMESTAMPTZ(5) <= GetCurrentTimestamp())
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the token would have expired already")));
}

/*
 * windtrap.create_token(name, scope, source, origins, rate, expires) RETURNS text
 *
 * The row is inserted here and not in SQL, so that the text is no statement's parameter.
 */
Datum
windtrap_create_token(PG_FUNCTION_ARGS)
{
	static Oid types[] = {TEXTOID,		BYTEAOID, TEXTOID,		 TEXTOID,
						  TEXTARRAYOID, INT4OID,  TIMESTAMPTZOID};
	char token[sizeof(TOKEN_PREFIX) + TOKEN_DIGITS];
	unsigned char bytes[TOKEN_BYTES];
	bytea *digest = palloc(VARHDRSZ + WT_DIGEST_SIZE);
	Datum values[7];
	char nulls[8] = "       ";
	int rc;

	check_token(fcinfo);
	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("could not generate random bytes for the token")));
	encode_token(bytes, token);
	explicit_bzero(bytes, sizeof(bytes));
	SET_VARSIZE(digest, VARHDRSZ + WT_DIGEST_SIZE);
	if (!wt_auth_digest(token, strlen(token), (unsigned char *) VARDATA(digest)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("could not compute the token's digest")));

	values[0] = PG_GETARG_DATUM(0);
	values[1] = PointerGetDatum(digest);
	for (int i = 1; i < 6; i++)
	{
		values[i + 1] = PG_ARGISNULL(i) ? (Datum) 0 : PG_GETARG_DATUM(i);
		nulls[i + 1] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	SPI_connect();
	rc = SPI_execute_with_args("INSERT INTO windtrap.token (name, digest, scope, source, "
							   "origins, rate, expires) "
							   "VALUES ($1, $2, $3, $4, $5, $6, $7) "
							   "ON CONFLICT (name) WHERE revoked IS NULL DO NOTHING",
							   7, types, values, nulls, false, 0);
	if (rc != SPI_OK_INSERT)
		elog(ERROR, "could not insert the token: %s", SPI_result_code_string(rc));
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
						errmsg("there is a token \"%s\" already",
							   text_to_cstring(PG_GETARG_TEXT_PP(0))),
						errhint("Call windtrap.revoke_token() to have it replaced.")));
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(token));
}

/* The trigger on windtrap.token. */
Datum
windtrap_tokens_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("windtrap.tokens_changed() is for triggers")));
	CacheInvalidateRelcacheByRelid(
		RelationGetRelid(((TriggerData *) fcinfo->context)->tg_relation));
	PG_RETURN_POINTER(NULL);
}

/*
 * A worker's knowledge
 */

static void
note_any_change(Datum arg, int cache, uint32 hash)
{
	changed = true;
	/* What could not be read may be there now. */
	not_before = 0;
}

static void
note_change(Datum arg, Oid relation)
{
	if (relation == InvalidOid || relation == token_table)
		note_any_change(arg, 0, 0);
}

typedef struct Reading
{
	WtToken *tokens; /* in the context in which the transaction runs */
	int n;
	bool any;
	bool found; /* the table */
} Reading;

static const char *
copy_text(MemoryContext context, HeapTuple tuple, TupleDesc desc, int column)
{
	char *text = SPI_getvalue(tuple, desc, column);

	return text ? MemoryContextStrdup(context, text) : NULL;
}

static void
read_token(Reading *reading, MemoryContext context, HeapTuple tuple, TupleDesc desc)
{
	WtToken *token = &reading->tokens[reading->n];
	bool is_null;
	Datum digest = SPI_getbinval(tuple, desc, 2, &is_null);
	const char *scope;
	Datum value;

	if (is_null || VARSIZE_ANY_EXHDR(DatumGetByteaPP(digest)) != WT_DIGEST_SIZE)
		return;
	token->id = DatumGetInt32(SPI_getbinval(tuple, desc, 1, &is_null));
	memcpy(token->digest, VARDATA_ANY(DatumGetByteaPP(digest)), WT_DIGEST_SIZE);
	scope = copy_text(context, tuple, desc, 3);
	/* Who may say whole rows may say an event. */
	token->forward = strcmp(scope, "forward") == 0;
	token->ingest =
		token->forward || strcmp(scope, "ingest") == 0 || strcmp(scope, "all") == 0;
	token->read = strcmp(scope, "read") == 0 || strcmp(scope, "all") == 0;
	token->source = copy_text(context, tuple, desc, 4);
	token->origins = copy_text(context, tuple, desc, 5);
	value = SPI_getbinval(tuple, desc, 6, &is_null);
	token->rate = is_null ? 0 : DatumGetInt32(value);
	value = SPI_getbinval(tuple, desc, 7, &is_null);
	token->expires_us = PG_INT64_MAX;
	if (!is_null && !TIMESTAMP_IS_NOEND(DatumGetTimestampTz(value)))
		token->expires_us = wt_unix_us(DatumGetTimestampTz(value));
	reading->n++;
}

static void
read_tokens(void *arg)
{
	Reading *reading = arg;
	MemoryContext context = CurrentMemoryContext;
	Oid schema = get_namespace_oid("windtrap", true);

	token_table = OidIsValid(schema) ? get_relname_relid("token", schema) : InvalidOid;
	reading->found = OidIsValid(token_table);
	if (!reading->found)
		return;
	wt_sql_set_local("search_path", "pg_catalog, pg_temp");
	SPI_connect();
	if (SPI_execute("SELECT id, digest, scope, source, array_to_string(origins, ','), "
					"rate, expires, revoked IS NULL FROM windtrap.token",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read windtrap.token");
	reading->any = SPI_processed > 0;
	reading->tokens =
		MemoryContextAllocZero(context, sizeof(WtToken) * (Size) (SPI_processed + 1));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		bool is_null;

		if (DatumGetBool(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 8, &is_null)))
			read_token(reading, context, tuple, SPI_tuptable->tupdesc);
	}
	SPI_finish();
}

static void
load(WtAuth *auth)
{
	Reading reading = {0};
	ErrorData *error;
	bool ok;

	/* What changes while it is read is read again. */
	changed = false;
	error = wt_transact(read_tokens, &reading, "reading tokens", TRANSACTION_TIMEOUT);
	ok = !error && reading.found &&
		 wt_auth_set_tokens(auth, reading.tokens, reading.n, reading.any);
	if (ok)
	{
		failing = false;
		return;
	}
	changed = true;
	not_before = wt_monotonic_us() + RETRY * INT64_C(1000);
	wt_auth_set_unknown(auth, error || reading.found
								  ? "tokens cannot be checked at the moment, try again"
								  : "the extension windtrap is not installed in the "
									"database");
	/* Without the table there is no extension, which others say. */
	if (error && !failing)
		ereport(LOG,
				(errcode(error->sqlerrcode),
				 errmsg("windtrap: the tokens could not be read: %s", error->message),
				 errhint("It will try again.")));
	failing = error != NULL;
	if (error)
		snprintf(failure, sizeof(failure), "the tokens cannot be read: %s",
				 error->message);
}

typedef struct Use
{
	int32 id;
	int64 used_us; /* since 1970 */
} Use;

static void
write_use(void *arg)
{
	const Use *use = arg;
	static Oid types[] = {INT4OID, TIMESTAMPTZOID};
	Datum values[] = {Int32GetDatum(use->id),
					  TimestampTzGetDatum(wt_timestamp_of_unix_us(use->used_us))};

	XactReadOnly = false;
	wt_sql_set_local("search_path", "pg_catalog, pg_temp");
	SPI_connect();
	/* Several workers may have seen it used in the same minute. */
	if (SPI_execute_with_args(
			"UPDATE windtrap.token SET last_used = $2 WHERE id = $1 AND "
			"(last_used IS NULL OR last_used < $2 - interval '50 s')",
			2, types, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not note the use of a token");
	SPI_finish();
}

/* When a token was last used is of no weight: what cannot be written is forgotten. */
static void
note_use(const Use *use)
{
	ErrorData *error = wt_transact(write_use, (void *) use, "noting the use of a token",
								   TRANSACTION_TIMEOUT);

	if (error)
		ereport(DEBUG1, (errmsg("windtrap: the use of a token could not be noted: %s",
								error->message)));
}

/* What is done here has a memory context of its own, and there are turns enough without. */
static MemoryContext
enter_context(void)
{
	return MemoryContextSwitchTo(AllocSetContextCreate(
		CurrentMemoryContext, "windtrap tokens", ALLOCSET_DEFAULT_SIZES));
}

static void
leave_context(MemoryContext old)
{
	MemoryContextDelete(MemoryContextSwitchTo(old));
}

void
wt_tokens_attend(WtAuth *auth)
{
	TimestampTz now = GetCurrentTimestamp();
	Use use;

	if (!callbacks_registered)
	{
		CacheRegisterRelcacheCallback(note_change, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, note_any_change, (Datum) 0);
		callbacks_registered = true;
	}
	for (int i = 0;
		 i < MAX_USES && wt_auth_next_use(auth, wt_unix_us(now), &use.id, &use.used_us);
		 i++)
	{
		MemoryContext old = enter_context();

		note_use(&use);
		leave_context(old);
	}
	/* Last, since each transaction can bring such news, and more than once for the same. */
	for (int i = 0; i < MAX_LOADS && changed && wt_monotonic_us() >= not_before; i++)
	{
		MemoryContext old = enter_context();

		load(auth);
		leave_context(old);
	}
}

bool
wt_tokens_are_stale(void)
{
	AcceptInvalidationMessages();
	return changed && !failing;
}

long
wt_tokens_timeout(void)
{
	return changed ? RETRY : -1;
}

const char *
wt_tokens_failure(void)
{
	return failing ? failure : NULL;
}
