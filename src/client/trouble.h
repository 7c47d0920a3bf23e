/*
 * trouble.h
 *		Why a server has not answered, for who has named it.
 *
 * Plain C: raises nothing.
 */
#ifndef WT_TROUBLE_H
#define WT_TROUBLE_H

#include "client/post.h"

/*
 * Writes a plain sentence about a request that was not answered to message; ca_setting is the
 * setting that says whose certificates are trusted.
 */
extern void wt_post_trouble(const WtPostAnswer *answer, const char *ca_setting,
							char *message, size_t size);

#endif
