/*
 * log_rows_plan.h
 *		The function windtrap.log_rows() as a part of queries that another library plans.
 */
#ifndef WT_LOG_ROWS_PLAN_H
#define WT_LOG_ROWS_PLAN_H

/* Puts a hook around the planner, where there is another library's; once, when ours is loaded. */
extern void wt_log_rows_plan_install(void);

#endif
