/*
 * insert.h
 *		Rows → a table, by one statement of the table's owner.
 *
 * The processes that insert are superusers.  What the owner of a table has put into it
 * (triggers, defaults, indexes) runs with the statement, and must gain nothing from that.
 */
#ifndef WT_INSERT_H
#define WT_INSERT_H

#include "access/tupdesc.h"
#include "executor/spi.h"
#include "nodes/params.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

/* What rows consist of: event_timestamp, data, status. */
extern TupleDesc wt_insert_desc(void);

/* Adds a row of that kind. */
extern void wt_insert_put(Tuplestorestate *rows, TimestampTz event_timestamp, Jsonb *data,
						  int32 status);

/*
 * Makes rows visible under a name to statements that are prepared and executed until
 * SPI_finish; n: about how many they are.  Raises.
 */
extern void wt_insert_register(char *name, Tuplestorestate *rows, int n);

/* What a statement inserts into, and the types of its parameters, from $1 on. */
typedef struct WtInsertInto
{
	Oid relation;
	const Oid *types;
	int n_types;
} WtInsertInto;

/*
 * Prepares a statement that inserts into a relation as owner.  Whenever it is analyzed it
 * raises where its name means another relation by then; *into must live as long as the plan
 * does.  Raises.
 */
extern SPIPlanPtr wt_insert_prepare(const char *statement, const WtInsertInto *into,
									Oid owner);

/*
 * Executes it, with what it sets off, deferred triggers included; params: NULL, if it has
 * none.  Raises.
 */
extern void wt_insert_execute(SPIPlanPtr plan, Oid owner, ParamListInfo params);

#endif
