/*
 * router.h
 *		A request's head → what handles it.  Plain C.
 */
#ifndef WT_ROUTER_H
#define WT_ROUTER_H

#include "http/endpoint.h"

/*
 * The protocols that there are from now on, beside WindTrap's own: n of them, which must
 * outlive the process's last request.
 */
extern void wt_router_use(const WtEndpoint *const *endpoints, int n);

/* What handles a request, of which method, path, query and headers are known. */
extern void wt_router_find(const WtRequest *request, WtMatch *match);

#endif
