/*
 * idempotency.c
 *		What is sent again with the same key is not stored again.
 *
 * Keys are noted in the transaction that stores the events, so that after a crash both are
 * there or neither.  The unique index is what decides: who comes second waits there until the
 * first transaction has ended, lock_timeout at most, and then either finds the key, or has it.
 *
 * A duplicate is acknowledged without being stored, so that this must be no sooner than the
 * first one is durable.  It is not: a transaction is seen to be committed, by the index as by
 * everybody, only after its commit record has been flushed, for no transaction that notes keys
 * commits asynchronously (store.c); nor before its wait for synchronous standbys is over.  That
 * wait can be cancelled: then the first one was told 503, its rows and keys are there, and the
 * standbys may lack them.  But ON CONFLICT DO UPDATE locks the row that it finds, also where
 * it does not change it, which is written to the WAL: so a transaction that finds nothing but
 * duplicates has a commit record too, behind the first one's, and its own flush and wait for
 * the standbys cover both.
 *
 * What is deleted when it is old may come back with a crash, as old as it was.
 *
 * All transactions take keys in one order: requests', then events', each sorted, before they
 * touch the log table; so they cannot wait for each other in a circle.  Who prunes waits for
 * nobody.
 *
 * The statements run with the worker's own rights, and name every operator with its schema: the
 * database's owner may have set a search_path.  Nobody else may touch the table, so that no
 * trigger of the log table's has a say in what is a duplicate.
 */
#include "postgres.h"

#include <gnutls/crypto.h>

#include "access/table.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "catalog/namespace.h"
#include "nodes/makefuncs.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/settings.h"
#include "base/sql.h"
#include "store/idempotency.h"
#include "store/outbox.h"

/* Looked at by one transaction that prunes, blocks: about 80,000 keys. */
#define PRUNED_BLOCKS 512

/* An event's key, and where its row stands among the others. */
typedef struct KeyedEvent
{
	WtRow *row;
	int place;
	bool taken; /* by this transaction; else it was there already */
} KeyedEvent;

/* A request's key, and its rows, which are next to each other. */
typedef struct Request
{
	WtKeyedRequest *keyed;
	WtRow *const *rows;
	int n_rows;
	int place;
	const struct Request *leader; /* one before it with the same key; NULL: none */
	bool found;					  /* the key was there already, with */
	int64 found_events;
	int64 found_rejected;
} Request;

/* What the transaction has taken, each sorted; of equal ones the first is who is stored. */
static struct
{
	KeyedEvent *events;
	int n_events;
	Request *requests;
	int n_requests;
} taken;

static SPIPlanPtr take_events_plan;
static SPIPlanPtr take_requests_plan;
static SPIPlanPtr look_plan;
static SPIPlanPtr set_plan;
static SPIPlanPtr delete_plan;

bool
wt_idempotency_is_on(void)
{
	return wt_idempotency_window > 0 && (wt_postgres || wt_outbox_is_used());
}

WtKey
wt_idempotency_key(const char *source, const char *protocol, const char *key,
				   size_t length)
{
	size_t n_source = source ? strlen(source) + 1 : 1;
	size_t n_protocol = protocol ? strlen(protocol) + 1 : 1;
	char *text = palloc(n_source + n_protocol + length);
	uint8 digest[32];
	WtKey result;

	/* The NULs between them are in none of them. */
	memcpy(text, source ? source : "", n_source);
	memcpy(text + n_source, protocol ? protocol : "", n_protocol);
	memcpy(text + n_source + n_protocol, key, length);
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, text, n_source + n_protocol + length,
						 digest) != 0)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not hash a key")));
	pfree(text);
	memcpy(result.bytes, digest, sizeof(result.bytes));
	return result;
}

uint64
wt_idempotency_fingerprint(const char *content_type, const char *body, size_t length)
{
	const char *type = content_type ? content_type : "";

	/* What a body is read as hangs on its type. */
	return hash_bytes_extended(
		(const unsigned char *) body, (int) length,
		hash_bytes_extended((const unsigned char *) type, (int) strlen(type), 0));
}

