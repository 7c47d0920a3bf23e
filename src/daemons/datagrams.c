/*
 * datagrams.c
 *		Datagrams → messages: syslog's, a message each, and GELF's, compressed and in chunks.
 *
 * As many are read as there is room for.  The others wait in the kernel's buffer, which drops
 * what it cannot hold, and counts that.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* recvmmsg */
#endif

#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemons/daemons_state.h"

/* Datagrams that one call brings, calls of one run, and the largest one, bytes. */
#define SLOTS 16
#define READS 64
#define LARGEST ((size_t) 65535)

/* Of the memory of messages, what waiting datagrams may take: one part of so many. */
#define SHARE 2

typedef struct Slots
{
	struct mmsghdr headers[SLOTS]; /* must be first */
	struct iovec vectors[SLOTS];
	struct sockaddr_storage from[SLOTS];
	char bytes[SLOTS][LARGEST];
} Slots;

bool
wt_datagrams_prepare(WtDaemons *daemons)
{
	if (!daemons->slots)
		daemons->slots = calloc(1, sizeof(Slots));
	if (!daemons->chunks)
		daemons->chunks = wt_chunks_create();
	return daemons->slots && daemons->chunks;
}

void
wt_datagrams_end(WtDaemons *daemons)
{
	if (daemons->chunks)
	{
		count_dropped(daemons, WT_INTAKE_GELF_UDP, WT_REASON_UNAVAILABLE,
					  (uint64_t) wt_chunks_end(daemons->chunks));
		wt_chunks_destroy(daemons->chunks);
	}
	wt_inflate_shrink(&daemons->inflated, 0);
	free(daemons->slots);
}

bool
wt_datagrams_have_room(const WtDaemons *daemons)
{
	return daemons->datagram_bytes < daemons->settings.max_bytes / SHARE;
}

void
wt_datagrams_count_drops(WtDaemons *daemons, Place *place)
{
	for (int i = 0; i < place->sockets.n; i++)
	{
		uint32_t info[SK_MEMINFO_VARS] = {0};
		socklen_t length = sizeof(info);

		if (getsockopt(place->sockets.sockets[i].fd, SOL_SOCKET, SO_MEMINFO, info,
					   &length) != 0 ||
			length <= SK_MEMINFO_DROPS * sizeof(info[0]))
			continue;
		count_dropped(daemons, place->public.where.intake, WT_REASON_OVERLOAD,
					  info[SK_MEMINFO_DROPS] - place->drops[i]);
		place->drops[i] = info[SK_MEMINFO_DROPS];
	}
}

static unsigned int
slot_of(const WtAddress *from)
{
	unsigned int hash = 0;

	for (size_t i = 0; i < sizeof(from->bytes); i++)
		hash = hash * 31 + from->bytes[i];
	return hash % N_OPEN;
}

static void
add(WtDaemons *daemons, WtIntake intake, const WtAddress *from, const char *text,
	size_t length)
{
	Batch **open = &daemons->open[slot_of(from)];
	Batch *batch = *open;

	if (batch &&
		(batch->intake != intake || memcmp(&batch->from, from, sizeof(*from)) != 0 ||
		 !wt_batch_has_room(daemons, batch, length)))
		batch = NULL;
	if (!batch && (batch = wt_batch_new(daemons, intake, from, NULL)))
	{
		wt_batch_queue(daemons, batch);
		*open = batch;
	}
	if (!batch || !wt_batch_add(daemons, batch, text, length, false, 0))
		count_dropped(daemons, intake, WT_REASON_MEMORY, 1);
}

