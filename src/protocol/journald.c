/*
 * journald.c
 *		systemd-journal-upload: POST …/upload, in the journal's export format.
 *
 * Words:
 *	entry	lines, each a field, until a blank line
 *	field	KEY=value, or, where that could be no line, KEY, a line feed, the length in 8 bytes
 *			of which the lowest comes first, the value, a line feed
 *
 * A backlog is one body of any length: it is decoded piece by piece.
 *
 * `data->'json'` is the entry as an object; a key that is there more than once has an array,
 * as journalctl's own JSON has it.  Who sends an entry again sends the same __CURSOR.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif

#include <string.h>
#include <strings.h>

#include "event/json_build.h"
#include "event/when.h"
#include "protocol/protocols.h"

/* Fields of an entry; journald itself takes 1024. */
#define MAX_FIELDS 1100

/*
 * Of a field, bytes: the journal's own limit.  What says that it is longer is no field, and
 * neither is a line that goes on and on without a =; keys have up to 64.
 */
#define MAX_FIELD ((uint64_t) 768 * 1024 * 1024)
#define MAX_KEY 1024

/* Where an entry begins, whatever was before. */
static const char entry_begin[] = "\n\n__CURSOR=";

typedef struct Field
{
	const char *key;
	const char *value;
	size_t key_length;
	size_t value_length;
	bool taken; /* into the array of one before it */
} Field;

static bool
find(const WtRequest *request, WtMatch *match)
{
	static const char type[] = "application/vnd.fdo.journal";
	const char *declared;

	if (!wt_path_ends(request->path, "/upload"))
		return false;
	declared = request->content_type;
	if (strcmp(request->method, "POST") == 0 &&
		(!declared || strncasecmp(declared, type, sizeof(type) - 1) != 0))
		return false;
	wt_match_events(request, match);
	return true;
}

typedef enum Read
{
	READ_FIELD,
	READ_END,	/* a blank line */
	READ_SHORT, /* the body ends before it, or within it */
	READ_BAD	/* it is no field */
} Read;

/* Reads the field at *p, and moves *p past it; more: the body goes on behind its end. */
static Read
read_field(const char **p, const char *end, bool more, Field *field)
{
	const char *line = *p;
	const char *line_end;
	const char *equals;
	uint64_t length = 0;

	if (line == end)
		return READ_SHORT;
	line_end = memchr(line, '\n', (size_t) (end - line));
	if (line_end == line)
	{
		*p = line + 1;
		return READ_END;
	}
	equals = memchr(line, '=', (size_t) ((line_end ? line_end : end) - line));
	if (!equals && (line_end ? line_end : end) - line > MAX_KEY)
		return READ_BAD;
	if (!line_end && more)
		return READ_SHORT;
	/* The last line may lack its end. */
	*field = (Field){.key = line};
	if (equals)
	{
		field->key_length = (size_t) (equals - line);
		field->value = equals + 1;
		field->value_length = (size_t) ((line_end ? line_end : end) - field->value);
		*p = line_end ? line_end + 1 : end;
		return READ_FIELD;
	}
	if (!line_end || end - line_end < 1 + 8)
		return READ_SHORT;
	field->key_length = (size_t) (line_end - line);
	for (int i = 7; i >= 0; i--)
		length = length << 8 | (unsigned char) line_end[1 + i];
	field->value = line_end + 1 + 8;
	if (length > MAX_FIELD)
		return READ_BAD;
	if (length >= (uint64_t) (end - field->value))
		return READ_SHORT;
	field->value_length = (size_t) length;
	*p = field->value + length;
	if (**p != '\n')
	{
		*p = line;
		return READ_BAD;
	}
	(*p)++;
	return READ_FIELD;
}

static bool
is_key(const Field *field, const char *key)
{
	return field->key_length == strlen(key) &&
		   memcmp(field->key, key, field->key_length) == 0;
}

static bool
same_key(const Field *a, const Field *b)
{
	return a->key_length == b->key_length && memcmp(a->key, b->key, a->key_length) == 0;
}

static void
add_fields(WtBuild *build, Field *fields, int n)
{
	wt_build_open(build, WT_JSON_OBJECT);
	for (int i = 0; i < n; i++)
	{
		int next;

		if (fields[i].taken)
			continue;
		wt_build_name(build, fields[i].key, fields[i].key_length);
		for (next = i + 1; next < n && !same_key(&fields[i], &fields[next]);)
			next++;
		if (next == n)
		{
			wt_build_string(build, fields[i].value, fields[i].value_length);
			continue;
		}
		wt_build_open(build, WT_JSON_ARRAY);
		wt_build_string(build, fields[i].value, fields[i].value_length);
		for (; next < n; next++)
		{
			if (!same_key(&fields[i], &fields[next]))
				continue;
			wt_build_string(build, fields[next].value, fields[next].value_length);
			fields[next].taken = true;
		}
		wt_build_close(build);
	}
	wt_build_close(build);
}

