/*
 * url.h
 *		URLs of settings: where another server takes what is sent to it.
 *
 * Plain C: raises nothing.
 */
#ifndef WT_URL_H
#define WT_URL_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a text is meant as a URL: whether it begins as one does, whatever follows. */
extern bool wt_is_url(const char *text, size_t length);

/*
 * What is wrong with a URL, as the rest of a sentence about it; NULL: nothing.  It is http or
 * https, a host (a name, an IPv4 address, an IPv6 address in brackets), perhaps a port and a
 * path; neither a user, nor a query, nor a fragment.
 */
extern const char *wt_url_fault(const char *url, size_t length);

/* Where its path begins, which may be its end. */
extern const char *wt_url_path(const char *url);

#endif
