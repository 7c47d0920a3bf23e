/*
 * token.h
 *		The token that is shown to another WindTrap: windtrap.forward_token_file.
 *
 * The file has a token, or a line "URL token" for each target; a line with a token alone is
 * for those that have none of their own.
 *
 * Plain C: raises nothing.
 */
#ifndef WT_CLIENT_TOKEN_H
#define WT_CLIENT_TOKEN_H

#include "base/file.h"

#define WT_TOKEN_SIZE 512

/*
 * Reads the token for a target; "" where the file is "" or has none.  False, and *error, where
 * the file cannot be, or must not be, read, or is not what it should be.
 */
extern bool wt_http_token_read(const char *path, const char *target,
							   char token[WT_TOKEN_SIZE], WtFileError *error);

#endif
