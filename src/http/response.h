/*
 * response.h
 *		Answers, as MHD or the socket is given them.
 */
#ifndef WT_RESPONSE_H
#define WT_RESPONSE_H

#include "http/answer.h"
#include "http/listener_state.h"
#include "http/page_files.h"

/* An answer of ours with its head, as it is sent without MHD. */
#define DIRECT_ANSWER_SIZE (WT_ANSWER_SIZE + 256)

/* Makes the responses that requests share; false: out of memory. */
extern bool wt_make_standing_responses(WtListener *listener);

/* Gives a request one of them, or, where it has headers of its own, one like it. */
extern void wt_set_standing_response(Request *r, struct MHD_Response *keep,
									 struct MHD_Response *close, const char *body);

/*
 * A response of what the worker answers; NULL: out of memory.  The second one's body comes from
 * a callback, and is in gzip or not.
 */
extern struct MHD_Response *wt_make_answer(const WtAnswer *answer, const Request *r);
extern struct MHD_Response *wt_make_streamed_answer(const WtAnswer *answer,
													const Request *r,
													MHD_ContentReaderCallback reader,
													void *cls, bool gzip);

/* Lets MHD go on with a request that is suspended, and send its response, if it has one. */
extern void wt_send_response(Request *r, int status);

/*
 * Answer from the callback for the head: with an error (close: the connection ends with it),
 * because the path does not take the method, because who sends may not, what the path takes
 * or whether a page may send, how the collector is, and a file of the viewer's page.  Give what
 * the callback gives.
 */
extern enum MHD_Result wt_refuse(Request *r, int status, WtReason reason,
								 const char *sentence, bool close);
extern enum MHD_Result wt_refuse_method(Request *r, const char *allow);
extern enum MHD_Result wt_refuse_by(Request *r, const WtVerdict *verdict);
extern enum MHD_Result wt_answer_options(Request *r, const char *allow);
extern enum MHD_Result wt_answer_health(WtListener *listener, Request *r, bool may_read);
extern enum MHD_Result wt_answer_file(Request *r, const WtPageFile *file);

/*
 * What a protocol says to WT_ROUTE_PROBE or WT_ROUTE_CHECK: as an answer from that callback,
 * and as the request's response for later.
 */
extern enum MHD_Result wt_answer_probe(WtListener *listener, Request *r);
extern void wt_make_probe(const WtListener *listener, Request *r);

/*
 * Answer behind MHD's back, straight to the socket or the session, which hold nothing of a
 * response yet; the second one where MHD takes no response, in the middle of a body above
 * all.  The caller ends the connection.
 */
extern void wt_answer_directly(Connection *c, int status, const char *phrase,
							   const char *sentence);
extern void wt_refuse_in_body(Request *r, int status, const char *phrase, WtReason reason,
							  const char *sentence);

/* The same for an answer that the stages after the listener give. */
extern void wt_answer_in_body(Request *r, const WtAnswer *answer);

/* A whole answer as it is sent, for where there is no MHD; gives its length. */
extern size_t wt_compose_answer(char message[DIRECT_ANSWER_SIZE], int status,
								const char *phrase, const char *sentence);

/* The body of the answer to one event that is committed; what who comes too late is told. */
extern const char wt_accepted[];
extern const char wt_stopping[];

#endif
