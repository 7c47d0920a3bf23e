/*
 * answer.h
 *		What requests are answered with.  Plain C.
 */
#ifndef WT_ANSWER_H
#define WT_ANSWER_H

#include <stddef.h>

#include "base/counters.h"
#include "http/request.h"

/* An answer; all that is not named is zero, which says nothing. */
typedef struct WtAnswer
{
	int status;		 /* 0: the connection is closed without an answer */
	WtReason reason; /* why it is not a 2xx, for the counters */
	int line;		 /* where a body is wrong, both from 1; 0: it is not said */
	int column;
	const char *type; /* Content-Type; NULL: JSON */
	const char *body;
	size_t length;
	int retry_after; /* s; 0: as the status has it, 1 with 503 and none with others */
	/* More headers: of each only the texts are read, which end with a NUL; MHD has room for
	 * about 500 bytes of them. */
	const WtHeader *headers;
	int n_headers;
} WtAnswer;

/* Room for any body that wt_answer_error makes. */
#define WT_ANSWER_SIZE 1024

/*
 * Writes a sentence, UTF-8, to out as the inside of a JSON string, cut where it does not
 * fit into size bytes.  Gives the length in bytes; there is no terminating NUL.
 */
extern size_t wt_answer_escape(char *out, size_t size, const char *sentence);

/*
 * Writes {"error":"<sentence>"} with its line feed to body; the sentence is
 * escaped, and cut where it does not fit.  Gives the length in bytes.
 */
extern size_t wt_answer_error(char body[WT_ANSWER_SIZE], const char *sentence);

#endif
