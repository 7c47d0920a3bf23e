/*
 * refused.c
 *		The record of refused requests: see refused.h.
 *
 * Words:
 *	ring		the requests; each new one takes the place of the oldest
 *	set			of the table of counts: a few places, of which a client and reason may
 *				have any; the one seen least recently makes room
 *	version		of a place or set: odd while somebody writes it, and another afterwards
 *
 * A version is what makes writers exclude each other, and readers see that they have read
 * half of this and half of that.  Nobody waits for it: a writer that cannot have it drops
 * what it brings, which is rare.  A process that is killed while it writes leaves the
 * version odd and the place unused; but then the server restarts, with other memory.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/refused.h"
#include "base/text.h"

/* Places of a set. */
#define SET_SIZE 8
#define N_SETS (WT_REFUSED_CLIENTS / SET_SIZE)

/* Tries before a version is given up. */
#define MAX_TRIES 64

/* Recent requests that a process compares new ones with. */
#define MAX_RECENT 64

typedef struct Place
{
	uint64_t version;
	WtRefusedRequest request;
} Place;

typedef struct Set
{
	uint64_t version;
	WtRefusedClient clients[SET_SIZE];
} Set;

struct WtRefusedRecord
{
	uint64_t next; /* request's serial */
	Place places[WT_REFUSED_REQUESTS];
	Set sets[N_SETS];
};

/* Where a request was put that may come again. */
typedef struct Recent
{
	uint64_t hash;
	uint64_t version; /* of the place, as long as nobody else has taken it */
	uint64_t used;	  /* when it came last, in requests; 0: there is none */
	Place *place;
} Recent;

struct WtRefused
{
	WtRefusedRecord *record;
	uint64_t n; /* requests */
	Recent recent[MAX_RECENT];
};

/* Both are copied as words, none of which is ever seen half written. */
_Static_assert(sizeof(WtRefusedRequest) % sizeof(uint64_t) == 0, "whole words");
_Static_assert(sizeof(WtRefusedClient) % sizeof(uint64_t) == 0, "whole words");

static void
store_words(void *shared, const void *own, size_t size)
{
	uint64_t *to = shared;

	for (size_t i = 0; i < size / sizeof(uint64_t); i++)
	{
		uint64_t word;

		memcpy(&word, (const char *) own + i * sizeof(word), sizeof(word));
		__atomic_store_n(&to[i], word, __ATOMIC_RELAXED);
	}
}

static void
load_words(void *own, const void *shared, size_t size)
{
	const uint64_t *from = shared;

	for (size_t i = 0; i < size / sizeof(uint64_t); i++)
	{
		uint64_t word = __atomic_load_n(&from[i], __ATOMIC_RELAXED);

		memcpy((char *) own + i * sizeof(word), &word, sizeof(word));
	}
}

