/*
 * multipart.h
 *		multipart/form-data (RFC 7578): what browsers and curl -F send.
 *
 * Plain C: raises nothing.
 */
#ifndef WT_MULTIPART_H
#define WT_MULTIPART_H

#include "event/json.h"

/* Parts that a body may have. */
#define WT_MULTIPART_MAX_PARTS 1000

/*
 * Parses a body into the tokens of one object: a field is a string, a file an object of
 * filename, type and base64; a name that comes more than once gets an array.  content_type
 * tells the boundary.  On WT_JSON_BAD *reason says what is wrong.  Strings may be any bytes:
 * the caller checks that they are text.
 */
extern WtJsonResult wt_multipart_parse(WtJson *json, const char *content_type,
									   const char *body, size_t length,
									   const char **reason);

#endif
