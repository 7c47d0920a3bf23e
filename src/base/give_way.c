/*
 * give_way.c
 *		How whatever else runs leaves the CPUs to those who store events.
 *
 * Words: the share is the part of the time in which this process may use a CPU.  It is all of it as
 * long as nobody sends events, or there are CPUs enough; it halves as often as a worker that could
 * run is seen to have waited for one, and grows slowly while none is.
 *
 * How long a process has waited, Linux tells in /proc/<pid>/schedstat.  Where it does not, events
 * that come are taken as a sign that others need the CPUs.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/process.h"
#include "base/shared.h"
#include "base/give_way.h"

#define NICE 10
#define NICE_TEXT "10"

/* Between two looks at the workers, µs. */
#define INTERVAL 50000

/* After so long without a look, µs, it begins anew. */
#define FORGOTTEN (5 * USECS_PER_SEC)

/* The part of the time that workers may wait for a CPU, all of them together. */
#define TOLERATED 0.01

/* The share: its least, and what it gains with a look at which nobody waits. */
#define LEAST_SHARE 0.04
#define GAIN 0.02

/* Less, µs, is rested for later; and more never. */
#define SHORTEST_REST 1000
#define LONGEST_REST (2 * USECS_PER_SEC)

/* In a step: between two looks, ms; and what is rested for at once, µs. */
#define BEAT 1
#define LONGEST_NAP 50000

#ifdef SYS_sched_setattr
/* As the kernel has it; the C library's headers have had it only since glibc 2.41. */
typedef struct SchedulingAttributes
{
	uint32 size;
	uint32 policy;
	uint64 flags;
	int32 nice;
	uint32 priority;
	uint64 runtime;
	uint64 deadline;
	uint64 period;
} SchedulingAttributes;

/* For so long, ns, what runs goes on where something else is to; Linux takes no less. */
#define TIME_SLICE 100000
#endif

static double share = 1;

/* When workers were looked at last, and what had been seen of them then. */
static TimestampTz looked;
static uint64 events_before;
static uint64 waited_before; /* ns */

/* CPU time of this process when it was looked at, and what is to be rested for, both in µs. */
static int64 used_before;
static double debt;

void
wt_give_way_begin(void)
{
	int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);

	(void) setpriority(PRIO_PROCESS, 0, NICE);
#ifdef SYS_sched_setattr
	{
		SchedulingAttributes attributes = {
			.size = sizeof(attributes), .nice = NICE, .runtime = TIME_SLICE};

		(void) syscall(SYS_sched_setattr, 0, &attributes, 0);
	}
#endif
	/*
	 * Where Linux shares the CPUs out between sessions first (autogroup), of which each process of
	 * PostgreSQL's is one, the process's own value says nothing.  It lets one in 100 ms set this, of
	 * all processes that there are.
	 */
	if (fd < 0)
		return;
	for (int i = 0; i < 20; i++)
		if (write(fd, NICE_TEXT, strlen(NICE_TEXT)) >= 0 || errno != EAGAIN ||
			!wt_process_nap(110))
			break;
	(void) close(fd);
}

/* How long a process has waited for a CPU since it began, ns; false: nobody tells. */
static bool
waited_for_cpu(int pid, uint64 *waited)
{
	char text[128] = "/proc/";
	char *end = text + strlen(text);
	int fd;
	ssize_t n;

	/* By hand: printf and scanf are not for signal handlers. */
	end += pg_ltoa(pid, end);
	strcpy(end, "/schedstat");
	fd = open(text, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	(void) close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* How long it has run, how long it has waited, how often it has run. */
	end = strchr(text, ' ');
	if (!end || end[1] < '0' || end[1] > '9')
		return false;
	*waited = 0;
	while (*++end >= '0' && *end <= '9')
		*waited = *waited * 10 + (uint64) (*end - '0');
	return true;
}

/* Looks at the workers, and changes the share. */
static void
look(TimestampTz now)
{
	uint64 events = 0;
	uint64 waited = 0;
	bool told = true;

	for (int i = 0; i < WT_MAX_WORKERS; i++)
	{
		/* Without the lock: a pid that is no longer one is none that waits. */
		int pid = wt_shared->workers[i].pid;
		uint64 its = 0;

		events += wt_shared->counters[i].events_accepted;
		if (pid == 0)
			continue;
		told = waited_for_cpu(pid, &its) && told;
		waited += its;
	}
	if (events == events_before)
		share = Min(share + 10 * GAIN, 1);
	else if (!told)
		share = LEAST_SHARE;
	else if (waited > waited_before &&
			 (waited - waited_before) / 1000.0 > TOLERATED * (now - looked))
		share = Max(share / 2, LEAST_SHARE);
	else
		share = Min(share + GAIN, 1);
	events_before = events;
	waited_before = waited;
	looked = now;
}

static int64
cpu_time(void)
{
	struct timespec used;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) < 0)
		return 0;
	return used.tv_sec * USECS_PER_SEC + used.tv_nsec / 1000;
}

/* What is to be rested for by now, µs. */
static double
account(TimestampTz now)
{
	int64 used = cpu_time();

	/* What was used since long ago is nobody's any more: nothing is being rested for. */
	if (now >= looked + FORGOTTEN || now < looked)
	{
		used_before = used;
		debt = 0;
		share = 1;
	}
	if (now >= looked + INTERVAL || now < looked)
		look(now);
	debt += (used - used_before) * (1 / share - 1);
	debt = Min(debt, LONGEST_REST);
	used_before = used;
	return debt;
}

/*
 * In a signal handler, so that a step of a tenth of a second is no tenth in which who stores events
 * has a CPU less.  What this process holds while it sleeps is what it would hold while it waited for
 * a CPU, but for no longer; and nobody waits for it where interrupts are not held off: then it has
 * no lightweight lock.
 */
static void
beat(void)
{
	int saved = errno;

	/* One is the handler's own. */
	if (InterruptHoldoffCount <= 1 && CritSectionCount == 0 &&
		account(GetCurrentTimestamp()) >= SHORTEST_REST)
	{
		double rest = Min(debt, LONGEST_NAP);
		struct timespec time = {.tv_nsec = (long) (rest * 1000)};

		debt -= rest;
		(void) nanosleep(&time, NULL);
	}
	errno = saved;
}

void
wt_give_way_in_step(bool begins)
{
	static TimeoutId id = MAX_TIMEOUTS;

	if (id == MAX_TIMEOUTS)
	{
		/* A session of somebody's does not know it yet. */
		wt_shared_attach();
		id = RegisterTimeout(USER_TIMEOUT, beat);
	}
	if (begins)
		enable_timeout_every(id, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), BEAT),
							 BEAT);
	else
		disable_timeout(id, false);
}

TimestampTz
wt_give_way(TimestampTz now)
{
	double rest = account(now);

	if (rest < SHORTEST_REST)
		return now;
	debt = 0;
	return now + (TimestampTz) rest;
}
