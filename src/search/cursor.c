/*
 * cursor.c
 *		Which transactions had been committed at some moment, as a text that can be kept.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "search/cursor.h"

/* So that a later form can be told from this one. */
#define FORM "t1"

/* Ids, being collected. */
typedef struct Ids
{
	uint64 *ids;
	int n;
	int room;
} Ids;

static void
add(Ids *ids, uint64 id)
{
	if (ids->n == ids->room)
	{
		ids->room *= 2;
		ids->ids = repalloc_huge(ids->ids, ids->room * sizeof(uint64));
	}
	ids->ids[ids->n++] = id;
}

static int
compare(const void *a, const void *b)
{
	uint64 x = *(const uint64 *) a;
	uint64 y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

uint64
wt_cursor_widen(TransactionId xid, uint64 next)
{
	uint64 id = (next & ~UINT64CONST(0xFFFFFFFF)) | xid;

	return id > next && id > UINT64CONST(0xFFFFFFFF) ? id - (UINT64CONST(1) << 32) : id;
}

/* Those of first … end - 1 that the snapshot sees as running. */
static void
add_running(Ids *ids, Snapshot snapshot, uint64 first, uint64 end)
{
	for (uint64 id = first; id < end; id++)
	{
		TransactionId xid = (TransactionId) id;

		if ((id & 0xFFFF) == 0)
			CHECK_FOR_INTERRUPTS();
		if (TransactionIdIsNormal(xid) && XidInMVCCSnapshot(xid, snapshot))
			add(ids, id);
	}
}

/*
 * The snapshot knows each running transaction, and the first 64 subtransactions of each.  If one
 * of them has more, each id is asked for, which PostgreSQL answers as long as they run.  What was
 * not running before needs not be asked for.
 */
static void
collect(Ids *ids, Snapshot snapshot, uint64 next, uint64 xmax, const WtCursor *before)
{
	uint64 xmin = wt_cursor_widen(snapshot->xmin, next);
	TransactionId own = GetTopTransactionIdIfAny();

	if (!snapshot->suboverflowed)
	{
		for (uint32 i = 0; i < snapshot->xcnt; i++)
			add(ids, wt_cursor_widen(snapshot->xip[i], next));
		for (int32 i = 0; i < snapshot->subxcnt; i++)
			add(ids, wt_cursor_widen(snapshot->subxip[i], next));
	}
	else if (!before || before->xmax < xmin)
		add_running(ids, snapshot, xmin, xmax);
	else
	{
		for (int i = 0; i < before->n_ranges; i++)
			add_running(ids, snapshot, Max(before->ranges[i].first, xmin),
						Min(before->ranges[i].last + 1, xmax));
		add_running(ids, snapshot, before->xmax, xmax);
	}
	if (TransactionIdIsValid(own))
		for (uint64 id = wt_cursor_widen(own, next); id < xmax; id++)
			if (TransactionIdIsCurrentTransactionId((TransactionId) id))
				add(ids, id);
}

void
wt_cursor_take(WtCursor *cursor, Snapshot snapshot, const WtCursor *before)
{
	uint64 next = U64FromFullTransactionId(ReadNextFullTransactionId());
	Ids ids = {.room = 256};
	int n = 0;

	ids.ids = palloc(ids.room * sizeof(uint64));
	cursor->xmax = wt_cursor_widen(snapshot->xmax, next);
	collect(&ids, snapshot, next, cursor->xmax, before);
	qsort(ids.ids, ids.n, sizeof(uint64), compare);
	for (int i = 0; i < ids.n; i++)
	{
		if (ids.ids[i] >= cursor->xmax)
			break;
		if (n > 0 && ids.ids[i] <= cursor->ranges[n - 1].last + 1)
		{
			cursor->ranges[n - 1].last = ids.ids[i];
			continue;
		}
		if (n == WT_CURSOR_RANGES)
		{
			cursor->xmax = ids.ids[i];
			break;
		}
		cursor->ranges[n].first = ids.ids[i];
		cursor->ranges[n++].last = ids.ids[i];
	}
	cursor->n_ranges = n;
	pfree(ids.ids);
}

bool
wt_cursor_is_unseen(const WtCursor *cursor, uint64 xid)
{
	int low = 0;
	int high = cursor->n_ranges;

	if (xid >= cursor->xmax)
		return true;
	while (low < high)
	{
		int middle = (low + high) / 2;

		if (cursor->ranges[middle].last < xid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < cursor->n_ranges && cursor->ranges[low].first <= xid;
}

/*
 * "t1.XMAX.TIME.AGE.MARGIN", and for each range, from the newest on, ".GAP" or ".GAP-MORE": how
 * far its last id is below what stands before it, and how many more there are.  All are hexadecimal.
 */
void
wt_cursor_write(const WtCursor *cursor, char *out)
{
	char *end = out + WT_CURSOR_SIZE;
	uint64 above = cursor->xmax;

	out += snprintf(out, end - out, FORM ".%llx.%llx.%llx.%x",
					(unsigned long long) cursor->xmax, (unsigned long long) cursor->time,
					(unsigned long long) (cursor->time - cursor->floor), cursor->margin);
	for (int i = cursor->n_ranges - 1; i >= 0; i--)
	{
		uint64 more = cursor->ranges[i].last - cursor->ranges[i].first;

		out += snprintf(out, end - out, ".%llx",
						(unsigned long long) (above - cursor->ranges[i].last));
		if (more > 0)
			out += snprintf(out, end - out, "-%llx", (unsigned long long) more);
		above = cursor->ranges[i].first;
	}
}

/* A number that stands behind this character; false: none does. */
static bool
read_number(const char **at, char before, uint64 *number)
{
	const char *p = *at;

	if (*p++ != before)
		return false;
	*number = 0;
	for (int digits = 0;; digits++, p++)
	{
		int digit;

		if (*p >= '0' && *p <= '9')
			digit = *p - '0';
		else if (*p >= 'a' && *p <= 'f')
			digit = *p - 'a' + 10;
		else
		{
			*at = p;
			return digits > 0;
		}
		if (digits == 16)
			return false;
		*number = *number << 4 | digit;
	}
}

bool
wt_cursor_read(const char *text, WtCursor *cursor)
{
	uint64 time;
	uint64 age;
	uint64 margin;
	uint64 above;
	int n = 0;

	memset(cursor, 0, sizeof(*cursor));
	if (strncmp(text, FORM, strlen(FORM)) != 0)
		return false;
	text += strlen(FORM);
	if (!read_number(&text, '.', &cursor->xmax) || !read_number(&text, '.', &time) ||
		!read_number(&text, '.', &age) || !read_number(&text, '.', &margin))
		return false;
	cursor->time = (TimestampTz) time;
	if (!IS_VALID_TIMESTAMP(cursor->time) || age > PG_INT32_MAX * UINT64CONST(1000000) ||
		margin > PG_INT16_MAX)
		return false;
	cursor->floor = cursor->time - (TimestampTz) age;
	cursor->margin = (int) margin;
	above = cursor->xmax;
	for (; *text != '\0'; n++)
	{
		uint64 gap;
		uint64 more = 0;

		if (n == WT_CURSOR_RANGES || !read_number(&text, '.', &gap) ||
			(*text == '-' && !read_number(&text, '-', &more)) || gap == 0 ||
			gap > above || more > above - gap)
			return false;
		cursor->ranges[n].last = above - gap;
		cursor->ranges[n].first = above - gap - more;
		above = cursor->ranges[n].first;
	}
	cursor->n_ranges = n;
	for (int i = 0; i < n / 2; i++)
	{
		uint64 first = cursor->ranges[i].first;
		uint64 last = cursor->ranges[i].last;

		cursor->ranges[i] = cursor->ranges[n - 1 - i];
		cursor->ranges[n - 1 - i].first = first;
		cursor->ranges[n - 1 - i].last = last;
	}
	return true;
}
