/*
 * refused.h
 *		The record of refused requests: the last few thousand, and counts by client.
 *
 * Plain C, written beneath MHD's callbacks: nothing here raises, waits or allocates after
 * it has been opened.  The record lies in memory that several processes share; all of them
 * write without locks, and readers skip what is being written at that moment.
 *
 * What comes from the net lies there as it came, cut short; who shows it must escape it
 * (wt_text_escape).
 */
#ifndef WT_REFUSED_H
#define WT_REFUSED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"

#define WT_REFUSED_REQUESTS 4096 /* remembered */
#define WT_REFUSED_CLIENTS 1024	 /* pairs of client and reason */

/* What is kept of each text, bytes; at most 254. */
#define WT_REFUSED_METHOD 20
#define WT_REFUSED_PATH 200
#define WT_REFUSED_AGENT 120

/* The record, as it lies in shared memory. */
typedef struct WtRefusedRecord WtRefusedRecord;

/* One process's way to write into it. */
typedef struct WtRefused WtRefused;

/* A refused request, or a connection that was turned away. */
typedef struct WtRefusal
{
	int64_t time_us;	/* µs since 1970-01-01 UTC */
	const char *ip;		/* NULL: none, as on a Unix-domain socket */
	const char *method; /* NULL: not known, as all that follows */
	const char *path;	/* it is cut where a query string begins */
	const char *user_agent;
	size_t user_agent_length;
	int status; /* 0: there was no answer */
	WtReason reason;
	int line; /* where the body is wrong, both from 1; 0: it is not known */
	int column;
} WtRefusal;

/* Texts are not ended by a NUL; this length says that there is none. */
#define WT_REFUSED_NONE UINT8_MAX

/* A client's address. */
typedef struct WtRefusedAddress
{
	uint8_t bytes[16];
	uint8_t length; /* 4 or 16; 0: none */
} WtRefusedAddress;

/* A request as it is remembered, with those like it that came soon after it. */
typedef struct WtRefusedRequest
{
	uint64_t serial; /* ascends with the first of them */
	int64_t time_us; /* of the last of them */
	uint32_t times;	 /* 0: nothing is here */
	uint32_t line;	 /* of the last of them; 0: not known */
	uint32_t column;
	uint16_t status;
	uint8_t reason;
	uint8_t method_length;
	uint8_t path_length;
	uint8_t user_agent_length;
	WtRefusedAddress address;
	char method[WT_REFUSED_METHOD];
	char path[WT_REFUSED_PATH];
	char user_agent[WT_REFUSED_AGENT];
} __attribute__((aligned(8))) WtRefusedRequest;

/* What one client was refused for one reason. */
typedef struct WtRefusedClient
{
	int64_t first_us;
	int64_t last_us;
	uint64_t times; /* 0: nothing is here */
	WtRefusedAddress address;
	uint8_t reason;
} __attribute__((aligned(8))) WtRefusedClient;

/* Bytes that a record takes. */
extern size_t wt_refused_size(void);

/* Makes an empty record of so many bytes, which are aligned as malloc's. */
extern WtRefusedRecord *wt_refused_init(void *memory);

/* For writing; NULL where memory is wanting.  It is never closed. */
extern WtRefused *wt_refused_open(WtRefusedRecord *record);

/*
 * Remembers a refusal, and counts it for its client.  One that is like one of the last 64
 * different ones of this process only adds to that.  Where another process is in the way, it is not
 * remembered.  refused may be NULL: then nothing is.
 */
extern void wt_refused_add(WtRefused *refused, const WtRefusal *refusal);

/*
 * Copies what is remembered in place i, below WT_REFUSED_REQUESTS; false: nothing, or it
 * is being written.
 */
extern bool wt_refused_request(WtRefusedRecord *record, unsigned i,
							   WtRefusedRequest *request);

/* The same for the counts, i being below WT_REFUSED_CLIENTS. */
extern bool wt_refused_client(WtRefusedRecord *record, unsigned i,
							  WtRefusedClient *client);

#endif
