/*
 * answer_stream_state.h
 *		Answers that are streamed, as the listener's other files see them.
 */
#ifndef WT_ANSWER_STREAM_STATE_H
#define WT_ANSWER_STREAM_STATE_H

#include "http/listener_state.h"

/*
 * MHD is done with a request that is answered so, before its connection goes on or ends.  True:
 * the stages after the listener still hold the request, and let go of it themselves.
 */
extern bool wt_answer_stream_leave(AnswerStream *stream);

/* Aborts all of them; the next run of MHD ends their connections. */
extern void wt_answer_streams_end(WtListener *listener);

extern void wt_answer_stream_free(AnswerStream *stream);

#endif
