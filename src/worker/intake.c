/*
 * intake.c
 *		Listens for syslog and GELF as the settings say, and says why where it does not.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "pgtime.h"
#include "utils/timestamp.h"

#include "base/local_time.h"
#include "base/monotonic.h"
#include "base/settings.h"
#include "base/shared.h"
#include "protocol/protocols.h"
#include "serving/condition.h"
#include "serving/listening.h"
#include "worker/intake.h"

/* Between two tries to open sockets that did not, ms. */
#define RETRY 1000

static WtDaemons *daemons;
static const WtListener *listener; /* whose certificate is shown */
static int number;
static bool is_otherwise; /* not all is open that the settings name */
static TimestampTz last_try;

static const WtEndpoint *const endpoints[WT_N_INTAKES] = {
	[WT_INTAKE_SYSLOG_UDP] = &wt_syslog_messages.endpoint,
	[WT_INTAKE_SYSLOG_TCP] = &wt_syslog_messages.endpoint,
	[WT_INTAKE_SYSLOG_TLS] = &wt_syslog_messages.endpoint,
	[WT_INTAKE_RELP] = &wt_syslog_messages.endpoint,
	[WT_INTAKE_GELF_UDP] = &wt_gelf_messages.endpoint,
	[WT_INTAKE_GELF_TCP] = &wt_gelf_messages.endpoint,
};

static int32
utc_offset(int64 second)
{
	pg_time_t time = second;
	const struct pg_tm *tm = pg_localtime(&time, session_timezone);

	return tm ? (int32) tm->tm_gmtoff : 0;
}

static WtDaemonsSettings
settings_now(void)
{
	return (WtDaemonsSettings){.allowed_senders = wt_allowed_senders,
							   .max_connections = wt_listening_max_connections(),
							   .max_connections_per_ip = wt_max_connections_per_ip,
							   .max_message_size = (size_t) wt_max_event_size,
							   .max_bytes = (size_t) wt_max_inflight * 1024,
							   .max_batch = wt_max_batch_events,
							   .timeout = wt_request_timeout};
}

/* Reports once, as long as it is the same, why it does not listen as it should; NULL: it does. */
static void
report(const char *message)
{
	static char reported[WT_ERROR_SIZE];

	(void) wt_condition_set(WT_CONDITION_INTAKE, message);
	if (message && strncmp(message, reported, sizeof(reported) - 1) != 0)
		ereport(LOG, (errmsg("windtrap: %s", message)));
	strlcpy(reported, message ? message : "", sizeof(reported));
}

/* A place as others find it: never 0. */
static uint32
key_of(const WtListenPlace *where)
{
	uint32 hash = hash_combine(string_hash(where->host, WT_LISTEN_HOST_SIZE),
							   (uint32) where->port * WT_N_INTAKES + where->intake);

	return hash == 0 ? 1 : hash;
}

/* Whether another worker has this place open, so that it is ours to share. */
static bool
others_listen(uint32 key)
{
	bool found = false;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	for (int i = 0; i < WT_MAX_WORKERS; i++)
		for (int k = 0; k < WT_MAX_LISTEN_PLACES; k++)
			found = found || (i != number && wt_shared->workers[i].pid != 0 &&
							  wt_shared->intakes[i].open[k] == key);
	LWLockRelease(&wt_shared->lock);
	return found;
}

/* The first worker sees whether a place is free; the others share it then. */
static int
flags_for(const WtListenPlace *where)
{
	if (others_listen(key_of(where)))
		return WT_SOCKETS_NO_PATHS;
	return number == 0 ? WT_SOCKETS_NO_PATHS | WT_SOCKETS_EXCLUSIVE : -1;
}

/* Adds one to a list, as far as there is room. */
static void
add_to_list(char list[WT_INTAKE_TEXT_SIZE], const char *text)
{
	size_t length = strlen(list);

	snprintf(list + length, WT_INTAKE_TEXT_SIZE - length, "%s%s", length > 0 ? ", " : "",
			 text);
}

/* Tells others where it listens, and the log, where that has changed. */
static void
tell(void)
{
	static WtIntakeStatus told;
	WtIntakeStatus status;
	const WtDaemonsPlace *place;
	StringInfoData text;
	bool changed;
	int n = 0;
	int i = 0;

	memset(&status, 0, sizeof(status));
	while ((place = wt_daemons_place(daemons, &i)) != NULL)
	{
		WtIntake intake = place->where.intake;

		if (place->open)
		{
			status.open[n++] = key_of(&place->where);
			add_to_list(status.addresses[intake], place->addresses);
		}
		else if (status.errors[intake][0] == '\0')
			strlcpy(status.errors[intake],
					place->error[0] != '\0' ? place->error
											: "waiting for the first worker",
					WT_INTAKE_TEXT_SIZE);
	}
	changed = memcmp(status.open, told.open, sizeof(status.open)) != 0;
	told = status;
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	wt_shared->intakes[number] = status;
	LWLockRelease(&wt_shared->lock);
	if (!changed)
		return;
	initStringInfo(&text);
	for (int k = 0; k < WT_N_INTAKES; k++)
		if (status.addresses[k][0] != '\0')
			appendStringInfo(&text, "%s%s on %s", text.len > 0 ? "; " : "",
							 wt_intake_names[k], status.addresses[k]);
	ereport(LOG, (errmsg("windtrap: listening for syslog and GELF: %s",
						 text.len > 0 ? text.data : "nowhere")));
	pfree(text.data);
}

static void
open_sockets(void)
{
	char error[WT_PLACE_ERROR_SIZE];

	last_try = wt_monotonic_us();
	wt_daemons_use_tls(daemons, wt_listener_tls(listener));
	is_otherwise =
		!wt_daemons_listen(daemons, wt_syslog_listen, wt_gelf_listen, flags_for, error);
	report(error[0] != '\0' ? error : NULL);
	tell();
}

static void
forget_status(void)
{
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	memset(&wt_shared->intakes[number], 0, sizeof(wt_shared->intakes[number]));
	LWLockRelease(&wt_shared->lock);
}

WtDaemons *
wt_intake_start(const WtListener *with, int of_number)
{
	WtDaemonsSettings settings = settings_now();

	listener = with;
	number = of_number;
	wt_utc_offset = utc_offset;
	daemons = wt_daemons_create(&settings, wt_my_counters(), endpoints);
	if (!daemons)
		ereport(FATAL, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	is_otherwise = false;
	forget_status();
	open_sockets();
	return daemons;
}

void
wt_intake_reload(void)
{
	WtDaemonsSettings settings = settings_now();

	if (!daemons)
		return;
	wt_daemons_configure(daemons, &settings);
	open_sockets();
}

void
wt_intake_try_again(void)
{
	if (is_otherwise && TimestampDifferenceExceeds(last_try, wt_monotonic_us(), RETRY))
		open_sockets();
}

bool
wt_intake_is_otherwise(void)
{
	return is_otherwise;
}

void
wt_intake_end(void)
{
	forget_status();
	wt_daemons_destroy(daemons);
	daemons = NULL;
}
