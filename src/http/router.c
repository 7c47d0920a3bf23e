/*
 * router.c
 *		A request's head → what handles it.
 */
#include <string.h>

#include "http/page_files.h"
#include "http/router.h"

#define LOG_METHODS "POST, HEAD, OPTIONS"

/*
 * HEAD on the events' path answers as /health does: senders probe their sink's URL
 * with it before they send.
 */
const WtPath wt_collector_paths[] = {
	{"/log", "POST", WT_ROUTE_EVENTS, LOG_METHODS, 0},
	{"/log", "HEAD", WT_ROUTE_HEALTH, LOG_METHODS, 0},
	{"/log", "OPTIONS", WT_ROUTE_OPTIONS, LOG_METHODS, 0},
	{"/log/", "POST", WT_ROUTE_EVENTS, LOG_METHODS, 0},
	{"/log/", "HEAD", WT_ROUTE_HEALTH, LOG_METHODS, 0},
	{"/log/", "OPTIONS", WT_ROUTE_OPTIONS, LOG_METHODS, 0},
	{"/", "POST", WT_ROUTE_EVENTS, LOG_METHODS, 0},
	{"/", "HEAD", WT_ROUTE_HEALTH, LOG_METHODS, 0},
	WT_READ_PATH("/metrics", WT_ROUTE_METRICS, 0),
	WT_READ_PATH("/health", WT_ROUTE_HEALTH, 0),
};
const int wt_n_collector_paths =
	(int) (sizeof(wt_collector_paths) / sizeof(wt_collector_paths[0]));
const char wt_collector_nothing[] = "there is nothing at this path: POST events to /log";

/* Of a file of the page. */
static const WtPath file_methods[] = {WT_READ_PATH("", WT_ROUTE_FILE, 0)};

static const WtPaths *own;

void
wt_router_use(const WtPaths *paths)
{
	own = paths;
}

/* Fills *match by one path's method; false: the request's is another one. */
static bool
match_method(const WtPath *path, const WtRequest *request, WtMatch *match)
{
	match->allow = path->allow;
	if (strcmp(request->method, path->method) != 0)
		return false;
	match->route = path->route;
	match->verb = path->verb;
	return true;
}

static void
find_own(const WtRequest *request, WtMatch *match)
{
	for (int i = 0; i < own->n; i++)
	{
		if (strcmp(request->path, own->paths[i].path) != 0)
			continue;
		if (match_method(&own->paths[i], request, match))
			return;
		/* Who looks at the root with a browser has not come to send. */
		if (request->path[1] != '\0')
			match->route = WT_ROUTE_BAD_METHOD;
	}
}

static void
find_file(const WtRequest *request, WtMatch *match)
{
	match->file = wt_page_file_find(request->path);
	if (!match->file)
		return;
	match->route = WT_ROUTE_BAD_METHOD;
	for (size_t i = 0; i < sizeof(file_methods) / sizeof(file_methods[0]); i++)
		if (match_method(&file_methods[i], request, match))
			return;
}

void
wt_router_find(const WtRequest *request, WtMatch *match)
{
	memset(match, 0, sizeof(*match));
	match->route = WT_ROUTE_NOT_FOUND;
	for (int i = 0; i < own->n_protocols; i++)
	{
		if (!own->protocols[i]->find(request, match))
			continue;
		match->endpoint = own->protocols[i];
		return;
	}
	find_own(request, match);
	if (!match->allow && own->files)
		find_file(request, match);
	if (match->route == WT_ROUTE_NOT_FOUND && !match->sentence)
		match->sentence = own->nothing;
}
