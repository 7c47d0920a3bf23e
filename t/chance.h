/*
 * chance.h
 *		Numbers by chance, the same ones from the same seed, for programs of the tests.
 */
#ifndef WT_CHANCE_H
#define WT_CHANCE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state; /* not 0 */

static uint64_t
any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545F4914F6CDD1Du;
}

static int
below(int n)
{
	return (int) ((any() >> 33) % (uint64_t) n);
}

/* For arenas (column/arena.h). */
static void
out_of_memory(size_t bytes)
{
	fprintf(stderr, "no memory for %zu bytes\n", bytes);
	exit(2);
}

#endif
