/*
 * http_verdict.h
 *		What another WindTrap's answer says of the events that were sent to it, or why there is
 *		none.
 *
 * Plain C: raises nothing.
 */
#ifndef WT_HTTP_VERDICT_H
#define WT_HTTP_VERDICT_H

#include <stdbool.h>

#include "client/post.h"

typedef enum WtVerdict
{
	WT_VERDICT_TAKEN,		 /* all of them are durable there */
	WT_VERDICT_SOME_REFUSED, /* some of them will never be */
	WT_VERDICT_TOO_LARGE,	 /* they are too many at once */
	WT_VERDICT_NO_TOKEN,	 /* the token is none that it knows */
	WT_VERDICT_SLOW,		 /* not answered, sent or stored in time */
	WT_VERDICT_FAILED		 /* it does not take events, whichever they are */
} WtVerdict;

#define WT_VERDICT_MESSAGE 240

/*
 * Reads the answer to a request with n events; token is what was sent with it, "" where there
 * was none.  Why they were not taken, or one of them was not, is in message: a plain sentence
 * that says what to do where that is known, without the token.
 */
extern WtVerdict wt_verdict(const WtPostAnswer *answer, int n, const char *token,
							char message[WT_VERDICT_MESSAGE]);

#endif
