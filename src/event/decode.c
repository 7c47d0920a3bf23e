/*
 * decode.c
 *		A request's body → events, each as the tokens of one JSON value.
 *
 * The Content-Type is a hint: senders get it wrong (curl -d says that everything is a
 * form), so a body that is JSON is taken as JSON under most types.  What remains is a
 * form where the sender says so, and text.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "event/decode.h"
#include "event/form.h"
#include "event/multipart.h"
#include "base/text.h"

/* What the sender says that the body is. */
typedef enum Declared
{
	DECLARED_JSON,
	DECLARED_LINES,
	DECLARED_RECORDS,
	DECLARED_FORM,
	DECLARED_MULTIPART,
	DECLARED_NOTHING,
	DECLARED_OTHER
} Declared;

/* The body is refused for what decoder->error says. */
static WtDecodeResult
refuse(WtDecoder *decoder, int status)
{
	decoder->status = status;
	decoder->done = true;
	return WT_DECODE_REFUSED;
}

static bool
equal_caseless(const char *s, size_t length, const char *word)
{
	return length == strlen(word) && strncasecmp(s, word, length) == 0;
}

static bool
ends_caseless(const char *s, size_t length, const char *word)
{
	size_t n = strlen(word);

	return length > n && strncasecmp(s + length - n, word, n) == 0;
}

static Declared
declared_type(const char *content_type)
{
	size_t n;

	if (!content_type)
		return DECLARED_NOTHING;
	content_type += strspn(content_type, " \t");
	n = strcspn(content_type, "; \t");
	if (n == 0)
		return DECLARED_NOTHING;
	if (equal_caseless(content_type, n, "application/x-www-form-urlencoded"))
		return DECLARED_FORM;
	if (equal_caseless(content_type, n, "multipart/form-data"))
		return DECLARED_MULTIPART;
	if (ends_caseless(content_type, n, "json-seq"))
		return DECLARED_RECORDS;
	if (ends_caseless(content_type, n, "ndjson") ||
		ends_caseless(content_type, n, "jsonl") ||
		ends_caseless(content_type, n, "jsonlines") ||
		ends_caseless(content_type, n, "json-lines"))
		return DECLARED_LINES;
	if (equal_caseless(content_type, n, "application/json") ||
		equal_caseless(content_type, n, "text/json") ||
		ends_caseless(content_type, n, "+json"))
		return DECLARED_JSON;
	return DECLARED_OTHER;
}

/*
 * The error of a JSON text that begins at `text`, told by its place in what begins at
 * `from`: the body, where it is refused as a whole, else the event.
 */
static void
set_json_error(WtDecoder *decoder, const char *from, const char *text,
			   WtJsonResult result, const WtJsonError *error)
{
	int line;
	int column;

	wt_json_position(from, (size_t) (text - from) + error->offset, &line, &column);
	if (result == WT_JSON_UNFIT)
		wt_decoder_error(decoder, WT_REASON_UNFIT, "at line %d, column %d: %s", line,
						 column, error->reason);
	else
		wt_decoder_error(decoder, WT_REASON_BAD_JSON,
						 "bad JSON at line %d, column %d: %s", line, column,
						 error->reason);
}

/* Notes what was sent as the event, without the white space around it. */
static void
set_raw(WtDecoder *decoder, const char *from, const char *to)
{
	while (from < to && wt_json_is_space(*from))
		from++;
	while (to > from && wt_json_is_space(to[-1]))
		to--;
	decoder->raw = from;
	decoder->raw_length = (size_t) (to - from);
}

static WtDecodeResult
good_event(WtDecoder *decoder, const char *from, const char *to)
{
	set_raw(decoder, from, to);
	return WT_DECODE_EVENT;
}

static WtDecodeResult
bad_event(WtDecoder *decoder, const char *from, const char *to)
{
	set_raw(decoder, from, to);
	return WT_DECODE_BAD;
}

/*
 * Text and forms: one event
 */

/* The only event of the body cannot be stored. */
static WtDecodeResult
bad_single(WtDecoder *decoder, int status)
{
	decoder->status = status;
	return WT_DECODE_BAD;
}

