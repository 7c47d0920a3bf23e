/*
 * target.c
 *		Where lines go: standard output, or the path of a fifo or file; see target.h.
 *
 * O_NONBLOCK belongs to the open file description, which all processes of the server share
 * for standard output, so it is not set there: a pipe or terminal is opened once more by its
 * name in /proc, which makes a description of our own.  A pipe that may not be opened (as in
 * a container whose pipes are root's) is filled by splice(2), a socket by send(2), which can
 * be told for one call not to wait.
 */
#include "output/target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a pipe is asked to hold, bytes; the default is 64 kB. */
#define PIPE_SIZE (1024 * 1024)

static void
take(WtTarget *target, WtTargetKind kind, int fd, const struct stat *status)
{
	target->kind = kind;
	target->fd = fd;
	target->device = status->st_dev;
	target->inode = status->st_ino;
	if (S_ISFIFO(status->st_mode) && fcntl(fd, F_GETPIPE_SZ) < PIPE_SIZE)
		(void) fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
}

static bool
refuse(char *error, const char *why)
{
	snprintf(error, WT_TARGET_ERROR_SIZE, "%s", why);
	return false;
}

static bool
refuse_by_errno(char *error)
{
	if (errno == ENXIO)
		return refuse(error, "nobody reads it");
	snprintf(error, WT_TARGET_ERROR_SIZE, "could not open it: %s", strerror(errno));
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

/* Whether a pipe has lost its readers.  One without a name is opened all the same. */
static bool
nobody_reads(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLOUT};

	return poll(&poller, 1, 0) > 0 && (poller.revents & POLLERR);
}

