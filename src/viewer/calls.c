/*
 * calls.c
 *		What can be asked of the viewer: its paths, and what answers each.
 */
#include "postgres.h"

#include "http/router.h"
#include "viewer/calls.h"

enum
{
	SEARCH,
	EVENT,
	HISTOGRAM,
	TOP,
	FIELDS,
	SQL,
	TAIL,
	EXPORT,
	OVERVIEW,
	SESSION,
	STATUS,
};

static const WtCall calls[] = {
	[SEARCH] = {"viewer: searching", wt_step_search, 0},
	[EVENT] = {"viewer: reading an event", wt_step_event, 0},
	[HISTOGRAM] = {"viewer: counting over time", wt_step_histogram, 0},
	[TOP] = {"viewer: counting values", wt_step_top, 0},
	[FIELDS] = {"viewer: looking for fields", wt_step_fields, 0},
	[SQL] = {"viewer: writing SQL", wt_step_sql, 0},
	[TAIL] = {"viewer: following", wt_step_tail, 100},
	[EXPORT] = {"viewer: exporting", wt_step_export, 20},
	[OVERVIEW] = {"viewer: looking how the collector does", wt_step_overview, 0},
	[SESSION] = {"viewer: beginning a session", wt_step_session, 0},
	[STATUS] = {"viewer: setting the status", wt_step_status, 0},
};

static const WtPath paths[] = {
	WT_READ_PATH("/api/search", WT_ROUTE_READ, SEARCH),
	WT_READ_PATH("/api/event", WT_ROUTE_READ, EVENT),
	WT_READ_PATH("/api/histogram", WT_ROUTE_READ, HISTOGRAM),
	WT_READ_PATH("/api/top", WT_ROUTE_READ, TOP),
	WT_READ_PATH("/api/fields", WT_ROUTE_READ, FIELDS),
	WT_READ_PATH("/api/sql", WT_ROUTE_READ, SQL),
	WT_READ_PATH("/api/tail", WT_ROUTE_READ, TAIL),
	WT_READ_PATH("/api/export", WT_ROUTE_READ, EXPORT),
	WT_READ_PATH("/api/overview", WT_ROUTE_READ, OVERVIEW),
	WT_READ_PATH("/api/session", WT_ROUTE_READ, SESSION),
	WT_CHANGE_PATH("/api/status", STATUS),
	WT_READ_PATH("/health", WT_ROUTE_HEALTH, 0),
};

void
wt_viewer_use_paths(void)
{
	static const WtPaths all = {.paths = paths,
								.n = lengthof(paths),
								.files = true,
								.nothing =
									"there is nothing at this path: docs/search.md "
									"has those of the viewer"};

	wt_router_use(&all);
}

const WtCall *
wt_viewer_call(int verb)
{
	return &calls[verb];
}
