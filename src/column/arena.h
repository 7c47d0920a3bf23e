/*
 * arena.h
 *		Memory that is given back all at once: of a chunk that is read, or written.
 *
 * Plain C, from malloc.  Nothing is freed by itself; wt_arena_reset() is the one place
 * where it ends.
 */
#ifndef WT_COLUMN_ARENA_H
#define WT_COLUMN_ARENA_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct WtArena WtArena;

/*
 * What is called where malloc has no memory left: it must not return (in the server it
 * raises, elsewhere it ends the program), so that no caller in this room has to ask.  What
 * is left behind then is good for being destroyed.
 */
typedef void (*WtOutOfMemory)(size_t bytes);

/* NULL where there is no memory even for that. */
extern WtArena *wt_arena_create(WtOutOfMemory failed);

/* bytes, aligned for any type; 0 gives a pointer too.  Not zeroed. */
extern void *wt_arena_alloc(WtArena *arena, size_t bytes);

/* The same, zeroed; n elements of a size, with the product checked. */
extern void *wt_arena_zeroed(WtArena *arena, size_t n, size_t size);

/* The same, not zeroed. */
extern void *wt_arena_array(WtArena *arena, size_t n, size_t size);

/* Bytes that it has given out since it was last reset. */
extern size_t wt_arena_used(const WtArena *arena);

/* All that it gave is gone; it keeps a block of ordinary size for what comes next. */
extern void wt_arena_reset(WtArena *arena);

extern void wt_arena_destroy(WtArena *arena);

#endif