static bool
borrow(WtTarget *target, WtTargetKind kind, const struct stat *status, char *error)
{
	int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return refuse_by_errno(error);
	if (kind == WT_TARGET_BORROWED)
	{
		if (nobody_reads(fd))
			errno = ENXIO;
		else if (pipe2(target->pump, O_NONBLOCK | O_CLOEXEC) == 0)
		{
			take(target, kind, fd, status);
			return true;
		}
		(void) refuse_by_errno(error);
		close(fd);
		return false;
	}
	take(target, kind, fd, status);
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
open_stdout(WtTarget *target, bool collector, char *error)
{
	struct stat status;
	int flags = fcntl(STDOUT_FILENO, F_GETFL);
	int type = 0;
	int listens = 1;
	socklen_t length = sizeof(int);
	int fd;

	if (collector)
		return refuse(error, "standard output belongs to the logging collector: set "
							 "windtrap.stdout to the absolute path of a fifo or file");
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || !stdout_is_inherited() ||
		fstat(STDOUT_FILENO, &status) != 0)
		return refuse(error, "the server was started without a standard output: set "
							 "windtrap.stdout to the absolute path of a fifo or file");
	switch (status.st_mode & S_IFMT)
	{
		case S_IFREG:
			/* Its position is shared with all who write to it without O_APPEND. */
			return borrow(target, WT_TARGET_FILE, &status, error);
		case S_IFSOCK:
			if (getsockopt(STDOUT_FILENO, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
				type == SOCK_STREAM &&
				getsockopt(STDOUT_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) ==
					0 &&
				!listens)
				return borrow(target, WT_TARGET_SOCKET, &status, error);
			return refuse(error, "standard output is a socket that cannot be written to");
		case S_IFCHR:
			if (!isatty(STDOUT_FILENO))
				return refuse(error,
							  "standard output is a device that nobody reads: set "
							  "windtrap.stdout to the absolute path of a fifo or file");
			break;
		case S_IFIFO:
			break;
		default:
			return refuse(error,
						  "standard output is not a pipe, file, socket or terminal");
	}
	fd = open_again(STDOUT_FILENO);
	if (fd >= 0 && S_ISFIFO(status.st_mode) && nobody_reads(fd))
	{
		close(fd);
		fd = -1;
		errno = ENXIO;
	}
	if (fd >= 0)
	{
		take(target, WT_TARGET_OWN, fd, &status);
		return true;
	}
	if (S_ISFIFO(status.st_mode) && errno != ENXIO)
		return borrow(target, WT_TARGET_BORROWED, &status, error);
	return refuse_by_errno(error);
}

static bool
is_same(int fd, const struct stat *status)
{
	struct stat other;

	return fstat(fd, &other) == 0 && other.st_dev == status->st_dev &&
		   other.st_ino == status->st_ino;
}

static bool
open_path(WtTarget *target, const char *path, bool collector, char *error)
{
	const int flags = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct stat status;
	const char *why = NULL;
	WtTargetKind kind = WT_TARGET_OWN;
	int fd;

	/*
	 * Made only where there is nothing: Linux refuses O_CREAT on others' fifos and files in
	 * directories as /tmp.
	 */
	fd = open(path, flags);
	if (fd < 0 && errno == ENOENT)
	{
		fd = open(path, flags | O_CREAT | O_EXCL, 0600);
		/* Another worker was faster. */
		if (fd < 0 && errno == EEXIST)
			fd = open(path, flags);
	}
	if (fd < 0 && errno == ENXIO && stat(path, &status) == 0 && !S_ISFIFO(status.st_mode))
		return refuse(error, "it is not a fifo or a file");
	if (fd < 0)
		return refuse_by_errno(error);
	if (fstat(fd, &status) != 0)
		why = strerror(errno);
	else if (S_ISREG(status.st_mode))
		kind = WT_TARGET_FILE;
	else if (!S_ISFIFO(status.st_mode) && !isatty(fd))
		why = "it is not a fifo or a file";
	else if (collector &&
			 (is_same(STDOUT_FILENO, &status) || is_same(STDERR_FILENO, &status)))
		why = "it is the pipe of the logging collector";
	if (why)
	{
		close(fd);
		return refuse(error, why);
	}
	take(target, kind, fd, &status);
	return true;
}

bool
wt_target_open(WtTarget *target, const char *path, bool collector,
			   char error[WT_TARGET_ERROR_SIZE])
{
	return path ? open_path(target, path, collector, error)
				: open_stdout(target, collector, error);
}

void
wt_target_close(WtTarget *target)
{
	if (target->kind != WT_TARGET_NONE)
		close(target->fd);
	if (target->kind == WT_TARGET_BORROWED)
	{
		close(target->pump[0]);
		close(target->pump[1]);
	}
	target->kind = WT_TARGET_NONE;
}

/*
 * By way of a pipe of our own, from which splice() moves pages without waiting.  Up to
 * PIPE_BUF bytes are one page, which it moves or does not.
 */
static ssize_t
write_spliced(const WtTarget *target, const char *p, size_t length)
{
	char rest[PIPE_BUF];
	size_t n = length < PIPE_BUF ? length : PIPE_BUF;
	ssize_t moved;
	int saved;

	if (write(target->pump[1], p, n) != (ssize_t) n)
	{
		errno = EAGAIN;
		return -1;
	}
	moved = splice(target->pump[0], NULL, target->fd, NULL, n, SPLICE_F_NONBLOCK);
	if (moved == (ssize_t) n)
		return moved;
	saved = errno;
	while (read(target->pump[0], rest, sizeof(rest)) > 0)
		;
	errno = saved;
	return moved;
}

ssize_t
wt_target_write(const WtTarget *target, const char *p, size_t length)
{
	ssize_t n;

	do
	{
		switch (target->kind)
		{
			case WT_TARGET_SOCKET:
				n = send(target->fd, p, length, MSG_DONTWAIT | MSG_NOSIGNAL);
				break;
			case WT_TARGET_BORROWED:
				n = write_spliced(target, p, length);
				break;
			default:
				n = write(target->fd, p, length);
				break;
		}
	} while (n < 0 && errno == EINTR);
	return n;
}
