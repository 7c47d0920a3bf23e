/*
 * charset.c
 *		Bodies in other charsets → UTF-8.
 */
#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "event/charset.h"
#include "base/text.h"

#define MAX_NAME 32

/* More than one call of iconv writes of one character, bytes. */
#define ROOM 64

/*
 * Names of charsets begin with one of these.  iconv knows hundreds more, which nobody sends,
 * with state, and code that is rarely looked at.
 */
static const char *const known[] = {
	"iso-8859-", "iso8859-", "iso_8859-",	"latin",  "windows-125", "cp125",
	"cp437",	 "cp850",	 "cp852",		"cp866",  "ibm437",		 "ibm850",
	"ibm852",	 "ibm866",	 "koi8-",		"utf-16", "utf-32",		 "gbk",
	"gb2312",	 "gb18030",	 "big5",		"euc-",	  "shift_jis",	 "shift-jis",
	"sjis",		 "cp932",	 "windows-31j", "cp949",  "tis-620",	 "macintosh",
};

/* The charset of a Content-Type, in lower case; false: it names none. */
static bool
find_charset(const char *type, char name[MAX_NAME])
{
	size_t n = 0;

	while (type && (type = strchr(type, ';')) != NULL)
	{
		type++;
		type += strspn(type, " \t");
		if (strncasecmp(type, "charset=", 8) != 0)
			continue;
		type += 8;
		if (*type == '"' || *type == '\'')
			type++;
		while (*type && !strchr("\"'; \t", *type) && n < MAX_NAME - 1)
		{
			name[n++] = (char) (*type >= 'A' && *type <= 'Z' ? *type + 32 : *type);
			type++;
		}
		name[n] = '\0';
		return n > 0;
	}
	return false;
}

/* ASCII is UTF-8; and who says ASCII and sends other bytes means UTF-8, most likely. */
static bool
is_utf8(const char *name)
{
	return strcmp(name, "utf-8") == 0 || strcmp(name, "utf8") == 0 ||
		   strcmp(name, "us-ascii") == 0 || strcmp(name, "ascii") == 0;
}

static bool
is_known(const char *name)
{
	if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != strlen(name))
		return false;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strncmp(name, known[i], strlen(known[i])) == 0)
			return true;
	return false;
}

/* The charset that a byte order mark of UTF-16 or UTF-32 stands for; NULL: there is none. */
static const char *
marked_charset(const char *body, size_t length)
{
	if (length >= 4 && memcmp(body, "\xFF\xFE\0\0", 4) == 0)
		return "utf-32";
	if (length >= 4 && memcmp(body, "\0\0\xFE\xFF", 4) == 0)
		return "utf-32";
	if (length >= 2 &&
		(memcmp(body, "\xFF\xFE", 2) == 0 || memcmp(body, "\xFE\xFF", 2) == 0))
		return "utf-16";
	return NULL;
}

static bool
is_type(const char *type, const char *word)
{
	type += strspn(type, " \t");
	return strncasecmp(type, word, strlen(word)) == 0;
}

/*
 * Whether a byte of a form can stand there without its escape, behind the n bytes of out: not
 * what has a meaning of its own or could not stand in a form, not what would make the form
 * look like JSON, and no digit that would complete an escape with a % that is none.
 */
static bool
needs_no_escape(int byte, const char *out, size_t n)
{
	if (byte < 0x30 || byte == '=' || byte == 0x7F)
		return false;
	if (n == 0)
		return byte != '{' && byte != '[';
	return wt_hex_digit((char) byte) < 0 ||
		   !(out[n - 1] == '%' ||
			 (n > 1 && out[n - 2] == '%' && wt_hex_digit(out[n - 1]) >= 0));
}

/* Undoes the escapes of a form, but for those that it needs; gives the new length. */
static size_t
undo_escapes(const char *text, size_t length, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < length; i++)
	{
		int byte = wt_percent_byte(text + i, length - i);

		if (byte >= 0 && needs_no_escape(byte, out, n))
		{
			out[n++] = (char) byte;
			i += 2;
		}
		else
			out[n++] = text[i];
	}
	return n;
}

/* The size of a unit of the charset, bytes. */
static size_t
unit_size(const char *name)
{
	return strncmp(name, "utf-16", 6) == 0 ? 2 : strncmp(name, "utf-32", 6) == 0 ? 4 : 1;
}

