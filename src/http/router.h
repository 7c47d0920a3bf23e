/*
 * router.h
 *		A request's head → what handles it.  Plain C.
 */
#ifndef WT_ROUTER_H
#define WT_ROUTER_H

#include "http/endpoint.h"

/* What one method of one path leads to. */
typedef struct WtPath
{
	const char *path;
	const char *method;
	WtRoute route;
	const char *allow; /* all methods of the path */
	int verb;		   /* the process's own, for WtRequest */
} WtPath;

/* A path that is read, by GET and HEAD; one that is sent to, by POST. */
#define WT_READ_METHODS "GET, HEAD, OPTIONS"
#define WT_CHANGE_METHODS "POST, OPTIONS"
#define WT_READ_PATH(path, route, verb)                                                  \
	{path, "GET", route, WT_READ_METHODS, verb},                                         \
		{path, "HEAD", route, WT_READ_METHODS, verb},                                    \
	{                                                                                    \
		path, "OPTIONS", WT_ROUTE_OPTIONS, WT_READ_METHODS, verb                         \
	}
#define WT_CHANGE_PATH(path, verb)                                                       \
	{path, "POST", WT_ROUTE_CHANGE, WT_CHANGE_METHODS, verb},                            \
	{                                                                                    \
		path, "OPTIONS", WT_ROUTE_OPTIONS, WT_CHANGE_METHODS, verb                       \
	}

/* What one kind of process answers. */
typedef struct WtPaths
{
	const WtPath *paths;
	int n;
	bool files; /* and those of the viewer's page */
	const WtEndpoint *const *protocols;
	int n_protocols;
	const char *nothing; /* what who asks for anything else is told */
} WtPaths;

/* Where events are sent to, without the protocols of others. */
extern const WtPath wt_collector_paths[];
extern const int wt_n_collector_paths;
extern const char wt_collector_nothing[];

/* What this process answers from now on; it must outlive its last request. */
extern void wt_router_use(const WtPaths *paths);

/* What handles a request, of which method, path, query and headers are known. */
extern void wt_router_find(const WtRequest *request, WtMatch *match);

#endif
