/*
 * auth_mode.h
 *		What windtrap.auth can be.  Plain C.
 */
#ifndef WT_AUTH_MODE_H
#define WT_AUTH_MODE_H

typedef enum WtAuthMode
{
	WT_AUTH_AUTO, /* open to local clients until there is a token */
	WT_AUTH_TOKEN,
	WT_AUTH_NONE /* open to all */
} WtAuthMode;

#endif
