/*
 * stream.h
 *		The way to a MongoDB server: sockets and TLS that a cancelled query does not wait for.
 *
 * libmongoc's own streams wait in poll() until a time is over, whatever happens in the
 * meantime.  These look every 100 ms whether the query is to end, and from then on every
 * operation fails at once, so that libmongoc returns by itself: no longjmp crosses it.
 *
 * Runs beneath libmongoc, so it includes no PostgreSQL header and raises nothing.
 */
#ifndef WM_STREAM_H
#define WM_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include <mongoc/mongoc.h>

struct WmStream;

/* What the streams of one client share; its owner zeroes it and fills in the settings. */
typedef struct WmNetwork
{
	bool (*interrupted)(void); /* is the query to end?  Must not raise. */
	int connect_timeout_ms;
	bool tls;
	const char *ca_file; /* NULL: the system's authorities, unless ca_dir */
	const char *ca_dir;
	const char *crl_file;
	const char *pem_file; /* our certificate and its key; NULL: none */
	const char *pem_password;
	bool accept_any_certificate;

	/* Once set, everything fails at once.  Set by an interrupt too. */
	bool dead;
	bool connected; /* to some server, at some time since the client was made */
	/* Everything fails from then on, by wm_monotonic_ms; 0: there is no such time. */
	int64_t deadline_ms;

	struct WmStream *streams; /* open ones */
} WmNetwork;

/* A mongoc_stream_initiator_t; user_data is the WmNetwork, which must outlive the stream. */
extern mongoc_stream_t *wm_stream_open(const mongoc_uri_t *uri,
									   const mongoc_host_list_t *host, void *user_data,
									   bson_error_t *error);

/* Whether no server has closed its end; for when nothing is under way. */
extern bool wm_network_is_alive(WmNetwork *network);

/* Milliseconds of a clock that only goes forward. */
extern int64_t wm_monotonic_ms(void);

#endif
