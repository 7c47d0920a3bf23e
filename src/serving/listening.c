/*
 * listening.c
 *		Listens as the settings say, with their sockets, TLS and limits; and says why where it
 *		does not.
 */
#include "postgres.h"

#include <sys/resource.h>

#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "serving/condition.h"
#include "serving/listening.h"
#include "base/monotonic.h"
#include "base/settings.h"
#include "base/settings_files.h"
#include "base/shared.h"

/* Descriptors left to PostgreSQL and to the process beside the connections'. */
#define RESERVED_DESCRIPTORS 32

/* Between two tries to open sockets that did not, ms. */
#define RETRY 1000

static WtListener *listener;
static WtListeningPlace here;
static bool is_first;				   /* of those that share the port */
static char listening_addresses[1024]; /* the settings that the sockets were opened by */
static int listening_port;
static bool settings_checked; /* since the last reload, and nothing keeps the door shut */
static bool sockets_failed;	  /* to open, when they were tried last */
/* No sockets, or otherwise than the settings say: to be tried again. */
static bool listening_elsewhere;
static TimestampTz last_try; /* to open them, but for reloads */
static int max_connections;	 /* as windtrap.max_connections, or as the system lets us */

/*
 * Connections that this process may hold of each kind that there is: those of HTTP, and, in a worker
 * that listens for syslog or GELF, as many of that.
 *
 * PostgreSQL counts on max_safe_fds descriptors for its files.  Connections come on top: raises the
 * limit of this process, and gives fewer where that is not enough.
 */
static int
connections_of_a_kind(bool for_senders)
{
	int kinds = for_senders && (wt_syslog_listen[0] || wt_gelf_listen[0]) ? 2 : 1;
	rlim_t own = (rlim_t) max_safe_fds + RESERVED_DESCRIPTORS;
	rlim_t wanted = own + (rlim_t) wt_max_connections * (rlim_t) kinds;
	struct rlimit limit;
	int n;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
		limit.rlim_cur >= wanted)
		return wt_max_connections;
	limit.rlim_cur = (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > wanted)
						 ? wanted
						 : limit.rlim_max;
	(void) setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= wanted)
		return wt_max_connections;
	n = (int) Max(((int64) limit.rlim_cur - (int64) own) / kinds, 8);
	ereport(LOG, (errmsg("windtrap: holding at most %d connections%s, not %d: the limit "
						 "on open files is %d",
						 n, kinds > 1 ? " of HTTP, and as many of syslog and GELF" : "",
						 wt_max_connections, (int) limit.rlim_cur)));
	return n;
}

WtListenerSettings
wt_listening_settings(bool for_senders)
{
	WtListenerSettings settings;

	max_connections = connections_of_a_kind(for_senders);
	settings.max_connections = max_connections;
	settings.max_connections_per_ip = wt_max_connections_per_ip;
	settings.proxy_protocol = wt_proxy_protocol;
	settings.trusted_proxies = wt_trusted_proxies;
	settings.max_body_size = (size_t) wt_max_body_size;
	settings.max_inflight = (size_t) wt_max_inflight * 1024;
	settings.request_timeout = wt_request_timeout;
	return settings;
}

int
wt_listening_max_connections(void)
{
	return max_connections;
}

/*
 * Whether one of our kind listens on the port, so that it is ours to share.
 * Called with the lock held; nothing that can block is done under it, since others wait for
 * it without being able to be cancelled.
 */
static bool
port_is_ours(int port)
{
	for (int i = here.first; i < here.first + here.n; i++)
		if (wt_shared->workers[i].pid != 0 && wt_shared->workers[i].port == port)
			return true;
	return false;
}

/*
 * Reports why it does not listen as the settings say, once as long as it is the same.  NULL:
 * it does.  Where all fail alike only the first one speaks, for all.
 */
static void
report_failure(const char *message, const char *hint, bool speak)
{
	static char reported[WT_ERROR_SIZE];

	(void) wt_condition_set(WT_CONDITION_SOCKETS, message);
	listening_elsewhere = message != NULL;
	if (message && speak && strncmp(message, reported, sizeof(reported) - 1) != 0)
		ereport(LOG, (errmsg("windtrap: %s", message), hint ? errhint("%s", hint) : 0));
	strlcpy(reported, message ? message : "", sizeof(reported));
}

/*
 * Uses the certificate and key that the settings name, as they are now.  On failure gives
 * false, and goes on with what was in use before.
 */