/* Begins to write what stands at this version; false: it no longer does. */
static bool
begin_write(uint64_t *version, uint64_t expected)
{
	if ((expected & 1) != 0 ||
		!__atomic_compare_exchange_n(version, &expected, expected + 1, false,
									 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	/* Nothing of what follows is seen before the version is. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return true;
}

static void
end_write(uint64_t *version, uint64_t expected)
{
	__atomic_store_n(version, expected + 2, __ATOMIC_RELEASE);
}

/* Copies what belongs to a version; false: it is being written. */
static bool
read_stable(const uint64_t *version, void *own, const void *shared, size_t size)
{
	for (int i = 0; i < MAX_TRIES; i++)
	{
		uint64_t before = __atomic_load_n(version, __ATOMIC_ACQUIRE);

		if ((before & 1) != 0)
			continue;
		load_words(own, shared, size);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(version, __ATOMIC_RELAXED) == before)
			return true;
	}
	return false;
}

size_t
wt_refused_size(void)
{
	return sizeof(WtRefusedRecord);
}

WtRefusedRecord *
wt_refused_init(void *memory)
{
	memset(memory, 0, sizeof(WtRefusedRecord));
	return memory;
}

WtRefused *
wt_refused_open(WtRefusedRecord *record)
{
	WtRefused *refused = calloc(1, sizeof(WtRefused));

	if (refused)
		refused->record = record;
	return refused;
}

/*
 * What a request is known by
 */

static void
set_address(WtRefusedAddress *address, const char *ip)
{
	if (!ip)
		return;
	if (inet_pton(AF_INET, ip, address->bytes) == 1)
		address->length = 4;
	else if (inet_pton(AF_INET6, ip, address->bytes) == 1)
		address->length = 16;
}

/* How much of a text of this length to keep, so that no character is cut in two. */
static size_t
cut(const char *text, size_t length, size_t max)
{
	size_t start = max;

	if (length <= max)
		return length;
	/* The character that the cut is in, if there is one. */
	while (start > 0 && max - start < 3 && ((unsigned char) text[start] & 0xC0) == 0x80)
		start--;
	if (start < max && wt_utf8_sequence((const unsigned char *) text + start,
										length - start) > (int) (max - start))
		return start;
	return max;
}

/* Keeps the beginning of a text; gives the length of what is kept. */
static uint8_t
keep(char *to, size_t max, const char *text, size_t length)
{
	if (!text)
		return WT_REFUSED_NONE;
	length = cut(text, length, max);
	memcpy(to, text, length);
	return (uint8_t) length;
}

/* A query string may hold a token, also where a sender has escaped its question mark. */
static size_t
length_before_query(const char *path)
{
	size_t n = 0;

	while (path[n] != '\0' && path[n] != '?' && strncasecmp(path + n, "%3f", 3) != 0)
		n++;
	return n;
}

static WtRefusedRequest
make_request(const WtRefusal *refusal)
{
	WtRefusedRequest r = {0};

	r.status = (uint16_t) refusal->status;
	r.reason = (uint8_t) refusal->reason;
	r.line = (uint32_t) refusal->line;
	r.column = (uint32_t) refusal->column;
	set_address(&r.address, refusal->ip);
	/* Four bytes more than are kept, for a character that begins in these. */
	r.method_length =
		keep(r.method, sizeof(r.method), refusal->method,
			 refusal->method ? strnlen(refusal->method, sizeof(r.method) + 4) : 0);
	r.path_length = keep(r.path, sizeof(r.path), refusal->path,
						 refusal->path ? length_before_query(refusal->path) : 0);
	r.user_agent_length = keep(r.user_agent, sizeof(r.user_agent), refusal->user_agent,
							   refusal->user_agent_length);
	return r;
}

/* FNV-1a */
static uint64_t
hash_bytes(const void *bytes, size_t length, uint64_t hash)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001B3);
	return hash;
}

#define FNV_BASIS UINT64_C(0xCBF29CE484222325)

/* What a request is like another by: from the status to the last byte of the last text. */
#define LIKENESS offsetof(WtRefusedRequest, status)
#define LIKENESS_SIZE                                                                    \
	(offsetof(WtRefusedRequest, user_agent) + WT_REFUSED_AGENT - LIKENESS)

static uint64_t
hash_of_likeness(const WtRefusedRequest *r)
{
	return hash_bytes((const char *) r + LIKENESS, LIKENESS_SIZE, FNV_BASIS);
}

static bool
is_like(const WtRefusedRequest *a, const WtRefusedRequest *b)
{
	return memcmp((const char *) a + LIKENESS, (const char *) b + LIKENESS,
				  LIKENESS_SIZE) == 0;
}

/*
 * Writing
 */

/* The recent request with this hash, else the one that makes room for it. */
static Recent *
find_recent(WtRefused *refused, uint64_t hash)
{
	Recent *oldest = &refused->recent[0];

	for (int i = 0; i < MAX_RECENT; i++)
	{
		Recent *recent = &refused->recent[i];

		if (recent->used > 0 && recent->hash == hash)
			return recent;
		if (recent->used < oldest->used)
			oldest = recent;
	}
	return oldest;
}

