/*
 * windtrap.c
 *		An event collector that lives inside PostgreSQL: the library's entry.
 *
 * What runs and which way an event goes is in docs/architecture.md.  Here the library defines
 * its settings, and, where it is preloaded, asks for its shared memory and for the launcher,
 * which starts all other processes.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "ring/ring.h"
#include "ring/server_log.h"
#include "sealed/partitionwise.h"
#include "views/fields.h"
#include "views/log_rows_plan.h"
#include "worker/launcher.h"
#include "base/settings.h"
#include "base/shared.h"

PG_MODULE_MAGIC;

extern void _PG_init(void);

void
_PG_init(void)
{
	wt_settings_define();
	wt_fields_make_known();
	/* Before our own hook, so that it sees others' only. */
	wt_log_rows_plan_install();
	wt_partitionwise_install();
	if (!process_shared_preload_libraries_in_progress)
		return;
	/* pg_upgrade: what is stored in either server now is thrown away, or is in the way. */
	if (IsBinaryUpgrade)
		return;
	wt_shared_request();
	wt_ring_request();
	wt_server_log_install();
	wt_launcher_register();
}
