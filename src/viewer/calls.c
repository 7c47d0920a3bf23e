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
	SESSION,
};

static const WtCall calls[] = {
	[SEARCH] = {"viewer: searching", wt_step_search},
	[EVENT] = {"viewer: reading an event", wt_step_event},
	[SESSION] = {"viewer: beginning a session", wt_step_session},
};

static const WtPath paths[] = {
	WT_READ_PATH("/api/search", WT_ROUTE_READ, SEARCH),
	WT_READ_PATH("/api/event", WT_ROUTE_READ, EVENT),
	WT_READ_PATH("/api/session", WT_ROUTE_READ, SESSION),
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
