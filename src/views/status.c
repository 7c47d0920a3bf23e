/*
 * status.c
 *		The view windtrap.status: a row for each process that is or should be, so that what
 *		is missing is seen as well as what works.
 *
 * A process reports of itself while it lives; of one that does not the launcher does.
 */
#include "postgres.h"

#include <unistd.h>

#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/datum.h"
#include "base/shared.h"
#include "forward/forward_status.h"
#include "views/status.h"

PG_FUNCTION_INFO_V1(windtrap_status);

#define N_COLUMNS 15

const char *const wt_helper_names[WT_N_HELPERS] = {
	[WT_HELPER_ALERTS] = "alerts", [WT_HELPER_WEBHOOKS] = "webhooks"};

typedef struct ProcessStatus
{
	const char *kind;
	int number;		  /* 0: none */
	const char *name; /* NULL: none */
	int pid;		  /* 0: none */
	Oid database;
	const char *addresses; /* NULL: none */
	int port;			   /* 0: none */
	bool tls;
	const char *state;
	TimestampTz since;
	TimestampTz last_run;	/* 0: none */
	TimestampTz next_start; /* 0: none */
	const char *error;
	const char *stdout_error;
} ProcessStatus;

static const char *
state_name(WtState state)
{
	switch (state)
	{
		case WT_STATE_STARTING:
			return "starting";
		case WT_STATE_RESTARTING:
			return "restarting";
		case WT_STATE_WAITING:
			return "waiting";
		case WT_STATE_LISTENING:
			return "listening";
		case WT_STATE_IDLE:
			return "idle";
		case WT_STATE_WORKING:
			return "working";
		case WT_STATE_FAILED:
			return "failed";
		case WT_STATE_STOPPING:
			return "stopping";
		case WT_STATE_NONE:
			break;
	}
	return "stopped";
}

/* What tells this server from others that do the same work. */
static const char *
node_name(void)
{
	char host[256];

	if (cluster_name[0] != '\0')
		return cluster_name;
	if (gethostname(host, sizeof(host)) != 0)
		strlcpy(host, "localhost", sizeof(host));
	host[sizeof(host) - 1] = '\0';
	return psprintf("%s:%d", host, PostPortNumber);
}

/* What the launcher says of a place, where there is no process to say more. */
static void
use_start_status(ProcessStatus *p, const WtStartStatus *start)
{
	if (p->pid != 0)
		return;
	if (start->state != WT_STATE_NONE)
	{
		p->state = state_name(start->state);
		p->since = start->since;
	}
	p->next_start = start->next_start;
	if (start->error[0] != '\0')
		p->error = start->error;
}

