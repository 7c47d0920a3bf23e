/*
 * sink.c
 *		Lines → a descriptor that others read, or do not read: never waits for them.
 *
 * O_NONBLOCK belongs to the open file description, which all processes of the server share
 * for standard output, so it is not set there: a pipe or terminal is opened once more by its
 * name in /proc, which makes a description of our own.  A pipe that may not be opened (as in
 * a container whose pipes are root's) is filled by splice(2), a socket by send(2), which can
 * be told for one call not to wait.
 *
 * Lines of several processes must not mix.  A write of up to PIPE_BUF bytes is taken by a pipe
 * whole or not at all, so whole lines are written in groups of up to that.  A longer line can be
 * torn; then its writer stays the holder until the rest is written, and the others keep theirs.
 */
#include "output/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What is kept of lines that the target does not take, bytes; a single line may be longer. */
#define MAX_KEPT (8 * 1024 * 1024)

/* The buffer is given back when it is empty and larger than this, bytes. */
#define MAX_IDLE (256 * 1024)

/* While lines come in, they are written each so many bytes. */
#define FLUSH_EACH (64 * 1024)

/* A file is written in pieces of about this, bytes. */
#define FILE_PIECE (1024 * 1024)

/* What a pipe is asked to hold, bytes; the default is 64 kB. */
#define PIPE_SIZE (1024 * 1024)

/* Between two tries to open a target, or to write to a full disk, ms. */
#define RETRY_INTERVAL 1000

/* Until the next look whether another process has let go, ms. */
#define HOLDER_INTERVAL 5

typedef enum SinkKind
{
	SINK_NONE,	   /* it is not open */
	SINK_FILE,	   /* never makes wait; what is written is appended */
	SINK_OWN,	   /* a pipe or terminal, with a description of our own */
	SINK_BORROWED, /* a pipe whose description is shared */
	SINK_SOCKET	   /* likewise */
} SinkKind;

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

	SinkKind kind;
	int fd;
	dev_t device; /* of fd, to tell whether a path is still the same */
	ino_t inode;
	int pump[2];  /* SINK_BORROWED: a pipe of our own, empty but for a moment */
	bool watched; /* epoll looks for room */
	bool contended;
	int64_t retry_at; /* ms; 0: now */

	SinkTrouble trouble;
	char error[192];

	char *data;
	size_t size;
	size_t start; /* of what is left to be written */
	size_t end;
	size_t torn; /* bytes at start that are the rest of a torn line */
	size_t new;	 /* bytes since the last flush */
};

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

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

	if (wanted == sink->watched || sink->kind == SINK_FILE || sink->kind == SINK_NONE)
		return;
	if (epoll_ctl(sink->epoll, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, sink->fd,
				  &event) == 0)
		sink->watched = wanted;
}

