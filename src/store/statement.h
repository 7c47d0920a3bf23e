/*
 * statement.h
 *		How rows reach the log table: the statements that insert them.
 *
 * The fastest is INSERT … SELECT from a tuplestore, which the rows are put into as they are.
 * That takes PostgreSQL's own executor.  Where another extension has taken over the planning of
 * the table (Citus, of a distributed one) its plan reads the rows in a place that knows no
 * tuplestores of ours: there they are parameters, three arrays.  Which of the two it is is seen
 * in the plan, once for each time that the table is looked up.
 *
 * A process has one log table, and so one set of kept plans.
 */
#ifndef WT_STATEMENT_H
#define WT_STATEMENT_H

#include "nodes/primnodes.h"

#include "event/row.h"

/*
 * Makes ready what rows are handed over in; about n of them.  Needs SPI connected, and lasts
 * until SPI_finish.  It comes before the other functions that need SPI.  Raises.
 */
extern void wt_statement_begin(int n);

/*
 * Prepares the statements for a table, which is locked, as its owner; they are kept until it is
 * done again.  look: at who plans them; else that is who it was the last time.  Looking plans one
 * of them, which can run functions of the owner's, and these can change something.  Needs SPI
 * connected.  Raises.
 */
extern void wt_statement_prepare(Oid relation, Oid owner, const RangeVar *name,
								 bool look);

/* Whether there are statements, of which nothing has changed since. */
extern bool wt_statement_is_valid(void);

/* Whether the table is planned by somebody else, so that rows go as parameters. */
extern bool wt_statement_is_elsewhere(void);

/* So many rows are best handed over at once. */
extern int wt_statement_max_rows(void);

/* Inserts those of rows that are pending, as the table's owner.  Raises. */
extern void wt_statement_run(WtRow *const *rows, int n_rows);

/*
 * The same with one row of a table that is planned elsewhere, so that what is raised says what
 * is wrong with it.  Within a transaction that has nothing else to lose than a subtransaction.
 */
extern void wt_statement_run_alone(WtRow *const *row);

#endif
