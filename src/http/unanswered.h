/*
 * unanswered.h
 *		What MHD refuses without an answer, and who answers instead.
 */
#ifndef WT_UNANSWERED_H
#define WT_UNANSWERED_H

#include "http/listener_state.h"

/* Whether MHD says, by this format in its log, that it closes a connection unanswered. */
extern bool wt_is_silent_refusal(const char *format);

/*
 * A request is over, or a connection, before MHD closes it: answers what MHD has refused
 * without an answer.
 */
extern void wt_end_of_unanswered(Request *r, struct MHD_Connection *mhd,
								 enum MHD_RequestTerminationCode code);
extern void wt_end_without_request(Connection *c);

#endif
