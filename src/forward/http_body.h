/*
 * http_body.h
 *		Events as another WindTrap takes them: a line of JSON each, compressed by zstd.
 */
#ifndef WT_HTTP_BODY_H
#define WT_HTTP_BODY_H

#include "forward/load.h"

/* What the lines are, and how they are compressed, in a request's words. */
#define WT_HTTP_BODY_TYPE "application/vnd.windtrap.rows+ndjson"
#define WT_HTTP_BODY_ENCODING "zstd"

typedef struct WtHttpBody
{
	char *bytes;
	size_t length;
} WtHttpBody;

/* Makes a body of n events in the current memory context; raises. */
extern void wt_http_body_make(WtHttpBody *body, const WtLoadEvent *events, int n);

#endif
