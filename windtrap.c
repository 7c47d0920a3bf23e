/*
 * windtrap.c
 *		An event collector that lives inside PostgreSQL: the library's entry.
 *
 * HTTP requests come in, rows of the log table come out.  The way of an event, and a
 * file for each stage of it:
 *
 *	src/http/listener.c	socket → request, if src/http/auth.c says that it may
 *	src/event/decode.c	request → event
 *	src/event/enrich.c	event → data
 *	src/store/store.c		data → row
 *	src/output/stdout.c	row → line of standard output
 *	src/worker/worker.c	moves it along, and answers
 *
 * Beside it src/forward/forward.c takes events on to other tables, from src/store/outbox.c, where the
 * store has put them; src/upkeep/upkeep.c keeps the table's partitions, and src/worker/launcher.c all
 * processes.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "worker/launcher.h"
#include "base/settings.h"
#include "base/shared.h"

PG_MODULE_MAGIC;

extern void _PG_init(void);

void
_PG_init(void)
{
	wt_settings_define();
	if (!process_shared_preload_libraries_in_progress)
		return;
	/* pg_upgrade: what is stored in either server now is thrown away, or is in the way. */
	if (IsBinaryUpgrade)
		return;
	wt_shared_request();
	wt_launcher_register();
}
