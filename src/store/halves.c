/*
 * halves.c
 *		Which rows of a failed attempt are at fault, and storing the others.
 *
 * Words:
 *	look		inserting one row, to see whether any passes, and undoing that
 *	group		rows that are stored together or not at all: those of one request
 *
 * Where the error may be everybody's it would cost two tries a row to find that none
 * passes, each batch anew: so a few rows are looked at first, and where all of them fail the
 * attempt does.  Otherwise the rows are halved until those at fault are alone: one in 500
 * costs about 18 tries.  Time is limited: what has not been tried then is left for another
 * time, and what has is committed, so that many bad rows cannot keep out the good ones.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "store/halves.h"

typedef struct Search
{
	const WtHalves *halves;
	WtRow *const *rows; /* all of them */
	int n_rows;
	instr_time begun;
	int n_failed; /* rows that have failed alone, or were not tried */
	bool passed;  /* a row has passed */
	bool looked;  /* whether any does */
} Search;

static bool
is_late(const Search *s)
{
	instr_time passed;

	INSTR_TIME_SET_CURRENT(passed);
	INSTR_TIME_SUBTRACT(passed, s->begun);
	return INSTR_TIME_GET_MILLISEC(passed) > s->halves->time;
}

static void
set_result(WtRow *const *rows, int n, WtStoreResult result, const char *error)
{
	for (int i = 0; i < n; i++)
	{
		rows[i]->result = result;
		rows[i]->error = error;
	}
}

/*
 * Inserts rows in a subtransaction; false, and *failure, where that cannot be done.  What
 * ends the transaction is raised again.  keep: not only to see.
 */
static bool
insert_in_subtransaction(const Search *s, WtRow *const *rows, int n, bool keep,
						 WtFailure *failure)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool ok = false;

	CHECK_FOR_INTERRUPTS();
	if (s->halves->callbacks && s->halves->callbacks->breathe)
		s->halves->callbacks->breathe(s->halves->callbacks->arg);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		s->halves->insert(rows, n);
		if (keep)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
		ok = true;
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		wt_failure_note(failure, error);
		if (failure->blame == WT_BLAME_END)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		FreeErrorData(error);
	}
	PG_END_TRY();
	if (!ok || !keep)
		s->halves->undone();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return ok;
}

/*
 * Looks at some rows that are pending, other than `but`.  Where they are to be few they are
 * drawn, so that those who try again do not meet the same one for ever.
 */
static bool
any_passes(Search *s, const WtRow *but)
{
	int first = (int) (pg_prng_uint64(&pg_global_prng_state) % (uint64) s->n_rows);
	int step = Max(s->n_rows / s->halves->looks, 1);

	s->looked = true;
	for (int i = 0; i < Min(s->halves->looks, s->n_rows) && !s->passed; i++)
	{
		WtRow *row = s->rows[(first + i * step) % s->n_rows];
		WtFailure failure;

		if (row != but && row->result == WT_STORE_PENDING)
			s->passed = insert_in_subtransaction(s, &row, 1, false, &failure);
	}
	return s->passed;
}

/* Whether a row that has failed alone for this is at fault, as far as is known. */
static bool
is_fault_of_row(Search *s, const WtFailure *failure, const WtRow *row)
{
	if (failure->blame == WT_BLAME_MOMENT)
		return false;
	if (failure->blame == WT_BLAME_ROW)
		return true;
	if (s->passed || (!s->looked && any_passes(s, row)))
	{
		wt_fault_prove(failure);
		return true;
	}
	return wt_fault_is_rows(failure, true);
}

