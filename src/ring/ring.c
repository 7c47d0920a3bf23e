/*
 * ring.c
 *		Events of the server's own processes, on their way to the worker that stores them.
 *
 * Writers take their room by moving `head` on, and hand a record over by writing its first word,
 * which is 0 before: freed room is zeroed, since any word of it may be the first one of a record
 * to come.  Who reads moves `tail` on.  Both only grow; a position modulo the size is a place.
 *
 * No pointer lies in here but what PostgreSQL's condition variable has, so that the ring may lie in
 * another place in each process, as it does where it is a segment of its own.
 */
#include "postgres.h"

#include <signal.h>

#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/pg_shmem.h"
#include "storage/proc.h"
#include "storage/shmem.h"

#include "base/compat.h"
#include "base/settings.h"
#include "base/segment.h"
#include "base/shared.h"
#include "ring/ring.h"

typedef struct Ring
{
	uint64 size;			 /* bytes of room */
	uint32 n_waiters;		 /* places, of which each process that has a PGPROC has one */
	pg_atomic_uint32 reader; /* the index of its PGPROC, plus 1; 0: there is none */
	ConditionVariable has_room; /* for those who wait for some */
	pg_atomic_uint64 written[WT_RING_KINDS];
	pg_atomic_uint64 no_room[WT_RING_KINDS];
	pg_atomic_uint64 given_up[WT_RING_KINDS];
	pg_atomic_uint64 head pg_attribute_aligned(PG_CACHE_LINE_SIZE);
	pg_atomic_uint64 tail pg_attribute_aligned(PG_CACHE_LINE_SIZE);

	/*
	 * Of each place the position of the record that is waited for; its lowest bits, which are 0 in a
	 * position, become the WtRingResult.  So a result that comes late is none of another record's.
	 */
	pg_atomic_uint64 waiters[FLEXIBLE_ARRAY_MEMBER];
	/* The room follows. */
} Ring;

/* A record's first word: its length in bytes, a multiple of WORD, and these; 0: not handed over. */
#define WORD sizeof(uint64)
#define HANDED_OVER 1
#define DONE 2
#define FLAGS (HANDED_OVER | DONE)

/* The lowest bits of a waiter's word. */
#define RESULT (WORD - 1)

static Ring *ring; /* NULL: none that this process could write to */
static char *room;

/*
 * Its size once more, where nobody else can write: whatever happens to the ring, what is written to the
 * room stays in it.
 */
static uint64 size;

/* Tries to take room, of which each one that fails is one of another process's that succeeds. */
#define MAX_TRIES 10000

static shmem_request_hook_type previous_shmem_request_hook;
static shmem_startup_hook_type previous_shmem_startup_hook;

static uint64
room_size(void)
{
	return (uint64) wt_ring_size * 1024;
}

static Size
room_offset(uint32 n_waiters)
{
	return TYPEALIGN(PG_CACHE_LINE_SIZE, offsetof(Ring, waiters) +
											 sizeof(pg_atomic_uint64) * (Size) n_waiters);
}

static Size
ring_size(void)
{
	return room_offset((uint32) MaxBackends) + room_size();
}

static void
use(Ring *of)
{
	room = (char *) of + room_offset(of->n_waiters);
	size = of->size;
	ring = of;
}

/* Its room must be zeroed, which new shared memory is; what is not touched needs no page. */
static void
initialize(Ring *new)
{
	new->size = room_size();
	new->n_waiters = (uint32) MaxBackends;
	pg_atomic_init_u32(&new->reader, 0);
	ConditionVariableInit(&new->has_room);
	for (int i = 0; i < WT_RING_KINDS; i++)
	{
		pg_atomic_init_u64(&new->written[i], 0);
		pg_atomic_init_u64(&new->no_room[i], 0);
		pg_atomic_init_u64(&new->given_up[i], 0);
	}
	/* Not 0, which is no position. */
	pg_atomic_init_u64(&new->head, new->size);
	pg_atomic_init_u64(&new->tail, new->size);
	for (uint32 i = 0; i < new->n_waiters; i++)
		pg_atomic_init_u64(&new->waiters[i], 0);
}

/*
 * Where it lies
 */

static void
request_memory(void)
{
	if (previous_shmem_request_hook)
		previous_shmem_request_hook();
	RequestAddinShmemSpace(add_size(ring_size(), PG_CACHE_LINE_SIZE));
}

/* In the postmaster, and again after a crash; its children have the pointer from it. */
static void
make_in_startup(void)
{
	Ring *made;
	bool found;

	if (previous_shmem_startup_hook)
		previous_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	made = ShmemInitStruct("windtrap ring", ring_size(), &found);
	if (!found)
		initialize(made);
	LWLockRelease(AddinShmemInitLock);
	use(made);
}

void
wt_ring_request(void)
{
	previous_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
	previous_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = make_in_startup;
}

