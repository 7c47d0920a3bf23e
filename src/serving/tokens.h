/*
 * tokens.h
 *		Tokens: the table windtrap.token, and a worker's knowledge of it.
 */
#ifndef WT_TOKENS_H
#define WT_TOKENS_H

#include "http/auth.h"

/*
 * Tells auth of the tokens, where they have changed since the last call, and notes in the
 * table when they were last used.  To be called before requests are looked at, after
 * AcceptInvalidationMessages, outside of a transaction.  Raises nothing but FATAL; while
 * the table cannot be read, auth knows no tokens.
 */
extern void wt_tokens_attend(WtAuth *auth);

/*
 * Whether auth knows other tokens than there are; may be asked in a transaction, too, in
 * which they cannot be read again.
 */
extern bool wt_tokens_are_stale(void);

/* ms until wt_tokens_attend has something to do even so; -1: nothing. */
extern long wt_tokens_timeout(void);

/* Why the tokens are not known, though the extension is there; NULL: they are. */
extern const char *wt_tokens_failure(void);

#endif
