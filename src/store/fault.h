/*
 * fault.h
 *		Whose fault it is that something cannot be stored.
 *
 * Words:
 *	row's		what one row raises when it is alone while others pass, whatever its code:
 *				it will not pass the next time either.  422
 *	table's		what every row meets: the table, the schema or the server.  503
 *	moment's	what may pass by itself: locks, connections, resources.  503, whomever it
 *				meets, since who is told not to send again would lose the event
 *	unclear		either of the first two, by its code; that others pass, or passed in
 *				between, tells
 */
#ifndef WT_FAULT_H
#define WT_FAULT_H

#include "event/row.h"

typedef enum WtBlame
{
	WT_BLAME_ROW,	  /* by its code; the table's where it refuses all, see below */
	WT_BLAME_UNCLEAR, /* the row's where others pass */
	WT_BLAME_MOMENT,  /* nobody's */
	WT_BLAME_END	  /* likewise, and the transaction cannot go on */
} WtBlame;

/* Why an attempt, or a part of it, has failed. */
typedef struct WtFailure
{
	WtBlame blame;
	int sqlstate;
	uint32 reason;	   /* the same for failures alike, whatever the row's values */
	bool committed;	   /* it has been, but not where synchronous standbys have it */
	bool no_partition; /* of the table takes the row */
	char message[256];
} WtFailure;

/* Whether PL/pgSQL's RAISE has raised it: somebody means it. */
extern bool wt_is_raised_by_hand(const ErrorData *error);

/* Says what an error is. */
extern void wt_failure_note(WtFailure *failure, const ErrorData *error);

/*
 * What follows is what a process remembers of one table, in order to tell whose an unclear
 * fault is.  wt_fault_of_table begins anew where it is another table than before.  elsewhere:
 * errors come from other nodes, see store/statement.h.
 */
extern void wt_fault_of_table(Oid relation, bool elsewhere);

/*
 * Whether rows of it go to other servers (store/shards.h).  Then what is unclear is the moment's:
 * others pass because they are at a server where nothing is wrong.
 */
extern void wt_fault_of_servers(bool several);

/* n rows of the table's, none of them at fault, have been committed. */
extern void wt_fault_accepted(int n);

/* A row alone has failed while others of its attempt passed: an unclear fault is rows'. */
extern void wt_fault_prove(const WtFailure *failure);

/*
 * Whether an unclear fault is known to be of rows: it has been proved, or has come back
 * often enough while others were committed in between.  `note`: it has just come back.
 */
extern bool wt_fault_is_rows(const WtFailure *failure, bool note);

/*
 * Notes that the table refuses a row, whose fault that is by its code.  Gives whether it is
 * the table's even so, since for a while all events were refused for this reason.
 */
extern bool wt_fault_refused(const WtFailure *failure, const WtRow *row);

/* Whether that is so for this reason now; notes nothing. */
extern bool wt_fault_refuses_all(const WtFailure *failure);

#endif
