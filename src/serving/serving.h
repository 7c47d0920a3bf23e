/*
 * serving.h
 *		What a process that listens does, whether it stores events or shows them: it waits for its
 *		database to be one to serve, knows who may, and opens its port.
 */
#ifndef WT_SERVING_H
#define WT_SERVING_H

#include "http/auth.h"
#include "http/listener.h"
#include "serving/listening.h"

/* After the extension is gone, requests are answered 503 for so long, ms. */
#define WT_EXTENSION_GRACE 10000

/* Why requests are answered 503 without it. */
extern const char wt_extension_missing[];

/* Of each function that waits: sleeps for some ms, attends; false: it is time to stop. */
typedef bool (*WtNap)(long ms);

/* The process is connected to its database: what follows is of that. */
extern void wt_serving_begin(void);

/* Whether CREATE EXTENSION windtrap has been committed in this database; outside of a transaction. */
extern bool wt_extension_is_present(void);

/* Waits until it is time to stop where the database's encoding is none for events. */
extern void wt_wait_if_encoding_is_unfit(WtNap nap);

/* Waits, with a log line once, for the extension; false: it is time to stop. */
extern bool wt_wait_for_extension(WtNap nap);

/* What listens, and who may. */
typedef struct WtServing
{
	WtListener *listener; /* NULL: nothing does */
	WtAuth *auth;
} WtServing;

/*
 * Makes a listener and opens its sockets, trying again with a growing pause; false: it is time to
 * stop.  What is made is the caller's to end by wt_serving_end even then.
 */
extern bool wt_serving_start(WtServing *serving, const WtListeningPlace *place,
							 WtNap nap);

/* Who may, as the table of tokens says now and, with `configure`, the settings. */
extern void wt_serving_attend_auth(WtServing *serving, bool configure);

/* Whoever needs a token is answered 503 while they cannot be read: has the status say so, too. */
extern void wt_serving_check_tokens(const WtServing *serving);

/* After a reload: limits, who may, port and TLS as the settings say now. */
extern void wt_serving_reload(WtServing *serving);

/* Closes all, of which every request has been answered. */
extern void wt_serving_end(WtServing *serving);

/* The shorter of two times, of which -1 is for ever. */
static inline long
wt_shorter(long a, long b)
{
	if (a < 0)
		return b;
	if (b < 0)
		return a;
	return a < b ? a : b;
}

#endif
