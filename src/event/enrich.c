/*
 * enrich.c
 *		Event + request → data, the jsonb of a row.  No I/O.
 *
 * The row is what the design says: id, time, timezone, ip, source, host, method, path,
 * args, headers, json.  Empty members are left out: bytes are what ingest costs.
 */
#include "postgres.h"

#include "common/base64.h"
#include "pgtime.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "event/enrich.h"
#include "event/form.h"
#include "event/jsonb_writer.h"
#include "base/collector.h"
#include "base/settings.h"
#include "base/text.h"
#include "base/unix_time.h"
#include "base/url.h"
#include "base/uuid.h"

#define REDACTED "[redacted]"

/* Names of members, in jsonb's order: shorter first, then by bytes. */
#define ENVELOPE_MEMBERS 18

/* What is kept of an event in quarantine, bytes: jsonb holds strings of up to 256 MB. */
#define MAX_RAW (128 * 1024 * 1024)

/* Events are not older than 2000-01-01, µs since 1970. */
#define OLDEST_US INT64CONST(946684800000000)

struct WtEnvelope
{
	const WtRequest *request;
	TimestampTz received;
	const char *id; /* NULL: each event gets one */
	char time[64];
	const char *timezone;
	const char *host;
	const char *source;
	const char *path;
	StringInfoData args;	/* a container; empty: no query string */
	StringInfoData headers; /* likewise */
	StringInfoData context; /* what surrounds the last event; a container, or empty */
	StringInfoData hop; /* of rows of another collector: their way here; a container */
};

/* Where data are written, and how much of it is kept, bytes. */
#define KEPT_SCRATCH (1024 * 1024)
static StringInfoData scratch;

/* The parser's memory for query strings; the head of a request bounds it. */
static WtJson query_json;

/* The time of day is formatted once a second; between, only the microseconds change. */
static struct
{
	pg_time_t second;
	pg_tz *zone;
	char date[32];	 /* 2026-11-22T14:36:00 */
	char offset[16]; /* +01:00 */
} formatted;

/*
 * Bytes of a header or of a query string as text that can be stored: as they are where
 * they are UTF-8, else taken as Latin-1, which is what HTTP's headers once were.
 */
static const char *
stored_text(const char *bytes, uint32 length, uint32 *stored_length)
{
	char *text;
	char *out;

	if (wt_text_valid_prefix(bytes, length) == length)
	{
		*stored_length = length;
		return bytes;
	}
	text = out = palloc((Size) length * 3);
	for (uint32 i = 0; i < length; i++)
	{
		unsigned char c = (unsigned char) bytes[i];

		out += wt_utf8_encode(c == 0 ? 0xFFFD : c, out);
	}
	*stored_length = (uint32) (out - text);
	return text;
}

static const char *
stored_string(const char *bytes)
{
	uint32 length;
	const char *text = stored_text(bytes, (uint32) strlen(bytes), &length);

	return text == bytes ? bytes : pnstrdup(text, length);
}

static void
format_time(WtEnvelope *envelope, int64 received_us)
{
	pg_time_t second = received_us / USECS_PER_SEC;
	int fraction = (int) (received_us % USECS_PER_SEC);

	/* A clock can be wrong enough to show a time before 1970. */
	if (fraction < 0)
	{
		second--;
		fraction += USECS_PER_SEC;
	}
	if (second != formatted.second || session_timezone != formatted.zone)
	{
		struct pg_tm *tm = pg_localtime(&second, session_timezone);
		long minutes;

		if (!tm)
			ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
							errmsg("the clock is out of the range of time stamps")));
		minutes = labs(tm->tm_gmtoff) / 60;
		snprintf(formatted.date, sizeof(formatted.date), "%04d-%02d-%02dT%02d:%02d:%02d",
				 tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday, tm->tm_hour, tm->tm_min,
				 tm->tm_sec);
		snprintf(formatted.offset, sizeof(formatted.offset), "%c%02ld:%02ld",
				 tm->tm_gmtoff < 0 ? '-' : '+', minutes / 60, minutes % 60);
		formatted.second = second;
		formatted.zone = session_timezone;
	}
	snprintf(envelope->time, sizeof(envelope->time), "%s.%06d%s", formatted.date,
			 fraction, formatted.offset);
	envelope->timezone = pg_get_timezone_name(session_timezone);
}

static void
set_string(WtMember *m, const char *text, uint32 length)
{
	m->kind = WT_MEMBER_STRING;
	m->text = text;
	m->text_length = length;
}

