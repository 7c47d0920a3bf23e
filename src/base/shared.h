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
#include "port/atomics.h"
#include "storage/lwlock.h"

#include "base/counters.h"
#include "base/listen_list.h"
#include "base/settings.h"
#include "base/shared_parts.h"
#include "base/upkeep_shared.h"

typedef enum WtState
{
	WT_STATE_NONE,		 /* no such worker */
	WT_STATE_STARTING,	 /* registered, and not yet at work */
	WT_STATE_RESTARTING, /* it has ended, and the launcher will start it again */
	WT_STATE_WAITING,	 /* for the extension to be created in its database */
	WT_STATE_LISTENING,	 /* at work */
	WT_STATE_IDLE,		 /* the upkeep: between two rounds */
	WT_STATE_WORKING,	 /* the upkeep: in one */
	WT_STATE_FAILED,	 /* cannot listen, tries again; error says why */
	WT_STATE_STOPPING	 /* answers what it has, and leaves */
} WtState;

#define WT_ERROR_SIZE 256
#define WT_ADDRESSES_SIZE 160

/* A worker or a viewer, as others see it. */
typedef struct WtWorkerStatus
{
	WtState state;
	int pid;
	Oid database;
	int port;
	bool tls;		 /* its TCP sockets speak it */
	bool has_served; /* it has listened since it was started */
	char addresses[WT_ADDRESSES_SIZE];
	TimestampTz since; /* when the state began */
	char error[WT_ERROR_SIZE];
	char stdout_error[WT_ERROR_SIZE]; /* why it drops lines */
} WtWorkerStatus;

#define WT_INTAKE_TEXT_SIZE 112

/* Where a worker listens for senders that speak no HTTP, as others see it. */
typedef struct WtIntakeStatus
{
	uint32 open[WT_MAX_LISTEN_PLACES]; /* keys of places, see worker/intake.c; 0: none */
	char addresses[WT_N_INTAKES][WT_INTAKE_TEXT_SIZE]; /* that are open */
	char errors[WT_N_INTAKES][WT_INTAKE_TEXT_SIZE];	   /* why one is not; "": all are */
} WtIntakeStatus;

/* What a worker, or a viewer, is told in bgw_extra; its place is in bgw_main_arg. */
typedef struct WtWorkerArgs
{
	Oid database;
} WtWorkerArgs;

typedef enum WtForwardState
{
	WT_FORWARD_STARTING,
	WT_FORWARD_WAITING, /* for the extension to be created */
	WT_FORWARD_WORKING,
	WT_FORWARD_FAILING /* tries again; error says why */
} WtForwardState;

/* A forwarder, as others see it; its target outlives it. */
typedef struct WtForwarderStatus
{
	char target[WT_TARGET_SIZE]; /* as in WtTargets; "": the place is free */
	int pid;					 /* 0: none */
	WtForwardState state;
	TimestampTz since; /* when the state began */
	char error[WT_ERROR_SIZE];
	uint64 delivered; /* events, ever */
	uint64 dead;	  /* events that are set aside for good now */

	/* Its lag: what it had not got when so many events had been written since the start. */
	int64 pending;
	uint64 written;
	TimestampTz
		oldest; /* when the first of them was written; with none, of that moment */

	/* It looks for batches that were committed before this was set, for others if woken. */
	volatile bool wants_wake;
} WtForwarderStatus;

/* The upkeep, as others see it. */
typedef struct WtUpkeepStatus
{
	int pid; /* 0: none */
	Oid database;
	WtState state;
	TimestampTz since;		  /* when the state began */
	TimestampTz last_run;	  /* the end of its last round; 0: there was none */
	TimestampTz last_success; /* of the last one in which nothing failed */
	char
		error[WT_ERROR_SIZE]; /* what its last round could not do first, and the remedy */
} WtUpkeepStatus;

/* Processes that are there only as long as there is something for them to do. */
typedef enum WtHelper
{
	WT_HELPER_ALERTS,	/* counts what alerts ask for */
	WT_HELPER_WEBHOOKS, /* posts what alerts tell */
	WT_N_HELPERS
} WtHelper;

/* One of them, as others see it; see base/helper.h. */
typedef struct WtHelperStatus
{
	bool wanted; /* there is something to do, as far as is known */
	int pid;	 /* 0: none */
	WtState state;
	TimestampTz since;	  /* when the state began */
	TimestampTz last_run; /* when it last did something; 0: it has not yet */
	char error[WT_ERROR_SIZE];
} WtHelperStatus;

/* The longest name of an alert, bytes. */
#define WT_MAX_ALERT_NAME 128

/* How an alert stands, as windtrap.alerts says it, but that it is late shows there alone. */
typedef enum WtAlertStand
{
	WT_STAND_NEW,
	WT_STAND_OK,
	WT_STAND_FIRING,
	WT_STAND_SILENCED,
	WT_STAND_ERROR,
	WT_N_STANDS
} WtAlertStand;

/* What has become of a try to post a notification. */
typedef enum WtPostOutcome
{
	WT_OUTCOME_DELIVERED,
	WT_OUTCOME_FAILED, /* it is tried again */
	WT_OUTCOME_GIVEN_UP,
	WT_N_OUTCOMES
} WtPostOutcome;

