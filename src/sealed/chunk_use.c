/*
 * chunk_use.c
 *		Who changes rows of chunks, and who writes chunks anew.
 *
 * Not a lock on the table of chunks: with that VACUUM would be in the way.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/lock.h"

#include "sealed/chunk_use.h"
#include "store/lock_gently.h"

/*
 * For so long is queued for those to come to an end who change rows; whoever comes meanwhile waits
 * behind that, as he does while chunks are written anew.
 */
#define QUEUE "500ms"

static LOCKTAG
tag_of(Oid chunks)
{
	LOCKTAG tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId, chunks, 0);
	return tag;
}

bool
wt_chunk_use_begin(Oid chunks)
{
	LOCKTAG tag = tag_of(chunks);

	if (LockAcquire(&tag, RowExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL)
		return false;
	(void) LockAcquire(&tag, RowExclusiveLock, false, false);
	return true;
}

static void
exclude(void *tag)
{
	(void) LockAcquire(tag, ShareLock, false, false);
}

bool
wt_chunk_use_exclude(Oid chunks)
{
	LOCKTAG tag = tag_of(chunks);

	/* Where there is always somebody, who comes next waits behind us. */
	return LockAcquire(&tag, ShareLock, false, true) != LOCKACQUIRE_NOT_AVAIL ||
		   wt_queue_for_lock(exclude, &tag, QUEUE);
}