/* Every string of the tokens must be text that PostgreSQL can store, or made so. */
static WtDecodeResult
check_form(WtDecoder *decoder, WtJson *json)
{
	const WtJsonToken *unfit;

	if (!wt_json_repair(json, &unfit))
		return WT_DECODE_OUT_OF_MEMORY;
	if (unfit)
	{
		wt_decoder_error(decoder, WT_REASON_NOT_TEXT,
						 "a field of the form is not valid UTF-8 text, or holds a NUL");
		return bad_single(decoder, 400);
	}
	return WT_DECODE_EVENT;
}

/*
 * Whether what is declared as a form is one: curl says of everything that it is.  A form has
 * fields with values, and blanks and control characters in it are escaped.
 */
static bool
is_form(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char) text[i] <= ' ' || text[i] == '\x7F')
			return false;
	return memchr(text, '=', length) != NULL;
}

static WtDecodeResult
decode_form(WtDecoder *decoder, WtJson *json, const char *text, size_t length)
{
	if (wt_form_parse(json, text, length) != WT_JSON_OK)
		return WT_DECODE_OUT_OF_MEMORY;
	return check_form(decoder, json);
}

static WtDecodeResult
decode_multipart(WtDecoder *decoder, WtJson *json)
{
	const char *reason;

	switch (wt_multipart_parse(json, decoder->content_type, decoder->body,
							   decoder->length, &reason))
	{
		case WT_JSON_OK:
			return check_form(decoder, json);
		case WT_JSON_OUT_OF_MEMORY:
			return WT_DECODE_OUT_OF_MEMORY;
		default:
			wt_decoder_error(decoder, WT_REASON_MALFORMED, "bad multipart/form-data: %s",
							 reason);
			return bad_single(decoder, 400);
	}
}

static WtDecodeResult
decode_text(WtDecoder *decoder, WtJson *json, const char *text, size_t length)
{
	size_t valid = wt_text_valid_prefix(text, length);
	WtJsonToken *t;
	const WtJsonToken *unfit;

	if (valid != length && !json->repair)
	{
		if (text[valid] == '\0')
			wt_decoder_error(decoder, WT_REASON_NOT_TEXT,
							 "the body holds a NUL at byte %zu: send JSON or text",
							 valid + 1);
		else
			wt_decoder_error(
				decoder, WT_REASON_NOT_TEXT,
				"the body is neither JSON nor UTF-8 text: the byte 0x%02x at byte %zu "
				"is not valid UTF-8",
				(unsigned char) text[valid], valid + 1);
		return bad_single(decoder, 400);
	}
	if (!wt_json_begin(json, 0) || !(t = wt_json_add(json, WT_JSON_STRING)))
		return WT_DECODE_OUT_OF_MEMORY;
	t->u.text = text;
	t->length = (uint32_t) length;
	if (valid != length && !wt_json_repair(json, &unfit))
		return WT_DECODE_OUT_OF_MEMORY;
	return WT_DECODE_EVENT;
}

/*
 * Batches
 */

/*
 * The next element of an array, whose opening bracket and commas are passed already.  An
 * array that is not JSON is refused as a whole: where its elements end is then a guess.
 */
static WtDecodeResult
next_element(WtDecoder *decoder, WtJson *json)
{
	const char *start = decoder->next;
	const char *value;
	const char *next = NULL;
	size_t left;
	WtJsonError error = {0};
	WtJsonResult r;

	value = wt_json_skip_space(start, decoder->end);
	left = (size_t) (decoder->end - value);
	r = wt_json_parse_value(json, value, left, decoder->max_event_size, &next, &error);
	if (r == WT_JSON_OUT_OF_MEMORY)
		return WT_DECODE_OUT_OF_MEMORY;
	if (r == WT_JSON_TOO_LARGE)
		next = wt_json_skip_value(value, left);
	if (r == WT_JSON_BAD || !next)
	{
		if (r == WT_JSON_BAD)
			set_json_error(decoder, decoder->body, value, r, &error);
		else
			wt_decoder_error(decoder, WT_REASON_BAD_JSON,
							 "bad JSON: the array does not end");
		return refuse(decoder, 400);
	}

	decoder->next = wt_json_skip_space(next, decoder->end);
	if (decoder->next < decoder->end && *decoder->next == ',')
		decoder->next++;
	else if (decoder->next < decoder->end && *decoder->next == ']')
	{
		decoder->next++;
		decoder->done = true;
		decoder->next = wt_json_skip_space(decoder->next, decoder->end);
		if (decoder->next < decoder->end)
		{
			/* Arrays one after the other: the elements of each. */
			decoder->done = false;
			decoder->form = WT_FORM_VALUES;
		}
	}
	else
	{
		error.offset = (size_t) (decoder->next - value);
		snprintf(error.reason, sizeof(error.reason),
				 "expected ',' or ']' after the element");
		set_json_error(decoder, decoder->body, value, r, &error);
		return refuse(decoder, 400);
	}
	if (r == WT_JSON_OK)
		return good_event(decoder, value, next);
	if (r == WT_JSON_UNFIT)
		set_json_error(decoder, value, value, r, &error);
	else
		wt_decoder_too_large(decoder);
	return bad_event(decoder, value, next);
}

