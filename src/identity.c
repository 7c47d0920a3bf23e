/*
 * identity.c
 *		Acting as the owner of a table.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "identity.h"

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