static void
initialize_segment(void *memory)
{
	/* What the server keeps for segments in its own memory may have been used before. */
	memset(memory, 0, ring_size());
	initialize(memory);
}

void
wt_ring_attach(void)
{
	Ring *made;

	if (ring)
		return;
	made = wt_segment_attach(&wt_shared->ring, ring_size(), initialize_segment);
	if (!made)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the memory for emitted events is gone")));
	use(made);
}

/* Some processes, as the one that writes the log, have let go of shared memory. */
bool
wt_ring_is_attached(void)
{
	return ring != NULL && IsPostmasterEnvironment && UsedShmemSegAddr != NULL;
}

void
wt_ring_detach(void)
{
	ring = NULL;
}

bool
wt_ring_is_behind(uint64 position)
{
	return position < pg_atomic_read_u64(&ring->tail);
}

size_t
wt_ring_max_text(void)
{
	return (size_t) size / 4;
}

/*
 * Bytes in the room
 */

static void
copy_in(uint64 position, const void *from, size_t length)
{
	size_t place = (size_t) (position % size);
	size_t first = Min(length, (size_t) size - place);

	memcpy(room + place, from, first);
	memcpy(room, (const char *) from + first, length - first);
}

static void
copy_out(uint64 position, void *to, size_t length)
{
	size_t place = (size_t) (position % size);
	size_t first = Min(length, (size_t) size - place);

	memcpy(to, room + place, first);
	memcpy((char *) to + first, room, length - first);
}

static void
zero(uint64 position, size_t length)
{
	size_t place = (size_t) (position % size);
	size_t first = Min(length, (size_t) size - place);

	memset(room + place, 0, first);
	memset(room, 0, length - first);
}

/* A record's first word, which is never cut by the end of the room. */
static volatile uint64 *
first_word(uint64 position)
{
	return (volatile uint64 *) (room + position % size);
}

/*
 * Writing
 */

/* Takes room for a record; false: there is none. */
static bool
take_room(uint64 length, uint64 limit, uint64 *position)
{
	uint64 head = pg_atomic_read_u64(&ring->head);
	int tries = 0;

	do
	{
		/* The tail may have passed what was read of the head: then this is tried again. */
		uint64 used = head - pg_atomic_read_u64(&ring->tail);

		if ((int64) used < 0)
			used = 0;
		/* With a head that is none a word would lie across the end of the room. */
		if (used > limit || used + length > limit || head % WORD != 0 ||
			tries++ == MAX_TRIES)
			return false;
	} while (!pg_atomic_compare_exchange_u64(&ring->head, &head, head + length));
	*position = head;
	return true;
}

/* A place that is somebody else's by now is woken in vain. */
static void
wake(int place)
{
	SetLatch(&ProcGlobal->allProcs[place].procLatch);
}

bool
wt_ring_write(WtRingHead *head, const char *const texts[WT_RING_TEXTS],
			  const size_t lengths[WT_RING_TEXTS], uint64 *position)
{
	bool of_log = head->kind == WT_RING_SERVER_LOG;
	uint64 length = WORD + sizeof(WtRingHead);
	uint64 limit = of_log ? size - size / 4 : size;
	sigset_t before;
	uint64 at;
	uint32 reader;

	for (int i = 0; i < WT_RING_TEXTS; i++)
	{
		head->lengths[i] = texts[i] ? (uint32) lengths[i] : 0;
		length += head->lengths[i];
	}
	length = TYPEALIGN(WORD, length);

	/*
	 * What ends this process between the next lines would leave a record that is never handed over.
	 * A handler of a signal may even write to the ring itself.
	 */
	sigprocmask(SIG_BLOCK, &BlockSig, &before);
	if (!take_room(length, limit, &at))
	{
		sigprocmask(SIG_SETMASK, &before, NULL);
		if (of_log)
			pg_atomic_fetch_add_u64(&ring->no_room[WT_RING_SERVER_LOG], 1);
		return false;
	}
	*position = at;
	if (head->waiter >= 0)
		pg_atomic_write_u64(&ring->waiters[head->waiter], at);
	copy_in(at + WORD, head, sizeof(*head));
	at += WORD + sizeof(*head);
	for (int i = 0; i < WT_RING_TEXTS; i++)
	{
		if (texts[i])
			copy_in(at, texts[i], head->lengths[i]);
		at += head->lengths[i];
	}
	pg_write_barrier();
	*first_word(*position) = length | HANDED_OVER;
	sigprocmask(SIG_SETMASK, &before, NULL);

	pg_atomic_fetch_add_u64(&ring->written[head->kind], 1);
	/* The postmaster has no business with others' latches; the reader looks by itself now and then. */
	if (!IsUnderPostmaster)
		return true;
	/* SetLatch begins with a barrier: who sleeps has seen the record, or is woken. */
	reader = pg_atomic_read_u32(&ring->reader);
	if (reader > 0)
		wake((int) reader - 1);
	return true;
}