/*
 * Converts into out, from *in (NULL: what iconv still holds back, which are letters that a
 * mark could follow) as far as there is room: ROOM bytes at least.
 */
static WtCharsetResult
convert_some(iconv_t conversion, char **in, size_t *left, size_t length, WtInflated *out)
{
	char *to;
	size_t room;
	bool failed;

	if (out->size - out->length < ROOM)
	{
		size_t size = out->size ? out->size * 2 : length + length / 2 + ROOM;
		char *data = realloc(out->data, size);

		if (!data)
			return WT_CHARSET_OUT_OF_MEMORY;
		out->data = data;
		out->size = size;
	}
	to = out->data + out->length;
	room = out->size - out->length - 1; /* one for what is no character */
	failed = iconv(conversion, in, left, &to, &room) == (size_t) -1;
	out->length = (size_t) (to - out->data);
	return failed && errno != E2BIG ? WT_CHARSET_UNKNOWN : WT_CHARSET_OK;
}

static WtCharsetResult
convert(iconv_t conversion, const char *body, size_t length, size_t unit, size_t limit,
		WtInflated *out)
{
	char *in = (char *) (uintptr_t) body;
	size_t left = length;
	WtCharsetResult result;

	out->length = 0;
	while (left > 0)
	{
		result = convert_some(conversion, &in, &left, length, out);
		if (result == WT_CHARSET_UNKNOWN)
		{
			size_t skipped = left < unit ? left : unit;

			/* Charsets of larger units hold nothing back, and would look for a mark anew. */
			result = unit == 1 ? convert_some(conversion, NULL, NULL, length, out)
							   : WT_CHARSET_OK;
			if (result != WT_CHARSET_OUT_OF_MEMORY)
				out->data[out->length++] = '\xFF';
			in += skipped;
			left -= skipped;
		}
		if (result == WT_CHARSET_OUT_OF_MEMORY)
			return result;
		if (out->length > limit)
			return WT_CHARSET_TOO_LARGE;
	}
	result = convert_some(conversion, NULL, NULL, length, out);
	if (result == WT_CHARSET_OUT_OF_MEMORY)
		return result;
	return out->length > limit ? WT_CHARSET_TOO_LARGE : WT_CHARSET_OK;
}

WtCharsetResult
wt_charset_convert(const char *content_type, const char *body, size_t length,
				   size_t limit, WtInflated *out)
{
	char declared[MAX_NAME];
	const char *name = declared;
	const char *marked;
	char *form = NULL;
	iconv_t conversion;
	WtCharsetResult result;

	if (!find_charset(content_type, declared))
		declared[0] = '\0';
	if (declared[0] == '\0' || is_utf8(declared))
	{
		name = marked_charset(body, length);
		if (!name || (content_type && is_type(content_type, "multipart/")))
			return WT_CHARSET_UTF8;
	}
	if (is_type(content_type ? content_type : "", "multipart/"))
		return WT_CHARSET_UTF8;
	if (!is_known(name))
		return WT_CHARSET_UNKNOWN;
	/* Without a mark senders mean the order of their machines; iconv removes a mark. */
	marked = marked_charset(body, length);
	if (strcmp(name, "utf-16") == 0 && !marked)
		name = length > 0 && body[0] == '\0' ? "utf-16be" : "utf-16le";
	if (strcmp(name, "utf-32") == 0 && !marked)
		name = length > 0 && body[0] == '\0' ? "utf-32be" : "utf-32le";
	conversion = iconv_open("UTF-8", name);
	if (conversion == (iconv_t) -1)
		return errno == ENOMEM ? WT_CHARSET_OUT_OF_MEMORY : WT_CHARSET_UNKNOWN;
	if (content_type && is_type(content_type, "application/x-www-form-urlencoded") &&
		unit_size(name) == 1 && length > 0 && !memchr("{[\"", body[0], 3))
	{
		form = malloc(length);
		if (!form)
		{
			iconv_close(conversion);
			return WT_CHARSET_OUT_OF_MEMORY;
		}
		length = undo_escapes(body, length, form);
		body = form;
	}
	result = convert(conversion, body, length, unit_size(name), limit, out);
	iconv_close(conversion);
	free(form);
	return result;
}
