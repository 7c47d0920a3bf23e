/*
 * cidr.h
 *		Ranges of IP addresses: lists such as "10.0.0.0/8, ::1, unix", and what is in them.
 *
 * Plain C: raises nothing.  An IPv4 address that comes mapped into IPv6 (::ffff:10.0.0.1)
 * is taken as the IPv4 address that it is.
 */
#ifndef WT_CIDR_H
#define WT_CIDR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* An address as 16 bytes, IPv4 ones mapped into IPv6. */
typedef struct WtAddress
{
	unsigned char bytes[16];
} WtAddress;

typedef struct WtCidr
{
	WtAddress network;
	int bits; /* of the 128 that count */
} WtCidr;

typedef struct WtCidrList
{
	WtCidr *ranges; /* by malloc */
	int n;
	bool unix_sockets; /* "unix": those who come by a Unix-domain socket */
} WtCidrList;

/* Reads an address as text of length bytes, without port or brackets; false: it is none. */
extern bool wt_address_parse(const char *text, size_t length, WtAddress *address);

/* The same of a socket's address; false: it is not one of IP. */
extern bool wt_address_of_socket(const struct sockaddr *socket_address,
								 WtAddress *address);

/* Writes an address as text; size is at least INET6_ADDRSTRLEN. */
extern void wt_address_format(const WtAddress *address, char *text, size_t size);

/* Whether it is this machine's own: 127.0.0.0/8, ::1. */
extern bool wt_address_is_loopback(const WtAddress *address);

/* Reads "address" or "address/bits" of length bytes; false: it is neither. */
extern bool wt_cidr_parse(const char *text, size_t length, WtCidr *range);

/*
 * Reads a comma-separated list; *list takes the place of what it was before.  False where
 * an item is wrong (*bad, *bad_length: which one) or memory is wanting (*bad: NULL); then
 * *list is as it was.
 */
extern bool wt_cidr_list_parse(const char *text, WtCidrList *list, const char **bad,
							   size_t *bad_length);

/* Whether an address is in the list; NULL: that of a Unix-domain socket. */
extern bool wt_cidr_list_has(const WtCidrList *list, const WtAddress *address);

extern void wt_cidr_list_free(WtCidrList *list);

#endif
