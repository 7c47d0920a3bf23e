/*
 * ring_event.c
 *		A record of the ring → an event as a row of the log table.
 *
 * A message of the server's log has the names that PostgreSQL's own jsonlog gives it.  What
 * windtrap.emit() was given stays as it is; who it is of surrounds it.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/elog.h"

#include "worker/ring_event.h"
#include "base/compat.h"
#include "base/severities.h"
#include "base/text.h"
#include "event/charset.h"
#include "event/json.h"
#include "event/json_build.h"

/* Of data->>'protocol', and of the member with what surrounds the event. */
static const WtEndpoint endpoints[WT_RING_KINDS] = {
	[WT_RING_EMIT] = {.name = "emit"},
	[WT_RING_SERVER_LOG] = {.name = "postgresql"},
};

/* As jsonlog has them; those that are empty here are handled one by one. */
static const char *const members[WT_RING_TEXTS] = {
	[WT_RING_MESSAGE] = "message",
	[WT_RING_DETAIL] = "detail",
	[WT_RING_HINT] = "hint",
	[WT_RING_CONTEXT] = "context",
	[WT_RING_STATEMENT] = "statement",
	[WT_RING_USER] = "user",
	[WT_RING_DATABASE] = "dbname",
	[WT_RING_APPLICATION] = "application_name",
	[WT_RING_REMOTE_HOST] = "remote_host",
	[WT_RING_BACKEND_TYPE] = "backend_type",
};

/* Makes a text of the record UTF-8, where it comes from a database that is not. */
static void
convert_text(WtRingRecord *record, WtRingText which)
{
	const char *charset = wt_encoding_charset(record->head.encoding);
	const char *text = record->texts[which];
	uint32 length = record->head.lengths[which];
	WtInflated converted = {0};
	char *copy = NULL;

	if (wt_text_valid_prefix(text, length) == length)
		return;
	if (record->head.encoding != PG_UTF8 && charset &&
		wt_charset_convert(psprintf("text/plain; charset=%s", charset), text, length,
						   (size_t) length * 4 + 4, &converted) == WT_CHARSET_OK)
	{
		text = converted.data;
		length = (uint32) converted.length;
	}
	copy = palloc_extended((Size) length * 3 + 1, MCXT_ALLOC_HUGE);
	length = (uint32) wt_text_repair(text, length, copy);
	copy[length] = '\0';
	wt_inflate_shrink(&converted, 0);
	record->texts[which] = copy;
	record->head.lengths[which] = length;
}

static void
add_text(WtBuild *build, const WtRingRecord *record, WtRingText which)
{
	if (record->head.lengths[which] == 0)
		return;
	wt_build_key(build, members[which]);
	wt_build_string(build, record->texts[which], record->head.lengths[which]);
}

static void
add_c_string(WtBuild *build, const char *name, const char *value)
{
	if (!value || value[0] == '\0')
		return;
	wt_build_key(build, name);
	wt_build_copy(build, value, strlen(value));
}

/* The event that a message of the server's log is. */
static void
build_message(WtJson *json, const WtRingRecord *record, WtDecoded *decoded)
{
	WtBuild build;

	wt_build_begin(&build, json, true);
	decoded->event = wt_build_next(&build);
	wt_build_open(&build, WT_JSON_OBJECT);
	add_c_string(&build, "error_severity", error_severity(record->head.level));
	if (record->head.sqlstate != 0)
		add_c_string(&build, "state_code", unpack_sql_state(record->head.sqlstate));
	for (int i = 0; i < WT_RING_TEXTS; i++)
		add_text(&build, record, (WtRingText) i);
	wt_build_key(&build, "pid");
	wt_build_int(&build, record->head.pid);
	/* Its number may be beyond what a double holds; jsonlog's is signed. */
	if (record->head.query_id != 0)
	{
		wt_build_key(&build, "query_id");
		wt_build_int(&build, (int64) record->head.query_id);
	}
	wt_build_close(&build);
	if (!wt_build_is_good(&build))
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));

	for (int i = 0; i < WT_RING_TEXTS; i++)
		if (record->head.cut & (1U << i))
			snprintf(decoded->note + strlen(decoded->note),
					 sizeof(decoded->note) - strlen(decoded->note), "%s%s",
					 decoded->note[0] ? ", " : "cut to 8 kB: ", members[i]);
}

