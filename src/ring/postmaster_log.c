/*
 * postmaster_log.c
 *		The postmaster's own messages, on their way to the ring: see postmaster_log.h.
 *
 * It tells what no other process can, as that one was terminated by a signal; and it must outlive
 * whatever others have done to shared memory.  So it takes no lock there, waits for nobody, signals
 * nobody, and writes nowhere but into the room of the ring, whatever head and tail say (see ring.c).
 *
 * And it tells it when the ring is about to go, with all that lies there: the last messages before a crash
 * are those that nobody reads any more.  So it keeps the latest ones in memory of its own, notes
 * before the ring goes which of them have been read, and writes the others into the next one.  In the
 * same way those get there that it writes before there is a ring.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"

#include "ring/postmaster_log.h"

/* Messages that are kept, and bytes of the texts of one. */
#define MAX_KEPT 32
#define MAX_BYTES 1024

typedef struct Kept
{
	bool used;
	bool written;
	uint64 position; /* in the ring, where it is written */
	WtRingHead head;
	bool has[WT_RING_TEXTS];
	size_t lengths[WT_RING_TEXTS];
	char bytes[MAX_BYTES];
} Kept;

static Kept kept[MAX_KEPT]; /* from `next` on, the oldest first */
static int next;
static int overwritten; /* that were never written */

static shmem_startup_hook_type previous_shmem_startup_hook;

bool
wt_is_postmaster(void)
{
	return IsPostmasterEnvironment && !IsUnderPostmaster;
}

static void
write_to_ring(Kept *k)
{
	const char *texts[WT_RING_TEXTS];
	const char *p = k->bytes;

	for (int i = 0; i < WT_RING_TEXTS; i++)
	{
		texts[i] = k->has[i] ? p : NULL;
		p += k->has[i] ? k->lengths[i] : 0;
	}
	/* What does not fit is counted there, and not tried again: it must not come behind later ones. */
	k->written = wt_ring_write(&k->head, texts, k->lengths, &k->position);
	k->used = k->written;
}

void
wt_postmaster_log_write(const WtRingHead *head, const char *const texts[WT_RING_TEXTS],
						const size_t lengths[WT_RING_TEXTS])
{
	Kept *k = &kept[next];
	size_t used = 0;

	next = (next + 1) % MAX_KEPT;
	overwritten += k->used && !k->written;
	*k = (Kept){.used = true, .head = *head};
	for (int i = 0; i < WT_RING_TEXTS; i++)
	{
		size_t length = texts[i] ? lengths[i] : 0;

		if (length == 0)
			continue;
		if (length > MAX_BYTES - used)
		{
			length = (size_t) pg_encoding_mbcliplen(
				head->encoding, texts[i], (int) length, (int) (MAX_BYTES - used));
			k->head.cut |= 1U << i;
		}
		memcpy(k->bytes + used, texts[i], length);
		k->has[i] = true;
		k->lengths[i] = length;
		used += length;
	}
	if (wt_ring_is_attached())
		write_to_ring(k);
}

/* The ring is about to go, and nobody reads it any more. */
static void
leave_ring(int code, Datum arg)
{
	for (int i = 0; i < MAX_KEPT; i++)
		if (kept[i].used && kept[i].written && wt_ring_is_behind(kept[i].position))
			kept[i].used = false;
		else
			kept[i].written = false;
	wt_ring_detach();
}

/* In the postmaster, when it starts, and after a crash: there is a new ring, and it is empty. */
static void
enter_ring(void)
{
	if (previous_shmem_startup_hook)
		previous_shmem_startup_hook();
	if (!wt_is_postmaster())
		return;
	on_shmem_exit(leave_ring, 0);
	for (int i = 0; i < MAX_KEPT; i++)
	{
		Kept *k = &kept[(next + i) % MAX_KEPT];

		if (k->used)
			write_to_ring(k);
	}
	for (; overwritten > 0; overwritten--)
		wt_ring_count_no_room(WT_RING_SERVER_LOG);
}

void
wt_postmaster_log_install(void)
{
	previous_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = enter_ring;
}
