/*
 * helper.h
 *		Processes that are there only as long as there is something for them to do: the launcher
 *		starts one that is wanted, and ends one that is not.
 */
#ifndef WT_HELPER_H
#define WT_HELPER_H

#include "base/shared.h"

/* Says whether one is wanted; the launcher, and the process itself, are told of a change. */
extern void wt_helper_want(WtHelper helper, bool wanted);

extern bool wt_helper_is_wanted(WtHelper helper);

/* Wakes it, if it runs. */
extern void wt_helper_wake(WtHelper helper);

/* This process is one from now until it ends; others see what wt_helper_report says of it. */
extern void wt_helper_begin(WtHelper helper);

/* error: why it cannot do its work, a plain sentence; NULL: it can.  ran: it has just done something. */
extern void wt_helper_report(WtState state, const char *error, bool ran);

/*
 * Reports that it cannot do its work for now, and says so in the log ("what: error"), once for as long as
 * that is the same.  sqlerrcode: of that line; 0: none.
 */
extern void wt_helper_fail(int sqlerrcode, const char *what, const char *error);

#endif
