/*
 * lossy_disk.c
 *		A disk that loses at a power cut what was not flushed: to be preloaded into a server.
 *
 * Beside the files of a directory (WT_DISK) there is an image of it (WT_DISK_IMAGE), which was its copy when
 * the server was started, and into which a file's pages come only when the file is flushed (fsync, fdatasync): those
 * that were written since, by any process.  Who kills the server and looks at the image sees what
 * such a disk would hold.
 *
 * Which pages have been written is kept in a map beside the image (WT_DISK_MAPS), a byte a page, shared by
 * all processes that have the file open.
 *
 * Not modelled: names.  Creating, renaming, linking and removing files, and their lengths, are durable at once, which is kinder
 * than some file systems are; nor are torn pages.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 8192
/* Of the largest files there are, segments of tables: 1 GB. */
#define MAX_PAGES (1024 * 1024 * 1024 / PAGE)
#define MAX_FD 4096

typedef struct File
{
	char *name; /* beneath the directory; NULL: not of it */
	volatile unsigned char *map;
} File;

static File files[MAX_FD];

#define REAL(function)                                                                   \
	static __typeof__(function) *real;                                                   \
	if (!real)                                                                           \
	*(void **) &real = dlsym(RTLD_NEXT, #function)

/* Copies: the server moves its environment, and writes over where it was. */
static char *disk, *disk_image, *disk_maps;

__attribute__((constructor)) static void
begin(void)
{
	if (!getenv("WT_DISK") || !getenv("WT_DISK_IMAGE") || !getenv("WT_DISK_MAPS"))
		return;
	disk_image = strdup(getenv("WT_DISK_IMAGE"));
	disk_maps = strdup(getenv("WT_DISK_MAPS"));
	disk = strdup(getenv("WT_DISK"));
}

/* A path beneath the directory, or NULL.  The server's working directory is this one. */
static const char *
inside(const char *path)
{
	size_t n;

	if (!disk || !path)
		return NULL;
	if (path[0] != '/')
		return strncmp(path, "./", 2) == 0 ? path + 2 : path;
	n = strlen(disk);
	return strncmp(path, disk, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

static const char *
image(const char *name, char *to)
{
	snprintf(to, PATH_MAX, "%s/%s", disk_image, name);
	return to;
}

static const char *
map_path(const char *name, char *to)
{
	int n = snprintf(to, PATH_MAX, "%s/", disk_maps);

	snprintf(to + n, PATH_MAX - n, "%s", name);
	for (char *p = to + n; *p; p++)
		if (*p == '/')
			*p = '%';
	return to;
}

/* The real ones, for what this does itself. */
static int
plain_open(const char *path, int flags, int mode)
{
	REAL(open);
	return real(path, flags, mode);
}

static int
plain_close(int fd)
{
	REAL(close);
	return real(fd);
}

static ssize_t
plain_pwrite(int fd, const void *bytes, size_t n, off_t at)
{
	REAL(pwrite);
	return real(fd, bytes, n, at);
}

static void
give_up(const char *what)
{
	fprintf(stderr, "PANIC: lossy disk: %s: %s\n", what, strerror(errno));
	abort();
}

static void
opened(int fd, const char *path, int flags)
{
	const char *name = inside(path);
	char other[PATH_MAX];
	struct stat st;
	int map;

	if (fd < 0 || fd >= MAX_FD || !name || (flags & O_DIRECTORY) || fstat(fd, &st) != 0 ||
		!S_ISREG(st.st_mode))
		return;
	if (flags & (O_CREAT | O_TRUNC))
	{
		int durable =
			plain_open(image(name, other), O_CREAT | O_WRONLY | (flags & O_TRUNC), 0600);

		if (durable >= 0)
			plain_close(durable);
	}
	map = plain_open(map_path(name, other), O_CREAT | O_RDWR, 0600);
	if (map < 0 || ftruncate(map, MAX_PAGES) != 0)
		give_up(other);
	files[fd].map = mmap(NULL, MAX_PAGES, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (files[fd].map == MAP_FAILED)
		give_up(other);
	plain_close(map);
	files[fd].name = strdup(name);
}

static void
closed(int fd)
{
	if (fd < 0 || fd >= MAX_FD || !files[fd].name)
		return;
	munmap((void *) files[fd].map, MAX_PAGES);
	free(files[fd].name);
	files[fd].name = NULL;
}

/* After it was written, so that a flush that comes before that leaves it to the next one. */
static void
written(int fd, off_t at, ssize_t n)
{
	int error = errno;

	if (n > 0 && fd >= 0 && fd < MAX_FD && files[fd].name)
		for (off_t page = at / PAGE; page <= (at + n - 1) / PAGE; page++)
			__atomic_store_n(&files[fd].map[page], 1, __ATOMIC_SEQ_CST);
	errno = error;
}

/* What was written becomes durable. */
static void
flushed(int fd)
{
	char page[PAGE], path[PATH_MAX], self[64], other[PATH_MAX];
	ssize_t length;
	struct stat st;
	int from, to;

	if (fd < 0 || fd >= MAX_FD || !files[fd].name || fstat(fd, &st) != 0)
		return;
	/* It may have been renamed since. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	length = readlink(self, path, sizeof(path) - 1);
	if (length <= 0)
		give_up(self);
	path[length] = '\0';
	if (!inside(path) || strstr(path, " (deleted)"))
		return;
	to = plain_open(image(inside(path), other), O_WRONLY | O_CREAT, 0600);
	/* The descriptor itself may not be for reading. */
	from = plain_open(self, O_RDONLY, 0);
	if (from < 0 || to < 0)
		give_up(path);
	for (off_t at = 0; at < st.st_size; at += PAGE)
		if (__atomic_exchange_n(&files[fd].map[at / PAGE], 0, __ATOMIC_SEQ_CST))
		{
			ssize_t n = pread(from, page, PAGE, at);

			if (n < 0 || plain_pwrite(to, page, n, at) != n)
				give_up(path);
		}
	plain_close(from);
	plain_close(to);
}

#define OPEN(function)                                                                   \
	int function(const char *path, int flags, ...)                                       \
	{                                                                                    \
		va_list args;                                                                    \
		int mode, fd;                                                                    \
		REAL(function);                                                                  \
		va_start(args, flags);                                                           \
		mode = va_arg(args, int);                                                        \
		va_end(args);                                                                    \
		fd = real(path, flags, mode);                                                    \
		opened(fd, path, flags);                                                         \
		return fd;                                                                       \
	}
OPEN(open)
OPEN(open64)

int
close(int fd)
{
	closed(fd);
	return plain_close(fd);
}

#define PWRITE(function)                                                                 \
	ssize_t function(int fd, const void *bytes, size_t n, off_t at)                      \
	{                                                                                    \
		ssize_t result;                                                                  \
		REAL(function);                                                                  \
		result = real(fd, bytes, n, at);                                                 \
		written(fd, at, result);                                                         \
		return result;                                                                   \
	}
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(function)                                                                \
	ssize_t function(int fd, const struct iovec *parts, int n, off_t at)                 \
	{                                                                                    \
		ssize_t result;                                                                  \
		REAL(function);                                                                  \
		result = real(fd, parts, n, at);                                                 \
		written(fd, at, result);                                                         \
		return result;                                                                   \
	}
PWRITEV(pwritev)
PWRITEV(pwritev64)

ssize_t
write(int fd, const void *bytes, size_t n)
{
	ssize_t result;

	REAL(write);
	result = real(fd, bytes, n);
	if (result > 0 && fd >= 0 && fd < MAX_FD && files[fd].name)
		written(fd, lseek(fd, 0, SEEK_CUR) - result, result);
	return result;
}

#define FLUSH(function)                                                                  \
	int function(int fd)                                                                 \
	{                                                                                    \
		int result;                                                                      \
		REAL(function);                                                                  \
		result = real(fd);                                                               \
		if (result == 0)                                                                 \
			flushed(fd);                                                                 \
		return result;                                                                   \
	}
FLUSH(fsync)
FLUSH(fdatasync)

#define TRUNCATE(function)                                                               \
	int function(int fd, off_t length)                                                   \
	{                                                                                    \
		int result;                                                                      \
		REAL(function);                                                                  \
		result = real(fd, length);                                                       \
		if (result == 0 && fd >= 0 && fd < MAX_FD && files[fd].name)                     \
		{                                                                                \
			char to[PATH_MAX];                                                           \
			if (truncate(image(files[fd].name, to), length) != 0 && errno != ENOENT)     \
				give_up(to);                                                             \
		}                                                                                \
		return result;                                                                   \
	}
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

/* Names, which are durable at once. */
#define TWO_NAMES(function)                                                              \
	int function(const char *from, const char *to)                                       \
	{                                                                                    \
		int result;                                                                      \
		REAL(function);                                                                  \
		result = real(from, to);                                                         \
		if (result == 0 && inside(from) && inside(to))                                   \
		{                                                                                \
			char a[PATH_MAX], b[PATH_MAX];                                               \
			real(image(inside(from), a), image(inside(to), b));                          \
			real(map_path(inside(from), a), map_path(inside(to), b));                    \
		}                                                                                \
		return result;                                                                   \
	}
TWO_NAMES(rename)
TWO_NAMES(link)

#define ONE_NAME(function)                                                               \
	int function(const char *path)                                                       \
	{                                                                                    \
		int result;                                                                      \
		REAL(function);                                                                  \
		result = real(path);                                                             \
		if (result == 0 && inside(path))                                                 \
		{                                                                                \
			char a[PATH_MAX];                                                            \
			real(image(inside(path), a));                                                \
			real(map_path(inside(path), a));                                             \
		}                                                                                \
		return result;                                                                   \
	}
ONE_NAME(unlink)
ONE_NAME(rmdir)

int
mkdir(const char *path, mode_t mode)
{
	int result;

	REAL(mkdir);
	result = real(path, mode);
	if (result == 0 && inside(path))
	{
		char a[PATH_MAX];

		real(image(inside(path), a), mode);
	}
	return result;
}
