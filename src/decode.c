/*
 * decode.c
 *		A request's body → events, each as the tokens of one JSON value.
 *
 * The Content-Type is a hint: senders get it wrong (curl -d says that everything is a
 * form), so a body that is JSON is taken as JSON under most types.  What remains is a
 * form where the sender says so, and text.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "decode.h"
#include "form.h"
#include "text.h"

/* What the sender says that the body is. */
typedef enum Declared
{
	DECLARED_JSON,
	DECLARED_FORM,
	DECLARED_NOTHING,
	DECLARED_OTHER
} Declared;

static WtDecodeResult refuse(WtDecoder *decoder, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static WtDecodeResult
refuse(WtDecoder *decoder, int status, const char *format, ...)
{
	va_list args;

	decoder->status = status;
	va_start(args, format);
	vsnprintf(decoder->error, sizeof(decoder->error), format, args);
	va_end(args);
	return WT_DECODE_BAD;
}

static bool
equal_caseless(const char *s, size_t length, const char *word)
{
	return length == strlen(word) && strncasecmp(s, word, length) == 0;
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
	if (equal_caseless(content_type, n, "application/json") ||
		equal_caseless(content_type, n, "text/json") ||
		(n > 5 && strncasecmp(content_type + n - 5, "+json", 5) == 0))
		return DECLARED_JSON;
	return DECLARED_OTHER;
}

static WtDecodeResult
refuse_json(WtDecoder *decoder, const char *text, const WtJsonError *error)
{
	int line;
	int column;

	wt_json_position(text, error->offset, &line, &column);
	return refuse(decoder, 400, "bad JSON at line %d, column %d: %s", line, column,
				  error->reason);
}

/* Every string of the tokens must be text that PostgreSQL can store. */
static WtDecodeResult
check_form(WtDecoder *decoder, const WtJson *json)
{
	for (uint32_t i = 0; i < json->n_tokens; i++)
	{
		const WtJsonToken *t = &json->tokens[i];

		if (t->type == WT_JSON_STRING &&
			wt_text_valid_prefix(t->u.text, t->length) != t->length)
			return refuse(decoder, 400,
						  "a field of the form is not valid UTF-8 text, or holds a NUL");
	}
	return WT_DECODE_EVENT;
}

static WtDecodeResult
decode_text(WtDecoder *decoder, WtJson *json, const char *text, size_t length)
{
	size_t valid = wt_text_valid_prefix(text, length);
	WtJsonToken *t;

	if (valid != length)
	{
		if (text[valid] == '\0')
			return refuse(decoder, 400,
						  "the body holds a NUL at byte %zu: send JSON or text",
						  valid + 1);
		return refuse(
			decoder, 400,
			"the body is neither JSON nor UTF-8 text: the byte 0x%02x at byte %zu "
			"is not valid UTF-8",
			(unsigned char) text[valid], valid + 1);
	}
	if (!wt_json_begin(json, 0) || !(t = wt_json_add(json, WT_JSON_STRING)))
		return WT_DECODE_OUT_OF_MEMORY;
	t->u.text = text;
	t->length = (uint32_t) length;
	return WT_DECODE_EVENT;
}

static WtDecodeResult
decode_body(WtDecoder *decoder, WtJson *json)
{
	Declared declared = declared_type(decoder->content_type);
	const char *text = decoder->body;
	size_t length = decoder->length;
	size_t space;
	bool looks_like_json;
	WtJsonError error;
	WtJsonResult r;

	if (decoder->content_encoding && decoder->content_encoding[0] != '\0' &&
		strcasecmp(decoder->content_encoding, "identity") != 0)
		return refuse(
			decoder, 415,
			"Content-Encoding \"%.40s\" is not supported: send the body as it is",
			decoder->content_encoding);

	/* A byte order mark is no part of the text. */
	if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
	{
		text += 3;
		length -= 3;
	}
	for (space = 0; space < length; space++)
		if (!memchr(" \t\r\n", text[space], 4))
			break;
	if (space == length)
		return refuse(decoder, 400, "the body is empty: send an event");
	if (length > decoder->max_event_size)
		return refuse(decoder, 413,
					  "the event is %zu bytes long, and windtrap.max_event_size is %zu",
					  length, decoder->max_event_size);

	/*
	 * Under any type but JSON's a number or a word is not worth a guess: "404" sent as
	 * text is text.  curl's default type, and none, are no statement at all.
	 */
	looks_like_json = text[space] == '{' || text[space] == '[' || text[space] == '"';
	if (looks_like_json || declared != DECLARED_OTHER)
	{
		r = wt_json_parse(json, text, length, &error);
		if (r == WT_JSON_OK)
			return WT_DECODE_EVENT;
		if (r == WT_JSON_OUT_OF_MEMORY)
			return WT_DECODE_OUT_OF_MEMORY;
		if (declared == DECLARED_JSON || (declared != DECLARED_OTHER && looks_like_json))
			return refuse_json(decoder, text, &error);
	}

	if (declared == DECLARED_FORM)
	{
		if (wt_form_parse(json, text, length) != WT_JSON_OK)
			return WT_DECODE_OUT_OF_MEMORY;
		return check_form(decoder, json);
	}
	return decode_text(decoder, json, text, length);
}

WtDecodeResult
wt_decode_next(WtDecoder *decoder, WtJson *json)
{
	if (decoder->done)
		return WT_DECODE_END;
	decoder->done = true;
	return decode_body(decoder, json);
}
