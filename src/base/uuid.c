/*
 * uuid.c
 *		UUIDs of version 7 (RFC 9562): their order is the order of time.
 *
 * 48 bits of milliseconds, 12 bits of the fraction of a millisecond (method 3 of the
 * RFC's section 6.2, as PostgreSQL 18 does it), 62 random bits.
 */
#include "postgres.h"

#include "base/uuid.h"

/* Random bytes are drawn in bulk: one call an id would cost more than all else here. */
#define RANDOM_POOL 4096

static uint8 pool[RANDOM_POOL];
static int pool_used = RANDOM_POOL;

/* The time of the last id, in units of 1/4096 ms. */
static uint64 last_tick;

void
wt_uuid_v7(int64 now_us, char text[WT_UUID_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	uint64 ms = (uint64) (now_us / 1000);
	uint64 tick = (ms << 12) | (uint64) ((now_us % 1000) * 4096 / 1000);
	uint8 id[16];
	char *out = text;

	if (tick <= last_tick)
		tick = last_tick + 1;
	last_tick = tick;
	ms = tick >> 12;

	if (pool_used + 8 > RANDOM_POOL)
	{
		if (!pg_strong_random(pool, RANDOM_POOL))
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
							errmsg("could not generate random values")));
		pool_used = 0;
	}
	for (int i = 0; i < 6; i++)
		id[i] = (uint8) (ms >> (40 - 8 * i));
	id[6] = (uint8) (0x70 | ((tick >> 8) & 0x0F));
	id[7] = (uint8) tick;
	memcpy(id + 8, pool + pool_used, 8);
	pool_used += 8;
	id[8] = (uint8) (0x80 | (id[8] & 0x3F));

	for (int i = 0; i < 16; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = digits[id[i] >> 4];
		*out++ = digits[id[i] & 0x0F];
	}
	*out = '\0';
}
