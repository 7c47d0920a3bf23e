/*
 * framing.c
 *		Fuzz target: the head of a request (src/http/framing.h).
 *
 * The first byte of the input picks what is done with the rest:
 *
 *	h	it is the headers, a line each and without spaces around the colon
 *	m	it is a head from the version on, as it is sent; it is treated as libmicrohttpd does
 *	others	it is libmicrohttpd's memory, with NULs in it already
 *
 * What is let through must be let through by a second reading as well, which is written
 * here, and the other way round.
 */
#include <strings.h>

#include "http/framing.h"
#include "fuzz.h"

/* version NUL NUL (name NUL value NUL NUL)* NUL NUL, and no other. */
static bool
lines_are_good(const char *p, size_t length)
{
	const char *end = p + length;

	p += strnlen(p, length);
	if (end - p < 2 || p[0] || p[1])
		return false;
	p += 2;
	for (;;)
	{
		if (end - p == 2 && !p[0] && !p[1])
			return true;
		/* A name, which is there and does not begin as a folded line does. */
		if (p == end || *p == '\0' || *p == ' ' || *p == '\t')
			return false;
		p += strnlen(p, (size_t) (end - p));
		if (p == end)
			return false;
		p++;
		p += strnlen(p, (size_t) (end - p));
		if (end - p < 2 || p[1])
			return false;
		p += 2;
	}
}

static void
check_lines(const char *text, size_t length)
{
	char *head = exact_copy(text, length);
	const char *wrong;

	/* libmicrohttpd has ended the version, if nothing else. */
	if (length == 0 || !memchr(head, '\0', length))
	{
		free(head);
		return;
	}
	wrong = wt_framing_check_lines(head, head + length);
	CHECK(!wrong == lines_are_good(head, length), "it says: %s", wrong ? wrong : "good");
	free(head);
}

/* NULs in place of the ends of lines and of the colons. */
static void
check_sent_lines(const char *text, size_t length)
{
	char *head = exact_copy(text, length);
	bool in_value = true; /* the version has no colon to look for */

	for (size_t i = 0; i < length; i++)
	{
		if (head[i] == '\n')
		{
			head[i] = '\0';
			if (i > 0 && head[i - 1] == '\r')
				head[i - 1] = '\0';
			in_value = false;
		}
		else if (head[i] == ':' && !in_value)
		{
			head[i] = '\0';
			in_value = true;
		}
	}
	check_lines(head, length);
	free(head);
}

static bool
is_called(const WtHeader *h, const char *name)
{
	return strcasecmp(h->name, name) == 0 && strlen(name) == h->name_length;
}

static bool
header_is_good(const WtHeader *h)
{
	static const char allowed[] = "!#$%&'*+-.^_`|~0123456789"
								  "abcdefghijklmnopqrstuvwxyz"
								  "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	if (h->name_length == 0 || strspn(h->name, allowed) != h->name_length)
		return false;
	for (uint32_t i = 0; i < h->value_length; i++)
	{
		unsigned char c = (unsigned char) h->value[i];

		if (c == 0x7F || (c < 0x20 && c != '\t'))
			return false;
	}
	if (is_called(h, "content-length") &&
		(h->value_length == 0 || strspn(h->value, "0123456789") != h->value_length))
		return false;
	for (uint32_t i = 0; is_called(h, "host") && i < h->value_length; i++)
		if (h->value[i] == '\0' || strchr(" \t\"#,/<>?@\\^`{|}", h->value[i]))
			return false;
	return !is_called(h, "transfer-encoding") || strcasecmp(h->value, "chunked") == 0;
}

static bool
headers_are_good(const WtHeader *headers, int n)
{
	int lengths = 0;
	int encodings = 0;
	int hosts = 0;

	for (int i = 0; i < n; i++)
	{
		if (!header_is_good(&headers[i]))
			return false;
		lengths += is_called(&headers[i], "content-length");
		encodings += is_called(&headers[i], "transfer-encoding");
		hosts += is_called(&headers[i], "host");
	}
	return lengths + encodings <= 1 && hosts <= 1;
}

/* Bytes with a NUL after them, as libmicrohttpd gives names and values. */
static const char *
ended_copy(const char *from, size_t length)
{
	char *copy = malloc(length + 1);

	CHECK(copy, "out of memory");
	memcpy(copy, from, length);
	copy[length] = '\0';
	return copy;
}

static void
check_headers(const char *text, size_t length)
{
	WtHeader headers[64];
	const char *end = text + length;
	const char *wrong;
	int n = 0;

	while (text < end && n < 64)
	{
		const char *line_end = memchr(text, '\n', (size_t) (end - text));
		const char *colon;

		if (!line_end)
			line_end = end;
		colon = memchr(text, ':', (size_t) (line_end - text));
		if (!colon)
			colon = line_end;
		headers[n].name_length = (uint32_t) (colon - text);
		headers[n].name = ended_copy(text, headers[n].name_length);
		if (colon < line_end)
			colon++;
		headers[n].value_length = (uint32_t) (line_end - colon);
		headers[n].value = ended_copy(colon, headers[n].value_length);
		n++;
		text = line_end < end ? line_end + 1 : end;
	}
	wrong = wt_framing_check_headers(headers, n);
	CHECK(!wrong == headers_are_good(headers, n), "it says: %s", wrong ? wrong : "good");
	while (n-- > 0)
	{
		free((char *) (uintptr_t) headers[n].name);
		free((char *) (uintptr_t) headers[n].value);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data + 1;

	if (size == 0)
		return 0;
	switch (data[0])
	{
		case 'h':
			check_headers(text, size - 1);
			break;
		case 'm':
			check_sent_lines(text, size - 1);
			break;
		default:
			check_lines(text, size - 1);
			break;
	}
	return 0;
}