/* The next line that is not blank, or record. */
static WtDecodeResult
next_line(WtDecoder *decoder, WtJson *json)
{
	const char *start = wt_json_skip_space(decoder->next, decoder->end);
	const char *line_end;
	WtJsonError error;
	WtJsonResult r;

	while (start < decoder->end && *start == decoder->separator)
		start = wt_json_skip_space(start + 1, decoder->end);
	if (start == decoder->end)
		return WT_DECODE_END;
	line_end = memchr(start, decoder->separator, (size_t) (decoder->end - start));
	if (!line_end)
		line_end = decoder->end;
	decoder->next = line_end;
	if ((size_t) (line_end - start) > decoder->max_event_size)
	{
		wt_decoder_too_large(decoder);
		return bad_event(decoder, start, line_end);
	}
	r = wt_json_parse(json, start, (size_t) (line_end - start), &error);
	switch (r)
	{
		case WT_JSON_OK:
			return good_event(decoder, start, line_end);
		case WT_JSON_OUT_OF_MEMORY:
			return WT_DECODE_OUT_OF_MEMORY;
		default:
			set_json_error(decoder, start, start, r, &error);
			return bad_event(decoder, start, line_end);
	}
}

/* Whether `value` is the first thing on its line. */
static bool
begins_line(const WtDecoder *decoder, const char *value)
{
	while (value > decoder->body && (value[-1] == ' ' || value[-1] == '\t'))
		value--;
	return value == decoder->body || value[-1] == '\n';
}

/*
 * Whether more follows the first value, at `value`, in a body in which values that follow
 * each other must say that they mean it, by a line of their own, and do not.
 */
static bool
is_misplaced(WtDecoder *decoder, const char *value)
{
	WtJsonError error = {0};

	if (!decoder->own_line || value == decoder->end)
		return false;
	decoder->own_line = false;
	if (begins_line(decoder, value))
		return false;
	snprintf(error.reason, sizeof(error.reason),
			 "expected the end of the text after the value");
	set_json_error(decoder, decoder->body, value, WT_JSON_BAD, &error);
	return true;
}

/* The next of several values: objects, and arrays of events. */
static WtDecodeResult
next_value(WtDecoder *decoder, WtJson *json)
{
	const char *value = wt_json_skip_space(decoder->next, decoder->end);
	const char *next = NULL;
	size_t left;
	WtJsonError error = {0};
	WtJsonResult r;

	if (decoder->next > decoder->first && is_misplaced(decoder, value))
		return refuse(decoder, 400);
	while (value < decoder->end && *value == '[')
	{
		decoder->next = wt_json_skip_space(value + 1, decoder->end);
		if (decoder->next == decoder->end || *decoder->next != ']')
		{
			decoder->form = WT_FORM_ARRAY;
			return next_element(decoder, json);
		}
		decoder->next++;
		value = wt_json_skip_space(decoder->next, decoder->end);
		if (is_misplaced(decoder, value))
			return refuse(decoder, 400);
	}
	left = (size_t) (decoder->end - value);
	if (left == 0)
		return WT_DECODE_END;
	if (*value == '{')
	{
		r = wt_json_parse_value(json, value, left, decoder->max_event_size, &next,
								&error);
		if (r == WT_JSON_TOO_LARGE)
			next = wt_json_skip_value(value, left);
	}
	else
	{
		r = WT_JSON_BAD;
		error.offset = 0;
		snprintf(error.reason, sizeof(error.reason),
				 "expected an object, an array or the end of the text after the value");
	}
	switch (r)
	{
		case WT_JSON_OK:
			decoder->next = next;
			return good_event(decoder, value, next);
		case WT_JSON_OUT_OF_MEMORY:
			return WT_DECODE_OUT_OF_MEMORY;
		case WT_JSON_TOO_LARGE:
			wt_decoder_too_large(decoder);
			decoder->next = next ? next : decoder->end;
			return bad_event(decoder, value, decoder->next);
		case WT_JSON_UNFIT:
			set_json_error(decoder, value, value, r, &error);
			decoder->next = next;
			return bad_event(decoder, value, next);
		case WT_JSON_BAD:
			break;
	}

	/* What is one to a line ends with its line; else nobody knows where this one does. */
	if (!begins_line(decoder, value))
	{
		set_json_error(decoder, decoder->body, value, r, &error);
		return refuse(decoder, 400);
	}
	set_json_error(decoder, value, value, r, &error);
	next = memchr(value, '\n', left);
	decoder->next = next ? next : decoder->end;
	/*
	 * What was read beyond the line will be read again.  Where that comes to more than
	 * the body, which can be made to be the square of it, lines are taken one by one.
	 */
	if (error.read > (size_t) (decoder->next - value))
		decoder->overrun += error.read - (size_t) (decoder->next - value);
	if (decoder->overrun > decoder->length)
		decoder->form = WT_FORM_LINES;
	return bad_event(decoder, value, decoder->next);
}

