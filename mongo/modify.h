/*
 * modify.h
 *		INSERT, COPY, UPDATE, DELETE and TRUNCATE.
 */
#ifndef WM_MODIFY_H
#define WM_MODIFY_H

#include "foreign/fdwapi.h"

extern int wm_is_updatable(Relation relation);
extern void wm_add_update_targets(PlannerInfo *root, Index rtindex, RangeTblEntry *rte,
								  Relation relation);
extern List *wm_plan_modify(PlannerInfo *root, ModifyTable *plan, Index relation,
							int subplan);
extern void wm_begin_modify(ModifyTableState *state, ResultRelInfo *rel, List *private,
							int subplan, int flags);
extern void wm_begin_insert(ModifyTableState *state, ResultRelInfo *rel);
extern int wm_batch_size(ResultRelInfo *rel);
extern TupleTableSlot *wm_insert(EState *estate, ResultRelInfo *rel, TupleTableSlot *slot,
								 TupleTableSlot *plan_slot);
extern TupleTableSlot **wm_insert_batch(EState *estate, ResultRelInfo *rel,
										TupleTableSlot **slots,
										TupleTableSlot **plan_slots, int *n);
extern TupleTableSlot *wm_update(EState *estate, ResultRelInfo *rel, TupleTableSlot *slot,
								 TupleTableSlot *plan_slot);
extern TupleTableSlot *wm_delete(EState *estate, ResultRelInfo *rel, TupleTableSlot *slot,
								 TupleTableSlot *plan_slot);
extern void wm_end_modify(EState *estate, ResultRelInfo *rel);
extern void wm_end_insert(EState *estate, ResultRelInfo *rel);
extern void wm_truncate(List *relations, DropBehavior behavior, bool restart_sequences);
extern void wm_explain_modify(ModifyTableState *state, ResultRelInfo *rel, List *private,
							  int subplan, struct ExplainState *es);

#endif
