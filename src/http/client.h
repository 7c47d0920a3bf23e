/*
 * client.h
 *		Who is behind a request: the client's address, where reverse proxies say it.
 *
 * Plain C: raises nothing.
 *
 * Words:
 *	peer		the other end of the connection
 *	client		who sent the request to the first proxy; without a proxy, the peer
 *	trusted		a proxy that windtrap.trusted_proxies lists
 */
#ifndef WT_CLIENT_H
#define WT_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>

#include "base/cidr.h"
#include "http/request.h"

typedef struct WtClient
{
	bool has_address; /* false: it came by a Unix-domain socket */
	WtAddress address;
	char ip[INET6_ADDRSTRLEN]; /* the address as text */
	bool secure;			   /* its side of the way was HTTPS */
	bool proxied; /* it came by a proxy, trusted or not: whose address this is may be
				   * anybody's */
} WtClient;

/*
 * Finds the client.  peer is NULL on a Unix-domain socket; secure: the connection is TLS.
 *
 * Only a trusted peer is believed.  X-Forwarded-For is read from its right end, where the
 * nearest proxy wrote, to the first address that is not a trusted proxy's; what stands
 * left of that anybody may have written.  Without it Forwarded is read in the same way,
 * and without that X-Real-IP.  What is no address ends the search.
 */
extern void wt_client_find(const WtCidrList *trusted, const WtAddress *peer, bool secure,
						   const WtHeader *headers, int n_headers, WtClient *client);

#endif
