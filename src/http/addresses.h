/*
 * addresses.h
 *		How many connections each address has: so that one client cannot have them all.
 *
 * IPv6 addresses are counted by their /64, which is what one client gets.  Connections of
 * the same machine, by loopback or a Unix-domain socket, are not counted: a reverse proxy
 * there speaks for many.
 *
 * Plain C: raises nothing.
 */
#ifndef WT_ADDRESSES_H
#define WT_ADDRESSES_H

#include <stddef.h>
#include <stdint.h>

#include "base/cidr.h"

typedef struct WtVisitor WtVisitor; /* an address with connections */

/* All zero: none. */
typedef struct WtAddresses
{
	WtVisitor **buckets;
	size_t n_buckets; /* a power of 2 */
	size_t n;
	uint64_t seed;
} WtAddresses;

/*
 * Counts one connection more of an address that has fewer than `limit` (0: no limit); false:
 * it has not.  *visitor is for wt_address_leave; NULL where it is not counted, be it for
 * want of memory.
 */
extern bool wt_address_enter(WtAddresses *addresses, const WtAddress *address, int limit,
							 WtVisitor **visitor);

/* One connection less. */
extern void wt_address_leave(WtAddresses *addresses, WtVisitor *visitor);

/* Frees the table, whose visitors have all left. */
extern void wt_addresses_free(WtAddresses *addresses);

#endif
