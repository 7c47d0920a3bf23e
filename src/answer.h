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
 * Writes {"error":"<sentence>"} with its line feed to body; the sentence, UTF-8, is
 * escaped, and cut where it does not fit.  Gives the length in bytes.
 */
extern size_t wt_answer_error(char body[WT_ANSWER_SIZE], const char *sentence);

#endif