static void
close_target(WtSink *sink)
{
	/* Before it is closed: a description that others share would stay in the set. */
	watch(sink, false);
	if (sink->kind != SINK_NONE)
		close(sink->fd);
	if (sink->kind == SINK_BORROWED)
	{
		close(sink->pump[0]);
		close(sink->pump[1]);
	}
	sink->kind = SINK_NONE;
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

static void
take_target(WtSink *sink, SinkKind kind, int fd, const struct stat *status)
{
	sink->kind = kind;
	sink->fd = fd;
	sink->device = status->st_dev;
	sink->inode = status->st_ino;
	if (S_ISFIFO(status->st_mode) && fcntl(fd, F_GETPIPE_SZ) < PIPE_SIZE)
		(void) fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
}

static bool
refuse(WtSink *sink, const char *why)
{
	set_trouble(sink, TROUBLE_OPENING, "%s", why);
	return false;
}

static bool
refuse_by_errno(WtSink *sink)
{
	if (errno == ENXIO)
		return refuse(sink, "nobody reads it");
	set_trouble(sink, TROUBLE_OPENING, "could not open it: %s", strerror(errno));
	return false;
}

/* A description of our own for what a descriptor of this process is; -1: errno. */
static int
open_again(int fd)
{
	char name[40];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return open(name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static bool
borrow(WtSink *sink, SinkKind kind, const struct stat *status)
{
	int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return refuse_by_errno(sink);
	if (kind == SINK_BORROWED)
	{
		struct pollfd poller = {.fd = fd, .events = POLLOUT};

		if (poll(&poller, 1, 0) > 0 && (poller.revents & POLLERR))
			errno = ENXIO;
		else if (pipe2(sink->pump, O_NONBLOCK | O_CLOEXEC) == 0)
		{
			take_target(sink, kind, fd, status);
			return true;
		}
		(void) refuse_by_errno(sink);
		close(fd);
		return false;
	}
	take_target(sink, kind, fd, status);
	return true;
}

/*
 * Whether descriptor 1 is what the server was started with.  Where that was closed, the
 * number has been given to whatever was opened first since, a table's file perhaps; or in
 * every process its own signalfd, which all have the same name.
 */
static bool
stdout_is_inherited(void)
{
	char name[40];
	char mine[PATH_MAX];
	char parents[PATH_MAX];
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int) getppid(), STDOUT_FILENO);
	n = readlink(name, parents, sizeof(parents));
	if (n <= 0 || (n > 11 && memcmp(parents, "anon_inode:", 11) == 0))
		return false;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", STDOUT_FILENO);
	return readlink(name, mine, sizeof(mine)) == n &&
		   memcmp(mine, parents, (size_t) n) == 0;
}

static bool
open_stdout(WtSink *sink)
{
	struct stat status;
	int flags = fcntl(STDOUT_FILENO, F_GETFL);
	int type = 0;
	int listens = 1;
	socklen_t length = sizeof(int);
	int fd;

	if (sink->collector)
		return refuse(sink, "standard output belongs to the logging collector: set "
							"windtrap.stdout to the absolute path of a fifo or file");
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || !stdout_is_inherited() ||
		fstat(STDOUT_FILENO, &status) != 0)
		return refuse(sink, "the server was started without a standard output: set "
							"windtrap.stdout to the absolute path of a fifo or file");
	switch (status.st_mode & S_IFMT)
	{
		case S_IFREG:
			/* Its position is shared with all who write to it without O_APPEND. */
			return borrow(sink, SINK_FILE, &status);
		case S_IFSOCK:
			if (getsockopt(STDOUT_FILENO, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
				type == SOCK_STREAM &&
				getsockopt(STDOUT_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) ==
					0 &&
				!listens)
				return borrow(sink, SINK_SOCKET, &status);
			return refuse(sink, "standard output is a socket that cannot be written to");
		case S_IFCHR:
			if (!isatty(STDOUT_FILENO))
				return refuse(sink,
							  "standard output is a device that nobody reads: set "
							  "windtrap.stdout to the absolute path of a fifo or file");
			break;
		case S_IFIFO:
			break;
		default:
			return refuse(sink,
						  "standard output is not a pipe, file, socket or terminal");
	}
	fd = open_again(STDOUT_FILENO);
	if (fd >= 0)
	{
		take_target(sink, SINK_OWN, fd, &status);
		return true;
	}
	if (S_ISFIFO(status.st_mode) && errno != ENXIO)
		return borrow(sink, SINK_BORROWED, &status);
	return refuse_by_errno(sink);
}

static bool
is_same(int fd, const struct stat *status)
{
	struct stat other;

	return fstat(fd, &other) == 0 && other.st_dev == status->st_dev &&
		   other.st_ino == status->st_ino;
}

static bool
open_path(WtSink *sink)
{
	const int flags = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct stat status;
	const char *error = NULL;
	SinkKind kind = SINK_OWN;
	int fd;

	/*
	 * Made only where there is nothing: Linux refuses O_CREAT on others' fifos and files in
	 * directories as /tmp.
	 */
	fd = open(sink->path, flags);
	if (fd < 0 && errno == ENOENT)
	{
		fd = open(sink->path, flags | O_CREAT | O_EXCL, 0600);
		/* Another worker was faster. */
		if (fd < 0 && errno == EEXIST)
			fd = open(sink->path, flags);
	}
	if (fd < 0 && errno == ENXIO && stat(sink->path, &status) == 0 &&
		!S_ISFIFO(status.st_mode))
		return refuse(sink, "it is not a fifo or a file");
	if (fd < 0)
		return refuse_by_errno(sink);
	if (fstat(fd, &status) != 0)
		error = strerror(errno);
	else if (S_ISREG(status.st_mode))
		kind = SINK_FILE;
	else if (!S_ISFIFO(status.st_mode) && !isatty(fd))
		error = "it is not a fifo or a file";
	else if (sink->collector &&
			 (is_same(STDOUT_FILENO, &status) || is_same(STDERR_FILENO, &status)))
		error = "it is the pipe of the logging collector";
	if (error)
	{
		close(fd);
		return refuse(sink, error);
	}
	/* The same as before: a line that is torn in it can still be completed. */
	if (sink->kind != SINK_NONE && status.st_dev == sink->device &&
		status.st_ino == sink->inode)
	{
		close(fd);
		return true;
	}
	/* What is complete goes into the new one. */
	if (sink->torn > 0)
	{
		sink->counters->stdout_dropped++;
		sink->start += sink->torn;
		sink->torn = 0;
		let_go(sink);
	}
	close_target(sink);
	take_target(sink, kind, fd, &status);
	return true;
}

static void
open_target(WtSink *sink)
{
	bool ok = sink->path ? open_path(sink) : open_stdout(sink);

	if (!ok)
	{
		leave_torn_line(sink);
		drop_left(sink, 0);
		close_target(sink);
		sink->retry_at = now_ms() + RETRY_INTERVAL;
		return;
	}
	sink->retry_at = 0;
	if (sink->trouble == TROUBLE_OPENING)
		sink->trouble = TROUBLE_NONE;
}

bool
wt_sink_is_open(WtSink *sink)
{
	if (sink->aimed && sink->kind == SINK_NONE && now_ms() >= sink->retry_at)
		open_target(sink);
	return sink->kind != SINK_NONE;
}

/*
 * Writing
 */

/*
 * By way of a pipe of our own, from which splice() moves pages without waiting.  Up to
 * PIPE_BUF bytes are one page, which it moves or does not.
 */
static ssize_t
write_spliced(WtSink *sink, const char *p, size_t length)
{
	char rest[PIPE_BUF];
	size_t n = length < PIPE_BUF ? length : PIPE_BUF;
	ssize_t moved;
	int saved;

	if (write(sink->pump[1], p, n) != (ssize_t) n)
	{
		errno = EAGAIN;
		return -1;
	}
	moved = splice(sink->pump[0], NULL, sink->fd, NULL, n, SPLICE_F_NONBLOCK);
	if (moved == (ssize_t) n)
		return moved;
	saved = errno;
	while (read(sink->pump[0], rest, sizeof(rest)) > 0)
		;
	errno = saved;
	return moved;
}

/* As write(2), which never waits and gives no signal. */
static ssize_t
write_some(WtSink *sink, const char *p, size_t length)
{
	ssize_t n;

	do
	{
		switch (sink->kind)
		{
			case SINK_SOCKET:
				n = send(sink->fd, p, length, MSG_DONTWAIT | MSG_NOSIGNAL);
				break;
			case SINK_BORROWED:
				n = write_spliced(sink, p, length);
				break;
			default:
				n = write(sink->fd, p, length);
				break;
		}
	} while (n < 0 && errno == EINTR);
	return n;
}

/*
 * How much goes into one write: the rest of a torn line, as many whole lines as are not
 * torn, or a single one.
 */
static size_t
next_piece(const WtSink *sink)
{
	size_t limit = sink->kind == SINK_FILE ? FILE_PIECE : PIPE_BUF;
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
	sink->retry_at = now_ms() + RETRY_INTERVAL;
	if (sink->kind == SINK_FILE)
	{
		/* The disk is full, most likely; what has been torn is completed when it is not. */
		set_trouble(sink, TROUBLE_WRITING, "could not write to it: %s", strerror(errno));
		drop_left(sink, sink->torn);
		return;
	}
	if (errno != EPIPE)
		set_trouble(sink, TROUBLE_WRITING, "could not write to it: %s", strerror(errno));
	else
		set_trouble(sink, sink->kind == SINK_SOCKET ? TROUBLE_WRITING : TROUBLE_OPENING,
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
	n = write_some(sink, "\n", 1);
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
		ssize_t n = write_some(sink, sink->data + sink->start, next_piece(sink));

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
	if (left(sink) > 0 && (sink->retry_at == 0 || now_ms() >= sink->retry_at))
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
	if (sink->kind == SINK_NONE || (sink->retry_at != 0 && now_ms() < sink->retry_at))
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
	int64_t until = now_ms() + timeout;

	for (;;)
	{
		struct pollfd poller = {.events = POLLOUT};
		int64_t rest;

		wt_sink_flush(sink);
		rest = until - now_ms();
		if (left(sink) == 0 || sink->retry_at != 0 || rest <= 0)
			return;
		poller.fd = sink->fd;
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
	else if (!path && sink->kind != SINK_NONE)
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
	return sink->kind == SINK_NONE || (left(sink) > 0 && sink->retry_at != 0)
			   ? RETRY_INTERVAL
			   : -1;
}

const char *
wt_sink_error(const WtSink *sink)
{
	return sink->trouble == TROUBLE_NONE ? NULL : sink->error;
}
