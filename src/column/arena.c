/*
 * arena.c
 *		Memory that is given back all at once: blocks from malloc, cut from front to back.
 */
#include <stdlib.h>
#include <string.h>

#include "column/arena.h"

#define BLOCK_SIZE ((size_t) 256 * 1024)
#define ORDINARY_CHUNK ((size_t) 4 * 1024 * 1024)
#define ALIGNMENT alignof(max_align_t)

typedef struct Block
{
	struct Block *next;
	size_t size; /* of what follows */
	size_t used;
	alignas(max_align_t) char bytes[];
} Block;

struct WtArena
{
	Block *blocks; /* the one that is cut first */
	size_t used;
	WtOutOfMemory failed;
};

/*
 * glibc gives memory back to the kernel as soon as some is free at its end, and learns only from
 * blocks that are freed how much is asked for again soon.  Who reads one chunk and ends would spend
 * a third of the time on pages that are taken and given back: so it is shown one, of what a
 * chunk of ordinary size takes.  It keeps up to twice that.
 */
static void
show_ordinary_size(void)
{
	static bool shown;
	void *volatile block;

	if (shown)
		return;
	shown = true;
	block = malloc(ORDINARY_CHUNK);
	free(block);
}

WtArena *
wt_arena_create(WtOutOfMemory failed)
{
	WtArena *arena = calloc(1, sizeof(*arena));

	show_ordinary_size();
	if (arena)
		arena->failed = failed;
	return arena;
}

static void
out_of_memory(WtArena *arena, size_t bytes)
{
	arena->failed(bytes);
	abort(); /* it must not return */
}

static Block *
add_block(WtArena *arena, size_t size)
{
	Block *block = malloc(sizeof(*block) + size);

	if (!block)
		out_of_memory(arena, size);
	block->size = size;
	block->used = 0;
	return block;
}

void *
wt_arena_alloc(WtArena *arena, size_t bytes)
{
	Block *block = arena->blocks;
	void *p;

	if (bytes > SIZE_MAX / 2)
		out_of_memory(arena, bytes);
	bytes = (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	if (!block || block->size - block->used < bytes)
	{
		/* What is large gets a block of its own, behind the one that is being cut. */
		bool large = bytes > BLOCK_SIZE / 4;

		block = add_block(arena, large ? bytes : BLOCK_SIZE);
		if (large && arena->blocks)
		{
			block->next = arena->blocks->next;
			arena->blocks->next = block;
		}
		else
		{
			block->next = arena->blocks;
			arena->blocks = block;
		}
	}
	p = block->bytes + block->used;
	block->used += bytes;
	arena->used += bytes;
	return p;
}

void *
wt_arena_array(WtArena *arena, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		out_of_memory(arena, SIZE_MAX);
	return wt_arena_alloc(arena, bytes);
}

void *
wt_arena_zeroed(WtArena *arena, size_t n, size_t size)
{
	void *p = wt_arena_array(arena, n, size);

	memset(p, 0, n * size);
	return p;
}

size_t
wt_arena_used(const WtArena *arena)
{
	return arena->used;
}

void
wt_arena_reset(WtArena *arena)
{
	Block *kept = NULL;

	while (arena->blocks)
	{
		Block *block = arena->blocks;

		arena->blocks = block->next;
		if (!kept && block->size == BLOCK_SIZE)
			kept = block;
		else
			free(block);
	}
	arena->used = 0;
	if (kept)
	{
		kept->next = NULL;
		kept->used = 0;
		arena->blocks = kept;
	}
}

void
wt_arena_destroy(WtArena *arena)
{
	if (!arena)
		return;
	while (arena->blocks)
	{
		Block *block = arena->blocks;

		arena->blocks = block->next;
		free(block);
	}
	free(arena);
}
