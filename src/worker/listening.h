/*
 * listening.h
 *		Listens as the settings say, with their sockets, TLS and limits; and says why where it
 *		does not.
 */
#ifndef WT_LISTENING_H
#define WT_LISTENING_H

#include "http/listener.h"
#include "http/listener_settings.h"

/*
 * What the settings say of a listener.  Raises this process's limit on open files, where it has
 * to, and has fewer connections where that cannot be.
 */
extern WtListenerSettings wt_listening_settings(void);

/* What follows is of this listener, which has no sockets yet, and of the worker of this number. */
extern void wt_listening_begin(WtListener *listener, int number);

/*
 * Listens as the settings say now, if they are what somebody wrote.  On failure gives false,
 * keeps what was listening before, and reports the reason once.  The first worker opens the
 * port, and the others wait for that: then it is no failure to be told.
 */
extern bool wt_listening_open(void);

/* Whether nothing in the files of the settings forbids wt_listening_open to let anybody in. */
extern bool wt_listening_is_allowed(void);

/* The settings have been read again. */
extern void wt_listening_reload(void);

/* Whether it listens otherwise than the settings say: to be tried again. */
extern bool wt_listening_is_otherwise(void);

#endif
