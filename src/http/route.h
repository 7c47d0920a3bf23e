/*
 * route.h
 *		What handles a request.  Plain C.
 */
#ifndef WT_ROUTE_H
#define WT_ROUTE_H

typedef enum WtRoute
{
	WT_ROUTE_EVENTS,	/* the body holds events: decode, enrich, store */
	WT_ROUTE_METRICS,	/* counters in Prometheus's text format */
	WT_ROUTE_HEALTH,	/* 200, or 503 with the reason */
	WT_ROUTE_OPTIONS,	/* what the path takes; a browser's question before it sends */
	WT_ROUTE_PROBE,		/* an answer of a protocol's that needs no storing, to anybody */
	WT_ROUTE_CHECK,		/* likewise, to who may send: whether a token is good */
	WT_ROUTE_READ,		/* what is stored, to who may read */
	WT_ROUTE_CHANGE,	/* what is stored is changed, by who may read and send */
	WT_ROUTE_FILE,		/* a file of the viewer's page, to anybody */
	WT_ROUTE_NOT_FOUND, /* 404 */
	WT_ROUTE_BAD_METHOD /* 405 */
} WtRoute;

#endif
