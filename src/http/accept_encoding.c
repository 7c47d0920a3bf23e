/*
 * accept_encoding.c
 *		Whether a client takes compressed answers: see accept_encoding.h.
 */
#include "http/accept_encoding.h"

/* Whether the parameters of an item, up to its comma, say q=0: not that one. */
static bool
is_refused(const char *parameters)
{
	const char *p = parameters;

	while (*p == ';' || *p == ' ' || *p == '\t')
	{
		p += strspn(p, "; \t");
		if ((p[0] == 'q' || p[0] == 'Q') && p[1] == '=')
		{
			size_t n = strspn(p + 2, "0.");

			return n > 0 && strchr(" \t,;", p[2 + n]) != NULL;
		}
		p += strcspn(p, ";,");
	}
	return false;
}

bool
wt_accepts_gzip(const WtRequest *request)
{
	for (int i = 0; i < request->n_headers; i++)
	{
		const char *p = request->headers[i].value;

		if (!wt_header_is(&request->headers[i], "Accept-Encoding"))
			continue;
		while (*p)
		{
			size_t n;

			p += strspn(p, " \t,");
			n = strcspn(p, " \t,;");
			if (((n == 4 && strncasecmp(p, "gzip", 4) == 0) ||
				 (n == 6 && strncasecmp(p, "x-gzip", 6) == 0)) &&
				!is_refused(p + n))
				return true;
			p += strcspn(p, ",");
		}
	}
	return false;
}
