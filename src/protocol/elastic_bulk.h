/*
 * elastic_bulk.h
 *		A body of Elasticsearch's _bulk → items: an action, and its document.  Plain C.
 */
#ifndef WT_ELASTIC_BULK_H
#define WT_ELASTIC_BULK_H

#include "base/counters.h"
#include "event/json.h"

typedef enum WtBulkOp
{
	WT_BULK_INDEX,
	WT_BULK_CREATE,
	WT_BULK_UPDATE,
	WT_BULK_DELETE,
	WT_BULK_N_OPS
} WtBulkOp;

/* What each is called, and what an answer says of it. */
extern const struct WtBulkOpWords
{
	const char *name;
	const char *result;
	int status;
} wt_bulk_ops[WT_BULK_N_OPS];

typedef struct WtLine
{
	const char *text; /* NULL: there is none */
	size_t length;
} WtLine;

typedef struct WtBulkItem
{
	WtLine action;
	WtLine document; /* of one that is not good: what may have been meant by it */
	bool good;		 /* the action can be read: it is in json's tokens, from 0 */
	WtBulkOp op;
	uint32_t said;	 /* the token of what the action says, an object or null */
	WtReason reason; /* of one that is not good */
	char error[200];
} WtBulkItem;

typedef enum WtBulkStep
{
	WT_BULK_ITEM,
	WT_BULK_END,
	WT_BULK_OUT_OF_MEMORY
} WtBulkStep;

/*
 * The next item of a body that ends at end, from *next on.  Where item holds a good one, json
 * still has its action, which is not read again if the next is the same; else it must be zero.
 *
 * What in an action's texts cannot be stored becomes U+FFFD, which json->repaired says.  A line
 * longer than limit is not read.
 */
extern WtBulkStep wt_bulk_next_item(WtJson *json, const char **next, const char *end,
									size_t limit, WtBulkItem *item);

/* The value of a member of what an action says; NULL: there is none, or no text or number. */
extern const WtJsonToken *wt_bulk_said(const WtJson *json, const WtBulkItem *item,
									   const char *name);

/* The next line that is not blank, without what is blank around it; false: there is none. */
extern bool wt_bulk_next_line(const char **next, const char *end, WtLine *line);

static inline bool
wt_bulk_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Says of an item that a line of it, called what, is not JSON, or cannot be stored. */
extern void wt_bulk_set_json_error(WtBulkItem *item, const char *what, const WtLine *line,
								   WtJsonResult result, const WtJsonError *error);

#endif
