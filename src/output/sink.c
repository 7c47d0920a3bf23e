/*
 * sink.c
 *		Lines → a descriptor that others read, or do not read: never waits for them.
 *
 * Lines of several processes must not mix.  A write of up to PIPE_BUF bytes is taken by a pipe
 * whole or not at all, so whole lines are written in groups of up to that.  A longer line can be
 * torn; then its writer stays the holder until the rest is written, and the others keep theirs.
 */
#include "output/sink.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "output/target.h"

/* What is kept of lines that the target does not take, bytes; a single line may be longer. */
#define MAX_KEPT (8 * 1024 * 1024)

/* The buffer is given back when it is empty and larger than this, bytes. */
#define MAX_IDLE (256 * 1024)

/* While lines come in, they are written each so many bytes. */
#define FLUSH_EACH (64 * 1024)

/* A file is written in pieces of about this, bytes. */
#define FILE_PIECE (1024 * 1024)

/* Between two tries to open a target, or to write to a full disk, ms. */
#define RETRY_INTERVAL 1000

/* Until the next look whether another process has let go, ms. */
#define HOLDER_INTERVAL 5

/* Since when, and until when, there is an error. */
typedef enum SinkTrouble
{
	TROUBLE_NONE,
	TROUBLE_OPENING, /* until it is opened */
	TROUBLE_WRITING, /* until something is written, and nothing is left */
	TROUBLE_FULL	 /* until nothing is left */
} SinkTrouble;

struct WtSink
{
	WtSinkShared *shared;
	WtCounters *counters;
	uint32_t me;
	int epoll;
	bool aimed;
	bool collector;
	char *path; /* NULL: standard output */

	WtTarget target;
	bool watched; /* epoll looks for room */
	bool contended;
	int64_t retry_at; /* ms; 0: now */

	SinkTrouble trouble;
	char error[WT_TARGET_ERROR_SIZE];

	char *data;
	size_t size;
	size_t start; /* of what is left to be written */
	size_t end;
	size_t torn; /* bytes at start that are the rest of a torn line */
	size_t new;	 /* bytes since the last flush */
};

static void __attribute__((format(printf, 3, 4)))
set_trouble(WtSink *sink, SinkTrouble trouble, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(sink->error, sizeof(sink->error), format, args);
	va_end(args);
	sink->trouble = trouble;
}

/*
 * The buffer
 */

static size_t
left(const WtSink *sink)
{
	return sink->end - sink->start;
}

static uint64_t
count_lines(const char *p, size_t length)
{
	const char *end = p + length;
	uint64_t n = 0;

	while (p < end && (p = memchr(p, '\n', (size_t) (end - p))) != NULL)
	{
		n++;
		p++;
	}
	return n;
}

/* Drops what is left beyond the first `keep` bytes. */
static void
drop_left(WtSink *sink, size_t keep)
{
	sink->counters->stdout_dropped +=
		count_lines(sink->data + sink->start + keep, left(sink) - keep);
	sink->end = sink->start + keep;
	if (sink->torn > keep)
		sink->torn = keep;
}

/* Makes room for `length` bytes more; false: there is no memory. */
static bool
make_room(WtSink *sink, size_t length)
{
	size_t used = left(sink);
	size_t size = sink->size;
	char *data;

	if (sink->end + length <= sink->size)
		return true;
	if (sink->start > 0)
	{
		memmove(sink->data, sink->data + sink->start, used);
		sink->start = 0;
		sink->end = used;
	}
	if (used + length <= sink->size)
		return true;
	if (size == 0)
		size = FLUSH_EACH;
	while (size < used + length)
		size *= 2;
	data = realloc(sink->data, size);
	if (!data)
		return false;
	sink->data = data;
	sink->size = size;
	return true;
}

static void
shrink(WtSink *sink)
{
	sink->start = sink->end = 0;
	if (sink->size <= MAX_IDLE)
		return;
	free(sink->data);
	sink->data = NULL;
	sink->size = 0;
}

/*
 * Who writes
 */

static bool
hold(WtSink *sink)
{
	uint32_t nobody = 0;

	return __atomic_compare_exchange_n(&sink->shared->holder, &nobody, sink->me, false,
									   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED) ||
		   nobody == sink->me;
}

static void
let_go(WtSink *sink)
{
	if (__atomic_load_n(&sink->shared->holder, __ATOMIC_RELAXED) == sink->me)
		__atomic_store_n(&sink->shared->holder, 0, __ATOMIC_RELEASE);
}

/*
 * The target
 */

static void
watch(WtSink *sink, bool wanted)
{
	struct epoll_event event = {.events = EPOLLOUT};

	if (wanted == sink->watched || sink->target.kind == WT_TARGET_FILE ||
		sink->target.kind == WT_TARGET_NONE)
		return;
	if (epoll_ctl(sink->epoll, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, sink->target.fd,
				  &event) == 0)
		sink->watched = wanted;
}