/*
 * The beginning
 */

/*
 * Whether a body whose first value, at `value`, is not JSON is NDJSON even so: the next
 * line is an object by itself.
 */
static bool
is_lines_even_so(const WtDecoder *decoder, WtJson *json, const char *value)
{
	const char *p = memchr(value, '\n', (size_t) (decoder->end - value));
	const char *line_end;
	WtJsonError error;

	if (!p)
		return false;
	p = wt_json_skip_space(p, decoder->end);
	if (p == decoder->end || *p != '{')
		return false;
	line_end = memchr(p, '\n', (size_t) (decoder->end - p));
	if (!line_end)
		line_end = decoder->end;
	if ((size_t) (line_end - p) > decoder->max_event_size)
		return false;
	return wt_json_parse(json, p, (size_t) (line_end - p), &error) == WT_JSON_OK;
}

/* Objects and arrays one after the other, from `value` on. */
static WtDecodeResult
begin_values(WtDecoder *decoder, WtJson *json, const char *value)
{
	decoder->form = WT_FORM_VALUES;
	decoder->batch = true;
	decoder->first = decoder->next = value;
	return next_value(decoder, json);
}

/* Lines, or records, from `p` on. */
static WtDecodeResult
begin_lines(WtDecoder *decoder, WtJson *json, const char *p, char separator)
{
	decoder->form = WT_FORM_LINES;
	decoder->batch = true;
	decoder->separator = separator;
	decoder->next = p;
	return next_line(decoder, json);
}

/*
 * Whether a body is nothing but JSON values from `value` on, if not all of them can be
 * stored.  What is too long to be anything else is not looked at: it is taken for JSON.
 */
static bool
is_json_throughout(const WtDecoder *decoder, WtJson *json, const char *value)
{
	WtDecoder ahead = *decoder;
	WtDecodeResult r;

	if ((size_t) (decoder->end - value) > decoder->max_event_size)
		return true;
	for (r = begin_values(&ahead, json, value);
		 r == WT_DECODE_EVENT ||
		 (r == WT_DECODE_BAD && ahead.reason != WT_REASON_BAD_JSON);
		 r = wt_decode_body(&ahead, json))
		;
	return r == WT_DECODE_END || r == WT_DECODE_OUT_OF_MEMORY;
}

/*
 * A body that begins with { or [ and that nobody says is JSON: `end` is where its first value
 * ends, NULL where that is no JSON.  *is_json is set to false where all is text.
 */
static WtDecodeResult
guess_batch(WtDecoder *decoder, WtJson *json, const char *value, const char *end,
			bool *is_json)
{
	const char *after = end ? wt_json_skip_space(end, decoder->end) : NULL;
	bool more = after && after < decoder->end;
	bool one_line = more && *value == '{' && *after == '{' &&
					begins_line(decoder, after) &&
					!memchr(value, '\n', (size_t) (end - value));

	*is_json = true;
	if (*value == '{' && (one_line || !end) && is_lines_even_so(decoder, json, value))
		return begin_lines(decoder, json, value, '\n');
	if (end && (!more || *after == '{' || *after == '[') &&
		is_json_throughout(decoder, json, value))
		return begin_values(decoder, json, value);
	if (one_line)
		return begin_lines(decoder, json, value, '\n');
	*is_json = false;
	return WT_DECODE_END;
}

