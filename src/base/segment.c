/*
 * segment.c
 *		Shared memory that is made when it is first wanted: see segment.h.
 */
#include "postgres.h"

#include "storage/lwlock.h"

#include "base/segment.h"
#include "base/shared.h"

dsm_handle
wt_segment_handle(const dsm_handle *slot)
{
	dsm_handle handle;

	LWLockAcquire(&wt_shared->lock, LW_SHARED);
	handle = *slot;
	LWLockRelease(&wt_shared->lock);
	return handle;
}

/*
 * Makes the segment, unless another process has just made one.  It is not made under the
 * lock, since others wait for that without being able to be cancelled.
 */
static void
make(dsm_handle *slot, Size size, void (*initialize)(void *memory))
{
	dsm_segment *segment = dsm_create(size, 0);
	dsm_handle handle = dsm_segment_handle(segment);
	bool first;

	initialize(dsm_segment_address(segment));
	dsm_pin_segment(segment);
	LWLockAcquire(&wt_shared->lock, LW_EXCLUSIVE);
	first = (*slot == DSM_HANDLE_INVALID);
	if (first)
		*slot = handle;
	LWLockRelease(&wt_shared->lock);
	if (!first)
		dsm_unpin_segment(handle);
	dsm_detach(segment);
}

void *
wt_segment_attach(dsm_handle *slot, Size size, void (*initialize)(void *memory))
{
	dsm_segment *segment;

	if (wt_segment_handle(slot) == DSM_HANDLE_INVALID)
		make(slot, size, initialize);
	segment = dsm_attach(wt_segment_handle(slot));
	if (!segment)
		return NULL;
	dsm_pin_mapping(segment);
	return dsm_segment_address(segment);
}
