/*
 * route.h
 *		Method and path → what handles the request.
 *
 * Plain C.  Protocol endpoints are added here, each with a decoder of its own.
 */
#ifndef WT_ROUTE_H
#define WT_ROUTE_H

typedef enum WtRoute
{
	WT_ROUTE_EVENTS,	/* the body holds events: decode, enrich, store */
	WT_ROUTE_METRICS,	/* counters in Prometheus's text format */
	WT_ROUTE_HEALTH,	/* 200, or 503 with the reason */
	WT_ROUTE_OPTIONS,	/* what the path takes; a browser's question before it sends */
	WT_ROUTE_NOT_FOUND, /* 404 */
	WT_ROUTE_BAD_METHOD /* 405 */
} WtRoute;

/*
 * What handles a request.  path is as it was sent, without its query string; *allow is
 * what the path takes, as an Allow header has it, NULL where there is no such path.
 */
extern WtRoute wt_route_find(const char *method, const char *path, const char **allow);

#endif
