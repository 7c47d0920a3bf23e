/*
 * condition.h
 *		Why a worker takes no events, or not as it should: all reasons, and the one shown.
 */
#ifndef WT_CONDITION_H
#define WT_CONDITION_H

#include "http/listener.h"

/*
 * Who can have a reason, each one of its own.  Of those that stand the first one is shown:
 * what explains the others comes before them.
 */
typedef enum WtConditionSource
{
	WT_CONDITION_DATABASE,	  /* the database is not one to serve, or not now */
	WT_CONDITION_DESTINATION, /* the settings leave events no place to go to */
	WT_CONDITION_RESTORE,	  /* the database is being restored */
	WT_CONDITION_STORE,		  /* the last events that were tried could not be stored */
	WT_CONDITION_TOKENS,	  /* they cannot be read */
	WT_CONDITION_MEMORY,	  /* there is none for more events */
	WT_CONDITION_DRAIN,		  /* it stops soon, see wt_drain; until then they are taken */
	WT_CONDITION_SOCKETS,	  /* not as the settings say; events are taken even so */
	WT_CONDITION_INTAKE,	  /* likewise, of syslog and GELF */
	WT_N_CONDITIONS
} WtConditionSource;

/*
 * Sets a source's reason, a plain sentence, which is copied; NULL: all is well with it.
 * Gives whether that is news.  windtrap.status and /health then say what is first.
 */
extern bool wt_condition_set(WtConditionSource source, const char *reason);

/* Whether a source has a reason now. */
extern bool wt_condition_stands(WtConditionSource source);

/* How long ago a source's reason was last given, ms; -1: it has none. */
extern long wt_condition_age(WtConditionSource source);

/* Whose /health it is, from now on; NULL: nobody's. */
extern void wt_condition_show(WtListener *to);

#endif