/* The query string as an object; what it says of a token is not for storage. */
static void
write_args(WtEnvelope *envelope, const char *query)
{
	WtMember *members;
	uint32 next = 1;
	int n;

	if (!query || query[0] == '\0')
		return;
	if (wt_form_parse(&query_json, query, strlen(query)) != WT_JSON_OK)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));

	/* Any bytes can come out of percent signs. */
	for (uint32 i = 0; i < query_json.n_tokens; i++)
	{
		WtJsonToken *t = &query_json.tokens[i];

		if (t->type == WT_JSON_STRING)
			t->u.text = stored_text(t->u.text, t->length, &t->length);
	}
	n = (int) query_json.tokens[0].length;
	members = palloc(sizeof(WtMember) * (Size) Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		const WtJsonToken *name = &query_json.tokens[next];

		members[i].name = name->u.text;
		members[i].name_length = name->length;
		members[i].order = (uint32) i;
		members[i].kind = WT_MEMBER_TOKEN;
		members[i].token = next + 1;
		if (name->length == strlen("token") &&
			memcmp(name->u.text, "token", name->length) == 0)
			set_string(&members[i], REDACTED, strlen(REDACTED));
		next = wt_json_after(&query_json, next + 1);
	}
	n = wt_jsonb_sort_members(members, n);
	if (n > 0)
		wt_jsonb_write_object(&envelope->args, &query_json, members, n);
}

static int
compare_text(const WtMember *a, const WtMember *b)
{
	if (a->name_length != b->name_length)
		return 1;
	return memcmp(a->name, b->name, a->name_length);
}

/* Whether the request's protocol has its tokens there; name is in lower case. */
static bool
is_token_header(const WtRequest *request, const char *name)
{
	const WtEndpoint *endpoint = request->endpoint;

	return endpoint && endpoint->token_header &&
		   pg_strcasecmp(endpoint->token_header, name) == 0;
}

static void
write_headers(WtEnvelope *envelope, const WtRequest *request)
{
	WtMember *members = palloc(sizeof(WtMember) * (Size) Max(request->n_headers, 1));
	int n = 0;

	for (int i = 0; i < request->n_headers; i++)
	{
		const WtHeader *h = &request->headers[i];
		WtMember m;
		char *name;
		int same;

		name = palloc(h->name_length + 1);
		for (uint32 k = 0; k < h->name_length; k++)
			name[k] = (char) pg_ascii_tolower((unsigned char) h->name[k]);
		name[h->name_length] = '\0';
		if (!wt_header_is_stored(name))
			continue;
		m.name = name;
		m.name_length = h->name_length;
		m.order = (uint32) n;
		m.token = 0;
		if (wt_header_is_redacted(name) || is_token_header(request, name))
			set_string(&m, REDACTED, strlen(REDACTED));
		else
		{
			uint32 length;
			const char *text = stored_text(h->value, h->value_length, &length);

			set_string(&m, text, length);
		}

		/* A header that was sent twice is one list, RFC 9110 says. */
		for (same = 0; same < n; same++)
			if (compare_text(&members[same], &m) == 0)
				break;
		if (same < n && m.text != members[same].text)
			set_string(&members[same],
					   psprintf("%.*s, %.*s", (int) members[same].text_length,
								members[same].text, (int) m.text_length, m.text),
					   members[same].text_length + 2 + m.text_length);
		else if (same == n)
			members[n++] = m;
	}
	n = wt_jsonb_sort_members(members, n);
	if (n > 0)
		wt_jsonb_write_object(&envelope->headers, NULL, members, n);
}

static void
add_string(WtMember *members, int *n, const char *name, const char *text)
{
	if (!text || text[0] == '\0')
		return;
	members[*n].name = name;
	members[*n].name_length = (uint32) strlen(name);
	set_string(&members[*n], text, (uint32) strlen(text));
	(*n)++;
}

/* Whether rows go on to other collectors. */
static bool
goes_on(void)
{
	const WtTargets *targets = wt_forward_targets();

	for (int i = 0; i < targets->n; i++)
		if (wt_is_url(targets->names[i], strlen(targets->names[i])))
			return true;
	return false;
}

/*
 * From where, of whom, when and to whom rows of another collector have come.  Where they go on
 * that one may meet them again: so they say who it is, by more than a name.
 */
