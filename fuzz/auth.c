/*
 * auth.c
 *		Fuzz target: who may (src/http/auth.h), and who is behind proxies (src/http/client.h).
 *
 * The first byte of the input has a bit for each circumstance below; the rest is lines: one
 * that begins with '?' is the query string, the others are headers, name:value.
 *
 * However the head is written, nobody gets in without the token who needs one, no page whose
 * origin is not listed does, and who is not trusted is not believed.
 */
#define _GNU_SOURCE /* strcasestr */
#include "http/auth.h"
#include "fuzz.h"

#define TOKEN_KNOWN 1  /* there is a token; else there never was one */
#define PEER_TRUSTED 2 /* the peer is a proxy that is trusted */
#define PEER_DISTANT 4 /* it is not of this machine */
#define TOKEN_NEEDED 8 /* windtrap.auth is token */
#define READS 16	   /* /metrics, not /log */
#define BY_UNIX_SOCKET 32
#define LOOKS 64 /* at what is stored; with READS changes it */

#define MAX_HEADERS 16

static const char secret[] = "wt_secret";

static const WtEndpoint takes_rows = {.name = "rows", .takes_rows = true};

static int64_t places[WT_RATE_PLACES];

/* Splits text into headers and a query string, in place. */
static void
parse(char *text, WtHeader *headers, WtRequest *request)
{
	char *line = text;

	while (line)
	{
		char *next = strchr(line, '\n');
		char *colon;

		if (next)
			*next++ = '\0';
		colon = strchr(line, ':');
		if (line[0] == '?')
			request->query = line + 1;
		else if (colon && request->n_headers < MAX_HEADERS)
		{
			WtHeader *h = &headers[request->n_headers++];

			*colon = '\0';
			h->name = line;
			h->value = colon + 1;
			h->name_length = (uint32_t) strlen(h->name);
			h->value_length = (uint32_t) strlen(h->value);
		}
		line = next;
	}
	request->headers = headers;
	request->host = wt_header_find(headers, request->n_headers, "Host");
}

static bool
has_header(const WtRequest *request, const char *name)
{
	return wt_header_find(request->headers, request->n_headers, name) != NULL;
}

/* Whether the token is in a place where it counts, whatever else there is; looks: for who looks. */
static bool
brings_it_plainly(const WtRequest *request, bool looks)
{
	for (int i = 0; i < request->n_headers && i < 8; i++)
		if (strcasecmp(request->headers[i].name, "X-API-Key") == 0 &&
			strcmp(request->headers[i].value, secret) == 0)
			return true;
	return !looks && request->query && strcmp(request->query, "token=wt_secret") == 0;
}

/* What a Host may be where the door is open; no more than it must be. */
static bool
is_of_this_machine(const char *host)
{
	size_t n = host ? strcspn(host, ":") : 0;

	return !host || host[0] == '[' || strspn(host, "0123456789.") == n ||
		   (n >= 9 && strcasestr(host, "localhost"));
}