/* Decides what becomes of a row that has failed alone. */
static void
judge(Search *s, WtRow *row, const WtFailure *failure)
{
	const WtStoreCallbacks *callbacks = s->halves->callbacks;
	bool guilty = is_fault_of_row(s, failure, row);
	WtFailure of_stand_in;

	s->n_failed++;
	row->error = pstrdup(failure->message);
	/* What is kept in quarantine is not lost, and that it passes is evidence. */
	if (failure->blame != WT_BLAME_MOMENT && callbacks && callbacks->quarantine &&
		callbacks->quarantine(row) &&
		insert_in_subtransaction(s, &row, 1, true, &of_stand_in))
	{
		row->result = WT_STORE_QUARANTINED;
		s->passed = true;
		if (!guilty)
			wt_fault_prove(failure);
		return;
	}
	if (guilty && failure->blame == WT_BLAME_ROW && !s->passed &&
		wt_fault_refused(failure, row))
	{
		row->error = psprintf("the log table refuses every event: %s", failure->message);
		guilty = false;
	}
	row->result = guilty ? WT_STORE_REFUSED : WT_STORE_UNAVAILABLE;
}

static void insert_group(Search *s, WtRow *const *rows, int n, bool guilty);

/*
 * Inserts rows, halving them where one is at fault.  guilty: one is, since all of them with
 * others have failed, and the others alone have not.
 */
static void
halve(Search *s, WtRow *const *rows, int n, bool guilty, bool in_group)
{
	int middle = n / 2;
	int n_failed = s->n_failed;
	WtFailure failure;

	if (is_late(s))
	{
		s->n_failed += n;
		set_result(rows, n, WT_STORE_UNAVAILABLE,
				   "too many events beside it are refused by the log table");
		return;
	}
	if (!guilty || n == 1)
	{
		if (insert_in_subtransaction(s, rows, n, true, &failure))
		{
			s->passed = true;
			set_result(rows, n, WT_STORE_COMMITTED, NULL);
			return;
		}
		if (n == 1)
		{
			judge(s, rows[0], &failure);
			return;
		}
	}
	if (!in_group)
	{
		if (rows[0]->group == rows[n - 1]->group)
		{
			insert_group(s, rows, n, true);
			return;
		}
		/* Where a group begins. */
		while (middle > 0 && rows[middle]->group == rows[middle - 1]->group)
			middle--;
		if (middle == 0)
			for (middle = 1; rows[middle]->group == rows[0]->group;)
				middle++;
	}
	halve(s, rows, middle, false, in_group);
	halve(s, rows + middle, n - middle, s->n_failed == n_failed, in_group);
}

/* A group of which a row has to be sent again is, as a whole. */
static void
insert_group(Search *s, WtRow *const *rows, int n, bool guilty)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	const WtRow *unavailable = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	halve(s, rows, n, guilty, true);
	for (int i = 0; i < n && !unavailable; i++)
		if (rows[i]->result == WT_STORE_UNAVAILABLE)
			unavailable = rows[i];
	if (unavailable)
	{
		RollbackAndReleaseCurrentSubTransaction();
		s->halves->undone();
		set_result(rows, n, WT_STORE_UNAVAILABLE, unavailable->error);
	}
	else
		ReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

void
wt_halves_insert(const WtHalves *halves, WtRow *const *rows, int n_rows,
				 const WtFailure *failure)
{
	Search search = {.halves = halves, .rows = rows, .n_rows = n_rows};
	bool is_rows = failure->blame == WT_BLAME_ROW ? !wt_fault_refuses_all(failure)
												  : failure->blame == WT_BLAME_UNCLEAR &&
														wt_fault_is_rows(failure, false);

	INSTR_TIME_SET_CURRENT(search.begun);
	if (n_rows == 1)
	{
		search.looked = true;
		if (halves->tells)
			halve(&search, rows, 1, false, false);
		else
			judge(&search, rows[0], failure);
		return;
	}
	if (!is_rows && !any_passes(&search, NULL))
		ereport(ERROR,
				(errcode(failure->sqlstate),
				 wt_fault_refuses_all(failure)
					 ? errmsg("the log table refuses every event: %s", failure->message)
					 : errmsg_internal("%s", failure->message)));
	halve(&search, rows, n_rows, true, false);
}