/* Who has emitted an event: behind its tokens, or, with alone, instead of them. */
static void
build_context(WtJson *json, const WtRingRecord *record, bool alone, WtDecoded *decoded)
{
	WtBuild build;

	wt_build_begin(&build, json, alone);
	decoded->has_context = true;
	decoded->context = wt_build_next(&build);
	wt_build_open(&build, WT_JSON_OBJECT);
	add_c_string(&build, "severity", wt_severity_names[record->head.severity]);
	add_text(&build, record, WT_RING_USER);
	add_text(&build, record, WT_RING_APPLICATION);
	wt_build_key(&build, "pid");
	wt_build_int(&build, record->head.pid);
	if (record->head.transaction != 0)
	{
		wt_build_key(&build, "xid");
		wt_build_uint(&build, record->head.transaction);
	}
	wt_build_close(&build);
	if (!wt_build_is_good(&build))
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

static void
make_stand_in(WtRingEvent *event, const Jsonb *data, const char *error)
{
	const WtRingRecord *record = event->record;
	const char *raw = record->texts[WT_RING_MESSAGE];
	size_t length = record->head.lengths[WT_RING_MESSAGE];
	JsonbValue value;

	/* Of a message all that was made of it, so that it can be parsed again. */
	if (data && record->head.kind != WT_RING_EMIT &&
		getKeyJsonValueFromContainer((JsonbContainer *) &data->root, "json", 4, &value))
	{
		Jsonb *of_event = JsonbValueToJsonb(&value);

		raw = JsonbToCString(NULL, &of_event->root, (int) VARSIZE(of_event));
		length = strlen(raw);
	}
	event->row.data = wt_enrich_quarantined(event->envelope, data, error, raw, length);
	event->row.status = 422;
	event->quarantined = true;
}

bool
wt_ring_event_quarantine(WtRow *row)
{
	WtRingEvent *event = (WtRingEvent *) row;

	if (event->quarantined)
		return false;
	make_stand_in(event, row->data,
				  psprintf("the log table refuses this event: %s", row->error));
	return true;
}

WtRingEvent *
wt_ring_event(WtRingRecord *record, WtJson *json)
{
	WtRingEvent *event = palloc0(sizeof(WtRingEvent));
	bool emitted = record->head.kind == WT_RING_EMIT;
	WtDecoded decoded = {0};
	WtJsonError error;

	for (int i = 0; i < WT_RING_TEXTS; i++)
		if (!emitted || i != WT_RING_MESSAGE)
			convert_text(record, (WtRingText) i);
	event->record = record;
	event->request.endpoint = &endpoints[record->head.kind];
	event->request.method = event->request.path = "";
	event->request.source = emitted ? record->texts[WT_RING_USER] : "postgresql";
	event->request.received_us = record->head.time_us;
	event->envelope = wt_enrich_request(&event->request);
	if (emitted)
		wt_enrich_set_id(event->envelope, record->head.id);
	event->row.event_timestamp = wt_enrich_time(event->envelope, &decoded);
	event->row.group = event;

	json->repair = true;
	if (!emitted)
		build_message(json, record, &decoded);
	else
	{
		WtJsonResult result =
			wt_json_parse(json, record->texts[WT_RING_MESSAGE],
						  record->head.lengths[WT_RING_MESSAGE], &error);

		if (result == WT_JSON_OUT_OF_MEMORY)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		build_context(json, record, result != WT_JSON_OK, &decoded);
		wt_enrich_context(event->envelope, json, &decoded);
		if (result != WT_JSON_OK)
		{
			make_stand_in(event, NULL, error.reason);
			return event;
		}
	}
	event->row.data = wt_enrich_event(event->envelope, json, &decoded);
	return event;
}
