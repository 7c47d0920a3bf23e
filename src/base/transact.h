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

/*
 * Runs what(arg) in a transaction and commits it, within timeout ms, waiting at most a
 * second for each lock.  activity is what pg_stat_activity shows meanwhile.
 *
 * The commit is not flushed: one that waited for the disk or a standby would hold its
 * locks meanwhile, and nothing that is done here is lost by being done again.  What removes
 * files is flushed in any case.
 *
 * Gives NULL, or the error that it failed with, in the current memory context, which is the
 * same afterwards and in which `what` runs too.  Raises nothing but FATAL.
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
