/*
 * origins.h
 *		Patterns of hosts and origins: whether one is well formed, and what it matches.
 *
 * Plain C: raises nothing.
 *
 * Words:
 *	origin		what a page's address begins with: https://app.example.com:8443
 *	pattern		a host or an origin, the host of which may begin with "*." for any names
 *				below it
 *	list		patterns with commas between them, as settings have them
 */
#ifndef WT_ORIGINS_H
#define WT_ORIGINS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether an item of windtrap.cors_origins, or of a token's origins, is one. */
extern bool wt_origin_is_valid(const char *item, size_t length);

/* Whether an item of windtrap.allowed_hosts is one. */
extern bool wt_host_is_valid(const char *item, size_t length);

/*
 * Whether a list has an origin.  Its item "self" means a page of the host that the request
 * was sent to, by TLS where secure; it counts where host is not NULL.
 */
extern bool wt_origins_have(const char *list, const char *origin, const char *host,
							bool secure);

/*
 * Whether a Host cannot be that of a page which has led a browser here: an address, a name
 * of this machine's own, or one that the list has.
 */
extern bool wt_host_is_allowed(const char *list, const char *host);

#endif