static TimestampTz
cutoff(TimestampTz now)
{
	return now - (int64) wt_idempotency_window * USECS_PER_SEC;
}

static int
compare_keys(const WtKey *a, const WtKey *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static int
compare_events(const void *a, const void *b)
{
	const KeyedEvent *x = a;
	const KeyedEvent *y = b;
	int order = compare_keys(&x->row->key, &y->row->key);

	return order != 0 ? order : x->place - y->place;
}

static int
compare_requests(const void *a, const void *b)
{
	const Request *x = a;
	const Request *y = b;
	int order = compare_keys(&x->keyed->key, &y->keyed->key);

	return order != 0 ? order : x->place - y->place;
}

/*
 * Statements
 */

static SPIPlanPtr
prepare(SPIPlanPtr *plan, const char *statement, int n_args, Oid *types)
{
	if (!*plan)
	{
		SPIPlanPtr made = SPI_prepare(statement, n_args, types);

		if (!made)
			elog(ERROR, "could not prepare \"%s\": %s", statement,
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(made);
		*plan = made;
	}
	return *plan;
}

static void
execute(SPIPlanPtr plan, Datum *values)
{
	int rc = SPI_execute_plan(plan, values, NULL, false, 0);

	if (rc < 0)
		elog(ERROR, "could not run a statement about keys: %s",
			 SPI_result_code_string(rc));
}

static Datum
key_array(Datum *keys, int n)
{
	return PointerGetDatum(
		construct_array(keys, n, UUIDOID, sizeof(WtKey), false, TYPALIGN_CHAR));
}

static Datum
int8_array(Datum *numbers, int n)
{
	return PointerGetDatum(construct_array(numbers, n, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* The key in the first column of a row of the last statement's. */
static const WtKey *
result_key(uint64 row)
{
	bool is_null;

	return (const WtKey *) DatumGetPointer(wt_sql_value(row, 1, &is_null));
}

static void
delete_keys(Datum *keys, int n)
{
	Oid types[] = {UUIDARRAYOID};
	Datum values[1];

	if (n == 0)
		return;
	values[0] = key_array(keys, n);
	execute(prepare(&delete_plan,
					"DELETE FROM windtrap.idempotency_key "
					"WHERE key OPERATOR(pg_catalog.=) ANY ($1)",
					1, types),
			values);
}

/*
 * Events
 */

static void
gather_events(WtRow *const *rows, int n_rows)
{
	int n = 0;

	for (int i = 0; i < n_rows; i++)
		n += rows[i]->has_key;
	if (n == 0)
		return;
	taken.events = palloc0(sizeof(KeyedEvent) * (Size) n);
	for (int i = 0; i < n_rows; i++)
	{
		if (!rows[i]->has_key || rows[i]->result != WT_STORE_PENDING)
			continue;
		taken.events[taken.n_events].row = rows[i];
		taken.events[taken.n_events++].place = i;
	}
	qsort(taken.events, (size_t) taken.n_events, sizeof(KeyedEvent), compare_events);
}

/* Whether an event has the key of the one before it. */
static bool
follows(int i)
{
	return i > 0 &&
		   compare_keys(&taken.events[i].row->key, &taken.events[i - 1].row->key) == 0;
}

static void
take_events(TimestampTz now)
{
	Oid types[] = {UUIDARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum values[3];
	Datum *keys;
	uint64 returned = 0;
	int n = 0;

	if (taken.n_events == 0)
		return;
	SPI_connect();
	keys = palloc(sizeof(Datum) * (Size) taken.n_events);
	for (int i = 0; i < taken.n_events; i++)
		if (!follows(i))
			keys[n++] = PointerGetDatum(&taken.events[i].row->key);
	values[0] = key_array(keys, n);
	values[1] = TimestampTzGetDatum(now);
	values[2] = TimestampTzGetDatum(cutoff(now));
	execute(prepare(&take_events_plan,
					"INSERT INTO windtrap.idempotency_key AS k (key, seen_at) "
					"SELECT u, $2 FROM pg_catalog.unnest($1) AS u "
					"ON CONFLICT (key) DO UPDATE SET seen_at = excluded.seen_at, "
					"fingerprint = NULL, events = NULL, rejected = NULL "
					"WHERE k.seen_at OPERATOR(pg_catalog.<) $3 "
					"RETURNING k.key",
					3, types),
			values);
	/* They come in the order in which they were given, without those that are known. */
	for (int i = 0; i < taken.n_events; i++)
	{
		KeyedEvent *event = &taken.events[i];

		if (!follows(i) && returned < SPI_processed &&
			compare_keys(&event->row->key, result_key(returned)) == 0)
		{
			event->taken = true;
			returned++;
		}
		else
			event->row->result = WT_STORE_DUPLICATE;
	}
	if (returned != SPI_processed)
		elog(ERROR, "keys came back in another order");
	SPI_finish();
}

/*
 * What is not stored lets go of its key: else who sends it again would be told that it is.
 * Those of the same key within the transaction become what the first one has become.
 */
static void
settle_events(void)
{
	Datum *keys;
	int n = 0;
	const KeyedEvent *leader = NULL;

	if (taken.n_events == 0)
		return;
	keys = palloc(sizeof(Datum) * (Size) taken.n_events);
	for (int i = 0; i < taken.n_events; i++)
	{
		WtRow *row = taken.events[i].row;

		if (!follows(i))
		{
			leader = &taken.events[i];
			if (leader->taken &&
				(row->result == WT_STORE_REFUSED || row->result == WT_STORE_UNAVAILABLE))
				keys[n++] = PointerGetDatum(&row->key);
			continue;
		}
		if (!leader->taken)
			continue;
		if (leader->row->result == WT_STORE_REFUSED ||
			leader->row->result == WT_STORE_UNAVAILABLE)
		{
			/* What else is of its request may be stored by now. */
			if (leader->row->result == WT_STORE_UNAVAILABLE &&
				leader->row->group != row->group)
				ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
								errmsg("an event that came twice could not be stored: %s",
									   leader->row->error)));
			row->result = leader->row->result;
			row->error = leader->row->error;
		}
	}
	if (n > 0)
	{
		SPI_connect();
		delete_keys(keys, n);
		SPI_finish();
	}
	pfree(keys);
}

/*
 * Requests
 */

static void
gather_requests(WtRow *const *rows, int n_rows)
{
	int n = 0;

	for (int i = 0; i < n_rows; i++)
		n += rows[i]->request && (i == 0 || rows[i - 1]->request != rows[i]->request);
	if (n == 0)
		return;
	taken.requests = palloc0(sizeof(Request) * (Size) n);
	for (int i = 0; i < n_rows; i++)
	{
		Request *request;

		if (!rows[i]->request)
			continue;
		if (i == 0 || rows[i - 1]->request != rows[i]->request)
		{
			request = &taken.requests[taken.n_requests++];
			request->keyed = rows[i]->request;
			request->rows = rows + i;
			request->place = i;
		}
		taken.requests[taken.n_requests - 1].n_rows++;
	}
	qsort(taken.requests, (size_t) taken.n_requests, sizeof(Request), compare_requests);
	for (int i = 1; i < taken.n_requests; i++)
		if (compare_keys(&taken.requests[i].keyed->key,
						 &taken.requests[i - 1].keyed->key) == 0)
			taken.requests[i].leader = taken.requests[i - 1].leader
										   ? taken.requests[i - 1].leader
										   : &taken.requests[i - 1];
}

/* The number of the event after the last one of this piece. */
static int64
end_of(const Request *request)
{
	return (int64) request->rows[request->n_rows - 1]->index + 1;
}

/* What has become of a piece's events, as far as it is known; those pending are stored. */
static void
count_rows(const Request *request, int *n_stored, int *n_rejected, int *n_unavailable)
{
	*n_stored = *n_rejected = *n_unavailable = 0;
	for (int i = 0; i < request->n_rows; i++)
	{
		const WtRow *row = request->rows[i];

		switch (row->result)
		{
			case WT_STORE_PENDING:
			case WT_STORE_COMMITTED:
			case WT_STORE_QUARANTINED:
				(*n_stored)++;
				*n_rejected += (row->status == 422);
				break;
			case WT_STORE_REFUSED:
				(*n_rejected)++;
				break;
			case WT_STORE_UNAVAILABLE:
			case WT_STORE_CANCELLED:
				(*n_unavailable)++;
				break;
			case WT_STORE_DUPLICATE:
			case WT_STORE_CONFLICT:
				break;
		}
	}
}

/* What will be true of a request if all goes well, which it nearly always does. */
static void
expect(Request *request)
{
	int n_stored;
	int n_rejected;
	int n_unavailable;
	int64 rejected = request->found ? request->found_rejected : request->keyed->rejected;

	count_rows(request, &n_stored, &n_rejected, &n_unavailable);
	request->keyed->next_stored =
		request->found ? Max(request->found_events, end_of(request)) : end_of(request);
	request->keyed->next_rejected = rejected + n_rejected;
}

static void
set_results(const Request *request, WtStoreResult result, const char *error)
{
	for (int i = 0; i < request->n_rows; i++)
	{
		request->rows[i]->result = result;
		request->rows[i]->error = error;
	}
}

/* Those events that have been dealt with are not to be stored again. */
static void
skip(const Request *request, int64 stored)
{
	for (int i = 0; i < request->n_rows; i++)
		if ((int64) request->rows[i]->index < stored)
			request->rows[i]->result = WT_STORE_DUPLICATE;
}

/* Two with one key in one transaction: the second is what the first is. */
static void
follow_leader(Request *request)
{
	const Request *leader = request->leader;

	if (request->keyed->fingerprint != leader->keyed->fingerprint)
		set_results(request, WT_STORE_CONFLICT, NULL);
	else if (end_of(request) > leader->keyed->next_stored)
		set_results(request, WT_STORE_UNAVAILABLE,
					"a request with the same key is just being stored");
	else
		skip(request, end_of(request));
}

static void
look_at_known(Datum *known, int n_known)
{
	Oid types[] = {UUIDARRAYOID};
	Datum values[1];

	if (n_known == 0)
		return;
	values[0] = key_array(known, n_known);
	execute(prepare(&look_plan,
					"SELECT key, fingerprint, events, rejected "
					"FROM windtrap.idempotency_key "
					"WHERE key OPERATOR(pg_catalog.=) ANY ($1)",
					1, types),
			values);
	for (uint64 k = 0; k < SPI_processed; k++)
	{
		for (int i = 0; i < taken.n_requests; i++)
		{
			Request *request = &taken.requests[i];

			if (request->leader || compare_keys(&request->keyed->key, result_key(k)) != 0)
				continue;
			request->found_events = wt_sql_int64(k, 3);
			request->found_rejected = wt_sql_int64(k, 4);
			if ((uint64) wt_sql_int64(k, 2) != request->keyed->fingerprint)
				set_results(request, WT_STORE_CONFLICT, NULL);
			else
				skip(request, request->found_events);
			break;
		}
	}
}

static void
take_requests(TimestampTz now)
{
	Oid types[] = {UUIDARRAYOID, INT8ARRAYOID,	 INT8ARRAYOID,
				   INT8ARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum values[6];
	Datum *columns[4];
	uint64 returned = 0;
	int n = 0;
	int n_known = 0;

	if (taken.n_requests == 0)
		return;
	SPI_connect();
	for (int k = 0; k < (int) lengthof(columns); k++)
		columns[k] = palloc(sizeof(Datum) * (Size) taken.n_requests);
	for (int i = 0; i < taken.n_requests; i++)
	{
		Request *request = &taken.requests[i];

		if (request->leader)
			continue;
		/* What this very request has stored before is stored, whoever knows of it. */
		skip(request, request->keyed->stored);
		expect(request);
		columns[0][n] = PointerGetDatum(&request->keyed->key);
		columns[1][n] = Int64GetDatum((int64) request->keyed->fingerprint);
		columns[2][n] = Int64GetDatum(request->keyed->next_stored);
		columns[3][n] = Int64GetDatum(request->keyed->next_rejected);
		n++;
	}
	values[0] = key_array(columns[0], n);
	values[1] = int8_array(columns[1], n);
	values[2] = int8_array(columns[2], n);
	values[3] = int8_array(columns[3], n);
	values[4] = TimestampTzGetDatum(now);
	values[5] = TimestampTzGetDatum(cutoff(now));
	execute(prepare(&take_requests_plan,
					"INSERT INTO windtrap.idempotency_key AS k "
					"(key, fingerprint, events, rejected, seen_at) "
					"SELECT u.key, u.fingerprint, u.events, u.rejected, $5 "
					"FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), "
					"pg_catalog.unnest($3), pg_catalog.unnest($4)) "
					"AS u (key, fingerprint, events, rejected) "
					"ON CONFLICT (key) DO UPDATE SET seen_at = excluded.seen_at, "
					"fingerprint = excluded.fingerprint, events = excluded.events, "
					"rejected = excluded.rejected "
					"WHERE k.seen_at OPERATOR(pg_catalog.<) $6 "
					"RETURNING k.key",
					6, types),
			values);
	for (int i = 0; i < taken.n_requests; i++)
	{
		Request *request = &taken.requests[i];

		if (request->leader)
			continue;
		if (returned < SPI_processed &&
			compare_keys(&request->keyed->key, result_key(returned)) == 0)
		{
			returned++;
			continue;
		}
		request->found = true;
		columns[0][n_known++] = PointerGetDatum(&request->keyed->key);
	}
	if (returned != SPI_processed)
		elog(ERROR, "keys came back in another order");
	look_at_known(columns[0], n_known);
	SPI_finish();
	for (int i = 0; i < taken.n_requests; i++)
	{
		if (taken.requests[i].leader)
			follow_leader(&taken.requests[i]);
		else if (taken.requests[i].found)
			expect(&taken.requests[i]);
	}
}

static void
set_request(const Request *request)
{
	Oid types[] = {UUIDOID, INT8OID, INT8OID};
	Datum values[3];

	values[0] = PointerGetDatum(&request->keyed->key);
	values[1] = Int64GetDatum(request->keyed->next_stored);
	values[2] = Int64GetDatum(request->keyed->next_rejected);
	execute(prepare(&set_plan,
					"UPDATE windtrap.idempotency_key SET events = $2, rejected = $3 "
					"WHERE key OPERATOR(pg_catalog.=) $1",
					3, types),
			values);
}

/* What is written of a request is what has become of it. */
static void
settle_request(Request *request)
{
	WtKeyedRequest *keyed = request->keyed;
	int64 noted_stored = request->found ? request->found_events : keyed->next_stored;
	int64 noted_rejected =
		request->found ? request->found_rejected : keyed->next_rejected;
	int64 stored = request->found ? request->found_events : keyed->stored;
	Datum key = PointerGetDatum(&keyed->key);
	int n_stored;
	int n_rejected;
	int n_unavailable;

	if (request->rows[0]->result == WT_STORE_CONFLICT)
		return;
	count_rows(request, &n_stored, &n_rejected, &n_unavailable);
	expect(request);
	if (n_unavailable > 0)
	{
		keyed->next_stored = stored;
		keyed->next_rejected = request->found ? request->found_rejected : keyed->rejected;
	}
	SPI_connect();
	if (n_stored == 0 && stored == 0)
		delete_keys(&key, 1); /* there is nothing of it */
	else if (keyed->next_stored != noted_stored || keyed->next_rejected != noted_rejected)
		set_request(request);
	SPI_finish();
}

/* The event of that number among a piece's; NULL: it is not of this piece. */
static const WtRow *
row_of(const Request *request, uint32 index)
{
	uint32 first = request->rows[0]->index;

	return index >= first && index - first < (uint32) request->n_rows
			   ? request->rows[index - first]
			   : NULL;
}

/* What has followed another one becomes what that has become. */
static void
settle_follower(Request *request)
{
	const WtRow *unavailable = NULL;

	if (request->rows[0]->result != WT_STORE_DUPLICATE)
		return;
	for (int i = 0; i < request->n_rows; i++)
	{
		WtRow *row = request->rows[i];
		const WtRow *first = row_of(request->leader, row->index);

		if (first && first->result == WT_STORE_UNAVAILABLE)
			unavailable = first;
		if (!first || first->result != WT_STORE_REFUSED)
			continue;
		row->result = first->result;
		row->error = first->error;
	}
	if (unavailable)
		set_results(request, WT_STORE_UNAVAILABLE, unavailable->error);
	request->keyed->next_stored = request->leader->keyed->next_stored;
	request->keyed->next_rejected = request->leader->keyed->next_rejected;
}

/*
 * All of them
 */

int
wt_idempotency_take(WtRow *const *rows, int n_rows)
{
	TimestampTz now;
	int n_pending = 0;

	memset(&taken, 0, sizeof(taken));
	if (!wt_idempotency_is_on())
		return n_rows;
	gather_requests(rows, n_rows);
	gather_events(rows, n_rows);
	if (taken.n_events == 0 && taken.n_requests == 0)
		return n_rows;
	now = GetCurrentTimestamp();
	take_requests(now);
	take_events(now);
	for (int i = 0; i < n_rows; i++)
		n_pending += (rows[i]->result == WT_STORE_PENDING);
	return n_pending;
}

void
wt_idempotency_settle(WtRow *const *rows, int n_rows)
{
	settle_events();
	for (int i = 0; i < taken.n_requests; i++)
		if (!taken.requests[i].leader)
			settle_request(&taken.requests[i]);
	for (int i = 0; i < taken.n_requests; i++)
		if (taken.requests[i].leader)
			settle_follower(&taken.requests[i]);
}

/*
 * Pruning
 */

static BlockNumber
count_blocks(void)
{
	RangeVar *name = makeRangeVar(pstrdup("windtrap"), pstrdup("idempotency_key"), -1);
	Relation relation = table_openrv(name, RowExclusiveLock);
	BlockNumber n = RelationGetNumberOfBlocks(relation);

	table_close(relation, NoLock);
	return n;
}

/*
 * By blocks, and not by an index on the time, which every key would pay for: to read a key when
 * it is old costs less.
 */
bool
wt_idempotency_prune(BlockNumber *block)
{
	BlockNumber end = count_blocks();
	BlockNumber until = Min(end, *block + PRUNED_BLOCKS);
	Oid types[] = {TIMESTAMPTZOID};
	Datum values[1];

	if (*block >= end)
		return false;
	values[0] = TimestampTzGetDatum(cutoff(GetCurrentTimestamp()));
	SPI_connect();
	wt_sql_run(psprintf("DELETE FROM windtrap.idempotency_key WHERE ctid = ANY (ARRAY("
						"SELECT ctid FROM windtrap.idempotency_key "
						"WHERE ctid >= '(%u,0)' AND ctid < '(%u,0)' AND seen_at < $1 "
						"FOR UPDATE SKIP LOCKED))",
						*block, until),
			   1, types, values, NULL);
	SPI_finish();
	*block = until;
	return until < end;
}
