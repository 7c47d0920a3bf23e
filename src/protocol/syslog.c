/*
 * syslog.c
 *		Messages of syslog: RFC 5424, and RFC 3164 as it is found.
 *
 * `data->'json'` has what a message says, by the names that windtrap.severity(), message(), app()
 * and sender_host() know: severity and facility as words, timestamp as it was sent, host, app,
 * procid, msgid, structured_data, message.  What it does not say is left out.
 *
 * A message without a priority is a message, and nothing is guessed of it.
 */
#include <string.h>

#include "base/text_cursor.h"
#include "event/json_build.h"
#include "event/when.h"
#include "protocol/protocols.h"
#include "protocol/syslog_time.h"

static const char *const severities[] = {"emerg",	"alert",  "crit", "err",
										 "warning", "notice", "info", "debug"};
static const char *const facilities[] = {
	"kern",	  "user",	"mail",		"daemon", "auth",	"syslog", "lpr",	"news",
	"uucp",	  "cron",	"authpriv", "ftp",	  "ntp",	"audit",  "alert",	"clock",
	"local0", "local1", "local2",	"local3", "local4", "local5", "local6", "local7"};

/* What a tag can be long in RFC 3164's form, bytes; it says 32, and nobody keeps to it. */
#define MAX_TAG 128

typedef struct Part
{
	const char *text; /* NULL: it is not said */
	size_t length;
} Part;

typedef struct Header
{
	int priority; /* -1: none */
	Part timestamp;
	bool has_time;
	int64_t time_us;
	Part host;
	Part app;
	Part procid;
	Part msgid;
	WtTextCursor structured; /* empty: none */
	WtTextCursor message;
} Header;

/* Up to a blank, or the end. */
static Part
word(WtTextCursor *t)
{
	Part part = {t->p, 0};

	while (t->p < t->end && *t->p != ' ')
		t->p++;
	part.length = (size_t) (t->p - part.text);
	return part;
}

static bool
read_priority(WtTextCursor *t, int *priority)
{
	WtTextCursor at = *t;
	int n = 0;

	*priority = 0;
	if (!wt_text_skip(&at, '<'))
		return false;
	for (; n < 3 && wt_text_is_digit(&at); n++)
		*priority = *priority * 10 + (*at.p++ - '0');
	if (n == 0 || *priority > 191 || !wt_text_skip(&at, '>'))
		return false;
	*t = at;
	return true;
}

/*
 * RFC 5424
 */

/* The word, or nothing for "-", and the blank behind it. */
static bool
read_field(WtTextCursor *t, Part *part)
{
	*part = word(t);
	if (part->length == 0)
		return false;
	if (part->length == 1 && part->text[0] == '-')
		part->text = NULL;
	return wt_text_skip(t, ' ') || t->p == t->end;
}

/* Passes over a value in quotes; false: it does not end. */
static bool
pass_value(WtTextCursor *t)
{
	if (!wt_text_skip(t, '"'))
		return false;
	while (t->p < t->end && *t->p != '"')
		t->p += *t->p == '\\' && t->p + 1 < t->end ? 2 : 1;
	return wt_text_skip(t, '"');
}

/* A name of structured data: no blank, =, ] or ". */
static Part
name_of(WtTextCursor *t)
{
	Part name = {t->p, 0};

	while (t->p < t->end && (unsigned char) *t->p > ' ' && *t->p != '=' && *t->p != ']' &&
		   *t->p != '"')
		t->p++;
	name.length = (size_t) (t->p - name.text);
	return name;
}

/* Passes over one element, [id name="value" …]; false: it is none. */
static bool
pass_element(WtTextCursor *t)
{
	if (!wt_text_skip(t, '[') || name_of(t).length == 0)
		return false;
	while (wt_text_skip(t, ' '))
	{
		while (wt_text_skip(t, ' '))
			;
		if (t->p < t->end && *t->p == ']')
			break;
		if (name_of(t).length == 0 || !wt_text_skip(t, '=') || !pass_value(t))
			return false;
	}
	return wt_text_skip(t, ']');
}

