/*
 * user_functions.h
 *		Whether expressions call functions of users: what those do, and as whom, is not ours to try.
 */
#ifndef WT_USER_FUNCTIONS_H
#define WT_USER_FUNCTIONS_H

#include "nodes/nodes.h"

extern bool wt_calls_user_functions(Node *expression);

#endif
