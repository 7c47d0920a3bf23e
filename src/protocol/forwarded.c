/*
 * forwarded.c
 *		What another WindTrap forwards: POST /log with a type of its own, lines of whole rows.
 *
 *	{"event_timestamp":"2026-11-27T05:12:40.123456Z","status":0,"data":{…}}
 *
 * A row is stored as it was there, its envelope, time and status too, and says in "via" which
 * way it has come.  So who may send it may say of an event whatever he likes: it takes a token
 * of scope forward.
 *
 * What counts is that no row vanishes, and none is doubled: its id is its key, whatever
 * becomes of it, and what is no row goes into quarantine, once, by the line itself.
 */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/collector.h"
#include "event/json_walk.h"
#include "event/when.h"
#include "protocol/protocols.h"

/* An event may have WT_JSON_MAX_DEPTH levels, and its row has it in an object. */
#define MAX_ROW_DEPTH (WT_JSON_MAX_DEPTH + WT_JSON_ENVELOPE_DEPTH)

/* A row's members, by their places in what was found. */
enum
{
	MEMBER_TIME,
	MEMBER_STATUS,
	MEMBER_DATA,
	N_MEMBERS
};

static const char *const member_names[N_MEMBERS] = {"event_timestamp", "status", "data"};

static bool
find(const WtRequest *request, WtMatch *match)
{
	static const char type[] = "application/vnd.windtrap.rows+ndjson";
	const char *declared = request->content_type;
	const size_t n = sizeof(type) - 1;

	if (!declared || strncasecmp(declared, type, n) != 0 ||
		(declared[n] != '\0' && !strchr("; \t", declared[n])) ||
		strcmp(request->method, "POST") != 0 ||
		(!wt_path_is(request->path, "/log") && strcmp(request->path, "/") != 0))
		return false;
	wt_match_events(request, match);
	return true;
}

static const char *
objection(const WtRequest *request, int *status)
{
	const char *sender =
		wt_header_find(request->headers, request->n_headers, WT_COLLECTOR_HEADER);

	if (!sender || !wt_collector_is_own(sender))
		return NULL;
	*status = 508;
	return "windtrap.forward_to leads back here: these rows come of this very "
		   "database, or of a copy that has its cluster_name";
}

/* A whole number that fits, and nothing else. */
static bool
read_status(WtJsonText text, int32_t *status)
{
	const char *p = text.text;
	const char *end;
	bool negative;
	int64_t n = 0;

	if (text.length == 0)
		return false;
	end = p + text.length;
	negative = *p == '-';
	p += negative;
	if (p == end || end - p > 10)
		return false;
	for (; p < end; p++)
	{
		if (*p < '0' || *p > '9')
			return false;
		n = n * 10 + (*p - '0');
	}
	if (negative)
		n = -n;
	*status = (int32_t) n;
	return n >= INT32_MIN && n <= INT32_MAX;
}

/* Its text as it was written: a time has nothing to be escaped. */
static bool
read_time(WtJsonText text, int64_t *time_us)
{
	return text.length > 2 && text.text[0] == '"' && text.text[text.length - 1] == '"' &&
		   wt_when_read_text(text.text + 1, text.length - 2, time_us);
}

/* Finds the members of a row; what is wrong with it, NULL: nothing. */
static const char *
read_members(const char *line, size_t length, WtJsonText members[N_MEMBERS])
{
	WtJsonText row;
	WtJsonText name;
	WtJsonText value;
	WtJsonWalk walk;

	memset(members, 0, sizeof(WtJsonText) * N_MEMBERS);
	if (!wt_json_walk_whole(line, length, &row) || !wt_json_walk_into(&walk, row, '{'))
		return "the line is no object";
	while (wt_json_walk_member(&walk, &name, &value))
	{
		int i = 0;

		while (i < N_MEMBERS && !wt_json_walk_is(name, member_names[i]))
			i++;
		/* Who sends more than is known here would lose it. */
		if (i == N_MEMBERS)
			return "it has a member beside event_timestamp, status and data";
		if (members[i].text)
			return "it has a member twice";
		members[i] = value;
	}
	return walk.broken ? "the line is no object" : NULL;
}

static WtDecodeResult
bad_row(WtDecoder *decoder, const char *line, size_t length, WtReason reason,
		const char *why)
{
	/* Sent again it is the same line. */
	decoder->decoded.key = line;
	decoder->decoded.key_length = length;
	return wt_decode_bad(decoder, line, length, reason, "no row of a collector: %s", why);
}

/* What data is no JSON, or none that can be stored, for; its place is one in the line. */
static WtDecodeResult
bad_data(WtDecoder *decoder, const char *line, size_t length, const char *data,
		 WtJsonResult result, const WtJsonError *error)
{
	int row;
	int column;

	decoder->decoded.key = line;
	decoder->decoded.key_length = length;
	wt_json_position(line, (size_t) (data - line) + error->offset, &row, &column);
	if (result == WT_JSON_UNFIT)
		return wt_decode_bad(decoder, line, length, WT_REASON_UNFIT,
							 "at line %d, column %d: %s", row, column, error->reason);
	return wt_decode_bad(decoder, line, length, WT_REASON_BAD_JSON,
						 "bad JSON at line %d, column %d: %s", row, column,
						 error->reason);
}

