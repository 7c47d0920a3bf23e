/*
 * error.h
 *		What libmongoc and MongoDB say of failures, as PostgreSQL's errors.
 */
#ifndef WM_ERROR_H
#define WM_ERROR_H

#include <mongoc/mongoc.h>

/* Text from outside, made fit for a message: in the server's encoding, without NULs. */
extern char *wm_printable(const char *text);

/*
 * Whether after this failure the connection is of no use any more, so that the next
 * statement must make a new one.
 */
extern bool wm_error_breaks_connection(const bson_error_t *error);

/*
 * Raises the failure.  doing is a sentence without its end, as "could not read from
 * collection \"a.b\""; detail may be NULL.
 */
extern void wm_raise(const bson_error_t *error, const char *doing, const char *detail)
	__attribute__((noreturn));

#endif
