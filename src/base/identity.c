/*
 * identity.c
 *		Who a process of ours is, and acting as the owner of a table.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/namespace.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"

#include "base/collector.h"
#include "base/identity.h"

static void
set_for_session(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SET, true,
							 0, false);
}

void
wt_introduce(void)
{
	char host[256];

	if (gethostname(host, sizeof(host)) != 0)
		strlcpy(host, "unknown", sizeof(host));
	host[sizeof(host) - 1] = '\0';
	wt_collector_set(cluster_name && cluster_name[0] != '\0' ? cluster_name : host,
					 GetSystemIdentifier(), MyDatabaseId);
}

void
wt_connect(Oid database)
{
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	StartTransactionCommand();
	/* In this order: another session user is the end of a role. */
	set_for_session("session_authorization",
					GetUserNameFromId(BOOTSTRAP_SUPERUSERID, false));
	set_for_session("role", "none");
	set_for_session("row_security", "on");
	set_for_session("default_transaction_read_only", "off");
	CommitTransactionCommand();
	wt_introduce();
}

void
wt_become(Oid role, Oid *saved_role, int *saved_context)
{
	GetUserIdAndSecContext(saved_role, saved_context);
	SetUserIdAndSecContext(role, *saved_context | SECURITY_RESTRICTED_OPERATION |
									 SECURITY_LOCAL_USERID_CHANGE);
}

void
wt_restore(Oid saved_role, int saved_context)
{
	SetUserIdAndSecContext(saved_role, saved_context);
}

/* What belongs to the session's temporary schema; -1: there is no such schema. */
int64
wt_count_temporary(void)
{
	Oid schema;
	Oid toast_schema;
	Relation relation;
	ScanKeyData keys[2];
	SysScanDesc scan;
	int64 n = 0;

	GetTempNamespaceState(&schema, &toast_schema);
	if (!OidIsValid(schema))
		return -1;
	relation = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(schema));
	scan = systable_beginscan(relation, DependReferenceIndexId, true, NULL,
							  lengthof(keys), keys);
	while (HeapTupleIsValid(systable_getnext(scan)))
		n++;
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return n;
}

void
wt_refuse_temporary(int64 before)
{
	if (wt_count_temporary() > before)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("cannot create temporary objects within "
							   "security-restricted operation")));
}
