/*
 * head.c
 *		The head of a request: see head.h.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/framing.h"
#include "http/head.h"

/*
 * What of MHD's memory the head of an answer takes at most, beside what it repeats of the
 * request, and what each header of a request takes beside its text.
 */
#define ANSWER_MEMORY 1024
#define HEADER_MEMORY 64

static enum MHD_Result
add_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	Request *r = cls;
	WtHeader *h;

	(void) kind;
	if (!value)
		value = "";
	if (r->public.n_headers == r->max_headers)
	{
		int max = r->max_headers ? r->max_headers * 2 : 16;

		h = realloc(r->headers, (size_t) max * sizeof(WtHeader));
		if (!h)
			return MHD_NO;
		r->headers = h;
		r->max_headers = max;
	}
	h = &r->headers[r->public.n_headers++];
	h->name = name;
	h->value = value;
	h->name_length = (uint32_t) strlen(name);
	h->value_length = (uint32_t) strlen(value);
	return MHD_YES;
}

bool
wt_head_read(Request *r)
{
	struct MHD_Connection *mhd = r->connection->mhd;

	if (MHD_get_connection_values(mhd, MHD_HEADER_KIND, add_header, r) < 0 ||
		MHD_get_connection_values(mhd, MHD_HEADER_KIND, NULL, NULL) !=
			r->public.n_headers)
		return false;
	r->public.headers = r->headers;
	r->chunked = find_header(&r->public, "Transfer-Encoding") != NULL;
	return true;
}

/*
 * Of an absolute target, `http://host/path`, the authority is the host, whatever the Host
 * header says (RFC 9112, 3.2.2): it is moved to the front, without a user's name, which may
 * be a secret.
 */
bool
wt_head_split_target(Request *r)
{
	char *path = r->target;
	char *query;
	bool ok = true;

	if (strncasecmp(path, "http://", 7) == 0 || strncasecmp(path, "https://", 8) == 0)
	{
		char *authority = strchr(path, ':') + 3;
		size_t length = strcspn(authority, "/?#");
		char *host = authority + length;

		path = host;
		while (host > authority && host[-1] != '@')
			host--;
		length = (size_t) (path - host);
		ok = length > 0 && *host != ':' && wt_framing_is_host(host, length);
		/* There is room: at least the scheme has gone from in front of it. */
		memmove(r->target, host, length);
		r->target[length] = '\0';
		r->target_host = r->target;
	}
	query = strchr(path, '?');
	if (query)
		*query++ = '\0';
	r->public.path = *path ? path : "/";
	r->public.query = query;
	return ok;
}

const char *
wt_head_check(const Request *r, const char *version)
{
#if WT_MHD_HEAD_IN_PLACE
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		r->connection->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	const char *begin = r->public.method;
	const char *end = info ? begin + info->header_size : NULL;

	/* The head is one piece from the method to the empty line's end. */
	if (end && version > begin && version < end)
	{
		const char *wrong;

		if (r->target_in_place != begin + strlen(begin) + 1 ||
			version != r->target_in_place + r->target_length + 1)
			return "the request line is not a method, a target and a version with one "
				   "space between them";
		wrong = wt_framing_check_lines(version, end);
		if (wrong)
			return wrong;
	}
#endif
	if (r->chunked && strcmp(version, "HTTP/1.1") != 0)
		return "only HTTP/1.1 knows Transfer-Encoding";
	return wt_framing_check_headers(r->public.headers, r->public.n_headers);
}

/* MHD below 1.0 leaves them there. */
void
wt_head_trim(Request *r)
{
	for (int i = 0; i < r->public.n_headers; i++)
	{
		WtHeader *h = &r->headers[i];
		size_t length = h->value_length;

		while (length > 0 &&
			   (h->value[length - 1] == ' ' || h->value[length - 1] == '\t'))
			length--;
		if (length == h->value_length)
			continue;
		h->value_length = (uint32_t) length;
		((char *) (uintptr_t) h->value)[length] = '\0';
	}
}

bool
wt_head_leaves_room(const Request *r)
{
	struct MHD_Connection *mhd = r->connection->mhd;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	size_t needed = (info ? info->header_size : 0) + ANSWER_MEMORY;
	int n =
		r->public.n_headers + MHD_get_connection_values(mhd, MHD_COOKIE_KIND, NULL, NULL);

	for (int i = 0; i < r->public.n_headers; i++)
	{
		const WtHeader *h = &r->headers[i];

		/* A copy of these is made: for MHD itself, and for what answers repeat. */
		if (wt_header_is(h, "Cookie") || wt_header_is(h, "Origin") ||
			wt_header_is(h, "Access-Control-Request-Headers"))
			needed += h->value_length;
	}
	return needed + (size_t) n * HEADER_MEMORY <= CONNECTION_MEMORY;
}
