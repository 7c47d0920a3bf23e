/*
 * calls.h
 *		What can be asked of the viewer: its paths, and what answers each.
 */
#ifndef WT_VIEWER_CALLS_H
#define WT_VIEWER_CALLS_H

#include "viewer/job.h"

/* What the router is told; and the call that a verb of it stands for. */
extern void wt_viewer_use_paths(void);
extern const WtCall *wt_viewer_call(int verb);

/* Events: events_call.c, export.c, tail.c */
extern void wt_step_search(WtViewerJob *job);
extern void wt_step_event(WtViewerJob *job);

/* How the collector does, and who asks: overview.c, session.c */
extern void wt_step_session(WtViewerJob *job);

#endif