static void
close_target(WtSink *sink)
{
	/* Before it is closed: a description that others share would stay in the set. */
	watch(sink, false);
	wt_target_close(&sink->target);
	sink->watched = false;
}

/*
 * Leaves a torn line as it is: whoever writes next begins a new one, so that no more than
 * this line is spoiled.
 */
static void
leave_torn_line(WtSink *sink)
{
	if (sink->torn > 0)
		__atomic_store_n(&sink->shared->torn, 1, __ATOMIC_RELAXED);
	sink->torn = 0;
	let_go(sink);
}

/* What is complete goes into the next target; the rest of a torn line would not be one. */
static void
drop_torn_line(WtSink *sink)
{
	if (sink->torn == 0)
		return;
	sink->counters->stdout_dropped++;
	sink->start += sink->torn;
	sink->torn = 0;
	let_go(sink);
}

static void
open_target(WtSink *sink)
{
	WtTarget target;

	if (!wt_target_open(&target, sink->path, sink->collector, sink->error))
	{
		sink->trouble = TROUBLE_OPENING;
		leave_torn_line(sink);
		drop_left(sink, 0);
		close_target(sink);
		sink->retry_at = wt_monotonic_ms() + RETRY_INTERVAL;
		return;
	}
	/* The same as before: a line that is torn in it can still be completed. */
	if (sink->target.kind != WT_TARGET_NONE && target.device == sink->target.device &&
		target.inode == sink->target.inode)
		wt_target_close(&target);
	else
	{
		drop_torn_line(sink);
		close_target(sink);
		sink->target = target;
	}
	sink->retry_at = 0;
	if (sink->trouble == TROUBLE_OPENING)
		sink->trouble = TROUBLE_NONE;
}

bool
wt_sink_is_open(WtSink *sink)
{
	if (sink->aimed && sink->target.kind == WT_TARGET_NONE &&
		wt_monotonic_ms() >= sink->retry_at)
		open_target(sink);
	return sink->target.kind != WT_TARGET_NONE;
}

/*
 * Writing
 */

/*
 * How much goes into one write: the rest of a torn line, as many whole lines as are not
 * torn, or a single one.
 */
static size_t
next_piece(const WtSink *sink)
{
	size_t limit = sink->target.kind == WT_TARGET_FILE ? FILE_PIECE : PIPE_BUF;
	const char *p = sink->data + sink->start;
	const char *last;

	if (sink->torn > 0)
		return sink->torn;
	if (left(sink) <= limit)
		return left(sink);
	last = memrchr(p, '\n', limit);
	if (!last)
		last = memchr(p, '\n', left(sink));
	return (size_t) (last - p) + 1;
}

static void
note_written(WtSink *sink, size_t n)
{
	const char *p = sink->data + sink->start;

	sink->counters->stdout_written += count_lines(p, n);
	sink->start += n;
	if (sink->torn > 0)
		sink->torn -= n;
	else if (p[n - 1] != '\n')
		sink->torn =
			(size_t) ((const char *) memchr(p + n, '\n', left(sink)) - (p + n)) + 1;
}

static void
fail_to_write(WtSink *sink)
{
	sink->retry_at = wt_monotonic_ms() + RETRY_INTERVAL;
	if (sink->target.kind == WT_TARGET_FILE)
	{
		/* The disk is full, most likely; what has been torn is completed when it is not. */
		set_trouble(sink, TROUBLE_WRITING, "could not write to it: %s", strerror(errno));
		drop_left(sink, sink->torn);
		return;
	}
	if (errno != EPIPE)
		set_trouble(sink, TROUBLE_WRITING, "could not write to it: %s", strerror(errno));
	else
		set_trouble(sink,
					sink->target.kind == WT_TARGET_SOCKET ? TROUBLE_WRITING
														  : TROUBLE_OPENING,
					"nobody reads it");
	leave_torn_line(sink);
	drop_left(sink, 0);
	close_target(sink);
}

/* Begins a new line where somebody has left the last one torn; false: not now. */
static bool
end_others_line(WtSink *sink)
{
	ssize_t n;

	if (sink->torn > 0 || __atomic_load_n(&sink->shared->torn, __ATOMIC_RELAXED) == 0)
		return true;
	n = wt_target_write(&sink->target, "\n", 1);
	if (n == 1)
		__atomic_store_n(&sink->shared->torn, 0, __ATOMIC_RELAXED);
	else if (n < 0 && errno != EAGAIN)
		fail_to_write(sink);
	return n == 1;
}

static void
write_left(WtSink *sink)
{
	bool full = !end_others_line(sink);

	while (left(sink) > 0 && !full)
	{
		ssize_t n =
			wt_target_write(&sink->target, sink->data + sink->start, next_piece(sink));

		if (n > 0)
			note_written(sink, (size_t) n);
		else if (n < 0 && errno != EAGAIN)
		{
			fail_to_write(sink);
			return;
		}
		else
			full = true;
	}
}

