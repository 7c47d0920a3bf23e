/*
 * clock_shift.c
 *		Clocks that a test moves: preloaded into a server by LD_PRELOAD, it adds the seconds
 *		that stand in the file CLOCK_SHIFT_FILE to what the clocks show: 8 bytes for the wall
 *		clock, and, where the file has them, 8 for the steady ones, as if so long had passed.
 *		What sleeps is not woken by it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *shift;

__attribute__((constructor)) static void
map_file(void)
{
	const char *path = getenv("CLOCK_SHIFT_FILE");
	int fd = path ? open(path, O_RDONLY) : -1;
	void *map;

	if (fd < 0)
		return;
	/* Behind the end of a shorter file are zeros. */
	map = mmap(NULL, 2 * sizeof(*shift), PROT_READ, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		shift = map;
	close(fd);
}

int
clock_gettime(clockid_t clock, struct timespec *t)
{
	int rc = (int) syscall(SYS_clock_gettime, clock, t);

	if (rc == 0 && shift && clock == CLOCK_REALTIME)
		t->tv_sec += shift[0];
	else if (rc == 0 && shift &&
			 (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW ||
			  clock == CLOCK_BOOTTIME))
		t->tv_sec += shift[1];
	return rc;
}

int
gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	t->tv_sec = now.tv_sec;
	t->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *t)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (t)
		*t = now.tv_sec;
	return now.tv_sec;
}
