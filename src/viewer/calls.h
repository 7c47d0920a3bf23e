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

/* The steps of each, in files of their names. */
extern void wt_step_search(WtViewerJob *job);
extern void wt_step_event(WtViewerJob *job);
extern void wt_step_histogram(WtViewerJob *job);
extern void wt_step_top(WtViewerJob *job);
extern void wt_step_fields(WtViewerJob *job);
extern void wt_step_sql(WtViewerJob *job);
extern void wt_step_tail(WtViewerJob *job);
extern void wt_step_export(WtViewerJob *job);
extern void wt_step_overview(WtViewerJob *job);
extern void wt_step_session(WtViewerJob *job);
extern void wt_step_status(WtViewerJob *job);

#endif