void
wt_sink_flush(WtSink *sink)
{
	sink->new = 0;
	sink->contended = false;
	if (!wt_sink_is_open(sink))
		return;
	if (left(sink) > 0 && (sink->retry_at == 0 || wt_monotonic_ms() >= sink->retry_at))
	{
		sink->contended = !hold(sink);
		if (!sink->contended)
		{
			sink->retry_at = 0;
			write_left(sink);
			if (sink->torn == 0)
				let_go(sink);
			if (left(sink) == 0 && sink->retry_at == 0)
				sink->trouble = TROUBLE_NONE;
		}
	}
	if (left(sink) == 0)
		shrink(sink);
	watch(sink, left(sink) > 0 && !sink->contended);
}

bool
wt_sink_put(WtSink *sink, const char *line, size_t length)
{
	if (!wt_sink_is_open(sink))
	{
		sink->counters->stdout_dropped++;
		return false;
	}
	if (sink->new >= FLUSH_EACH || (left(sink) > 0 && left(sink) + length > MAX_KEPT))
		wt_sink_flush(sink);
	/* A disk that was full a moment ago. */
	if (sink->target.kind == WT_TARGET_NONE ||
		(sink->retry_at != 0 && wt_monotonic_ms() < sink->retry_at))
	{
		sink->counters->stdout_dropped++;
		return false;
	}
	if (left(sink) > 0 && left(sink) + length > MAX_KEPT)
	{
		set_trouble(sink, TROUBLE_FULL, "it takes lines more slowly than events come");
		sink->counters->stdout_dropped++;
		return false;
	}
	if (!make_room(sink, length))
	{
		set_trouble(sink, TROUBLE_FULL, "out of memory");
		sink->counters->stdout_dropped++;
		return false;
	}
	memcpy(sink->data + sink->end, line, length);
	sink->end += length;
	sink->new += length;
	return true;
}

void
wt_sink_drop(WtSink *sink, size_t n_lines)
{
	sink->counters->stdout_dropped += n_lines;
}

void
wt_sink_finish(WtSink *sink, int timeout)
{
	int64_t until = wt_monotonic_ms() + timeout;

	for (;;)
	{
		struct pollfd poller = {.events = POLLOUT};
		int64_t rest;

		wt_sink_flush(sink);
		rest = until - wt_monotonic_ms();
		if (left(sink) == 0 || sink->retry_at != 0 || rest <= 0)
			return;
		poller.fd = sink->target.fd;
		if (sink->contended)
			(void) poll(NULL, 0, HOLDER_INTERVAL);
		else
			(void) poll(&poller, 1, (int) rest);
	}
}

/*
 * The sink
 */

WtSink *
wt_sink_create(WtSinkShared *shared, WtCounters *counters)
{
	WtSink *sink = calloc(1, sizeof(WtSink));

	if (!sink)
		return NULL;
	sink->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (sink->epoll < 0)
	{
		free(sink);
		return NULL;
	}
	sink->shared = shared;
	sink->counters = counters;
	sink->me = (uint32_t) getpid();
	return sink;
}

void
wt_sink_destroy(WtSink *sink)
{
	leave_torn_line(sink);
	drop_left(sink, 0);
	close_target(sink);
	close(sink->epoll);
	free(sink->data);
	free(sink->path);
	free(sink);
}

void
wt_sink_aim(WtSink *sink, const char *path, bool collector)
{
	bool same = sink->aimed &&
				(path && sink->path ? strcmp(path, sink->path) == 0 : path == sink->path);

	if (sink->aimed)
		wt_sink_flush(sink);
	sink->collector = collector;
	if (!same)
	{
		leave_torn_line(sink);
		drop_left(sink, 0);
		close_target(sink);
		/* What is torn there is no matter here. */
		__atomic_store_n(&sink->shared->torn, 0, __ATOMIC_RELAXED);
		free(sink->path);
		sink->path = path ? strdup(path) : NULL;
		sink->trouble = TROUBLE_NONE;
		sink->aimed = !path || sink->path;
	}
	else if (!path && sink->target.kind != WT_TARGET_NONE)
		return; /* it is what it was */
	if (sink->aimed)
		open_target(sink);
}

int
wt_sink_descriptor(const WtSink *sink)
{
	return sink->epoll;
}

int
wt_sink_timeout(const WtSink *sink)
{
	if (!sink->aimed)
		return -1;
	if (sink->contended)
		return HOLDER_INTERVAL;
	return sink->target.kind == WT_TARGET_NONE || (left(sink) > 0 && sink->retry_at != 0)
			   ? RETRY_INTERVAL
			   : -1;
}

const char *
wt_sink_error(const WtSink *sink)
{
	return sink->trouble == TROUBLE_NONE ? NULL : sink->error;
}
