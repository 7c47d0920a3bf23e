/*
 * auth.c
 *		Who may.
 */
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/auth.h"
#include "base/cidr.h"
#include "base/list.h"
#include "base/origins.h"

/* The last use of a token is noted at most so often, µs. */
#define USE_INTERVAL INT64_C(60000000)

/* A sender may be ahead of its rate by what it may send in so long, µs. */
#define RATE_BURST INT64_C(1000000)

/* A token as text is shorter than that, bytes; what is longer is none. */
#define MAX_CREDENTIAL 512

/* Headers that are looked at for a token: each costs a digest and a look at all tokens. */
#define MAX_CREDENTIALS 8

typedef struct Token
{
	WtToken public; /* its strings are ours */
	int64_t used_us;
	int64_t noted_us;
} Token;

struct WtAuth
{
	WtAuthMode mode;
	char *cors_origins;
	char *allowed_hosts;
	WtCidrList trusted_proxies;
	bool known;			 /* what tokens there are */
	const char *unknown; /* why not, for who needs one */
	bool any;			 /* there has been a token */
	Token *tokens;
	int n_tokens;
	int64_t *places;
};

/*
 * Tokens
 */

bool
wt_auth_digest(const char *token, size_t length, unsigned char digest[WT_DIGEST_SIZE])
{
	return gnutls_hash_fast(GNUTLS_DIG_SHA256, token, length, digest) == 0;
}

