/*
 * http_body.c
 *		Events as another WindTrap takes them: a line of JSON each, compressed by zstd.
 *
 * data is jsonb's own text, so that what is read from it there is what it was here.
 */
#include "postgres.h"

#include <zstd.h>

#include "lib/stringinfo.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "forward/http_body.h"

/* Of all the levels this costs least, and repetition is found by any. */
#define COMPRESSION_LEVEL 1

/* Lines are compressed when they are so many bytes. */
#define PIECE (64 * 1024)

static ZSTD_CCtx *compressor;

static void
raise_out_of_memory(void)
{
	ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

/* In UTC, as any reader of ISO 8601 takes it. */
static void
put_time(StringInfo line, TimestampTz time)
{
	struct pg_tm tm;
	fsec_t microseconds;

	if (TIMESTAMP_NOT_FINITE(time) ||
		timestamp2tm(time, NULL, &tm, &microseconds, NULL, NULL) != 0)
		appendStringInfoString(line, time < 0 ? "-infinity" : "infinity");
	else
		appendStringInfo(line, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year,
						 tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
						 (int) microseconds);
}

static void
put_event(StringInfo lines, const WtOutboxEvent *event)
{
	appendStringInfoString(lines, "{\"event_timestamp\":\"");
	put_time(lines, event->event_timestamp);
	appendStringInfo(lines, "\",\"status\":%d,\"data\":", event->status);
	(void) JsonbToCString(lines, &event->data->root, VARSIZE(event->data));
	appendStringInfoString(lines, "}\n");
}

/* Compresses lines, and empties them. */
static void
put_lines(WtHttpBody *body, size_t *size, StringInfo lines, ZSTD_EndDirective end)
{
	ZSTD_inBuffer in = {lines->data, (size_t) lines->len, 0};
	size_t left;

	do
	{
		ZSTD_outBuffer out = {.pos = body->length};

		if (*size - body->length < ZSTD_CStreamOutSize())
		{
			*size = *size * 2 + ZSTD_CStreamOutSize();
			body->bytes = body->bytes
							  ? repalloc_huge(body->bytes, *size)
							  : MemoryContextAllocHuge(CurrentMemoryContext, *size);
		}
		out.dst = body->bytes;
		out.size = *size;
		left = ZSTD_compressStream2(compressor, &out, &in, end);
		if (ZSTD_isError(left))
			raise_out_of_memory();
		body->length = out.pos;
	} while (in.pos < in.size || (end == ZSTD_e_end && left > 0));
	resetStringInfo(lines);
}

void
wt_http_body_make(WtHttpBody *body, const WtLoadEvent *events, int n)
{
	StringInfoData lines;
	size_t size = 0;

	if (!compressor)
		compressor = ZSTD_createCCtx();
	if (!compressor ||
		ZSTD_isError(ZSTD_CCtx_reset(compressor, ZSTD_reset_session_and_parameters)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel,
											COMPRESSION_LEVEL)))
		raise_out_of_memory();
	memset(body, 0, sizeof(*body));
	initStringInfo(&lines);
	for (int i = 0; i < n; i++)
	{
		put_event(&lines, &events[i].event);
		if (lines.len >= PIECE)
			put_lines(body, &size, &lines, ZSTD_e_continue);
	}
	put_lines(body, &size, &lines, ZSTD_e_end);
	pfree(lines.data);
}