/*
 * A body that begins as JSON does: one event, or the first of several.  *is_json is false
 * where it is not JSON, and may be something else; guess: as long as nobody says that it
 * is JSON, all of it must be.
 */
static WtDecodeResult
first_value(WtDecoder *decoder, WtJson *json, const char *value, bool guess,
			bool *is_json)
{
	const char *next = NULL;
	const char *after;
	size_t left = (size_t) (decoder->end - value);
	WtJsonError error = {0};
	WtJsonResult r =
		wt_json_parse_value(json, value, left, decoder->max_event_size, &next, &error);

	*is_json = (r != WT_JSON_BAD);
	if (r == WT_JSON_OUT_OF_MEMORY)
		return WT_DECODE_OUT_OF_MEMORY;
	if (r == WT_JSON_TOO_LARGE)
		next = wt_json_skip_value(value, left);
	after = next ? wt_json_skip_space(next, decoder->end) : decoder->end;
	if (guess && *value != '"' &&
		(*value == '[' || r == WT_JSON_BAD || after < decoder->end))
	{
		/* "[12.345] usb 1-1: ..." is a line of text. */
		return guess_batch(decoder, json, value, next, is_json);
	}
	if (next && (*value == '[' || after < decoder->end))
	{
		/* More follows.  After a scalar it can only be that this was no JSON. */
		if (*value == '{' || *value == '[')
			return begin_values(decoder, json, value);
		*is_json = false;
		error.offset = (size_t) (after - value);
		snprintf(error.reason, sizeof(error.reason),
				 "expected the end of the text after the value");
		r = WT_JSON_BAD;
	}
	if (r == WT_JSON_BAD && *value == '{' && is_lines_even_so(decoder, json, value))
	{
		*is_json = true;
		return begin_lines(decoder, json, value, '\n');
	}
	decoder->form = WT_FORM_SINGLE;
	decoder->done = true;
	switch (r)
	{
		case WT_JSON_OK:
			return good_event(decoder, value, decoder->end);
		case WT_JSON_TOO_LARGE:
			wt_decoder_too_large(decoder);
			decoder->status = 413;
			return bad_event(decoder, value, decoder->end);
		default:
			set_json_error(decoder, decoder->body, value, r, &error);
			decoder->status = 400;
			return bad_event(decoder, value, decoder->end);
	}
}

/* The next character of a text that is not a blank, where it is c: what follows it. */
static const char *
skip_char(const char *p, const char *end, char c)
{
	p = wt_json_skip_space(p, end);
	return p < end && *p == c ? p + 1 : NULL;
}

/*
 * Whether the body is {"logs":[{…},…]}: then the array begins at the result, and the body is
 * taken to end with it.  NULL: it is not.
 */
static const char *
unwrap_logs(WtDecoder *decoder, const char *value)
{
	static const char name[] = "\"logs\"";
	const char *end = decoder->end;
	const char *p = skip_char(value, end, '{');
	const char *array;
	const char *array_end;

	p = p ? wt_json_skip_space(p, end) : end;
	if ((size_t) (end - p) < sizeof(name) || memcmp(p, name, sizeof(name) - 1) != 0)
		return NULL;
	p = skip_char(p + sizeof(name) - 1, end, ':');
	array = p ? wt_json_skip_space(p, end) : end;
	p = skip_char(array, end, '[');
	if (!p || !skip_char(p, end, '{'))
		return NULL;
	array_end = wt_json_skip_value(array, (size_t) (end - array));
	p = array_end ? skip_char(array_end, end, '}') : NULL;
	if (!p || wt_json_skip_space(p, end) != end)
		return NULL;
	decoder->end = array_end;
	return array;
}

