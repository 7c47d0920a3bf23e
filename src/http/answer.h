/*
 * answer.h
 *		The bodies of answers.  Plain C.
 */
#ifndef WT_ANSWER_H
#define WT_ANSWER_H

#include <stddef.h>

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