static void
write_hop(WtEnvelope *envelope)
{
	const WtRequest *request = envelope->request;
	const char *sender =
		wt_header_find(request->headers, request->n_headers, WT_COLLECTOR_HEADER);
	char id[WT_COLLECTOR_ID_SIZE];
	WtMember members[5];
	int n = 0;

	initStringInfo(&envelope->hop);
	add_string(members, &n, "ip", request->ip);
	if (sender)
		add_string(members, &n, "from", pnstrdup(sender, wt_collector_name_in(sender)));
	add_string(members, &n, "time", envelope->time);
	if (sender && goes_on())
	{
		wt_collector_id_of(sender, id);
		add_string(members, &n, "from_id", id);
	}
	add_string(members, &n, "collector", wt_collector.name);
	wt_jsonb_write_object(&envelope->hop, NULL, members, n);
}

WtEnvelope *
wt_enrich_request(const WtRequest *request)
{
	WtEnvelope *envelope = palloc0(sizeof(WtEnvelope));

	envelope->request = request;
	envelope->received = wt_timestamp_of_unix_us(request->received_us);
	format_time(envelope, request->received_us);
	envelope->host = request->host ? stored_string(request->host) : NULL;
	envelope->source = request->source ? stored_string(request->source) : NULL;
	envelope->path = stored_string(request->path);
	initStringInfo(&envelope->args);
	write_args(envelope, request->query);
	initStringInfo(&envelope->headers);
	write_headers(envelope, request);
	if (request->endpoint)
		initStringInfo(&envelope->context);
	if (request->endpoint && request->endpoint->takes_rows)
		write_hop(envelope);
	return envelope;
}

void
wt_enrich_set_id(WtEnvelope *envelope, const char *id)
{
	envelope->id = id;
}

TimestampTz
wt_enrich_time(const WtEnvelope *envelope, WtDecoded *decoded)
{
	int64 received_us = envelope->request->received_us;

	if (!decoded->has_time)
		return envelope->received;
	/* A row's time has been judged where it was received first. */
	if (decoded->is_row)
		return envelope->received + (decoded->time_us - received_us);
	if (decoded->time_us >= OLDEST_US &&
		decoded->time_us <= received_us + (int64) wt_max_clock_skew * USECS_PER_SEC)
		return envelope->received + (decoded->time_us - received_us);
	snprintf(decoded->note, sizeof(decoded->note),
			 "the event's own time, " INT64_FORMAT " s since 1970, %s",
			 decoded->time_us / USECS_PER_SEC,
			 decoded->time_us < OLDEST_US
				 ? "lies before the year 2000"
				 : "lies in the future by more than windtrap.max_clock_skew");
	return envelope->received;
}

void
wt_enrich_context(WtEnvelope *envelope, const WtJson *json, const WtDecoded *decoded)
{
	if (decoded->same_context)
		return;
	resetStringInfo(&envelope->context);
	if (decoded->has_context && json->tokens[decoded->context].length > 0)
		wt_jsonb_write_token(&envelope->context, json, decoded->context);
}

static void
add_container(WtMember *members, int *n, const char *name, const StringInfoData *part)
{
	if (part->len == 0)
		return;
	members[*n].name = name;
	members[*n].name_length = (uint32) strlen(name);
	members[*n].kind = WT_MEMBER_CONTAINER;
	members[*n].text = part->data;
	members[*n].text_length = (uint32) part->len;
	(*n)++;
}

/* Where data are written: there is room, since how long they become shows at the end. */
static StringInfo
begin_data(void)
{
	if (!scratch.data)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		initStringInfo(&scratch);
		MemoryContextSwitchTo(old);
	}
	resetStringInfo(&scratch);
	appendStringInfoSpaces(&scratch, VARHDRSZ);
	return &scratch;
}

/* A copy of what has been written there. */
static Jsonb *
end_data(void)
{
	Jsonb *data = palloc((Size) scratch.len);

	memcpy(data, scratch.data, (Size) scratch.len);
	SET_VARSIZE(data, scratch.len);
	if (scratch.maxlen > KEPT_SCRATCH)
	{
		pfree(scratch.data);
		scratch.data = NULL;
	}
	return data;
}

/*
 * The envelope with what is the event's own: `json`, or error and raw.  Members are in
 * jsonb's order, so that nothing has to be sorted but for what surrounds a protocol's event.
 */