void
wt_ring_count_no_room(WtRingKind kind)
{
	pg_atomic_fetch_add_u64(&ring->no_room[kind], 1);
}

int
wt_ring_waiter(void)
{
	return (int) (MyProc - ProcGlobal->allProcs);
}

WtRingResult
wt_ring_result(uint64 position)
{
	uint64 word = pg_atomic_read_u64(&ring->waiters[wt_ring_waiter()]);

	Assert((word & ~(uint64) RESULT) == position);
	return (WtRingResult) (word & RESULT);
}

void
wt_ring_sleep(long ms)
{
	(void) ConditionVariableTimedSleep(&ring->has_room, ms, PG_WAIT_EXTENSION);
}

void
wt_ring_stop_sleeping(void)
{
	ConditionVariableCancelSleep();
}

int
wt_ring_reader(void)
{
	return (int) pg_atomic_read_u32(&ring->reader) - 1;
}

/*
 * Reading
 */

static void
end_reading(int code, Datum arg)
{
	wt_ring_read_end();
}

void
wt_ring_read_begin(void)
{
	static bool registered = false;

	if (!registered)
		before_shmem_exit(end_reading, 0);
	registered = true;
	pg_atomic_write_u32(&ring->reader, (uint32) wt_ring_waiter() + 1);
	pg_memory_barrier();
}

void
wt_ring_read_end(void)
{
	uint32 own = (uint32) wt_ring_waiter() + 1;

	(void) pg_atomic_compare_exchange_u32(&ring->reader, &own, 0);
}

bool
wt_ring_has_records(void)
{
	return ring && *first_word(pg_atomic_read_u64(&ring->tail)) != 0;
}

WtRingRecord *
wt_ring_next(uint64 *cursor)
{
	uint64 head = pg_atomic_read_u64(&ring->head);
	WtRingRecord *record;
	uint64 word;
	uint64 at;
	char *text;

	if (*cursor == 0)
		*cursor = pg_atomic_read_u64(&ring->tail);
	for (;;)
	{
		/* At the head there may be the first record of the ring, which is full. */
		if (*cursor == head)
			return NULL;
		word = *first_word(*cursor);
		if (word == 0)
			return NULL;
		if (!(word & DONE))
			break;
		*cursor += word & ~(uint64) FLAGS;
	}
	pg_read_barrier();

	record = palloc(sizeof(WtRingRecord));
	record->position = *cursor;
	at = *cursor + WORD;
	copy_out(at, &record->head, sizeof(record->head));
	at += sizeof(record->head);
	text =
		palloc_extended((Size) (word & ~(uint64) FLAGS) + WT_RING_TEXTS, MCXT_ALLOC_HUGE);
	for (int i = 0; i < WT_RING_TEXTS; i++)
	{
		size_t length = record->head.lengths[i];

		copy_out(at, text, length);
		text[length] = '\0';
		record->texts[i] = text;
		text += length + 1;
		at += length;
	}
	*cursor += word & ~(uint64) FLAGS;
	return record;
}

void
wt_ring_done(const WtRingRecord *record, WtRingResult result)
{
	uint64 expected = record->position;
	int waiter = record->head.waiter;

	*first_word(record->position) |= DONE;
	if (result == WT_RING_REFUSED)
		pg_atomic_fetch_add_u64(&ring->given_up[record->head.kind], 1);
	if (waiter >= 0 && pg_atomic_compare_exchange_u64(&ring->waiters[waiter], &expected,
													  record->position | (uint64) result))
		wake(waiter);
}

void
wt_ring_release(void)
{
	uint64 tail = pg_atomic_read_u64(&ring->tail);
	uint64 begin = tail;
	uint64 head = pg_atomic_read_u64(&ring->head);

	while (tail != head)
	{
		uint64 word = *first_word(tail);

		if (!(word & DONE))
			break;
		tail += word & ~(uint64) FLAGS;
	}
	if (tail == begin)
		return;
	/* Whose room it is next must not see it before it is zeroed. */
	zero(begin, (size_t) (tail - begin));
	pg_memory_barrier();
	pg_atomic_write_u64(&ring->tail, tail);
	ConditionVariableBroadcast(&ring->has_room);
}

void
wt_ring_read_status(WtRingStatus *status)
{
	memset(status, 0, sizeof(*status));
	if (!ring && wt_segment_handle(&wt_shared->ring) != DSM_HANDLE_INVALID)
		wt_ring_attach();
	if (!ring)
		return;
	status->size = ring->size;
	status->used = pg_atomic_read_u64(&ring->head);
	status->used -= Min(status->used, pg_atomic_read_u64(&ring->tail));
	for (int i = 0; i < WT_RING_KINDS; i++)
	{
		status->written[i] = pg_atomic_read_u64(&ring->written[i]);
		status->no_room[i] = pg_atomic_read_u64(&ring->no_room[i]);
		status->given_up[i] = pg_atomic_read_u64(&ring->given_up[i]);
	}
}
