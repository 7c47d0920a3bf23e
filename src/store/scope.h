/*
 * scope.h
 *		Where tables are kept up: as a table's owner, with SPI, safe from odd settings.
 */
#ifndef WT_SCOPE_H
#define WT_SCOPE_H

#include "utils/palloc.h"

/* Weak locks, and rows that others have locked: nobody waits behind us. */
#define WT_LOCK_TIMEOUT "1s"

/* What enter and leave keep. */
typedef struct WtScope
{
	MemoryContext caller; /* what is to outlive the scope is allocated there */
	Oid role;
	int context;
	int nest_level;
	int64 temporary;
} WtScope;

/*
 * Does what follows as the relation's owner, with SPI; false: there is no such relation.
 * Not even looking at how it is partitioned can be done before: the functions in an
 * expression of its key are the owner's, and PostgreSQL runs them when it reads it.
 *
 * What raises within needs no wt_scope_leave: the end of the (sub)transaction undoes all
 * of it.
 */
extern bool wt_scope_enter(Oid relation, WtScope *scope);
extern void wt_scope_leave(const WtScope *scope);

/* The same for whoever may become the owner; raises for all others, and where it is gone. */
extern void wt_scope_enter_owned(Oid relation, WtScope *scope);

/* Sets a setting until the scope, or a nest level of the caller's, ends. */
extern void wt_scope_set(const char *name, const char *value);

/*
 * Has values be printed, until the scope ends, in the one way in which texts of them are
 * stored, whatever the session's settings are.
 */
extern void wt_scope_pin_texts(void);

/* Runs a statement in the current memory context; raises as it does. */
extern void wt_scope_run(const char *command, int n_args, Oid *types, Datum *values);

/* Runs each of the statements that a query gives, with its parameters. */
extern void wt_scope_run_each(const char *query, int n_args, Oid *types, Datum *values);

/* A number of its result, columns from 1 on; null reads 0. */
extern int64 wt_scope_int64(uint64 row, int column);

/*
 * The name of a relation for use in a statement, which it will be until this transaction
 * ends; raises where it is gone.
 */
extern char *wt_scope_name(Oid relation);

#endif