/* Whether a request is of no page, or, by what its browser says, of the one that was served. */
static bool
comes_of_own_page(const WtRequest *request)
{
	const char *origin = wt_header_find(request->headers, request->n_headers, "Origin");
	const char *site =
		wt_header_find(request->headers, request->n_headers, "Sec-Fetch-Site");
	const char *host = origin ? strstr(origin, "://") : NULL;

	if (site && strcmp(site, "same-origin") == 0)
		return true;
	if (origin)
		return host && request->host && strcasecmp(host + 3, request->host) == 0;
	return !site || strcmp(site, "none") == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const WtAuthSettings settings[] = {
		{WT_AUTH_AUTO, "https://app.example", "", "10.0.0.0/8"},
		{WT_AUTH_TOKEN, "https://app.example", "", "10.0.0.0/8"},
	};
	WtHeader headers[MAX_HEADERS];
	WtRequest request = {.method = "POST", .path = "/log"};
	WtAuthQuestion question = {.request = &request, .now_us = 1, .monotonic_us = 1};
	WtToken token = {
		.id = 1, .ingest = true, .read = true, .source = "shop", .expires_us = INT64_MAX};
	WtVerdict verdict;
	WtAddress peer;
	WtAddress again;
	WtAuth *auth;
	char *text;
	const char *sent;
	bool brings;
	bool proxied;
	bool local;
	bool looks;

	if (size == 0)
		return 0;
	sent = data[0] & PEER_TRUSTED	? "10.0.0.1"
		   : data[0] & PEER_DISTANT ? "203.0.113.1"
									: "127.0.0.1";
	CHECK(wt_address_parse(sent, strlen(sent), &peer), "%s", sent);
	question.peer = data[0] & BY_UNIX_SOCKET ? NULL : &peer;
	looks = (data[0] & LOOKS) != 0;
	question.route = looks ? (data[0] & READS ? WT_ROUTE_CHANGE : WT_ROUTE_READ)
					 : data[0] & READS ? WT_ROUTE_METRICS
									   : WT_ROUTE_EVENTS;

	text = malloc(size);
	CHECK(text, "out of memory");
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	/* The head holds no NUL: framing.c has seen to that. */
	if (strlen(text) != size - 1)
	{
		free(text);
		return 0;
	}
	brings = strstr(text, secret) || strcasestr(text, "basic");
	parse(text, headers, &request);

	auth = wt_auth_create(places);
	CHECK(auth && wt_auth_configure(auth, &settings[data[0] & TOKEN_NEEDED ? 1 : 0]),
		  "out of memory");
	CHECK(wt_auth_digest(secret, strlen(secret), token.digest), "no digest");
	CHECK(wt_auth_set_tokens(auth, &token, data[0] & TOKEN_KNOWN ? 1 : 0,
							 (data[0] & TOKEN_KNOWN) != 0),
		  "out of memory");
	wt_auth_check(auth, &question, &verdict);

	proxied = has_header(&request, "Via") || has_header(&request, "Forwarded") ||
			  has_header(&request, "X-Forwarded-For") ||
			  has_header(&request, "X-Real-IP");
	local = !proxied && (!question.peer || !(data[0] & (PEER_TRUSTED | PEER_DISTANT)));
	if (verdict.status == 0 && !brings)
	{
		CHECK(local, "a stranger is let in");
		CHECK((!looks && (data[0] & READS)) || !(data[0] & (TOKEN_KNOWN | TOKEN_NEEDED)),
			  "events are let in, or out, without a token");
		CHECK(!looks || !question.peer || is_of_this_machine(request.host),
			  "a page whose name points here looks at what is stored: %s", request.host);
	}
	/* Whoever brings the token is not told that there is none, or that it is not known. */
	if ((data[0] & TOKEN_KNOWN) && brings_it_plainly(&request, looks))
		CHECK(verdict.status != 401, "a right token is hidden: %s", verdict.sentence);
	if (verdict.status == 0 && looks)
		CHECK(comes_of_own_page(&request), "another page looks at what is stored");
	else if (verdict.status == 0 && has_header(&request, "Origin"))
	{
		CHECK(verdict.origin && strcasecmp(verdict.origin, "https://app.example") == 0,
			  "a page is let in: %s", verdict.origin ? verdict.origin : "none");
	}
	if (verdict.status != 0)
		CHECK(verdict.sentence && verdict.reason != WT_REASON_NONE,
			  "refused without reason");
	CHECK(!verdict.source || (brings && strcmp(verdict.source, "shop") == 0),
		  "a source without its token");

	/* A token that may do anything else does not forward, and nobody does without one. */
	if (question.route == WT_ROUTE_EVENTS)
	{
		WtVerdict of_rows;

		request.endpoint = &takes_rows;
		wt_auth_check(auth, &question, &of_rows);
		CHECK(of_rows.status != 0 ||
				  (local && !(data[0] & (TOKEN_KNOWN | TOKEN_NEEDED)) &&
				   !has_header(&request, "Origin")),
			  "rows of another collector are let in");
	}

	if (verdict.client.has_address)
		CHECK(wt_address_parse(verdict.client.ip, strlen(verdict.client.ip), &again) &&
				  memcmp(&again, &verdict.client.address, sizeof(again)) == 0,
			  "the client's address as text: %s", verdict.client.ip);
	if (!question.peer || !(data[0] & PEER_TRUSTED))
		CHECK(verdict.client.has_address == (question.peer != NULL) &&
				  (!question.peer ||
				   memcmp(&verdict.client.address, &peer, sizeof(peer)) == 0),
			  "who is not trusted is believed: %s", verdict.client.ip);
	wt_auth_destroy(auth);
	free(text);
	return 0;
}
