/*
 * segment.h
 *		Shared memory that is made when it is first wanted, and stays until the server stops.
 */
#ifndef WT_SEGMENT_H
#define WT_SEGMENT_H

#include "storage/dsm.h"

/*
 * Attaches this process for good to the segment whose handle is in *slot, a member of wt_shared; where
 * there is none, makes it, of so many bytes, which `initialize` fills in.  NULL: it is gone.  Within
 * a transaction, or with a resource owner of the caller's; raises.
 */
extern void *wt_segment_attach(dsm_handle *slot, Size size,
							   void (*initialize)(void *memory));

/* The segment's handle; DSM_HANDLE_INVALID: nobody has made it. */
extern dsm_handle wt_segment_handle(const dsm_handle *slot);

#endif
