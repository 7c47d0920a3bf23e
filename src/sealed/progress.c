/*
 * progress.c
 *		How far something long is, in pg_stat_activity.
 */
#include "postgres.h"

#include "tcop/tcopprot.h"
#include "utils/backend_status.h"

#include "sealed/progress.h"

void
wt_progress(const char *what, const char *name, int64 done, int64 all)
{
	char text[2 * NAMEDATALEN + 128];

	snprintf(text, sizeof(text), "windtrap: %s %s: %d %% of " INT64_FORMAT " rows", what,
			 name, all > 0 ? (int) (100.0 * (double) done / (double) all) : 100, all);
	pgstat_report_activity(STATE_RUNNING, text);
}

void
wt_progress_end(void)
{
	pgstat_report_activity(STATE_RUNNING, debug_query_string
											  ? debug_query_string
											  : "windtrap: maintaining partitions");
}
