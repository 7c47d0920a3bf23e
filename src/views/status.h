/*
 * status.h
 *		The view windtrap.status, and the same as numbers.
 */
#ifndef WT_STATUS_H
#define WT_STATUS_H

#include "base/shared.h"

typedef struct WtProcessesUp
{
	bool launcher; /* it serves its database */
	bool upkeep;   /* it runs, and has not failed */
	int workers;   /* that listen */
	int wanted_workers;
	int viewers; /* that listen */
	int wanted_viewers;
	int forwarders; /* that deliver */
	int wanted_forwarders;
	bool helpers[WT_N_HELPERS]; /* they run, and have not failed */
	bool wanted_helpers[WT_N_HELPERS];
} WtProcessesUp;

/* By what they are called. */
extern const char *const wt_helper_names[WT_N_HELPERS];

/* Which processes do what they are there for; needs wt_shared. */
extern void wt_processes_up(WtProcessesUp *up);

#endif