/* Adds to a recent request of this process, if this one is like it; false: it is not. */
static bool
add_to_recent(Recent *recent, uint64_t hash, const WtRefusedRequest *r, int64_t time_us)
{
	WtRefusedRequest earlier;
	bool alike;

	if (recent->used == 0 || recent->hash != hash ||
		!begin_write(&recent->place->version, recent->version))
		return false;
	load_words(&earlier, &recent->place->request, sizeof(earlier));
	alike = is_like(&earlier, r);
	if (alike)
	{
		if (earlier.times < UINT32_MAX)
			earlier.times++;
		earlier.time_us = time_us;
		earlier.line = r->line;
		earlier.column = r->column;
		store_words(&recent->place->request, &earlier, sizeof(earlier));
	}
	end_write(&recent->place->version, recent->version);
	recent->version += 2;
	return alike;
}

static void
add_request(WtRefused *refused, WtRefusedRequest *r, int64_t time_us)
{
	uint64_t hash = hash_of_likeness(r);
	Recent *recent = find_recent(refused, hash);
	Place *place;
	uint64_t version;

	refused->n++;
	if (add_to_recent(recent, hash, r, time_us))
	{
		recent->used = refused->n;
		return;
	}
	r->serial = __atomic_fetch_add(&refused->record->next, 1, __ATOMIC_RELAXED);
	r->time_us = time_us;
	r->times = 1;
	place = &refused->record->places[r->serial % WT_REFUSED_REQUESTS];
	version = __atomic_load_n(&place->version, __ATOMIC_RELAXED);
	if (!begin_write(&place->version, version))
		return;
	store_words(&place->request, r, sizeof(*r));
	end_write(&place->version, version);
	recent->hash = hash;
	recent->place = place;
	recent->version = version + 2;
	recent->used = refused->n;
}

static void
add_client(WtRefusedRecord *record, const WtRefusedRequest *r, int64_t time_us)
{
	uint64_t hash =
		hash_bytes(&r->reason, 1, hash_bytes(&r->address, sizeof(r->address), FNV_BASIS));
	Set *set = &record->sets[(hash >> 32) % N_SETS];
	WtRefusedClient client;
	WtRefusedClient *place = NULL;
	uint64_t version = 0;
	int tries = 0;

	do
	{
		if (++tries > MAX_TRIES)
			return;
		version = __atomic_load_n(&set->version, __ATOMIC_RELAXED);
	} while (!begin_write(&set->version, version));

	for (int i = 0; i < SET_SIZE; i++)
	{
		WtRefusedClient *c = &set->clients[i];

		/* Nobody else writes it now, so it may be read as it is. */
		if (c->times > 0 && c->reason == r->reason &&
			memcmp(&c->address, &r->address, sizeof(c->address)) == 0)
		{
			place = c;
			break;
		}
		if (!place || c->last_us < place->last_us)
			place = c;
	}
	client = *place;
	if (client.times == 0 || client.reason != r->reason ||
		memcmp(&client.address, &r->address, sizeof(client.address)) != 0)
	{
		memset(&client, 0, sizeof(client));
		client.first_us = time_us;
		client.address = r->address;
		client.reason = r->reason;
	}
	client.times++;
	/* The clock may have been set back. */
	client.last_us = client.last_us > time_us ? client.last_us : time_us;
	store_words(place, &client, sizeof(client));
	end_write(&set->version, version);
}

void
wt_refused_add(WtRefused *refused, const WtRefusal *refusal)
{
	WtRefusedRequest r;

	if (!refused)
		return;
	r = make_request(refusal);
	add_client(refused->record, &r, refusal->time_us);
	add_request(refused, &r, refusal->time_us);
}

/*
 * Reading
 */

bool
wt_refused_request(WtRefusedRecord *record, unsigned i, WtRefusedRequest *request)
{
	const Place *place = &record->places[i];

	return read_stable(&place->version, request, &place->request, sizeof(*request)) &&
		   request->times > 0;
}

bool
wt_refused_client(WtRefusedRecord *record, unsigned i, WtRefusedClient *client)
{
	const Set *set = &record->sets[i / SET_SIZE];

	return read_stable(&set->version, client, &set->clients[i % SET_SIZE],
					   sizeof(*client)) &&
		   client->times > 0;
}
