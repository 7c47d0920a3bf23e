/*
 * http_target.h
 *		A load → another WindTrap, by HTTP.
 */
#ifndef WT_HTTP_TARGET_H
#define WT_HTTP_TARGET_H

#include "forward/load.h"
#include "forward/step.h"

/*
 * Gives the load whose turn it is, where it was read while the one before was under way: it
 * may be under way itself.  It is valid until the next call; false: there is none.
 */
extern bool wt_http_next_load(WtLoad *load);

/*
 * Sends a load to its target, reading the next one meanwhile, and moves the position on;
 * events that are refused become dead letters.  False, and *failure, where the target does not
 * take it.  No transaction is open while anybody waits for the target; a stop ends the wait.
 * Raises nothing but FATAL.
 */
extern bool wt_http_deliver(WtLoad *load, WtForwardFailure *failure);

/* Whether the target of an empty load takes requests; likewise. */
extern bool wt_http_check(WtLoad *load, WtForwardFailure *failure);

/* The settings, or the files that they name, may have changed. */
extern void wt_http_reload(void);

#endif
