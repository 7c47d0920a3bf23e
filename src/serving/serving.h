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

/* Why requests are answered 503 without it. */
extern const char wt_extension_missing[];

/* Of each function that waits: sleeps for some ms, attends; false: it is time to stop. */
typedef bool (*WtNap)(long ms);

/* The process is connected to its database: what follows is of that. */
extern void wt_serving_begin(void);

/* Whether CREATE EXTENSION windtrap has been committed in this database; outside of a transaction. */
extern bool wt_extension_is_present(void);

/* What listens, and who may. */
typedef struct WtServing
{
	WtListener *listener; /* NULL: nothing does */
	WtAuth *auth;
	bool for_senders;
	TimestampTz missing_since; /* the extension, by the steady clock; 0: it is there */
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

/*
 * Has the status say so where the extension has been dropped; false: so long ago that nobody is
 * to be answered any more.
 */
extern bool wt_serving_check_extension(WtServing *serving);

/* After a reload: limits, who may, port and TLS as the settings say now. */
extern void wt_serving_reload(WtServing *serving);

/* Closes all, of which every request has been answered. */
extern void wt_serving_end(WtServing *serving);

/* What a process does whenever there is an extension. */
typedef struct WtServed
{
	WtNap nap;
	bool (*start)(int place); /* false: it is time to stop */
	void (*serve)(void);	  /* until that, or the extension is gone */
	void (*stop)(void);
} WtServed;

/* The rest of the life of a process that has begun: in this place, until it is time to stop.  Does
 * not return. */
extern void wt_serving_live(int place, const WtServed *served);

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
