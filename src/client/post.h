/*
 * post.h
 *		A client that sends bodies to servers by POST, each over a connection that is kept, by
 *		libcurl.
 *
 * Plain C without PostgreSQL's headers: nothing that raises can run beneath libcurl's
 * callbacks.  Nothing here waits longer than it is told to.
 */
#ifndef WT_POST_H
#define WT_POST_H

#include <stdbool.h>
#include <stddef.h>

/* What sends several at a time, and one of them: one body after the other. */
typedef struct WtPoster WtPoster;
typedef struct WtPost WtPost;

typedef struct WtPostRequest
{
	const char *url;
	const char *ca_file;		/* PEM: whom to trust; "": whom the system trusts */
	const char *const *headers; /* as "Name: value", the last one NULL */
	const char *body;			/* must stay until there is an answer, or it is aborted */
	size_t length;
	int timeout; /* ms for all of it, but for what a long body takes */
} WtPostRequest;

/* What has become of a request. */
typedef enum WtPostEnd
{
	WT_POST_ANSWERED,
	WT_POST_NO_HOST,	   /* of that name */
	WT_POST_NO_CONNECTION, /* nobody listens there, or the network is down */
	WT_POST_BAD_CA_FILE,
	WT_POST_NOT_TRUSTED, /* its certificate */
	WT_POST_NO_TLS,		 /* the handshake failed */
	WT_POST_NO_HTTP,	 /* what came back is none, or longer than is read */
	WT_POST_CLOSED,		 /* the connection broke before there was an answer */
	WT_POST_TIMEOUT,
	WT_POST_FAILED /* otherwise */
} WtPostEnd;

typedef struct WtPostAnswer
{
	WtPostEnd end;
	int status;		  /* of WT_POST_ANSWERED: the code, */
	int retry_after;  /* s, 0: not said */
	const char *body; /* and its body, until the next request; not a string */
	size_t length;
	const char *detail; /* libcurl's words, "": none; until the next request */
} WtPostAnswer;

/*
 * Keeps so many connections that nobody uses.  NULL: out of memory.  Both live as long as their
 * process.
 */
extern WtPoster *wt_poster_new(int connections);
extern WtPost *wt_post_new(WtPoster *poster);

/* Begins a request, ending the one before; false: out of memory. */
extern bool wt_post_begin(WtPost *post, const WtPostRequest *request);

/* Waits for at most some ms until any of its requests can go on, and goes on with all of them. */
extern void wt_poster_run(WtPoster *poster, int ms);

/* The same; whether this one has ended. */
extern bool wt_post_run(WtPost *post, int ms);

/* Whether all of its body has been handed to the network. */
extern bool wt_post_is_sent(const WtPost *post);

/* Of a request that has ended. */
extern const WtPostAnswer *wt_post_answer(const WtPost *post);

/* Ends a request, if there is one, without an answer. */
extern void wt_post_abort(WtPost *post);

#endif
