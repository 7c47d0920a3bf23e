/*
 * distinct.c
 *		The distinct texts among many.
 */
#include <stdlib.h>

#include "column/distinct.h"

static inline uint64_t
mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128) a * b;

	return (uint64_t) product ^ (uint64_t) (product >> 64);
}

static inline uint64_t
word(const char *p)
{
	uint64_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

uint64_t
wt_hash(const void *bytes, size_t length)
{
	static const uint64_t k0 = 0x9E3779B97F4A7C15u;
	static const uint64_t k1 = 0xD6E8FEB86659FD93u;
	const char *p = bytes;
	uint64_t hash = k0 ^ length;

	if (length < 8)
	{
		uint64_t value = 0;

		memcpy(&value, p, length);
		return mix(hash ^ value, k1);
	}
	for (size_t left = length; left > 8; left -= 8, p += 8)
		hash = mix(hash ^ word(p), k1);
	/* The last eight, which may overlap those before. */
	return mix(hash ^ word((const char *) bytes + length - 8), k1 ^ k0);
}

typedef struct Entry
{
	uint32_t hash;
	int32_t code; /* -1: free */
} Entry;

typedef struct Frequency
{
	int count;
	int code;
} Frequency;

static int
most_frequent_first(const void *a, const void *b)
{
	const Frequency *x = a;
	const Frequency *y = b;

	return x->count != y->count ? (x->count < y->count ? 1 : -1)
								: (x->code > y->code) - (x->code < y->code);
}

/* So that frequent ones have small codes, which compress better where they take two bytes. */
static void
order_by_frequency(WtArena *arena, uint16_t *codes, int n, int *first, int n_distinct)
{
	Frequency *frequencies =
		wt_arena_array(arena, (size_t) n_distinct, sizeof(*frequencies));
	uint16_t *becomes = wt_arena_array(arena, (size_t) n_distinct, sizeof(*becomes));
	int *old_first = wt_arena_array(arena, (size_t) n_distinct, sizeof(*old_first));

	for (int i = 0; i < n_distinct; i++)
		frequencies[i] = (Frequency){0, i};
	for (int i = 0; i < n; i++)
		frequencies[codes[i]].count++;
	qsort(frequencies, (size_t) n_distinct, sizeof(*frequencies), most_frequent_first);
	memcpy(old_first, first, sizeof(*first) * (size_t) n_distinct);
	for (int i = 0; i < n_distinct; i++)
	{
		becomes[frequencies[i].code] = (uint16_t) i;
		first[i] = old_first[frequencies[i].code];
	}
	for (int i = 0; i < n; i++)
		codes[i] = becomes[codes[i]];
}

int
wt_distinct(WtArena *arena, const WtTexts *texts, int most, uint16_t **codes, int **first)
{
	size_t size = 64;
	Entry *table;
	int n_distinct = 0;

	while (size < (size_t) most * 2)
		size *= 2;
	table = wt_arena_array(arena, size, sizeof(*table));
	memset(table, 0xFF, sizeof(*table) * size);
	*codes = wt_arena_array(arena, (size_t) texts->n + 1, sizeof(**codes));
	*first = wt_arena_array(arena, (size_t) most + 1, sizeof(**first));
	for (int i = 0; i < texts->n; i++)
	{
		const char *text = texts->base + texts->start[i];
		size_t length = wt_texts_length(texts, i);
		uint64_t hash;
		size_t at;

		/* Runs of the same are frequent. */
		if (i > 0 && wt_texts_length(texts, i - 1) == length &&
			memcmp(texts->base + texts->start[i - 1], text, length) == 0)
		{
			(*codes)[i] = (*codes)[i - 1];
			continue;
		}
		hash = wt_hash(text, length);
		for (at = hash & (size - 1);; at = (at + 1) & (size - 1))
		{
			int other;

			if (table[at].code < 0)
			{
				if (n_distinct == most)
					return -1;
				(*first)[n_distinct] = i;
				table[at] = (Entry){(uint32_t) (hash >> 32), n_distinct++};
				break;
			}
			other = (*first)[table[at].code];
			if (table[at].hash == (uint32_t) (hash >> 32) &&
				wt_texts_length(texts, other) == length &&
				memcmp(texts->base + texts->start[other], text, length) == 0)
				break;
		}
		(*codes)[i] = (uint16_t) table[at].code;
	}
	order_by_frequency(arena, *codes, texts->n, *first, n_distinct);
	return n_distinct;
}