/* The alerts as numbers. */
typedef struct WtAlertNumbers
{
	int64 standing[WT_N_STANDS]; /* when they were last looked at */
	int64 waiting;				 /* notifications that are still to be posted, then */
	uint64 tries[WT_N_OUTCOMES]; /* since the start, or the last reset */
} WtAlertNumbers;

/*
 * What the launcher knows of a process that it looks after, for as long as there is none: the
 * process itself reports the rest.
 */
typedef struct WtStartStatus
{
	WtState state; /* NONE: there should be none; else STARTING, RESTARTING or FAILED */
	TimestampTz since;		   /* when the state began */
	TimestampTz next_start;	   /* when it is tried again; 0: it runs, or at once */
	char error[WT_ERROR_SIZE]; /* why there is none */
} WtStartStatus;

/* Their places: the workers and the viewers, which listen; the upkeep, the forwarders, the helpers. */
#define WT_PLACE_VIEWERS WT_MAX_WORKERS
#define WT_N_LISTENERS (WT_PLACE_VIEWERS + WT_MAX_VIEWERS)
#define WT_PLACE_UPKEEP WT_N_LISTENERS
#define WT_PLACE_FORWARDERS (WT_PLACE_UPKEEP + 1)
#define WT_PLACE_HELPERS (WT_PLACE_FORWARDERS + WT_MAX_TARGETS)
#define WT_PLACES (WT_PLACE_HELPERS + WT_N_HELPERS)

/* The launcher, as others see it. */
typedef struct WtLauncherStatus
{
	WtState state; /* NONE: there is none; RESTARTING: the server starts it again */
	TimestampTz since;
	char error[WT_ERROR_SIZE]; /* what it waits for */
} WtLauncherStatus;

/* What the outbox holds: what it held when it was measured, and what has changed since. */
typedef struct WtOutboxStatus
{
	pg_atomic_uint64 events_written; /* since the server's start, as all of these */
	pg_atomic_uint64 bytes_written;
	pg_atomic_uint64 bytes_removed;
	pg_atomic_uint64 events_dropped; /* because it was full */

	/* Under the lock. */
	bool measured;
	int64 measured_bytes; /* when the numbers above were these: */
	uint64 measured_at_written;
	uint64 measured_at_removed;
} WtOutboxStatus;

#define WT_MAX_RESTORES 8

/* A session that restores a dump, see store/restoring.c. */
typedef struct WtRestore
{
	Oid database; /* InvalidOid: the place is free */
	int pid;
	TimestampTz started; /* the session; a pid comes again */
	TimestampTz seen;	 /* when it was seen last */
} WtRestore;

typedef struct WtShared
{
	LWLock lock; /* of all that follows */

	int launcher_pid;	  /* 0: none */
	bool launcher_static; /* it was started by preload */
	Oid database;		  /* that the launcher serves; InvalidOid: none yet */
	bool stop;			  /* the launcher is to end its workers, see wt_stop */
	volatile int
		drains; /* calls of windtrap.drain(): it soon will; read without the lock */
	WtLauncherStatus launcher;
	char settings_error
		[WT_ERROR_SIZE]; /* what is wrong in the files, see settings_files.h */
	WtStartStatus starts[WT_PLACES];
	WtUpkeepStatus upkeep;
	WtUpkeepFailures upkeep_failures;
	WtClock clock;
	WtWorkerStatus workers[WT_N_LISTENERS]; /* by their places */
	WtIntakeStatus intakes[WT_MAX_WORKERS];
	WtForwarderStatus forwarders[WT_MAX_TARGETS];
	WtHelperStatus helpers[WT_N_HELPERS];
	char alert_counted[WT_MAX_ALERT_NAME + 1]; /* the alert whose query runs; "": none */
	WtAlertNumbers alerts;
	WtOutboxStatus outbox;

	WtRestore restores[WT_MAX_RESTORES];
	Oid restore_named; /* the database that has, or had, a session called pg_restore */
	TimestampTz restore_named_seen;
	Oid made_table; /* the log table that was made last, see store/log_table.c */

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
	dsm_handle ring; /* of ring/ring.h, without preload; DSM_HANDLE_INVALID: none yet */
} WtShared;

extern WtShared *wt_shared;

/* Whether the library is one of shared_preload_libraries. */
extern bool wt_is_preloaded;

/* Under preload: asks for the memory. */
extern void wt_shared_request(void);

/* Sets wt_shared; in any process but the postmaster, as often as one likes. */
extern void wt_shared_attach(void);

/*
 * This process is the worker, or the viewer, in a place from now until it ends; others then
 * see what the functions below report of it.  Of a process that is neither, errors of lines are
 * in the log alone.
 */
extern void wt_status_begin(int place, Oid database);
extern void wt_status_set_state(WtState state);
/* Reports an error, a plain sentence; NULL: there is none any more. */
extern void wt_status_set_error(const char *error);
/* The same for lines that are dropped. */
extern void wt_status_set_stdout_error(const char *error);
extern void wt_status_set_address(const char *addresses, int port);
extern void wt_status_set_tls(bool tls);

/*
 * What this process counts in.  But for workers the counters are its own: who looks at events is
 * none who sends them, and nobody is told of them.
 */
extern WtCounters *wt_my_counters(void);

/* Begins new maxima where the counters have been reset since the last call. */
extern void wt_counters_attend(void);

/* Wakes the process with this pid, if it lives. */
extern void wt_wake(int pid);

#endif