/* Whether a row was sent on by this collector once: then it has been here. */
static bool
was_here(const WtJson *json)
{
	const char *own = wt_collector_id();
	const size_t length = strlen(own);
	uint32_t via;
	uint32_t hop;

	if (length == 0 || !wt_json_find(json, 0, "via", &via) ||
		json->tokens[via].type != WT_JSON_ARRAY)
		return false;
	hop = via + 1;
	for (uint32_t i = 0; i < json->tokens[via].length; i++)
	{
		uint32_t id;

		if (json->tokens[hop].type == WT_JSON_OBJECT &&
			wt_json_find(json, hop, "from_id", &id) &&
			json->tokens[id].type == WT_JSON_STRING &&
			json->tokens[id].length == length &&
			memcmp(json->tokens[id].u.text, own, length) == 0)
			return true;
		hop = wt_json_after(json, hop);
	}
	return false;
}

static WtDecodeResult
read_row(WtDecoder *decoder, WtJson *json, const char *line, size_t length)
{
	WtDecoded *decoded = &decoder->decoded;
	WtJsonText members[N_MEMBERS];
	const char *why = read_members(line, length, members);
	const WtJsonText *data = &members[MEMBER_DATA];
	WtJsonError error;
	WtJsonResult result;
	uint32_t id;

	if (!why && !read_time(members[MEMBER_TIME], &decoded->time_us))
		why = "event_timestamp is no time";
	if (!why && !read_status(members[MEMBER_STATUS], &decoded->status))
		why = "status is no integer";
	if (!why && (data->length == 0 || data->text[0] != '{'))
		why = "data is no object";
	if (why)
		return bad_row(decoder, line, length, WT_REASON_MALFORMED, why);
	if (!wt_json_begin(json, 0))
		return WT_DECODE_OUT_OF_MEMORY;
	result = wt_json_append(json, data->text, data->length, MAX_ROW_DEPTH, &error);
	if (result == WT_JSON_OUT_OF_MEMORY)
		return WT_DECODE_OUT_OF_MEMORY;
	if (result != WT_JSON_OK)
		return bad_data(decoder, line, length, data->text, result, &error);
	/* Another text would be another row. */
	if (json->repaired)
		return bad_row(decoder, line, length, WT_REASON_NOT_TEXT,
					   "a text in it is not valid UTF-8, or holds a NUL");
	if (!wt_json_find(json, 0, "id", &id) || json->tokens[id].type != WT_JSON_STRING ||
		json->tokens[id].length == 0)
		return bad_row(decoder, line, length, WT_REASON_MALFORMED, "data has no id");
	decoded->is_row = true;
	decoded->is_here = was_here(json);
	decoded->has_time = true;
	decoded->event = 0;
	decoded->key = json->tokens[id].u.text;
	decoded->key_length = json->tokens[id].length;
	decoder->raw = line;
	decoder->raw_length = length;
	return WT_DECODE_EVENT;
}

static WtDecodeResult
next(WtDecoder *decoder, WtJson *json)
{
	const char *line;
	const char *line_end;
	size_t length;

	if (decoder->form == WT_FORM_UNKNOWN)
	{
		/* Lines are never refused as a whole. */
		decoder->form = WT_FORM_LINES;
		decoder->separator = '\n';
		decoder->is_json = true;
		decoder->next = decoder->body;
		decoder->end = decoder->body + decoder->length;
	}
	line = wt_json_skip_space(decoder->next, decoder->end);
	if (line == decoder->end)
		return WT_DECODE_END;
	line_end = memchr(line, '\n', (size_t) (decoder->end - line));
	decoder->next = line_end ? line_end + 1 : decoder->end;
	length = (size_t) ((line_end ? line_end : decoder->end) - line);
	return read_row(decoder, json, line, length);
}

/* Who forwards counts: each row must have become one of the three. */
static void
answer(const WtOutcome *outcome, WtWords *words)
{
	WtBuffer *body = &words->body;

	wt_buffer_print(body,
					"{\"accepted\":%" PRId64 ",\"quarantined\":%" PRId64
					",\"refused\":%" PRId64 ",\"errors\":[",
					outcome->n_stored, outcome->n_quarantined, outcome->n_refused);
	for (int i = 0; i < outcome->n_errors; i++)
	{
		const WtEventError *error = &outcome->errors[i];

		wt_buffer_print(body, "%s{\"index\":%" PRId64 ",\"error\":", i > 0 ? "," : "",
						error->index);
		wt_buffer_json(body, error->message, strlen(error->message));
		wt_buffer_text(body, "}");
	}
	wt_buffer_text(body, "],\"collector\":");
	wt_buffer_string(body, wt_collector.name);
	wt_buffer_text(body, "}\n");
}

const WtProtocol wt_forwarded = {
	.endpoint = {.name = "forwarded",
				 .find = find,
				 .refuse = wt_refuse_as_json,
				 .takes_rows = true},
	.objection = objection,
	.needs_keys = true,
	.next = next,
	.answer = answer,
};