/* Time and cursor. */
static void
take_own(WtDecoder *decoder, const Field *fields, int n)
{
	WtDecoded *decoded = &decoder->decoded;
	bool from_source = false;

	for (int i = 0; i < n; i++)
	{
		const Field *f = &fields[i];
		bool is_source = is_key(f, "_SOURCE_REALTIME_TIMESTAMP");
		int64_t time_us;

		if (is_key(f, "__CURSOR"))
		{
			decoded->key = f->value;
			decoded->key_length = f->value_length;
		}
		else if ((is_source || (!from_source && is_key(f, "__REALTIME_TIMESTAMP"))) &&
				 wt_when_read_text(f->value, f->value_length, &time_us))
		{
			decoded->has_time = true;
			decoded->time_us = time_us;
			from_source = is_source;
		}
	}
}

/*
 * An entry, from `from` on, is none at p: passes over it to where the next one begins.  In a
 * piece that may lie across the end.
 */
static WtDecodeResult
pass_over(WtDecoder *decoder, const char *from, const char *p)
{
	const char *end = decoder->body + decoder->length;
	const size_t n = sizeof(entry_begin) - 1;
	const char *begin = memmem(p, (size_t) (end - p), entry_begin, n);

	if (begin)
		decoder->next = begin + 2;
	else if (!decoder->more)
	{
		decoder->next = end;
		decoder->done = true;
	}
	else if ((size_t) (end - from) < n)
	{
		decoder->next = from;
		decoder->done = true;
		return WT_DECODE_MORE;
	}
	else
		decoder->next = end - (n - 1);
	return wt_decode_bad(decoder, from, (size_t) (decoder->next - from),
						 WT_REASON_MALFORMED,
						 "the entry is not in the journal's export format");
}

static WtDecodeResult
next(WtDecoder *decoder, WtJson *json)
{
	const char *end = decoder->body + decoder->length;
	const char *p = decoder->next ? decoder->next : decoder->body;
	const char *from;
	Field fields[MAX_FIELDS];
	int n = 0;
	bool too_many = false;
	Read read;
	WtBuild build;

	while (p < end && *p == '\n')
		p++;
	if (p == end)
		return WT_DECODE_END;
	from = p;
	for (;;)
	{
		Field field;

		read = read_field(&p, end, decoder->more, &field);
		if (read != READ_FIELD)
			break;
		if (n < MAX_FIELDS)
			fields[n++] = field;
		else
			too_many = true;
	}
	if (read == READ_BAD)
		return pass_over(decoder, from, p);
	if (read == READ_SHORT && decoder->more)
	{
		decoder->next = from;
		decoder->done = true;
		return WT_DECODE_MORE;
	}
	if (read == READ_SHORT && p < end)
	{
		decoder->next = end;
		decoder->done = true;
		return wt_decode_bad(decoder, from, (size_t) (end - from), WT_REASON_MALFORMED,
							 "the entry is not complete: the body ends within a field");
	}
	decoder->next = p;
	if (too_many)
		return wt_decode_bad(decoder, from, (size_t) (p - from), WT_REASON_MALFORMED,
							 "the entry has more than %d fields", MAX_FIELDS);
	wt_build_begin(&build, json, true);
	add_fields(&build, fields, n);
	if (!wt_build_is_good(&build))
		return WT_DECODE_OUT_OF_MEMORY;
	take_own(decoder, fields, n);
	return wt_decode_good(decoder, json, from, (size_t) (p - from));
}

/* What systemd-journal-remote itself says. */
static void
answer(const WtOutcome *outcome, WtWords *words)
{
	words->type = "text/plain; charset=utf-8";
	if (outcome->n_refused > 0)
	{
		words->status = 400;
		wt_words_text(words, outcome->first_error);
		return;
	}
	words->status = 202;
	wt_buffer_text(&words->body, "OK.\n");
}

const WtProtocol wt_journald = {
	.endpoint = {.name = "journald",
				 .find = find,
				 .refuse = wt_refuse_as_text,
				 .probe = wt_probe_silently,
				 .streams = true},
	.next = next,
	.answer = answer,
};