/* A message of GELF, perhaps compressed. */
static void
add_gelf(WtDaemons *daemons, const WtAddress *from, const char *text, size_t length)
{
	WtReason reason = WT_REASON_MEMORY;

	switch (wt_inflate(NULL, text, length, daemons->settings.max_message_size,
					   &daemons->inflated))
	{
		case WT_INFLATE_PLAIN:
			add(daemons, WT_INTAKE_GELF_UDP, from, text, length);
			return;
		case WT_INFLATE_OK:
			add(daemons, WT_INTAKE_GELF_UDP, from, daemons->inflated.data,
				daemons->inflated.length);
			wt_inflate_shrink(&daemons->inflated, LARGEST);
			return;
		case WT_INFLATE_UNSUPPORTED:
		case WT_INFLATE_CORRUPT:
			reason = WT_REASON_CORRUPT;
			break;
		case WT_INFLATE_TOO_LARGE:
			reason = WT_REASON_BODY_TOO_LARGE;
			break;
		case WT_INFLATE_OUT_OF_MEMORY:
			break;
	}
	count_dropped(daemons, WT_INTAKE_GELF_UDP, reason, 1);
}

static void
take_gelf(WtDaemons *daemons, const WtAddress *from, const char *bytes, size_t length)
{
	int given_up;

	switch (wt_chunks_add(daemons->chunks, from, bytes, length,
						  daemons->settings.max_message_size, daemons->now, &bytes,
						  &length, &given_up))
	{
		case WT_CHUNK_NONE:
		case WT_CHUNK_COMPLETE:
			add_gelf(daemons, from, bytes, length);
			break;
		case WT_CHUNK_KEPT:
			break;
		case WT_CHUNK_MALFORMED:
			count_dropped(daemons, WT_INTAKE_GELF_UDP, WT_REASON_MALFORMED, 1);
			break;
		case WT_CHUNK_TOO_LARGE:
			count_dropped(daemons, WT_INTAKE_GELF_UDP, WT_REASON_EVENT_TOO_LARGE, 1);
			break;
		case WT_CHUNK_NO_MEMORY:
			count_dropped(daemons, WT_INTAKE_GELF_UDP, WT_REASON_MEMORY, 1);
			break;
	}
	count_dropped(daemons, WT_INTAKE_GELF_UDP, WT_REASON_OVERLOAD, (uint64_t) given_up);
}

static void
take(WtDaemons *daemons, WtIntake intake, const struct sockaddr_storage *address,
	 const char *bytes, size_t length)
{
	WtAddress from;

	if (!wt_address_of_socket((const struct sockaddr *) address, &from) ||
		!wt_cidr_list_has(&daemons->allowed, &from))
	{
		count_dropped(daemons, intake, WT_REASON_ADDRESS, 1);
		return;
	}
	/* Some end a message as if it were a line. */
	while (intake == WT_INTAKE_SYSLOG_UDP && length > 0 &&
		   (bytes[length - 1] == '\n' || bytes[length - 1] == '\0' ||
			bytes[length - 1] == '\r'))
		length--;
	if (length == 0)
		count_dropped(daemons, intake, WT_REASON_EMPTY, 1);
	else if (intake == WT_INTAKE_GELF_UDP)
		take_gelf(daemons, &from, bytes, length);
	else
		add(daemons, intake, &from, bytes, length);
}

void
wt_datagrams_read(WtDaemons *daemons, Place *place)
{
	Slots *slots = (Slots *) daemons->slots;

	for (int i = 0; i < place->sockets.n; i++)
	{
		int n = SLOTS;

		for (int reads = 0;
			 n == SLOTS && reads < READS && wt_datagrams_have_room(daemons); reads++)
		{
			for (int k = 0; k < SLOTS; k++)
			{
				slots->vectors[k] = (struct iovec){slots->bytes[k], LARGEST};
				slots->headers[k].msg_hdr =
					(struct msghdr){.msg_name = &slots->from[k],
									.msg_namelen = sizeof(slots->from[k]),
									.msg_iov = &slots->vectors[k],
									.msg_iovlen = 1};
			}
			n = recvmmsg(place->sockets.sockets[i].fd, slots->headers, SLOTS,
						 MSG_DONTWAIT, NULL);
			for (int k = 0; k < n; k++)
				take(daemons, place->public.where.intake, &slots->from[k],
					 slots->bytes[k], slots->headers[k].msg_len);
		}
	}
	wt_datagrams_count_drops(daemons, place);
}
