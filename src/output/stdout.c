/*
 * stdout.c
 *		Committed rows → lines on the server's standard output, or in a fifo or file.
 *
 * It comes after the commit: a line is there for what is durable, and a target that is full,
 * broken or gone costs lines, never events.
 */
#include "postgres.h"

#include "postmaster/syslogger.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

#include "output/line.h"
#include "base/settings.h"
#include "base/shared.h"
#include "output/sink.h"
#include "output/stdout.h"

/* At the end, for what has not been read yet, ms. */
#define FINISH_TIMEOUT 500

/* What is kept of the memory for a line, bytes. */
#define KEPT_MEMORY (256 * 1024)

static WtSink *sink; /* NULL: windtrap.stdout is off */
static char reported[WT_ERROR_SIZE];
static uint64 dropped_before; /* the lines that are reported now */
static MemoryContext context; /* of the line; its child is that of garbage */
static MemoryContext garbage;

/* For messages. */
static const char *
target_name(void)
{
	const char *target = wt_stdout_target();

	return target && target[0] ? psprintf("\"%s\"", target) : "standard output";
}

static void
report(void)
{
	const char *error = sink ? wt_sink_error(sink) : NULL;
	uint64 dropped = wt_my_counters()->stdout_dropped;

	if (strcmp(error ? error : "", reported) == 0)
	{
		if (!error)
			dropped_before = dropped;
		return;
	}
	if (error)
		ereport(LOG,
				(errmsg("windtrap: dropping lines for %s: %s", target_name(), error)));
	else if (sink)
	{
		ereport(LOG, (errmsg("windtrap: writing lines to %s again; " UINT64_FORMAT
							 " were dropped",
							 target_name(), dropped - dropped_before)));
		dropped_before = dropped;
	}
	strlcpy(reported, error ? error : "", sizeof(reported));
	wt_status_set_stdout_error(error);
}

/* However the process ends, others must be able to write. */
static void
on_exit_destroy(int code, Datum arg)
{
	if (sink)
		wt_sink_destroy(sink);
	sink = NULL;
}

void
wt_stdout_configure(void)
{
	static bool registered;
	const char *target = wt_stdout_target();

	if (!target)
	{
		if (sink)
		{
			wt_sink_flush(sink);
			wt_sink_destroy(sink);
			sink = NULL;
			report();
		}
		return;
	}
	if (!registered)
		before_shmem_exit(on_exit_destroy, (Datum) 0);
	registered = true;
	if (!sink)
		sink = wt_sink_create(&wt_shared->sink, wt_my_counters());
	if (!sink)
	{
		ereport(LOG, (errcode(ERRCODE_OUT_OF_MEMORY),
					  errmsg("windtrap: out of memory for lines to %s", target_name())));
		return;
	}
	wt_sink_aim(sink, target[0] ? target : NULL, Logging_collector);
	report();
}

static bool
is_durable(const WtRow *row)
{
	return row->result == WT_STORE_COMMITTED || row->result == WT_STORE_QUARANTINED;
}

/* A line was dropped.  Where that was all that there is of the event, it is not accepted. */
static void
note_dropped(WtRow *row)
{
	if (!wt_only_stdout())
		return;
	row->result = WT_STORE_UNAVAILABLE;
	row->error = "the event could not be written to standard output";
}

/* Makes a line of each row, and hands it over.  *done: so many rows; may raise. */
static void
write_lines(WtRow *const *rows, int n_rows, volatile int *done)
{
	StringInfoData line;

	MemoryContextSwitchTo(context);
	initStringInfo(&line);
	MemoryContextSwitchTo(garbage);
	for (; *done < n_rows; (*done)++)
	{
		WtRow *row = rows[*done];

		if (!is_durable(row))
			continue;
		if (!wt_sink_is_open(sink))
		{
			wt_sink_drop(sink, 1);
			note_dropped(row);
			continue;
		}
		resetStringInfo(&line);
		wt_line_append(&line, row->data, row->status);
		if (!wt_sink_put(sink, line.data, (size_t) line.len))
			note_dropped(row);
		MemoryContextReset(garbage);
	}
}

void
wt_stdout_write(WtRow *const *rows, int n_rows)
{
	MemoryContext old = CurrentMemoryContext;
	volatile int done = 0;

	if (!sink)
	{
		for (int i = 0; i < n_rows; i++)
			if (is_durable(rows[i]))
				note_dropped(rows[i]);
		return;
	}
	/* The events are durable: whatever is raised here must not say that they are not. */
	PG_TRY();
	{
		if (!context)
		{
			MemoryContext made =
				AllocSetContextCreate(TopMemoryContext, "windtrap line", 0, KEPT_MEMORY,
									  ALLOCSET_DEFAULT_MAXSIZE);

			garbage = AllocSetContextCreate(made, "windtrap line garbage",
											ALLOCSET_DEFAULT_SIZES);
			context = made;
		}
		write_lines(rows, n_rows, &done);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		EmitErrorReport();
		FlushErrorState();
		for (; done < n_rows; done++)
		{
			if (!is_durable(rows[done]))
				continue;
			wt_sink_drop(sink, 1);
			note_dropped(rows[done]);
		}
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	if (context)
	{
		MemoryContextReset(garbage);
		MemoryContextResetOnly(context);
	}
	wt_sink_flush(sink);
}

void
wt_stdout_flush(void)
{
	if (sink)
		wt_sink_flush(sink);
}

void
wt_stdout_attend(void)
{
	if (!sink)
		return;
	wt_sink_flush(sink);
	report();
}

void
wt_stdout_finish(void)
{
	if (!sink)
		return;
	wt_sink_finish(sink, FINISH_TIMEOUT);
	report();
}

pgsocket
wt_stdout_descriptor(void)
{
	return sink ? wt_sink_descriptor(sink) : PGINVALID_SOCKET;
}

long
wt_stdout_timeout(void)
{
	return sink ? wt_sink_timeout(sink) : -1;
}
