/*
 * snappy.h
 *		Bodies that are compressed by snappy.  Plain C: raises nothing.
 *
 * The library would bring C++'s runtime into the server, and is asked for little.
 */
#ifndef WT_SNAPPY_H
#define WT_SNAPPY_H

#include "event/inflate.h"

/*
 * Both undo a body of which no more than limit bytes may come out, as wt_inflate.  The first is
 * one block, which says in its first bytes how long it is going to be, and has no magic; the
 * second is the framing format, whose checksums are looked at.
 */
extern WtInflateResult wt_snappy_block(const char *body, size_t length, size_t limit,
									   WtInflated *out);
extern WtInflateResult wt_snappy_frames(const char *body, size_t length, size_t limit,
										WtInflated *out);

#endif
