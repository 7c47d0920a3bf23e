/*
 * load.h
 *		What goes to a target together: read from the outbox or from the dead letters, and noted
 *		as gone.
 *
 * Words:
 *	load		the events of one transaction: those of some batches of the outbox, or of
 *				part of one, or dead letters whose time has come
 *	position	how far the target has got in the outbox
 *	dead letter	an event that the target refuses; it is tried some times more, by itself, and
 *				is in nobody's way meanwhile
 */
#ifndef WT_LOAD_H
#define WT_LOAD_H

#include "base/shared.h"
#include "store/outbox.h"

/* A load: events, and bytes of them in memory. */
#define WT_LOAD_MAX_EVENTS 5000
#define WT_LOAD_MAX_BYTES (8 * 1024 * 1024)

/* Where the target has refused so many events and accepted none, it refuses all. */
#define WT_ALL_REFUSED 32

typedef enum WtLoadResult
{
	WT_LOAD_PENDING,
	WT_LOAD_ACCEPTED,
	WT_LOAD_REFUSED
} WtLoadResult;

typedef struct WtLoadEvent
{
	WtOutboxEvent event;
	WtLoadResult result;
	const char *error; /* why it is refused; of a dead letter, why it was the last time */
	const char *letter; /* of a dead letter: its id, whatever its data has become */
} WtLoadEvent;

typedef struct WtLoad
{
	/* Set by who reads it: */
	WtForwarderStatus *forwarder;
	MemoryContext context;	  /* of what outlives a transaction */
	int limit;				  /* events at most */
	size_t max_bytes;		  /* of events at most, or one event */
	bool refusal_is_believed; /* where all are refused that is the events' fault */

	/* What has been read: */
	WtLoadEvent *events;
	int n;
	int max;
	size_t bytes;
	bool letters; /* these are dead letters; otherwise the position is moved on: */
	int64 id;
	int32 part;		/* -1: the whole batch */
	int64 complete; /* batches up to here were complete when it was read */
	TimestampTz oldest;
	bool more; /* there is more where this comes from */
	bool no_extension;

	/* What has become of it: */
	int n_refused; /* in this attempt, while none was accepted; -1: one was */
	int n_dead;	   /* events that have just been tried for the last time */
} WtLoad;

/*
 * Reads the next load: dead letters whose time has come, or what follows the position, which
 * is made where there is none; with no_extension where there is nothing to be read from.  In
 * a step; raises.  From now on who commits a batch wakes the forwarder.
 */
extern void wt_load_read(WtLoad *load);

/*
 * Reads what follows another load of batches, which is still under way, as far as that one
 * knew of: waits for nobody.  In a step; raises.
 */
extern void wt_load_read_after(WtLoad *load, const WtLoad *before);

/* Tells the lag of a load that was read after another one, now that it is its turn. */
extern void wt_load_begin(const WtLoad *load);

/* The next load that is read counts anew what is pending. */
extern void wt_load_forget_lag(void);

/* The id of an event, "" where it has none. */
extern const char *wt_load_event_id(const WtLoadEvent *event);

/*
 * Notes that the target has refused one more event; whether it has refused all so far, and
 * that is to be taken for its own failure.
 */
extern bool wt_load_refuses_all(WtLoad *load);

/*
 * Notes what has become of the load's events: the position, dead letters.  In the step that
 * has brought them to the target, or after it; raises.
 */
extern void wt_load_move_on(WtLoad *load);

#endif