static bool
use_tls(void)
{
	WtTlsSettings settings = {.cert_file = wt_tls_cert_file,
							  .key_file = wt_tls_key_file,
							  .ca_file = wt_tls_ca_file,
							  .only_1_3 = wt_tls_min_version >= 13};
	WtFileError error = {.hint = NULL};
	bool on = settings.cert_file[0] != '\0';

	/* Who has set one of them wants TLS: plain connections would be a bad surprise. */
	if (on ? settings.key_file[0] == '\0'
		   : settings.key_file[0] != '\0' || settings.ca_file[0] != '\0')
	{
		report_failure("TLS needs both windtrap.tls_cert_file and windtrap.tls_key_file",
					   NULL, is_first);
		return false;
	}
	if (wt_listener_use_tls(listener, on ? &settings : NULL, &error))
	{
		wt_status_set_tls(on);
		return true;
	}
	report_failure(error.message, error.hint, is_first);
	return false;
}

/*
 * Listens as the settings say now.  On failure gives false, keeps what was listening
 * before, and reports the reason once.
 */
static bool
open_sockets(void)
{
	WtSocketsError error;
	char addresses[WT_ADDRESSES_SIZE];
	char hint[128];
	int flags = is_first && here.for_senders ? 0 : WT_SOCKETS_NO_PATHS;
	int port = *here.port;
	bool ours;

	/* No socket is opened whose connections would not be as the settings say. */
	if (!use_tls())
		return false;
	if (listening_port == port && strcmp(listening_addresses, wt_listen_addresses) == 0 &&
		!sockets_failed)
	{
		if (listening_elsewhere)
			report_failure(NULL, NULL, false);
		return true;
	}
	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	ours = port_is_ours(port);
	LWLockRelease(&wt_shared->lock);
	if (!ours)
	{
		/* The first one sees whether the port is free; the others share it then. */
		if (!is_first)
		{
			listening_elsewhere = true;
			return false;
		}
		flags |= WT_SOCKETS_EXCLUSIVE;
	}
	sockets_failed =
		!wt_listener_open(listener, wt_listen_addresses, port, flags, &error);
	if (sockets_failed)
	{
		snprintf(hint, sizeof(hint),
				 "Is another server running on port %d? Set %s to another one.", port,
				 here.name);
		report_failure(error.message, error.port_taken ? hint : NULL, true);
		return false;
	}
	report_failure(NULL, NULL, false);
	strlcpy(listening_addresses, wt_listen_addresses, sizeof(listening_addresses));
	listening_port = port;
	wt_listener_describe(listener, addresses, sizeof(addresses));
	wt_status_set_address(addresses, port);
	ereport(LOG, (errmsg("windtrap: listening on %s", addresses)));
	return true;
}

/*
 * What is wrong with settings in the files: is told to all who look at the status, and once to
 * the log.  Gives why nothing may be let in; "": it may.
 */
static const char *
check_settings(void)
{
	static WtSettingsFaults faults;
	static char reported[WT_ERROR_SIZE];
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "windtrap settings", ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);

	wt_settings_check_files(&faults);
	MemoryContextSwitchTo(before);
	MemoryContextDelete(context);
	if (!is_first || !here.for_senders)
		return faults.door;
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	strlcpy(wt_shared->settings_error, faults.all, sizeof(wt_shared->settings_error));
	LWLockRelease(&wt_shared->lock);
	if (faults.all[0] != '\0' && strcmp(faults.all, reported) != 0)
		ereport(LOG, (errmsg("windtrap: %s", faults.all)));
	strlcpy(reported, faults.all, sizeof(reported));
	return faults.door;
}

/* Whether the settings that guard the door are what somebody wrote. */
static bool
may_open(void)
{
	const char *door;
	char message[WT_ERROR_SIZE];

	if (settings_checked)
		return true;
	door = check_settings();
	settings_checked = (door[0] == '\0');
	if (settings_checked)
		return true;
	snprintf(message, sizeof(message), "nothing is let in: %s", door);
	report_failure(message, NULL, is_first);
	return false;
}

void
wt_listening_begin(WtListener *with, const WtListeningPlace *place)
{
	listener = with;
	here = *place;
	is_first = here.place == here.first;
	settings_checked = false;
	listening_port = 0; /* the sockets of an earlier listener are gone */
}

bool
wt_listening_is_allowed(void)
{
	return settings_checked;
}

bool
wt_listening_is_otherwise(void)
{
	return listening_elsewhere;
}

bool
wt_listening_open(void)
{
	last_try = wt_monotonic_us();
	return may_open() && open_sockets();
}

void
wt_listening_try_again(void)
{
	if (listening_elsewhere &&
		TimestampDifferenceExceeds(last_try, wt_monotonic_us(), RETRY))
		(void) wt_listening_open();
}

void
wt_listening_reload(void)
{
	/* Before the first socket is open, that is for wt_listening_open to do. */
	if (listening_port == 0)
	{
		settings_checked = false;
		return;
	}
	/* What is wrong leaves in force what was: it is told, and no more. */
	(void) check_settings();
	(void) open_sockets();
}
