/*
 * position.c
 *		Where windtrap.tail() has got to in this server's transactions, and which rows are new by that.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "search/in_flight.h"
#include "search/position.h"
#include "sealed/links.h"
#include "sealed/row_origin.h"

/* So long before the cursor, µs, a transaction may have begun. */
#define MAX_WINDOW USECS_PER_HOUR

/* An event is stored at most so long after its time, µs, where it has waited for nothing. */
#define STORED_WITHIN (2 * USECS_PER_SEC)

/*
 * An event that is older than this at the cursor, µs, and has been changed since, was seen before:
 * where a transaction lasts for long, changes of all that has come meanwhile would be shown.
 */
#define MAX_UNSEEN (10 * USECS_PER_SEC)

/* Ids of a cursor come to mean something else after 2 billion transactions. */
static void
check_cursor(const WtCursor *cursor, uint64 next)
{
	uint64 oldest = cursor->n_ranges > 0 ? cursor->ranges[0].first : cursor->xmax;

	if (cursor->xmax > next)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the cursor is of another server, or of a time that this one "
						"has been taken back before")));
	if (next - oldest > PG_INT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the cursor is too old")));
}

uint64
wt_position_take(WtCursor *to, WtCursor *from)
{
	uint64 next;

	to->time = GetCurrentTimestamp();
	/* By a clock that has been set back since, events are older than the cursor. */
	if (from && from->time > to->time)
	{
		from->time = to->time;
		from->floor = Min(from->floor, to->time - MAX_WINDOW);
	}
	to->floor = Max(wt_in_flight_since(to->time, from ? from->floor : DT_NOEND),
					to->time - MAX_WINDOW);
	PushActiveSnapshot(GetLatestSnapshot());
	next = U64FromFullTransactionId(ReadNextFullTransactionId());
	if (from)
		check_cursor(from, next);
	wt_cursor_take(to, GetActiveSnapshot(), from);
	return next;
}

/*
 * Whether a version of a row, which is visible, is the work of an UPDATE.  Both can be made up by
 * what the table's owner has written, a policy of it say.
 */
static bool
is_updated(Oid relation, ItemPointer tid)
{
	Relation rel;
	HeapTupleData tuple = {.t_self = *tid};
	Buffer buffer;
	bool result = false;

	if (wt_is_sealed(relation))
		return wt_row_origin(relation, tid).updated;
	rel = table_open(relation, AccessShareLock);
	/* A block of no number would be added. */
	if (rel->rd_rel->relkind == RELKIND_RELATION &&
		rel->rd_rel->relam == HEAP_TABLE_AM_OID && ItemPointerIsValid(tid) &&
		ItemPointerGetBlockNumber(tid) < RelationGetNumberOfBlocks(rel) &&
		heap_fetch(rel, SnapshotAny, &tuple, &buffer, false))
	{
		result = (tuple.t_data->t_infomask & HEAP_UPDATED) != 0;
		ReleaseBuffer(buffer);
	}
	table_close(rel, AccessShareLock);
	return result;
}

bool
wt_position_is_new(const WtCursor *from, const WtCursor *to, uint64 next,
				   TransactionId xmin, Oid relation, ItemPointer tid,
				   TimestampTz event_timestamp)
{
	uint64 xid = wt_cursor_widen(xmin, next);

	return !wt_cursor_is_unseen(to, xid) && wt_cursor_is_unseen(from, xid) &&
		   (event_timestamp >= wt_position_seen_before(from) ||
			!is_updated(relation, tid));
}

TimestampTz
wt_position_seen_before(const WtCursor *position)
{
	return Max(position->floor, position->time - MAX_UNSEEN) - STORED_WITHIN;
}