static WtDecodeResult
decode_first(WtDecoder *decoder, WtJson *json)
{
	Declared declared = declared_type(decoder->content_type);
	const char *text = decoder->body;
	const char *value;
	WtDecodeResult result;
	bool is_json = false;
	bool looks_like_json;

	decoder->end = decoder->body + decoder->length;
	decoder->is_json = true;
	/* A byte order mark is no part of the text. */
	if (decoder->length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
		text += 3;
	value = wt_json_skip_space(text, decoder->end);
	if (value == decoder->end)
	{
		wt_decoder_error(decoder, WT_REASON_EMPTY, "the body is empty: send an event");
		return refuse(decoder, 400);
	}
	if (*value == '{' && declared != DECLARED_MULTIPART)
	{
		const char *logs = unwrap_logs(decoder, value);

		if (logs)
			return begin_values(decoder, json, logs);
	}
	if (declared == DECLARED_LINES)
		return begin_lines(decoder, json, value, '\n');
	if (declared == DECLARED_RECORDS)
		return begin_lines(decoder, json, value, '\x1E');
	decoder->own_line = declared == DECLARED_JSON || declared == DECLARED_OTHER;

	/*
	 * Under any type but JSON's a number or a word is not worth a guess: "404" sent as
	 * text is text.  curl's default type, and none, are no statement at all.
	 */
	looks_like_json = *value == '{' || *value == '[' || *value == '"';
	if (*value == '[' && declared != DECLARED_OTHER && declared != DECLARED_MULTIPART)
		return begin_values(decoder, json, value);
	if (declared != DECLARED_MULTIPART && (looks_like_json || declared != DECLARED_OTHER))
	{
		result = first_value(decoder, json, value, declared == DECLARED_OTHER, &is_json);
		if (is_json || declared == DECLARED_JSON ||
			(declared != DECLARED_OTHER && looks_like_json))
			return result;
	}

	decoder->form = WT_FORM_SINGLE;
	decoder->batch = false;
	decoder->done = true;
	decoder->is_json = false;
	decoder->status = 0; /* what was found wrong with it as JSON does not count */
	decoder->reason = WT_REASON_NONE;
	set_raw(decoder, text, decoder->end);
	if ((size_t) (decoder->end - text) > decoder->max_event_size)
	{
		wt_decoder_too_large(decoder);
		return bad_single(decoder, 413);
	}
	if (declared == DECLARED_MULTIPART)
		return decode_multipart(decoder, json);
	/* A file that is a form ends with a line feed, perhaps. */
	if (declared == DECLARED_FORM && is_form(decoder->raw, decoder->raw_length))
		return decode_form(decoder, json, decoder->raw, decoder->raw_length);
	return decode_text(decoder, json, text, (size_t) (decoder->end - text));
}

WtDecodeResult
wt_decode_body(WtDecoder *decoder, WtJson *json)
{
	if (decoder->done)
		return WT_DECODE_END;
	switch (decoder->form)
	{
		case WT_FORM_UNKNOWN:
			return decode_first(decoder, json);
		case WT_FORM_ARRAY:
			return next_element(decoder, json);
		case WT_FORM_LINES:
			return next_line(decoder, json);
		case WT_FORM_VALUES:
			return next_value(decoder, json);
		case WT_FORM_SINGLE:
			break;
	}
	return WT_DECODE_END;
}

WtDecodeResult
wt_decode_json(WtDecoder *decoder, WtJson *json)
{
	const char *from = decoder->next;
	WtDecodeResult result;

	decoder->content_type = NULL;
	result = wt_decode_body(decoder, json);
	/* One event is not to be refused where it could be in quarantine. */
	decoder->batch = true;
	if (result == WT_DECODE_REFUSED && decoder->raw)
		return bad_event(decoder, from, decoder->end);
	return result;
}

/* What surrounds an event is stored, be it good or bad: it is made fit in any case. */
static WtDecodeResult
next_of_protocol(WtDecoder *decoder, WtJson *json)
{
	WtDecodeResult result = decoder->protocol(decoder, json);
	const bool repair = json->repair;
	const WtJsonToken *unfit;

	if (result != WT_DECODE_BAD || !decoder->decoded.has_context)
		return result;
	json->repair = true;
	if (!wt_json_repair(json, &unfit))
		result = WT_DECODE_OUT_OF_MEMORY;
	json->repair = repair;
	return result;
}

WtDecodeResult
wt_decode_next(WtDecoder *decoder, WtJson *json)
{
	if (decoder->done)
		return WT_DECODE_END;
	if (!decoder->protocol)
		return wt_decode_body(decoder, json);
	memset(&decoder->decoded, 0, offsetof(WtDecoded, note) + 1);
	decoder->batch = true;
	return next_of_protocol(decoder, json);
}
