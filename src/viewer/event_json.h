/*
 * event_json.h
 *		Events, as the viewer's answers have them.
 */
#ifndef WT_EVENT_JSON_H
#define WT_EVENT_JSON_H

#include "viewer/job.h"

/* Whether `data` is left out where it is long. */
typedef enum WtEventData
{
	WT_DATA_IF_SHORT,
	WT_DATA_ALWAYS
} WtEventData;

/* The columns that a request asks for beside those that an event always has; n = 0: none. */
typedef struct WtColumns
{
	int n;
	const char **names; /* as they were typed */
	const char *sql;	/* an expression that is a text[] of them; NULL: there is none */
} WtColumns;

/*
 * Reads a list of fields, with commas between but for those in quotation marks; raises.  NULL:
 * none.  Those that is_own() takes for names of its own are null in the expression.
 */
extern WtColumns wt_viewer_read_columns(const char *list,
										bool (*is_own)(const char *name));

/* The parameter `columns`, all of them fields. */
extern WtColumns wt_viewer_columns(const WtViewerJob *job);

/*
 * What wt_viewer_write_event reads, as a list of expressions over the columns of windtrap.events
 * that follows event_timestamp and id.
 */
extern const char *wt_viewer_output(const WtColumns *columns);

/* Appends one of the rows of SPI_tuptable: event_timestamp, id, and the above. */
extern void wt_viewer_write_event(WtBuffer *out, uint64 row, const WtColumns *columns,
								  WtEventData data);

/* Appends bytes as they are, but for what is no UTF-8. */
extern void wt_viewer_write_raw(WtBuffer *out, const char *bytes, size_t length);

#endif
