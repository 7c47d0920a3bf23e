/*
 * proxy_protocol.h
 *		The header by which a proxy says whose connection it passes on: the PROXY protocol,
 *		version 1 (a line of text) and 2 (binary), as HAProxy has defined it.
 *
 * Plain C: raises nothing, keeps nothing.
 */
#ifndef WT_PROXY_PROTOCOL_H
#define WT_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cidr.h"

/* The longest header that is read, bytes; one of version 2 can say more about the client. */
#define WT_PROXY_HEADER_MAX 2048

typedef enum WtProxyResult
{
	WT_PROXY_INCOMPLETE, /* more bytes may make it one */
	WT_PROXY_MALFORMED,	 /* nothing will */
	WT_PROXY_COMPLETE
} WtProxyResult;

typedef struct WtProxyHeader
{
	size_t length; /* bytes; the client's own begin after them */
	bool own;	   /* the proxy's own connection: to see whether we live */
	bool known;	   /* address is the client's */
	WtAddress address;
} WtProxyHeader;

/* Reads a header at the beginning of n bytes; *header is set where it is COMPLETE. */
extern WtProxyResult wt_proxy_header_parse(const char *bytes, size_t n,
										   WtProxyHeader *header);

#endif
