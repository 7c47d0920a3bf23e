/*
 * tls.h
 *		TLS, by GnuTLS: certificate, key and authorities from their files; and who the other
 *		side of a session is.
 *
 * libmicrohttpd makes the sessions and takes them down; before its handshake each is given
 * the credentials that are in use then, so that a renewed certificate holds for the
 * connections that come, and those that are open keep what they have.
 *
 * Plain C: raises nothing.
 */
#ifndef WT_TLS_H
#define WT_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/file.h"

struct gnutls_session_int;

/* Credentials, counted by those who hold them. */
typedef struct WtTls WtTls;

typedef struct WtTlsSettings
{
	const char *cert_file; /* PEM: the certificate, and those between it and the root */
	const char *key_file;  /* PEM, and readable by its owner alone */
	const char *ca_file;   /* PEM: authorities for certificates of clients; "": none */
	bool only_1_3;		   /* no TLS 1.2 */
} WtTlsSettings;

/*
 * Reads the files.  Gives new credentials, or `current` (which may be NULL) once more where
 * nothing has changed in them; in both cases the caller holds what it gets.  NULL and
 * *error where they are not fit for use.
 */
extern WtTls *wt_tls_load(const WtTlsSettings *settings, WtTls *current,
						  WtFileError *error);

extern WtTls *wt_tls_hold(WtTls *tls);
extern void wt_tls_release(WtTls *tls);

/*
 * Sets up a session before its handshake.  The caller holds tls as long as the session
 * lives.  False: it cannot be, for want of memory.
 */
extern bool wt_tls_begin(const WtTls *tls, struct gnutls_session_int *session);

/* Whether clients are asked for certificates: there are authorities for them. */
extern bool wt_tls_asks(const WtTls *tls);

/* Whether the session waits for writing, not for reading. */
extern bool wt_tls_wants_to_write(struct gnutls_session_int *session);

/* Whether the session holds bytes that were received and have not been read. */
extern bool wt_tls_has_unread(struct gnutls_session_int *session);

/* Sends a last message (what fits at once), and says that it was the last. */
extern void wt_tls_send_last(struct gnutls_session_int *session, const char *message,
							 size_t length);

/* What a source can be long, and a NUL. */
#define WT_CERTIFICATE_NAME_SIZE 129

typedef enum WtTlsPeer
{
	WT_TLS_PEER_ANONYMOUS, /* has shown no certificate */
	WT_TLS_PEER_KNOWN,	   /* has a valid one */
	WT_TLS_PEER_REFUSED	   /* has shown one that is not valid */
} WtTlsPeer;

/*
 * Who the client is, once the handshake is over.  KNOWN: text (of WT_CERTIFICATE_NAME_SIZE
 * bytes) is the common name of the certificate's subject, UTF-8 without control
 * characters.  REFUSED: text says why, as the end of a sentence.
 */
extern WtTlsPeer wt_tls_peer(const WtTls *tls, struct gnutls_session_int *session,
							 char *text);

#endif