/* Whether two digests are the same, in a time that does not say where they differ. */
static bool
same_digest(const unsigned char *a, const unsigned char *b)
{
	unsigned char difference = 0;

	for (int i = 0; i < WT_DIGEST_SIZE; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

static Token *
find_token(WtAuth *auth, const char *text, size_t length)
{
	unsigned char digest[WT_DIGEST_SIZE];
	Token *found = NULL;

	if (length == 0 || length > MAX_CREDENTIAL || !wt_auth_digest(text, length, digest))
		return NULL;
	for (int i = 0; i < auth->n_tokens; i++)
		if (same_digest(auth->tokens[i].public.digest, digest))
			found = &auth->tokens[i];
	return found;
}

/* The token that is the password of basic authentication. */
static Token *
find_password(WtAuth *auth, const char *encoded)
{
	gnutls_datum_t in = {(unsigned char *) (uintptr_t) encoded,
						 (unsigned int) strlen(encoded)};
	gnutls_datum_t out = {NULL, 0};
	Token *token = NULL;
	const char *colon;

	if (in.size > 2 * MAX_CREDENTIAL || gnutls_base64_decode2(&in, &out) != 0)
		return NULL;
	colon = out.size > 0 ? memchr(out.data, ':', out.size) : NULL;
	if (colon)
		token = find_token(auth, colon + 1,
						   out.size - (size_t) (colon + 1 - (const char *) out.data));
	gnutls_free(out.data);
	return token;
}

/* The value of a parameter of the query string, as it was sent; NULL: there is none. */
static const char *
find_parameter(const char *query, const char *name, size_t *length)
{
	size_t n = strlen(name);

	for (const char *p = query; p;)
	{
		if (strncmp(p, name, n) == 0 && p[n] == '=')
		{
			*length = strcspn(p + n + 1, "&;");
			return p + n + 1;
		}
		p = strchr(p, '&');
		if (p)
			p++;
	}
	return NULL;
}

/* Where the value of an Authorization header begins, if it is of that scheme. */
static const char *
after_scheme(const char *value, const char *scheme)
{
	size_t n = scheme ? strlen(scheme) : 0;

	if (n == 0 || strncasecmp(value, scheme, n) != 0 || value[n] != ' ')
		return NULL;
	value += n;
	return value + strspn(value, " ");
}

/* The token that a header brings; *text is NULL where it brings none, known or not. */
static Token *
token_in_header(WtAuth *auth, const WtEndpoint *endpoint, const WtHeader *h,
				const char **text)
{
	Token *token;

	*text = NULL;
	if (wt_header_is(h, "X-API-Key") ||
		(endpoint && endpoint->token_header && wt_header_is(h, endpoint->token_header)))
		*text = h->value;
	else if (!wt_header_is(h, "Authorization"))
		return NULL;
	else if ((*text = after_scheme(h->value, "Basic")) != NULL)
		return find_password(auth, *text);
	else if (endpoint && (*text = after_scheme(h->value, endpoint->token_scheme)) != NULL)
	{
		token = find_token(auth, *text, strlen(*text));
		return token ? token : find_password(auth, *text);
	}
	else
		*text = after_scheme(h->value, "Bearer");
	return *text ? find_token(auth, *text, strlen(*text)) : NULL;
}

/* Whether a route is one by which what is stored is looked at. */
static bool
is_of_viewer(WtRoute route)
{
	return route == WT_ROUTE_READ || route == WT_ROUTE_CHANGE;
}

static bool
reads(WtRoute route)
{
	return route == WT_ROUTE_METRICS || is_of_viewer(route);
}

/* Whether what is sent are rows of another collector. */
static bool
forwards(const WtAuthQuestion *question)
{
	const WtEndpoint *endpoint = question->request->endpoint;

	return question->route == WT_ROUTE_EVENTS && endpoint && endpoint->takes_rows;
}

/* Whether a token's scope is that of a route. */
static bool
is_in_scope(const WtToken *token, WtRoute route)
{
	switch (route)
	{
		case WT_ROUTE_METRICS:
		case WT_ROUTE_HEALTH:
		case WT_ROUTE_READ:
			return token->read;
		case WT_ROUTE_CHANGE:
			return token->read && token->ingest;
		default:
			return token->ingest;
	}
}

/* Whether a token's scope is what is asked for. */
static bool
may_pass(const WtToken *token, const WtAuthQuestion *question)
{
	return forwards(question) ? token->forward : is_in_scope(token, question->route);
}

/* How well a token fits a question, of several the best is taken. */
static int
fitness(const Token *token, const WtAuthQuestion *question)
{
	if (!token)
		return 0;
	if (token->public.expires_us <= question->now_us)
		return 1;
	return may_pass(&token->public, question) ? 3 : 2;
}

/*
 * The token that a request brings; *brought: whether it brings any, known or not.
 *
 * It may bring several credentials, of which some are not meant for us: browsers add those of
 * basic authentication, which a site or a proxy in front has asked for, to beacons too.  So
 * all are looked at, and what is not known counts for nothing beside one that is.
 *
 * What is looked at is looked at by browsers and programs that can set a header: there a token
 * in an address, which histories and the logs of proxies keep, is none.
 */
static Token *
brought_token(WtAuth *auth, const WtAuthQuestion *question, bool *brought)
{
	const WtRequest *request = question->request;
	size_t length;
	const char *text = is_of_viewer(question->route)
						   ? NULL
						   : find_parameter(request->query, "token", &length);
	Token *best = text ? find_token(auth, text, length) : NULL;
	int n = 0;

	*brought = text != NULL || question->in_path != NULL;
	if (question->in_path)
	{
		Token *token = find_token(auth, question->in_path, question->in_path_length);

		if (fitness(token, question) > fitness(best, question))
			best = token;
	}
	for (int i = 0; i < request->n_headers && n < MAX_CREDENTIALS; i++)
	{
		Token *token =
			token_in_header(auth, request->endpoint, &request->headers[i], &text);

		if (!text)
			continue;
		n++;
		*brought = true;
		if (fitness(token, question) > fitness(best, question))
			best = token;
	}
	return best;
}

/*
 * Whether a token's rate lets one more request pass; else *wait is when it would, in s.
 * What is kept, for all workers together, is the time until which the token is used up: each
 * request moves it on by its share of a second (the generic cell rate algorithm).
 */
static bool
within_rate(WtAuth *auth, const WtToken *token, int64_t now, int *wait)
{
	int64_t *place;
	int64_t share;
	int64_t old;

	if (token->rate <= 0)
		return true;
	place = &auth->places[(uint32_t) token->id % WT_RATE_PLACES];
	share = INT64_C(1000000) / token->rate;
	old = __atomic_load_n(place, __ATOMIC_RELAXED);
	for (;;)
	{
		int64_t next = (old > now ? old : now) + share;

		if (next - now > (RATE_BURST > share ? RATE_BURST : share))
		{
			*wait = (int) ((next - now - RATE_BURST + 999999) / 1000000);
			if (*wait < 1)
				*wait = 1;
			return false;
		}
		if (__atomic_compare_exchange_n(place, &old, next, true, __ATOMIC_RELAXED,
										__ATOMIC_RELAXED))
			return true;
	}
}

/*
 * The verdict
 */

static void
refuse(WtVerdict *verdict, int status, WtReason reason, const char *sentence)
{
	verdict->status = status;
	verdict->reason = reason;
	verdict->sentence = sentence;
}

/* Whether any token's holder may be a page of this origin: a preflight brings no token. */
static bool
any_token_has_origin(const WtAuth *auth, const char *origin)
{
	for (int i = 0; i < auth->n_tokens; i++)
	{
		const char *origins = auth->tokens[i].public.origins;

		if (origins && wt_origins_have(origins, origin, NULL, false))
			return true;
	}
	return false;
}

static void
check_token(WtAuth *auth, const WtAuthQuestion *question, Token *token,
			const char *origin, WtVerdict *verdict)
{
	const WtToken *public = &token->public;

	if (public->expires_us <= question->now_us)
	{
		verdict->authenticate = true;
		refuse(verdict, 401, WT_REASON_TOKEN, "the token has expired: ask for a new one");
		return;
	}
	if (!may_pass(public, question))
	{
		refuse(verdict, 403, WT_REASON_SCOPE,
			   forwards(question)					? "the token's scope is not forward"
			   : question->route == WT_ROUTE_CHANGE ? "the token's scope is not all"
			   : reads(question->route)				? "the token's scope is not read"
													: "the token's scope is not ingest");
		return;
	}
	if (public->origins &&
		(!origin || !wt_origins_have(public->origins, origin, NULL, false)))
	{
		refuse(verdict, 403, WT_REASON_ORIGIN,
			   "the token is for pages of other origins: see its origins in "
			   "windtrap.tokens");
		return;
	}
	if (!within_rate(auth, public, question->monotonic_us, &verdict->retry_after))
	{
		refuse(verdict, 429, WT_REASON_RATE,
			   "more requests than the token's rate allows: slow down");
		return;
	}
	token->used_us = question->now_us;
	verdict->source = public->source;
	verdict->may_read = public->read;
	verdict->may_change = public->read && public->ingest;
	verdict->token = public->id;
}

/*
 * Whether no token is needed for what is asked, by who asks.  That anybody may send does not say
 * that anybody may read what others have sent, or say what others have.
 */
static bool
is_open_to(const WtAuth *auth, const WtAuthQuestion *question, bool local)
{
	if (question->route == WT_ROUTE_METRICS)
		return local;
	if (is_of_viewer(question->route) || forwards(question))
		return local && wt_auth_is_open(auth);
	return auth->mode == WT_AUTH_NONE || (local && wt_auth_is_open(auth));
}

/*
 * The hazard of a door that is open to local clients is a browser on this machine, led here
 * by a page whose name was made to point to it: its Host gives it away.  A list that was
 * given holds for everybody.
 */
static bool
host_may(const WtAuth *auth, const WtAuthQuestion *question, bool at_risk)
{
	const char *host = question->request->host;

	if (!question->peer || !host || !(at_risk || auth->allowed_hosts[0] != '\0'))
		return true;
	return wt_host_is_allowed(auth->allowed_hosts, host);
}

/*
 * Whose page it is that makes a browser ask: "same-origin", "none" where it is the user himself,
 * and others; NULL: it does not say.  No page can write this header.
 */
static const char *
asking_site(const WtRequest *request)
{
	return wt_header_find(request->headers, request->n_headers, "Sec-Fetch-Site");
}

/*
 * Whether a browser says that a page of another origin makes it ask for what is stored, be it as
 * a script or a picture, with which it sends no Origin: such a page cannot read the answer, but
 * can learn from how long it takes whether there are events of some kind.
 */
static bool
is_led_here(const WtAuthQuestion *question)
{
	const char *site = asking_site(question->request);

	return is_of_viewer(question->route) && site && strcmp(site, "same-origin") != 0 &&
		   strcmp(site, "none") != 0;
}

/*
 * Whether a page of this origin may ask.  A token that names origins lets these in, whatever
 * the list has; a browser's question before it sends brings no token.
 *
 * The list has those that may send, and is often "*".  What is stored only the viewer's own
 * page reads without such a token; where a proxy has changed the Host, the browser knows.
 */
static bool
page_may(const WtAuth *auth, const WtAuthQuestion *question, const WtClient *client,
		 const Token *token, const char *origin)
{
	bool own = is_of_viewer(question->route);
	const char *site = own ? asking_site(question->request) : NULL;

	if (site && strcmp(site, "same-origin") == 0)
		return true;
	if (wt_origins_have(own ? "self" : auth->cors_origins, origin,
						question->request->host, client->secure))
		return true;
	if (question->route == WT_ROUTE_OPTIONS)
		return any_token_has_origin(auth, origin);
	return token && token->public.origins &&
		   wt_origins_have(token->public.origins, origin, NULL, false);
}

/* Who asks for nothing but whether the collector is well: only how much is told. */
static void
check_health(WtAuth *auth, const WtAuthQuestion *question, bool local, WtVerdict *verdict)
{
	bool brought;
	const Token *token = brought_token(auth, question, &brought);

	verdict->may_read =
		(local && host_may(auth, question, true)) ||
		(token && token->public.read && token->public.expires_us > question->now_us);
}

/* Who sends, or reads. */
static void
check_access(WtAuth *auth, const WtAuthQuestion *question, const char *origin, bool local,
			 WtVerdict *verdict)
{
	bool open = is_open_to(auth, question, local);
	bool brought;
	Token *token = brought_token(auth, question, &brought);

	if (!host_may(auth, question, local && open && !token))
	{
		refuse(verdict, 421, WT_REASON_HOST,
			   "this Host is not known here: add it to windtrap.allowed_hosts");
		return;
	}
	if (origin && !page_may(auth, question, &verdict->client, token, origin))
	{
		refuse(verdict, 403, WT_REASON_ORIGIN,
			   is_of_viewer(question->route)
				   ? "pages of this origin may not look at what is stored: a token may "
					 "that names it as one of its origins"
				   : "pages of this origin may not send: add it to "
					 "windtrap.cors_origins");
		return;
	}
	if (!origin && is_led_here(question))
	{
		refuse(verdict, 403, WT_REASON_ORIGIN,
			   "pages of other origins may not look at what is stored");
		return;
	}
	if (origin && forwards(question))
	{
		refuse(verdict, 403, WT_REASON_ORIGIN,
			   "pages do not forward: rows of another collector come without an Origin");
		return;
	}
	verdict->origin = origin;
	if (question->route == WT_ROUTE_OPTIONS)
		return;
	if (open)
	{
		verdict->may_read = local;
		verdict->may_change = true;
		verdict->source = token ? token->public.source : question->certificate_name;
	}
	else if (token)
		check_token(auth, question, token, origin, verdict);
	else if (question->certificate_name && !reads(question->route) && !forwards(question))
		verdict->source = question->certificate_name;
	else if (!auth->known)
		refuse(verdict, 503, WT_REASON_UNAVAILABLE, auth->unknown);
	else
	{
		verdict->authenticate = true;
		refuse(verdict, 401, WT_REASON_TOKEN,
			   brought ? "the token is not known here: it is mistyped, or it was revoked"
			   : is_of_viewer(question->route)
				   ? "a token is needed: send it as Authorization: Bearer, or X-API-Key"
				   : "a token is needed: send it as Authorization: Bearer, X-API-Key, "
					 "or ?token=");
	}
}

void
wt_auth_check(WtAuth *auth, const WtAuthQuestion *question, WtVerdict *verdict)
{
	const WtRequest *request = question->request;
	const char *origin = wt_header_find(request->headers, request->n_headers, "Origin");
	bool local;

	memset(verdict, 0, sizeof(*verdict));
	wt_client_find(&auth->trusted_proxies, question->peer, question->secure,
				   request->headers, request->n_headers, &verdict->client);
	local = !verdict->client.proxied && !question->passed_on &&
			(!question->peer || wt_address_is_loopback(question->peer));
	switch (question->route)
	{
		case WT_ROUTE_EVENTS:
		case WT_ROUTE_METRICS:
		case WT_ROUTE_OPTIONS:
		case WT_ROUTE_CHECK:
		case WT_ROUTE_READ:
		case WT_ROUTE_CHANGE:
			check_access(auth, question, origin, local, verdict);
			return;
		case WT_ROUTE_HEALTH:
			check_health(auth, question, local, verdict);
			break;
		case WT_ROUTE_PROBE:
		case WT_ROUTE_FILE:
		case WT_ROUTE_NOT_FOUND:
		case WT_ROUTE_BAD_METHOD:
			break;
	}
	/* What everybody is told, a page that is listed may see. */
	if (origin && page_may(auth, question, &verdict->client, NULL, origin))
		verdict->origin = origin;
}

bool
wt_auth_still_lets_in(const WtAuth *auth, int32_t token, WtRoute route, int64_t now_us,
					  WtVerdict *verdict)
{
	if (token == WT_NO_TOKEN && wt_auth_is_open(auth))
		return true;
	for (int i = 0; i < auth->n_tokens && token != WT_NO_TOKEN; i++)
	{
		const WtToken *public = &auth->tokens[i].public;

		if (public->id == token && public->expires_us > now_us &&
			is_in_scope(public, route))
			return true;
	}
	/* Nothing has become of a token that only cannot be looked up. */
	if (!auth->known)
		refuse(verdict, 503, WT_REASON_UNAVAILABLE, auth->unknown);
	else
		refuse(verdict, 401, WT_REASON_TOKEN,
			   "this may not be read any more: the token has been revoked or has "
			   "expired, or one is needed now");
	return false;
}

/*
 * The life of it
 */

WtAuth *
wt_auth_create(int64_t *places)
{
	WtAuth *auth = calloc(1, sizeof(WtAuth));
	WtAuthSettings settings = {WT_AUTH_TOKEN, "", "", ""};

	if (!auth)
		return NULL;
	auth->places = places;
	auth->unknown = "tokens cannot be checked yet, try again";
	if (!wt_auth_configure(auth, &settings))
	{
		wt_auth_destroy(auth);
		return NULL;
	}
	return auth;
}

static void
free_tokens(Token *tokens, int n)
{
	for (int i = 0; i < n; i++)
	{
		free((char *) (uintptr_t) tokens[i].public.source);
		free((char *) (uintptr_t) tokens[i].public.origins);
	}
	free(tokens);
}

void
wt_auth_destroy(WtAuth *auth)
{
	if (!auth)
		return;
	free_tokens(auth->tokens, auth->n_tokens);
	free(auth->cors_origins);
	free(auth->allowed_hosts);
	wt_cidr_list_free(&auth->trusted_proxies);
	free(auth);
}

bool
wt_auth_configure(WtAuth *auth, const WtAuthSettings *settings)
{
	char *origins = strdup(settings->cors_origins);
	char *hosts = strdup(settings->allowed_hosts);
	const char *bad;
	size_t n;

	if (!origins || !hosts ||
		!wt_cidr_list_parse(settings->trusted_proxies, &auth->trusted_proxies, &bad, &n))
	{
		free(origins);
		free(hosts);
		return false;
	}
	free(auth->cors_origins);
	free(auth->allowed_hosts);
	auth->cors_origins = origins;
	auth->allowed_hosts = hosts;
	auth->mode = settings->mode;
	return true;
}

static bool
copy_token(Token *copy, const WtToken *token)
{
	copy->public = *token;
	copy->public.source = token->source ? strdup(token->source) : NULL;
	copy->public.origins = token->origins ? strdup(token->origins) : NULL;
	return (!token->source || copy->public.source) &&
		   (!token->origins || copy->public.origins);
}

bool
wt_auth_set_tokens(WtAuth *auth, const WtToken *tokens, int n, bool any)
{
	Token *copies = calloc((size_t) (n > 0 ? n : 1), sizeof(Token));

	if (!copies)
		return false;
	for (int i = 0; i < n; i++)
	{
		if (!copy_token(&copies[i], &tokens[i]))
		{
			free_tokens(copies, i + 1);
			return false;
		}
		for (int k = 0; k < auth->n_tokens; k++)
		{
			if (auth->tokens[k].public.id != tokens[i].id)
				continue;
			copies[i].used_us = auth->tokens[k].used_us;
			copies[i].noted_us = auth->tokens[k].noted_us;
		}
	}
	free_tokens(auth->tokens, auth->n_tokens);
	auth->tokens = copies;
	auth->n_tokens = n;
	auth->any = any;
	auth->known = true;
	return true;
}

void
wt_auth_set_unknown(WtAuth *auth, const char *sentence)
{
	free_tokens(auth->tokens, auth->n_tokens);
	auth->tokens = NULL;
	auth->n_tokens = 0;
	auth->known = false;
	auth->unknown = sentence;
}

bool
wt_auth_knows(const WtAuth *auth)
{
	return auth->known;
}

bool
wt_auth_is_open(const WtAuth *auth)
{
	return auth->mode == WT_AUTH_NONE ||
		   (auth->mode == WT_AUTH_AUTO && auth->known && !auth->any);
}

bool
wt_auth_next_use(WtAuth *auth, int64_t now_us, int32_t *id, int64_t *used_us)
{
	for (int i = 0; i < auth->n_tokens; i++)
	{
		Token *token = &auth->tokens[i];

		if (token->used_us <= token->noted_us || now_us - token->noted_us < USE_INTERVAL)
			continue;
		*id = token->public.id;
		*used_us = token->used_us;
		token->noted_us = now_us;
		return true;
	}
	return false;
}