static Jsonb *
write_data(const WtEnvelope *envelope, const WtJson *json, uint32 event,
		   const WtDecoded *decoded, const char *error, const char *raw,
		   uint32 raw_length, const char *encoding)
{
	const WtEndpoint *endpoint = envelope->request->endpoint;
	WtMember members[ENVELOPE_MEMBERS];
	int n = 0;
	char id[WT_UUID_TEXT_SIZE];

	if (!envelope->id)
		wt_uuid_v7(envelope->request->received_us, id);
	add_string(members, &n, "id", envelope->id ? envelope->id : id);
	add_string(members, &n, "ip", envelope->request->ip);
	if (raw)
	{
		members[n].name = "raw";
		members[n].name_length = 3;
		set_string(&members[n], raw, raw_length);
		n++;
	}
	add_container(members, &n, "args", &envelope->args);
	add_string(members, &n, "host", envelope->host);
	if (json)
	{
		members[n].name = "json";
		members[n].name_length = 4;
		members[n].kind = WT_MEMBER_TOKEN;
		members[n].token = event;
		n++;
	}
	if (decoded)
		add_string(members, &n, "note", decoded->note);
	add_string(members, &n, "path", envelope->path);
	add_string(members, &n, "time", envelope->time);
	add_string(members, &n, "error", error);
	add_string(members, &n, "method", envelope->request->method);
	add_string(members, &n, "source", envelope->source);
	add_container(members, &n, "headers", &envelope->headers);
	add_string(members, &n, "encoding", encoding);
	if (endpoint)
		add_string(members, &n, "protocol", endpoint->name);
	if (json && json->repaired)
	{
		members[n].name = "repaired";
		members[n].name_length = 8;
		members[n].kind = WT_MEMBER_TRUE;
		n++;
	}
	add_string(members, &n, "timezone", envelope->timezone);
	if (endpoint && envelope->context.len > 0)
	{
		int shorter = n;

		/* Short names come first: those before it stay where they are. */
		add_container(members, &n, endpoint->name, &envelope->context);
		while (shorter > 0 &&
			   members[shorter - 1].name_length >= members[n - 1].name_length)
			shorter--;
		n = shorter + wt_jsonb_sort_members(members + shorter, n - shorter);
	}
	Assert(n <= ENVELOPE_MEMBERS);

	wt_jsonb_write_object(begin_data(), json, members, n);
	return end_data();
}

/* The data of another collector's row, with the hop that it has made last. */
static Jsonb *
write_row(const WtEnvelope *envelope, const WtJson *json, uint32 row)
{
	WtMember member = {.name = "via", .name_length = 3, .kind = WT_MEMBER_CONTAINER};
	StringInfoData via;
	uint32 before = 0;
	bool has_come_far = wt_json_find(json, row, "via", &before);

	initStringInfo(&via);
	wt_jsonb_write_array_with(&via, has_come_far ? json : NULL, before, &envelope->hop);
	member.text = via.data;
	member.text_length = (uint32) via.len;
	wt_jsonb_write_token_with(begin_data(), json, row, &member);
	pfree(via.data);
	return end_data();
}

Jsonb *
wt_enrich_event(const WtEnvelope *envelope, const WtJson *json, const WtDecoded *decoded)
{
	if (decoded->is_row)
		return write_row(envelope, json, decoded->event);
	return write_data(envelope, json, decoded->event, decoded, NULL, NULL, 0, NULL);
}

/* Puts what surrounds the event of a row, as it was made by this, in the envelope's place. */
static StringInfoData
context_of(const WtEnvelope *envelope, const Jsonb *data)
{
	const char *name = envelope->request->endpoint->name;
	StringInfoData context = {0};
	JsonbValue value;

	if (getKeyJsonValueFromContainer((JsonbContainer *) &data->root, name,
									 (int) strlen(name), &value) &&
		value.type == jbvBinary)
	{
		context.data = (char *) value.val.binary.data;
		context.len = value.val.binary.len;
	}
	return context;
}

Jsonb *
wt_enrich_quarantined(const WtEnvelope *envelope, const Jsonb *data, const char *error,
					  const char *raw, size_t raw_length)
{
	WtEnvelope own = *envelope;
	char *encoded;
	int length;

	/* A row of another collector's is all in raw. */
	if (data && envelope->request->endpoint && !envelope->request->endpoint->takes_rows)
		own.context = context_of(envelope, data);
	if (raw_length > MAX_RAW)
		raw_length = MAX_RAW;
	if (wt_text_valid_prefix(raw, raw_length) == raw_length)
		return write_data(&own, NULL, 0, NULL, error, raw, (uint32) raw_length, NULL);

	length = pg_b64_enc_len((int) raw_length);
	encoded = palloc((Size) length);
	length = wt_b64_encode(raw, (int) raw_length, encoded, length);
	return write_data(&own, NULL, 0, NULL, error, encoded, (uint32) length, "base64");
}
