/*
 * addresses.c
 *		How many connections each address has: see addresses.h.
 *
 * A hash table with chains, as large as it has entries; an entry lives as long as its
 * address has connections, so there are never more of them than connections.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "http/addresses.h"

#define FIRST_BUCKETS 64

struct WtVisitor
{
	WtVisitor *next; /* in its bucket */
	uint64_t key[2];
	int n; /* connections */
};

/* The bits that count: of IPv6 the network's half, of IPv4 all. */
static void
make_key(const WtAddress *address, uint64_t key[2])
{
	static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

	memcpy(key, address->bytes, 16);
	if (memcmp(address->bytes, mapped, sizeof(mapped)) != 0)
		key[1] = 0;
}

/* Nobody outside can choose addresses that share a bucket: he does not know the seed. */
static size_t
bucket_of(const WtAddresses *addresses, const uint64_t key[2])
{
	uint64_t h = (key[0] * UINT64_C(0x9E3779B97F4A7C15)) ^ key[1] ^ addresses->seed;

	h = (h ^ (h >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	h = (h ^ (h >> 27)) * UINT64_C(0x94D049BB133111EB);
	return (size_t) (h ^ (h >> 31)) & (addresses->n_buckets - 1);
}

/* Without memory for it the table stays as it is, and its chains get longer. */
static void
grow(WtAddresses *addresses)
{
	WtAddresses larger = *addresses;

	larger.n_buckets = addresses->n_buckets ? addresses->n_buckets * 2 : FIRST_BUCKETS;
	larger.buckets = calloc(larger.n_buckets, sizeof(WtVisitor *));
	if (!larger.buckets)
		return;
	for (size_t i = 0; i < addresses->n_buckets; i++)
	{
		WtVisitor *next;

		for (WtVisitor *a = addresses->buckets[i]; a; a = next)
		{
			size_t bucket = bucket_of(&larger, a->key);

			next = a->next;
			a->next = larger.buckets[bucket];
			larger.buckets[bucket] = a;
		}
	}
	free(addresses->buckets);
	*addresses = larger;
}

bool
wt_address_enter(WtAddresses *addresses, const WtAddress *address, int limit,
				 WtVisitor **visitor)
{
	uint64_t key[2];
	WtVisitor *v;
	size_t bucket;

	*visitor = NULL;
	if (!addresses->buckets &&
		getrandom(&addresses->seed, sizeof(addresses->seed), GRND_NONBLOCK) < 0)
		addresses->seed = (uintptr_t) addresses;
	if (addresses->n >= addresses->n_buckets)
		grow(addresses);
	if (!addresses->buckets)
		return true;
	make_key(address, key);
	bucket = bucket_of(addresses, key);
	for (v = addresses->buckets[bucket]; v; v = v->next)
		if (memcmp(v->key, key, sizeof(key)) == 0)
			break;
	if (!v)
	{
		v = calloc(1, sizeof(*v));
		if (!v)
			return true;
		memcpy(v->key, key, sizeof(key));
		v->next = addresses->buckets[bucket];
		addresses->buckets[bucket] = v;
		addresses->n++;
	}
	else if (limit > 0 && v->n >= limit)
		return false;
	v->n++;
	*visitor = v;
	return true;
}

void
wt_address_leave(WtAddresses *addresses, WtVisitor *visitor)
{
	WtVisitor **p;

	if (--visitor->n > 0)
		return;
	p = &addresses->buckets[bucket_of(addresses, visitor->key)];
	while (*p != visitor)
		p = &(*p)->next;
	*p = visitor->next;
	addresses->n--;
	free(visitor);
}

void
wt_addresses_free(WtAddresses *addresses)
{
	free(addresses->buckets);
	memset(addresses, 0, sizeof(*addresses));
}