static bool
read_structured(WtTextCursor *t, Header *header)
{
	WtTextCursor at = *t;

	if (wt_text_skip(&at, '-'))
	{
		if (at.p < at.end && *at.p != ' ')
			return false;
		*t = at;
		return true;
	}
	header->structured.p = at.p;
	while (at.p < at.end && *at.p == '[')
		if (!pass_element(&at))
			return false;
	header->structured.end = at.p;
	if (at.p == header->structured.p || (at.p < at.end && *at.p != ' '))
		return false;
	*t = at;
	return true;
}

static bool
read_5424(WtTextCursor t, Header *header)
{
	Header read = *header;

	if (!wt_text_skip(&t, '1') || !wt_text_skip(&t, ' ') ||
		!read_field(&t, &read.timestamp))
		return false;
	if (read.timestamp.text)
	{
		read.has_time =
			wt_when_read_text(read.timestamp.text, read.timestamp.length, &read.time_us);
		if (!read.has_time)
			return false;
	}
	/* What follows is not always what it should be: then it is the message. */
	*header = read;
	header->message = t;
	if (!read_field(&t, &read.host) || !read_field(&t, &read.app) ||
		!read_field(&t, &read.procid) || !read_field(&t, &read.msgid) ||
		!read_structured(&t, &read))
	{
		if (read.host.text == header->message.p)
		{
			header->host = read.host;
			header->message.p += read.host.length;
			(void) wt_text_skip(&header->message, ' ');
		}
		return true;
	}
	(void) wt_text_skip(&t, ' ');
	/* rsyslog's text begins with the blank that stood behind the tag. */
	(void) wt_text_skip(&t, ' ');
	if (t.end - t.p >= 3 && memcmp(t.p, "\xEF\xBB\xBF", 3) == 0)
		t.p += 3;
	*header = read;
	header->message = t;
	return true;
}

/*
 * RFC 3164
 */

/* A tag, "app:" or "app[pid]:", at the beginning of text; false: there is none. */
static bool
read_tag(WtTextCursor *t, Header *header)
{
	WtTextCursor at = *t;
	Part app = {at.p, 0};
	Part procid = {NULL, 0};

	while (at.p < at.end && (unsigned char) *at.p > ' ' && *at.p != '[' && *at.p != ':' &&
		   at.p - app.text <= MAX_TAG)
		at.p++;
	app.length = (size_t) (at.p - app.text);
	if (app.length == 0 || app.length > MAX_TAG)
		return false;
	if (wt_text_skip(&at, '['))
	{
		procid.text = at.p;
		while (at.p < at.end && *at.p != ']' && (unsigned char) *at.p > ' ')
			at.p++;
		procid.length = (size_t) (at.p - procid.text);
		if (!wt_text_skip(&at, ']'))
			return false;
	}
	/* Some leave out the colon behind the number of the process. */
	if (!wt_text_skip(&at, ':') && !procid.text)
		return false;
	if (at.p < at.end && *at.p != ' ')
		return false;
	(void) wt_text_skip(&at, ' ');
	header->app = app;
	header->procid = procid.length > 0 ? procid : (Part){NULL, 0};
	*t = at;
	return true;
}

static void
read_3164(WtTextCursor t, int64_t received_us, Header *header)
{
	const char *end =
		wt_syslog_time_read(t.p, (size_t) (t.end - t.p), received_us, &header->time_us);

	if (end)
	{
		header->has_time = true;
		header->timestamp = (Part){t.p, (size_t) (end - t.p)};
		t.p = end;
		(void) wt_text_skip(&t, ' ');
		/* A host, unless it is the tag already: some leave the host out. */
		if (!read_tag(&t, header))
		{
			Part host = word(&t);

			if (host.length > 0)
				header->host = host;
			(void) wt_text_skip(&t, ' ');
			(void) read_tag(&t, header);
		}
	}
	else
		(void) read_tag(&t, header);
	header->message = t;
}

/*
 * Tokens
 */

