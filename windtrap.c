/*
 * windtrap.c
 *		An event collector that lives inside PostgreSQL: the library's entry.
 *
 * HTTP requests come in, rows of the log table come out.  The way of an event, and a
 * file for each stage of it:
 *
 *	src/listener.c	socket → request, if src/auth.c says that it may
 *	src/decode.c	request → event
 *	src/enrich.c	event → data
 *	src/store.c		data → row
 *	src/stdout.c	row → line of standard output
 *	src/worker.c	moves it along, and answers
 *
 * Beside it src/forward.c takes events on to other tables, from src/outbox.c, where the
 * store has put them; src/upkeep.c keeps the table's partitions, and src/launcher.c all
 * processes.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "launcher.h"
#include "settings.h"
#include "shared.h"

PG_MODULE_MAGIC;

extern void _PG_init(void);

void
_PG_init(void)
{
	wt_settings_define();
	if (!process_shared_preload_libraries_in_progress)
		return;
	wt_shared_request();
	wt_launcher_register();
}
