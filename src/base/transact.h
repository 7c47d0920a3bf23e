/*
 * transact.h
 *		Transactions, and parts of one, whose failure is a value.
 */
#ifndef WT_TRANSACT_H
#define WT_TRANSACT_H

#include "utils/elog.h"

/*
 * One is under way.  For a handler of SIGTERM: a flag alone does not end a wait for a
 * lock, but a cancelled statement does.
 */
extern volatile bool wt_transaction_in_progress;

/* And who watches it cancels it, if need be: likewise. */
extern volatile bool wt_transaction_has_grace;

/*
 * A cancel does not end everything: a trigger can catch it, a client library can wait on.
 * So a transaction can be watched; where it goes on after it has been cancelled, for so many
 * looks, one every half a second, `act` is called at each of the next ones, by a signal
 * handler.
 */
typedef struct WtWatch
{
	int looks_after_timeout;
	int looks_after_stop;	 /* SIGTERM */
	int looks_before_cancel; /* after SIGTERM, if it was under way then; 0: at once */
	bool until_undone;		 /* also while a transaction that has failed is undone */
	void (*act)(void);
} WtWatch;

/*
 * For transactions that run what a table's owner has made: where a cancel is caught, and it goes
 * on for five seconds, after SIGTERM for two, the process ends, and another one is started.
 */
extern const WtWatch wt_watch_that_ends;

/*
 * For those that are worth to be waited for: likewise after two seconds, and a stop does not cancel
 * them for up to a second.  What waits for a standby is committed here, and would be sent again.
 */
extern const WtWatch wt_watch_with_grace;

/* How a transaction is to be run. */
typedef struct WtTransaction
{
	const char *activity; /* what pg_stat_activity shows meanwhile */
	int timeout;		  /* for all of it, ms */
	const char
		*lock_timeout; /* for each lock, as the setting has it; NULL: as the setting is */
	bool may_be_lost;  /* its commit is not flushed, which what removes files is anyway */
	bool read_committed;  /* and writable, whatever the defaults are */
	const WtWatch *watch; /* NULL: nobody; must last as long as the transaction */
} WtTransaction;

/*
 * Runs what(arg) in a transaction and commits it.  Gives NULL, or the error that it failed
 * with, in the current memory context, which is the same afterwards and in which `what` runs
 * too.  Raises nothing but FATAL.
 */
extern ErrorData *wt_transact_as(const WtTransaction *how, void (*what)(void *arg),
								 void *arg);

/*
 * The same within timeout ms, waiting at most a second for each lock.
 *
 * The commit is not flushed: one that waited for the disk or a standby would hold its
 * locks meanwhile, and nothing that is done here is lost by being done again.
 */
extern ErrorData *wt_transact(void (*what)(void *arg), void *arg, const char *activity,
							  int timeout);

/*
 * Runs what(arg) in a subtransaction.  Gives NULL, or the error that it failed with and by
 * which all of it was undone, in the current memory context, which is the same afterwards
 * and in which `what` runs too.  Raises what ends more than the one step: a cancel, the end
 * of the session.
 */
extern ErrorData *wt_attempt(void (*what)(void *arg), void *arg);

#endif
