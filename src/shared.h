/*
 * shared.h
 *		What the processes of WindTrap know of each other: a small piece of shared memory.
 *
 * Small, so that it can be had without preload, from what PostgreSQL leaves free in its
 * own segment.
 */
#ifndef WT_SHARED_H
#define WT_SHARED_H

#include "datatype/timestamp.h"
#include "storage/dsm.h"
#include "storage/lwlock.h"

#include "auth.h"
#include "counters.h"
#include "settings.h"
#include "sink.h"

typedef enum WtState
{
	WT_STATE_NONE,		/* no such worker */
	WT_STATE_STARTING,	/* registered, and not yet at work */
	WT_STATE_WAITING,	/* for the extension to be created in its database */
	WT_STATE_LISTENING, /* at work */
	WT_STATE_FAILED,	/* cannot listen, tries again; error says why */
	WT_STATE_STOPPING	/* answers what it has, and leaves */
} WtState;

#define WT_ERROR_SIZE 256
#define WT_ADDRESSES_SIZE 160

/* A worker, as others see it. */
typedef struct WtWorkerStatus
{
	WtState state;
	int pid;
	Oid database;
	int port;
	char addresses[WT_ADDRESSES_SIZE];
	TimestampTz since; /* when the state began */
	char error[WT_ERROR_SIZE];
	char stdout_error[WT_ERROR_SIZE]; /* why it drops lines */
} WtWorkerStatus;

typedef struct WtShared
{
	LWLock lock; /* of all that follows */

	int launcher_pid;	  /* 0: none */
	bool launcher_static; /* it was started by preload */
	Oid database;		  /* that the launcher serves; InvalidOid: none yet */
	bool stop;			  /* the launcher is to end its workers, see wt_stop */
	int upkeep_pid;		  /* 0: none */
	WtWorkerStatus workers[WT_MAX_WORKERS];

	WtSinkShared sink; /* of windtrap.stdout; without the lock */

	/* Written by their workers, without the lock; they outlive them. */
	WtCounters counters[WT_MAX_WORKERS];
	/* What they were when they were last reset; under the lock. */
	uint64 baseline[WT_MAX_WORKERS][WT_N_COUNTERS];
	TimestampTz counting_since;
	volatile uint64 generation; /* resets so far */

	int64 rates
		[WT_RATE_PLACES]; /* how far tokens are used up, see auth.c; without the lock */
	dsm_handle refused; /* the record of refused requests; DSM_HANDLE_INVALID: none yet */
} WtShared;

extern WtShared *wt_shared;

/* Under preload: asks for the memory. */
extern void wt_shared_request(void);

/* Sets wt_shared; in any process but the postmaster, as often as one likes. */
extern void wt_shared_attach(void);

/*
 * This process is worker `number` from now until it ends; others then see what the
 * functions below report of it.
 */
extern void wt_status_begin(int number, Oid database);
extern void wt_status_set_state(WtState state);
/* Reports an error, a plain sentence; NULL: there is none any more. */
extern void wt_status_set_error(const char *error);
/* The same for lines that are dropped. */
extern void wt_status_set_stdout_error(const char *error);
extern void wt_status_set_address(const char *addresses, int port);

/* What this worker counts in. */
extern WtCounters *wt_my_counters(void);

/* Begins new maxima where the counters have been reset since the last call. */
extern void wt_counters_attend(void);

/* Wakes the process with this pid, if it lives. */
extern void wt_wake(int pid);

#endif