static void
add_part(WtBuild *build, const char *name, const Part *part)
{
	if (!part->text)
		return;
	wt_build_key(build, name);
	wt_build_string(build, part->text, part->length);
}

/* A value in quotes, of which \", \\ and \] lose their backslash. */
static void
add_value(WtBuild *build, WtTextCursor *t)
{
	const char *from;
	char *out;
	size_t length;
	size_t n = 0;
	WtTextCursor at = *t;

	(void) pass_value(t);
	from = at.p + 1;
	length = (size_t) (t->p - 1 - from);
	if (!memchr(from, '\\', length))
	{
		wt_build_string(build, from, length);
		return;
	}
	out = wt_build_room(build, length);
	if (!out)
		return;
	for (size_t i = 0; i < length; i++)
	{
		if (from[i] == '\\' && i + 1 < length &&
			(from[i + 1] == '"' || from[i + 1] == '\\' || from[i + 1] == ']'))
			i++;
		out[n++] = from[i];
	}
	wt_build_string(build, out, n);
}

/* [id name="value"] … as {"id": {"name": "value"}}; it is well-formed. */
static void
add_structured(WtBuild *build, WtTextCursor t)
{
	wt_build_key(build, "structured_data");
	wt_build_open(build, WT_JSON_OBJECT);
	while (wt_text_skip(&t, '['))
	{
		Part id = name_of(&t);

		wt_build_name(build, id.text, id.length);
		wt_build_open(build, WT_JSON_OBJECT);
		while (wt_text_skip(&t, ' '))
		{
			Part name;

			while (wt_text_skip(&t, ' '))
				;
			if (t.p < t.end && *t.p == ']')
				break;
			name = name_of(&t);
			(void) wt_text_skip(&t, '=');
			wt_build_name(build, name.text, name.length);
			add_value(build, &t);
		}
		wt_build_close(build);
		(void) wt_text_skip(&t, ']');
	}
	wt_build_close(build);
}

static void
add_word(WtBuild *build, const char *name, const char *text)
{
	wt_build_key(build, name);
	wt_build_string(build, text, strlen(text));
}

static void
build_event(WtBuild *build, const Header *header)
{
	wt_build_open(build, WT_JSON_OBJECT);
	if (header->priority >= 0)
	{
		add_word(build, "severity", severities[header->priority % 8]);
		add_word(build, "facility", facilities[header->priority / 8]);
	}
	add_part(build, "timestamp", &header->timestamp);
	add_part(build, "host", &header->host);
	add_part(build, "app", &header->app);
	add_part(build, "procid", &header->procid);
	add_part(build, "msgid", &header->msgid);
	if (header->structured.p < header->structured.end)
		add_structured(build, header->structured);
	wt_build_key(build, "message");
	wt_build_string(build, header->message.p,
					(size_t) (header->message.end - header->message.p));
	wt_build_close(build);
}

/* The next message of several. */
static WtDecodeResult
next(WtDecoder *decoder, WtJson *json)
{
	WtDecodeResult result;
	WtMessage message;
	Header header = {.priority = -1};
	WtBuild build;
	WtTextCursor t;

	result = wt_decode_next_message(decoder, &message);
	if (result != WT_DECODE_EVENT)
		return result;
	t = (WtTextCursor){message.text, message.text + message.length};
	while (t.end > t.p && (t.end[-1] == '\n' || t.end[-1] == '\r' || t.end[-1] == '\0'))
		t.end--;
	header.message = t;
	if (read_priority(&t, &header.priority))
	{
		if (!read_5424(t, &header))
			read_3164(t, decoder->request->received_us, &header);
	}
	else
		header.priority = -1;
	decoder->decoded.has_time = header.has_time;
	decoder->decoded.time_us = header.time_us;
	wt_build_begin(&build, json, true);
	build_event(&build, &header);
	if (!wt_build_is_good(&build))
		return WT_DECODE_OUT_OF_MEMORY;
	return wt_decode_good(decoder, json, message.text, message.length);
}

const WtProtocol wt_syslog_messages = {
	.endpoint = {.name = "syslog"},
	.next = next,
};
