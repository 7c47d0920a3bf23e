/*
 * refused_view.c
 *		Where the record of refused requests lies, and the views of it.
 *
 * It is too large for what PostgreSQL leaves free in its own segment, so it has one of
 * its own, made by the first worker and kept until the server ends.  A crash of the server
 * takes the segment and wt_shared, where its handle is, together.
 */
#include "postgres.h"

#include <arpa/inet.h>

#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "storage/dsm.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "views/refused_view.h"
#include "base/segment.h"
#include "base/shared.h"
#include "base/text.h"
#include "base/unix_time.h"

PG_FUNCTION_INFO_V1(windtrap_refused_requests);
PG_FUNCTION_INFO_V1(windtrap_refused_by_client);

static void
initialize(void *memory)
{
	(void) wt_refused_init(memory);
}

static WtRefusedRecord *
attach_for_good(void)
{
	void *memory = wt_segment_attach(&wt_shared->refused, wt_refused_size(), initialize);

	if (!memory)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("its memory is gone")));
	return memory;
}

WtRefused *
wt_refused_attach(void)
{
	static WtRefused *refused;
	static bool tried = false;
	MemoryContext context = CurrentMemoryContext;
	WtRefusedRecord *volatile record = NULL;

	if (tried)
		return refused;
	tried = true;
	PG_TRY();
	{
		StartTransactionCommand();
		record = attach_for_good();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		ereport(LOG, (errmsg("windtrap: does not remember refused requests: %s",
							 error->message)));
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	if (record)
		refused = wt_refused_open(record);
	return refused;
}

/*
 * The record for the time of a query; NULL: there is none.  *segment is what to detach
 * afterwards; NULL: nothing, because this process has it for good.
 */
static WtRefusedRecord *
attach_for_query(dsm_segment **segment)
{
	dsm_handle handle;
	dsm_segment *attached;

	*segment = NULL;
	wt_shared_attach();
	handle = wt_segment_handle(&wt_shared->refused);
	if (handle == DSM_HANDLE_INVALID)
		return NULL;
	/* A worker that reads it, in a trigger on the log table, say. */
	attached = dsm_find_mapping(handle);
	if (!attached)
		attached = *segment = dsm_attach(handle);
	return attached ? dsm_segment_address(attached) : NULL;
}

static Datum
time_datum(int64 us)
{
	return TimestampTzGetDatum(wt_timestamp_of_unix_us(us));
}

static Datum
ip_datum(const WtRefusedAddress *address, bool *is_null)
{
	char text[INET6_ADDRSTRLEN];

	*is_null =
		address->length == 0 || !inet_ntop(address->length == 4 ? AF_INET : AF_INET6,
										   address->bytes, text, sizeof(text));
	return *is_null ? (Datum) 0 : DirectFunctionCall1(inet_in, CStringGetDatum(text));
}

static Datum
text_datum(const char *text, uint8 length, bool *is_null)
{
	char escaped[4 * WT_REFUSED_NONE];
	size_t n;

	*is_null = (length == WT_REFUSED_NONE);
	if (*is_null)
		return (Datum) 0;
	n = wt_text_escape(text, length, GetDatabaseEncoding() != PG_UTF8, escaped);
	return PointerGetDatum(cstring_to_text_with_len(escaped, (int) n));
}

static Datum
reason_datum(uint8 reason)
{
	return CStringGetTextDatum(wt_reason_names[reason < WT_N_REASONS ? reason : 0]);
}

static int
newer_first(int64 time_a, uint64 serial_a, int64 time_b, uint64 serial_b)
{
	if (time_a != time_b)
		return time_a > time_b ? -1 : 1;
	return serial_a > serial_b ? -1 : serial_a < serial_b;
}

/* How one of the two parts of the record is shown; an entry is what they are made of. */
typedef struct Part
{
	unsigned max;	   /* entries */
	size_t entry_size; /* bytes */
	bool (*read)(WtRefusedRecord *record, unsigned i, void *entry);
	int (*compare)(const void *a, const void *b);
	void (*fill)(const void *entry, Datum *values, bool *nulls);
} Part;

#define MAX_COLUMNS 9

/* Gives the entries of a part as rows: all are copied before one is shown. */
static void
show(FunctionCallInfo fcinfo, const Part *part)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	WtRefusedRecord *record;
	dsm_segment *segment;
	char *entries;
	size_t n = 0;

	InitMaterializedSRF(fcinfo, 0);
	record = attach_for_query(&segment);
	if (!record)
		return;
	entries = palloc(part->max * part->entry_size);
	for (unsigned i = 0; i < part->max; i++)
		n += part->read(record, i, entries + n * part->entry_size);
	if (segment)
		dsm_detach(segment);

	qsort(entries, n, part->entry_size, part->compare);
	for (size_t i = 0; i < n; i++)
	{
		Datum values[MAX_COLUMNS];
		bool nulls[MAX_COLUMNS] = {false};

		part->fill(entries + i * part->entry_size, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

static bool
read_request(WtRefusedRecord *record, unsigned i, void *entry)
{
	return wt_refused_request(record, i, entry);
}

static int
compare_requests(const void *a, const void *b)
{
	const WtRefusedRequest *x = a;
	const WtRefusedRequest *y = b;

	return newer_first(x->time_us, x->serial, y->time_us, y->serial);
}

static void
fill_request(const void *entry, Datum *values, bool *nulls)
{
	const WtRefusedRequest *r = entry;

	values[0] = time_datum(r->time_us);
	values[1] = ip_datum(&r->address, &nulls[1]);
	values[2] = text_datum(r->method, r->method_length, &nulls[2]);
	values[3] = text_datum(r->path, r->path_length, &nulls[3]);
	nulls[4] = (r->status == 0);
	values[4] = Int32GetDatum(r->status);
	values[5] = reason_datum(r->reason);
	values[6] = text_datum(r->user_agent, r->user_agent_length, &nulls[6]);
	nulls[7] = (r->line == 0);
	if (r->line > 0)
		values[7] =
			CStringGetTextDatum(psprintf("line %u, column %u", r->line, r->column));
	values[8] = Int64GetDatum(r->times);
}

/* The rows of the view windtrap.refused. */
Datum
windtrap_refused_requests(PG_FUNCTION_ARGS)
{
	static const Part requests = {WT_REFUSED_REQUESTS, sizeof(WtRefusedRequest),
								  read_request, compare_requests, fill_request};

	show(fcinfo, &requests);
	return (Datum) 0;
}

static bool
read_client(WtRefusedRecord *record, unsigned i, void *entry)
{
	return wt_refused_client(record, i, entry);
}

static int
compare_clients(const void *a, const void *b)
{
	const WtRefusedClient *x = a;
	const WtRefusedClient *y = b;

	return newer_first(x->last_us, 0, y->last_us, 0);
}

static void
fill_client(const void *entry, Datum *values, bool *nulls)
{
	const WtRefusedClient *c = entry;

	values[0] = ip_datum(&c->address, &nulls[0]);
	values[1] = reason_datum(c->reason);
	values[2] = Int64GetDatum((int64) c->times);
	values[3] = time_datum(c->first_us);
	values[4] = time_datum(c->last_us);
}

/* The rows of the view windtrap.refused_clients. */
Datum
windtrap_refused_by_client(PG_FUNCTION_ARGS)
{
	static const Part clients = {WT_REFUSED_CLIENTS, sizeof(WtRefusedClient), read_client,
								 compare_clients, fill_client};

	show(fcinfo, &clients);
	return (Datum) 0;
}
