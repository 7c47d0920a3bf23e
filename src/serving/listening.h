/*
 * listening.h
 *		Listens as the settings say, with their sockets, TLS and limits; and says why where it
 *		does not.
 */
#ifndef WT_LISTENING_H
#define WT_LISTENING_H

#include "datatype/timestamp.h"

#include "http/listener.h"
#include "http/listener_settings.h"

/*
 * What the settings say of a listener; for_senders: it is a worker's, which may listen for syslog
 * and GELF, too.  Raises this process's limit on open files, where it has to, and has fewer
 * connections where that cannot be.
 */
extern WtListenerSettings wt_listening_settings(bool for_senders);

/* The connections that those settings allow: so many of HTTP, and so many of syslog and GELF. */
extern int wt_listening_max_connections(void);

/* Where a process listens, and with whom it shares that. */
typedef struct WtListeningPlace
{
	int place; /* its own, as in WtShared */
	int first; /* the places of those that share the port: the first one opens it */
	int n;
	const int *port;  /* the setting */
	const char *name; /* of that setting */
	bool
		for_senders; /* it listens on paths, too, and tells what is wrong with settings */
} WtListeningPlace;

/* What follows is of this listener, which has no sockets yet, and of this place. */
extern void wt_listening_begin(WtListener *listener, const WtListeningPlace *place);

/*
 * Listens as the settings say now, if they are what somebody wrote.  On failure gives false,
 * keeps what was listening before, and reports the reason once.  The first process opens the
 * port, and the others wait for that: then it is no failure to be told.
 */
extern bool wt_listening_open(void);

/* Whether nothing in the files of the settings forbids wt_listening_open to let anybody in. */
extern bool wt_listening_is_allowed(void);

/* The settings have been read again. */
extern void wt_listening_reload(void);

/* Where it listens otherwise, tries that again, once a second. */
extern void wt_listening_try_again(void);

/* Whether it listens otherwise than the settings say: to be tried again. */
extern bool wt_listening_is_otherwise(void);

#endif
