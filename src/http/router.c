/*
 * router.c
 *		A request's head → what handles it.
 */
#include <string.h>

#include "http/router.h"

typedef struct Route
{
	const char *path;
	const char *method;
	WtRoute route;
	const char *allow; /* all methods of the path */
} Route;

#define LOG_METHODS "POST, HEAD, OPTIONS"
#define READ_METHODS "GET, HEAD, OPTIONS"

/*
 * HEAD on the events' path answers as /health does: senders probe their sink's URL
 * with it before they send.
 */
static const Route routes[] = {
	{"/log", "POST", WT_ROUTE_EVENTS, LOG_METHODS},
	{"/log", "HEAD", WT_ROUTE_HEALTH, LOG_METHODS},
	{"/log", "OPTIONS", WT_ROUTE_OPTIONS, LOG_METHODS},
	{"/log/", "POST", WT_ROUTE_EVENTS, LOG_METHODS},
	{"/log/", "HEAD", WT_ROUTE_HEALTH, LOG_METHODS},
	{"/log/", "OPTIONS", WT_ROUTE_OPTIONS, LOG_METHODS},
	{"/", "POST", WT_ROUTE_EVENTS, LOG_METHODS},
	{"/", "HEAD", WT_ROUTE_HEALTH, LOG_METHODS},
	{"/", "OPTIONS", WT_ROUTE_OPTIONS, LOG_METHODS},
	{"/metrics", "GET", WT_ROUTE_METRICS, READ_METHODS},
	{"/metrics", "HEAD", WT_ROUTE_METRICS, READ_METHODS},
	{"/metrics", "OPTIONS", WT_ROUTE_OPTIONS, READ_METHODS},
	{"/health", "GET", WT_ROUTE_HEALTH, READ_METHODS},
	{"/health", "HEAD", WT_ROUTE_HEALTH, READ_METHODS},
	{"/health", "OPTIONS", WT_ROUTE_OPTIONS, READ_METHODS},
};

static const WtEndpoint *const *protocols;
static int n_protocols;

void
wt_router_use(const WtEndpoint *const *endpoints, int n)
{
	protocols = endpoints;
	n_protocols = n;
}

static void
find_own(const WtRequest *request, WtMatch *match)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
	{
		if (strcmp(request->path, routes[i].path) != 0)
			continue;
		match->allow = routes[i].allow;
		if (strcmp(request->method, routes[i].method) == 0)
		{
			match->route = routes[i].route;
			return;
		}
		/* Who looks at the root with a browser has not come to send. */
		if (request->path[1] != '\0')
			match->route = WT_ROUTE_BAD_METHOD;
	}
}

void
wt_router_find(const WtRequest *request, WtMatch *match)
{
	memset(match, 0, sizeof(*match));
	match->route = WT_ROUTE_NOT_FOUND;
	for (int i = 0; i < n_protocols; i++)
	{
		if (!protocols[i]->find(request, match))
			continue;
		match->endpoint = protocols[i];
		return;
	}
	find_own(request, match);
}
