/*
 * route.c
 *		Method and path → what handles the request.
 */
#include <stddef.h>
#include <string.h>

#include "http/route.h"

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

WtRoute
wt_route_find(const char *method, const char *path, const char **allow)
{
	WtRoute found = WT_ROUTE_NOT_FOUND;

	*allow = NULL;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
	{
		if (strcmp(path, routes[i].path) != 0)
			continue;
		*allow = routes[i].allow;
		if (strcmp(method, routes[i].method) == 0)
			return routes[i].route;
		/* Who looks at the root with a browser has not come to send. */
		if (path[1] != '\0')
			found = WT_ROUTE_BAD_METHOD;
	}
	return found;
}