static void
put(ReturnSetInfo *result, const ProcessStatus *p)
{
	Datum values[N_COLUMNS];
	bool nulls[N_COLUMNS] = {false};
	int n = 0;

	values[n++] = CStringGetTextDatum(p->kind);
	nulls[n] = (p->number == 0);
	values[n++] = Int32GetDatum(p->number);
	values[n] = wt_text_or_null(p->name, &nulls[n]);
	n++;
	nulls[n] = (p->pid == 0);
	values[n++] = Int32GetDatum(p->pid);
	values[n] = wt_text_or_null(
		OidIsValid(p->database) ? get_database_name(p->database) : NULL, &nulls[n]);
	n++;
	values[n] = wt_text_or_null(p->addresses, &nulls[n]);
	n++;
	nulls[n] = (p->port == 0);
	values[n++] = Int32GetDatum(p->port);
	nulls[n] = (p->port == 0);
	values[n++] = BoolGetDatum(p->tls);
	values[n++] = CStringGetTextDatum(p->state);
	nulls[n] = (p->since == 0);
	values[n++] = TimestampTzGetDatum(p->since);
	nulls[n] = (p->last_run == 0);
	values[n++] = TimestampTzGetDatum(p->last_run);
	nulls[n] = (p->next_start == 0);
	values[n++] = TimestampTzGetDatum(p->next_start);
	values[n] = wt_text_or_null(p->error, &nulls[n]);
	n++;
	values[n] = wt_text_or_null(p->stdout_error, &nulls[n]);
	n++;
	values[n++] = CStringGetTextDatum(node_name());
	Assert(n == N_COLUMNS);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* A copy of what can change meanwhile; palloc'd, since it is large for a stack. */
static WtShared *
read_shared(void)
{
	WtShared *copy = palloc0(sizeof(WtShared));

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	copy->launcher_pid = wt_shared->launcher_pid;
	copy->database = wt_shared->database;
	copy->launcher = wt_shared->launcher;
	memcpy(copy->settings_error, wt_shared->settings_error, sizeof(copy->settings_error));
	memcpy(copy->starts, wt_shared->starts, sizeof(copy->starts));
	copy->upkeep = wt_shared->upkeep;
	memcpy(copy->workers, wt_shared->workers, sizeof(copy->workers));
	memcpy(copy->forwarders, wt_shared->forwarders, sizeof(copy->forwarders));
	memcpy(copy->helpers, wt_shared->helpers, sizeof(copy->helpers));
	LWLockRelease(&wt_shared->lock);
	return copy;
}

static bool
is_wanted(const WtShared *shared, int place)
{
	return shared->starts[place].state != WT_STATE_NONE;
}

/* Whether a process does what it is there for. */
static bool
worker_is_up(const WtWorkerStatus *w)
{
	return w->pid != 0 && w->state == WT_STATE_LISTENING;
}

static bool
upkeep_is_up(const WtUpkeepStatus *u)
{
	return u->pid != 0 && u->state != WT_STATE_FAILED;
}

static bool
forwarder_is_up(const WtForwarderStatus *f)
{
	return f->pid != 0 && f->state == WT_FORWARD_WORKING;
}

/* A server that has just been started looks whether there is anything to do. */
static bool
helper_is_wanted(const WtShared *shared, int i)
{
	return shared->helpers[i].wanted &&
		   (shared->helpers[i].pid != 0 || is_wanted(shared, WT_PLACE_HELPERS + i));
}

void
wt_processes_up(WtProcessesUp *up)
{
	const WtShared *shared = read_shared();

	memset(up, 0, sizeof(*up));
	up->launcher =
		(shared->launcher_pid != 0 && shared->launcher.state == WT_STATE_WORKING);
	up->upkeep = upkeep_is_up(&shared->upkeep);
	for (int i = 0; i < WT_MAX_WORKERS; i++)
	{
		up->wanted_workers += is_wanted(shared, i);
		up->workers += worker_is_up(&shared->workers[i]);
	}
	for (int i = WT_PLACE_VIEWERS; i < WT_N_LISTENERS; i++)
	{
		up->wanted_viewers += is_wanted(shared, i);
		up->viewers += worker_is_up(&shared->workers[i]);
	}
	for (int i = 0; i < WT_MAX_TARGETS; i++)
	{
		up->wanted_forwarders += (shared->forwarders[i].target[0] != '\0');
		up->forwarders += forwarder_is_up(&shared->forwarders[i]);
	}
	for (int i = 0; i < WT_N_HELPERS; i++)
	{
		up->wanted_helpers[i] = helper_is_wanted(shared, i);
		up->helpers[i] =
			(shared->helpers[i].pid != 0 && shared->helpers[i].state != WT_STATE_FAILED);
	}
}

/* The rows of the view windtrap.status. */
Datum
windtrap_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const WtShared *shared;

	InitMaterializedSRF(fcinfo, 0);
	wt_shared_attach();
	shared = read_shared();
	if (shared->launcher_pid != 0 || shared->launcher.state != WT_STATE_NONE)
	{
		const char *error = shared->launcher.error;
		ProcessStatus p = {.kind = "launcher",
						   .pid = shared->launcher_pid,
						   .database = shared->database,
						   .state = state_name(shared->launcher.state),
						   .since = shared->launcher.since,
						   .error = error[0] ? error : shared->settings_error};

		put(result, &p);
	}
	for (int i = 0; i < WT_N_LISTENERS; i++)
	{
		const WtWorkerStatus *w = &shared->workers[i];
		bool views = i >= WT_PLACE_VIEWERS;
		ProcessStatus p = {.kind = views ? "viewer" : "worker",
						   .number = (views ? i - WT_PLACE_VIEWERS : i) + 1,
						   .pid = w->pid,
						   .database = w->database,
						   .addresses = w->addresses,
						   .port = w->port,
						   .tls = w->tls,
						   .state = state_name(w->state),
						   .since = w->since,
						   .error = w->error,
						   .stdout_error = w->stdout_error};

		if (w->state == WT_STATE_NONE && !is_wanted(shared, i))
			continue;
		if (w->pid == 0)
		{
			p.addresses = NULL;
			p.port = 0;
		}
		use_start_status(&p, &shared->starts[i]);
		if (w->state == WT_STATE_WAITING)
			p.state = "waiting for the extension";
		put(result, &p);
	}
	if (shared->upkeep.pid != 0 || is_wanted(shared, WT_PLACE_UPKEEP))
	{
		const WtUpkeepStatus *u = &shared->upkeep;
		ProcessStatus p = {
			.kind = "upkeep",
			.pid = u->pid,
			.database = shared->database,
			.state = state_name(u->state == WT_STATE_NONE ? WT_STATE_WORKING : u->state),
			.since = u->since,
			.last_run = u->last_run,
			.error = u->error};

		use_start_status(&p, &shared->starts[WT_PLACE_UPKEEP]);
		put(result, &p);
	}
	for (int i = 0; i < WT_MAX_TARGETS; i++)
	{
		const WtForwarderStatus *f = &shared->forwarders[i];
		ProcessStatus p = {.kind = "forwarder",
						   .name = f->target,
						   .pid = f->pid,
						   .database = shared->database,
						   .state = f->state == WT_FORWARD_FAILING
										? "failed"
										: wt_forward_state_name(f->state),
						   .since = f->since,
						   .error = f->error};

		if (f->target[0] == '\0')
			continue;
		use_start_status(&p, &shared->starts[WT_PLACE_FORWARDERS + i]);
		put(result, &p);
	}
	for (int i = 0; i < WT_N_HELPERS; i++)
	{
		const WtHelperStatus *h = &shared->helpers[i];
		ProcessStatus p = {.kind = wt_helper_names[i],
						   .pid = h->pid,
						   .database = shared->database,
						   .state = state_name(h->state),
						   .since = h->since,
						   .last_run = h->last_run,
						   .error = h->error};

		if (!helper_is_wanted(shared, i))
			continue;
		use_start_status(&p, &shared->starts[WT_PLACE_HELPERS + i]);
		put(result, &p);
	}
	return (Datum) 0;
}
