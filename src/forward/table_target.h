/*
 * table_target.h
 *		A load → a table of windtrap.forward_to.
 */
#ifndef WT_TABLE_TARGET_H
#define WT_TABLE_TARGET_H

#include "forward/load.h"
#include "forward/step.h"

/*
 * Inserts a load into its target and moves the position on; events that are at fault become
 * dead letters.  False, and *failure, where the target does not take it; with WT_BLAME_ROW
 * some event of it is at fault, and only smaller loads can tell which.  Raises nothing but
 * FATAL.
 */
extern bool wt_table_deliver(WtLoad *load, WtForwardFailure *failure);

/* Whether the target of an empty load looks as if it could be inserted into; likewise. */
extern bool wt_table_check(WtLoad *load, WtForwardFailure *failure);

#endif
