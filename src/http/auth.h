/*
 * auth.h
 *		Who may: tokens, origins, hosts, and the client that proxies speak for.
 *
 * Plain C: raises nothing, so it is asked beneath libmicrohttpd's callback, when the head
 * of a request has come and before its body is read.
 *
 * Words:
 *	token		a secret that lets its holder in, within its scope; known here by its
 *				digest alone
 *	local		a client on this machine that came without a proxy
 *	open		what needs no token
 */
#ifndef WT_AUTH_H
#define WT_AUTH_H

#include "http/client.h"
#include "base/auth_mode.h"
#include "base/counters.h"
#include "base/shared_parts.h"
#include "http/endpoint.h"
#include "http/request.h"

#define WT_DIGEST_SIZE 32 /* SHA-256 */

/* What a source can be long, bytes. */
#define WT_MAX_SOURCE 128

typedef struct WtAuthSettings
{
	WtAuthMode mode;
	/* Lists as in the settings, checked by wt_*_is_valid and wt_cidr_list_parse. */
	const char *cors_origins;
	const char *allowed_hosts;
	const char *trusted_proxies;
} WtAuthSettings;

/* A token; the strings are the caller's. */
typedef struct WtToken
{
	int32_t id;
	unsigned char digest[WT_DIGEST_SIZE];
	bool ingest; /* its scope */
	bool read;
	bool forward;
	const char *source; /* whose events these are; NULL: not said */
	const char
		*origins; /* a list: pages that may use it, and nobody else; NULL: all may */
	int rate;	  /* requests a second; 0: no limit */
	int64_t expires_us; /* since 1970-01-01 UTC; INT64_MAX: never */
} WtToken;

/* What is to be decided. */
typedef struct WtAuthQuestion
{
	const WtRequest *request; /* its head */
	WtRoute route;
	const char *in_path; /* a credential there; NULL: none */
	size_t in_path_length;
	const WtAddress *peer;		  /* NULL: a Unix-domain socket */
	bool passed_on;				  /* by a proxy, which has said whose connection it is */
	bool secure;				  /* the connection is TLS */
	const char *certificate_name; /* of a verified client certificate; NULL: none */
	int64_t now_us;				  /* wall clock, since 1970-01-01 UTC */
	int64_t monotonic_us;
} WtAuthQuestion;

typedef struct WtVerdict
{
	int status;			  /* 0: it may pass; else what it is refused with: */
	WtReason reason;	  /* for the counters */
	const char *sentence; /* for the sender */
	int retry_after;	  /* s; 0: it is not said */
	bool authenticate;	  /* say that a token is wanted */

	WtClient client;	/* always set */
	const char *origin; /* a page of this origin may see the answer; the request's own
						 * header, NULL: no page may */
	const char *source; /* to be stored; valid until the next wt_auth_set_… */
	bool may_read;		/* details of how the collector is doing */
	bool may_change;	/* what is stored, too, and not only read it */
	int32_t token;		/* by which it passes; WT_NO_TOKEN: it needs none */
} WtVerdict;

/* No token's id. */
#define WT_NO_TOKEN 0

typedef struct WtAuth WtAuth;

/*
 * Rates are kept in places[WT_RATE_PLACES], which workers share and which begin as zeros.
 * Until it has been told of tokens it knows none, and says 503 to who brings one.  NULL
 * where memory is wanting.
 */
extern WtAuth *wt_auth_create(int64_t *places);

extern void wt_auth_destroy(WtAuth *auth);

/* False, and all is as it was, where memory is wanting. */
extern bool wt_auth_configure(WtAuth *auth, const WtAuthSettings *settings);

/*
 * The tokens that there are now.  any: whether there has ever been one, be it revoked: then
 * the door does not open again.  False, and all is as it was, where memory is wanting.
 */
extern bool wt_auth_set_tokens(WtAuth *auth, const WtToken *tokens, int n, bool any);

/*
 * The tokens cannot be read: who needs one is told to come back, by a sentence that says why
 * and is not copied.
 */
extern void wt_auth_set_unknown(WtAuth *auth, const char *sentence);

/* Whether it knows what tokens there are. */
extern bool wt_auth_knows(const WtAuth *auth);

/* Whether local clients need no token. */
extern bool wt_auth_is_open(const WtAuth *auth);

/* Decides. */
extern void wt_auth_check(WtAuth *auth, const WtAuthQuestion *question,
						  WtVerdict *verdict);

/*
 * Whether a client that has been let in by this token, or by none, would still be, on a route by
 * which is read or changed what is stored: an answer may last longer than what it was begun with.
 * Where not, the verdict says what it is refused with: status, reason and sentence alone.
 */
extern bool wt_auth_still_lets_in(const WtAuth *auth, int32_t token, WtRoute route,
								  int64_t now_us, WtVerdict *verdict);

/*
 * A token that has been used since this was last noted, a minute ago or longer: sets *id
 * and *used_us (wall clock), and takes it as noted.  False: there is none.
 */
extern bool wt_auth_next_use(WtAuth *auth, int64_t now_us, int32_t *id, int64_t *used_us);

/* SHA-256 of a token's text; false where that could not be computed. */
extern bool wt_auth_digest(const char *token, size_t length,
						   unsigned char digest[WT_DIGEST_SIZE]);

#endif
